//! Detection on CPUs that answer anything: it says yes exactly when every condition holds, and
//! reads nothing too early.
#![cfg(not(rar_loom))]

use proptest::prelude::*;
use rar_regs::{
    CpuMismatch, CpuidResult, Detection, FakeCpu, ModelCheck, MsrFault, RarInfo, SupportError,
    Vendor,
};

const CORE_CAPABILITIES: u32 = 0xcf;
const INFO: u32 = 0xf0;

/// What a CPU answers to everything that detection may ask.
#[derive(Clone, Debug)]
struct Answers {
    max_leaf: u32,
    vendor: [u8; 12],
    signature: u32,
    features: CpuidResult,
    core_capabilities: Option<u64>,
    info: Option<u64>,
    max_extended_leaf: u32,
    address_widths: u32,
}

/// How detection is asked.
#[derive(Clone, Copy, Debug)]
struct Question {
    models: ModelCheck,
    minimum_entries: u8,
    /// Bit `t` for type `t`.
    required_types: u32,
}

/// Where the chain of questions ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    NoFeatureLeaf,
    NoCoreCapabilities,
    CapabilitiesFault,
    NoRarCapability,
    UnlistedModel,
    InfoFault,
    ReservedInfoBits,
    TableTooSmall,
    NoInvpcid,
    MissingType(u8),
    AddressWidth,
    Rar,
}

impl Answers {
    fn cpu(&self) -> FakeCpu {
        let eax = |eax| CpuidResult {
            eax,
            ..CpuidResult::default()
        };
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.vendor;
        let leaf_0 = CpuidResult {
            eax: self.max_leaf,
            ebx: u32::from_le_bytes([a, b, c, d]),
            edx: u32::from_le_bytes([e, f, g, h]),
            ecx: u32::from_le_bytes([i, j, k, l]),
        };
        let mut cpu = FakeCpu::new()
            .with_cpuid(0, 0, leaf_0)
            .with_cpuid(1, 0, eax(self.signature))
            .with_cpuid(7, 0, self.features)
            .with_cpuid(0x8000_0000, 0, eax(self.max_extended_leaf))
            .with_cpuid(0x8000_0008, 0, eax(self.address_widths));
        if let Some(value) = self.core_capabilities {
            cpu = cpu.with_msr(CORE_CAPABILITIES, value);
        }
        if let Some(value) = self.info {
            cpu = cpu.with_msr(INFO, value);
        }
        cpu
    }

    /// Whether the model is one that is listed: family 6, model 0x8f or 0xcf, by Intel.
    fn listed(&self) -> bool {
        let family_6 = self.signature >> 8 & 0xf == 6;
        let model = self.signature >> 12 & 0xf0 | self.signature >> 4 & 0xf;
        &self.vendor == b"GenuineIntel" && family_6 && [0x8f, 0xcf].contains(&model)
    }

    /// MAXPHYADDR: as reported, or 36 without the leaf.
    fn width(&self) -> u32 {
        if self.max_extended_leaf >= 0x8000_0008 {
            self.address_widths & 0xff
        } else {
            36
        }
    }

    fn entries(&self) -> Option<u64> {
        self.info.map(|info| (info >> 32 & 63) + 1)
    }

    fn verdict(&self, question: Question) -> Verdict {
        if self.max_leaf < 7 {
            return Verdict::NoFeatureLeaf;
        }
        if self.features.edx >> 30 & 1 == 0 {
            return Verdict::NoCoreCapabilities;
        }
        let Some(capabilities) = self.core_capabilities else {
            return Verdict::CapabilitiesFault;
        };
        if capabilities >> 1 & 1 == 0 {
            return Verdict::NoRarCapability;
        }
        if question.models == ModelCheck::Listed && !self.listed() {
            return Verdict::UnlistedModel;
        }
        let Some(info) = self.info else {
            return Verdict::InfoFault;
        };
        if info >> 38 != 0 {
            return Verdict::ReservedInfoBits;
        }
        if (info >> 32) + 1 < question.minimum_entries.into() {
            return Verdict::TableTooSmall;
        }
        let [a, b, c, d, ..] = info.to_le_bytes();
        let types = u32::from_le_bytes([a, b, c, d]);
        if types != 0 && types >> 2 & 1 == 0 {
            return Verdict::NoInvpcid;
        }
        let missing = (0..32).find(|bit| question.required_types >> bit & 1 > types >> bit & 1);
        if let Some(missing) = missing {
            return Verdict::MissingType(missing);
        }
        if !(32..=52).contains(&self.width()) {
            return Verdict::AddressWidth;
        }
        Verdict::Rar
    }
}

impl Verdict {
    fn number(self) -> usize {
        let all = [
            Self::NoFeatureLeaf,
            Self::NoCoreCapabilities,
            Self::CapabilitiesFault,
            Self::NoRarCapability,
            Self::UnlistedModel,
            Self::InfoFault,
            Self::ReservedInfoBits,
            Self::TableTooSmall,
            Self::NoInvpcid,
            Self::AddressWidth,
            Self::Rar,
        ];
        // The last number is that of every missing type.
        all.iter()
            .position(|verdict| *verdict == self)
            .unwrap_or(all.len())
    }

    fn of(error: &SupportError) -> Option<Self> {
        Some(match error {
            SupportError::NoFeatureLeaf { .. } => Self::NoFeatureLeaf,
            SupportError::NoCoreCapabilities { .. } => Self::NoCoreCapabilities,
            SupportError::Fault(MsrFault { msr: INFO, .. }) => Self::InfoFault,
            SupportError::Fault(_) => Self::CapabilitiesFault,
            SupportError::NoRarCapability { .. } => Self::NoRarCapability,
            SupportError::UnlistedModel { .. } => Self::UnlistedModel,
            SupportError::ReservedInfoBits { .. } => Self::ReservedInfoBits,
            SupportError::TableTooSmall { .. } => Self::TableTooSmall,
            SupportError::NoInvpcid { .. } => Self::NoInvpcid,
            SupportError::MissingType { payload_type, .. } => Self::MissingType(*payload_type),
            SupportError::AddressWidth { .. } => Self::AddressWidth,
            _ => return None,
        })
    }

    /// The registers that may have been read by then: none before something says that it exists.
    fn reads(self) -> &'static [u32] {
        match self {
            Self::NoFeatureLeaf | Self::NoCoreCapabilities => &[],
            Self::CapabilitiesFault | Self::NoRarCapability | Self::UnlistedModel => {
                &[CORE_CAPABILITIES]
            }
            _ => &[CORE_CAPABILITIES, INFO],
        }
    }
}

/// Mostly the answer that lets detection go on, so that its last questions are reached; else
/// anything.
fn mostly<T: std::fmt::Debug + 'static>(
    good: impl Strategy<Value = T> + 'static,
    any: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![8 => good, 1 => any]
}

/// Family 6, model 0x8f or 0xcf, of any stepping; one bit away from that; anything.
fn signatures() -> impl Strategy<Value = u32> {
    let listed = prop::sample::select(vec![0x8_06f0, 0xc_06f0]);
    prop_oneof![
        4 => (listed, 0..16u32).prop_map(|(model, stepping)| model | stepping),
        1 => (0..32u32).prop_map(|bit| 0x8_06f8 ^ 1 << bit),
        1 => any::<u32>(),
    ]
}

prop_compose! {
    fn answers()(
        max_leaf in mostly(7..40u32, prop_oneof![0..9u32, any::<u32>()]),
        vendor in mostly(Just(*b"GenuineIntel"),
            prop_oneof![Just(*b"AuthenticAMD"), any::<[u8; 12]>()]),
        signature in signatures(),
        [eax, ebx, ecx] in any::<[u32; 3]>(),
        edx in mostly(Just(1 << 30), any::<u32>()),
        core_capabilities in prop::option::weighted(0.9,
            mostly(any::<u64>().prop_map(|bits| bits | 2), any::<u64>())),
        info in prop::option::weighted(0.9,
            mostly((0..64u64, types()).prop_map(info), any::<u64>())),
        max_extended_leaf in mostly(Just(0x8000_0008),
            prop_oneof![0x8000_0000..=0x8000_0010u32, any::<u32>()]),
        width in mostly(32..=52u32, 0..256u32),
        other_widths in 0..1u32 << 24,
    ) -> Answers {
        let features = CpuidResult { eax, ebx, ecx, edx };
        let address_widths = other_widths << 8 | width;
        Answers {
            max_leaf, vendor, signature, features, core_capabilities, info, max_extended_leaf,
                address_widths,
        }
    }
}

/// No types, INVPCID and more, or anything.
fn types() -> impl Strategy<Value = u32> {
    prop_oneof![
        2 => Just(0),
        3 => Just(0b11_1111),
        3 => any::<u32>().prop_map(|types| types | 1 << 2),
        1 => any::<u32>(),
    ]
}

fn info((index, types): (u64, u32)) -> u64 {
    index << 32 | u64::from(types)
}

fn questions() -> impl Strategy<Value = Question> {
    let models = prop::sample::select(vec![ModelCheck::Listed, ModelCheck::Any]);
    let minimum = prop_oneof![4 => 0..=16u8, 1 => any::<u8>()];
    let required = prop_oneof![4 => Just(0u32), 2 => Just(0b1_1000), 1 => any::<u32>()];
    (models, minimum, required).prop_map(|(models, minimum_entries, required_types)| Question {
        models,
        minimum_entries,
        required_types,
    })
}

impl Question {
    fn detection(self) -> Detection {
        let detection = Detection::new()
            .models(self.models)
            .minimum_entries(self.minimum_entries);
        (0..32)
            .filter(|bit| self.required_types >> bit & 1 == 1)
            .fold(detection, Detection::require)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn yes_exactly_when_every_condition_holds(answers in answers(), question in questions()) {
        let cpu = answers.cpu();
        let verdict = answers.verdict(question);
        match question.detection().detect(&cpu) {
            Ok(support) => {
                prop_assert_eq!(verdict, Verdict::Rar);
                prop_assert_eq!(Some(u64::from(support.entries())), answers.entries());
                prop_assert_eq!(Some(support.info().bits()), answers.info);
                prop_assert_eq!(u32::from(support.physical_address_width().bits()),
                    answers.width());
                prop_assert_eq!(support.signature().vendor, Vendor::new(answers.vendor));
                prop_assert_eq!(support.check_cpu(&cpu), Ok(()));
            }
            Err(error) => {
                prop_assert_eq!(Verdict::of(&error), Some(verdict), "{}", error);
                prop_assert!(error.to_string().contains("flush with interrupts"), "{}", error);
            }
        }
        // `check_cpu` repeats the reads; the first round is what detection did.
        let reads: Vec<u32> = cpu.reads().map(|record| record.msr).collect();
        let rounds = if verdict == Verdict::Rar { 2 } else { 1 };
        prop_assert_eq!(reads, verdict.reads().repeat(rounds));
        prop_assert_eq!(cpu.writes().count(), 0);
    }

    /// A later CPU is accepted exactly when it passes alone, with the same vendor, table and width.
    #[test]
    fn a_later_cpu_agrees_exactly_when_nothing_that_counts_differs(
        boot in answers(),
        other in answers(),
        same in any::<[bool; 3]>(),
        question in questions(),
    ) {
        let Ok(support) = question.detection().detect(&boot.cpu()) else {
            return Ok(());
        };
        let [vendor, info, width] = same;
        let mut other = other;
        if vendor {
            other.vendor = boot.vendor;
        }
        if info {
            other.info = boot.info;
        }
        if width {
            (other.max_extended_leaf, other.address_widths) =
                (boot.max_extended_leaf, boot.address_widths);
        }
        let alone = other.verdict(question);
        let differs = [
            (boot.vendor != other.vendor, CpuMismatch::Vendor),
            (boot.info != other.info, CpuMismatch::Info),
            (boot.width() != other.width(), CpuMismatch::PhysicalAddressWidth),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what));
        match support.check_cpu(&other.cpu()) {
            Ok(()) => prop_assert_eq!((alone, differs), (Verdict::Rar, None)),
            Err(SupportError::CpuDisagrees { what, boot: by, this }) => {
                prop_assert_eq!((alone, differs), (Verdict::Rar, Some(what)));
                prop_assert_eq!(by, support);
                prop_assert_eq!(Some(this.info()), other.info.map(RarInfo::from_bits));
            }
            Err(error) => {
                prop_assert_ne!(alone, Verdict::Rar);
                prop_assert_eq!(Verdict::of(&error), Some(alone), "{}", error);
            }
        }
    }
}

/// The strategies reach every verdict, so that none of the comparisons above is idle.
#[test]
fn every_verdict_occurs() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = [0; 12];
    for _ in 0..4000 {
        let tree = (answers(), questions()).new_tree(&mut runner).unwrap();
        let (answers, question) = tree.current();
        seen[answers.verdict(question).number()] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    assert!(seen[Verdict::Rar.number()] > 400, "{seen:?}");
}
