//! Finding out whether a machine has RAR, without risking an exception.

use crate::msr::{self, RarExists, RarMsr};
use crate::{
    CpuSignature, Cpuid, MsrAccess, PhysicalAddressWidth, RarInfo, RarSupport, SupportError,
};

/// How to look for RAR: which CPU models are accepted, and how large the payload table must be.
///
/// There is no CPUID bit for RAR itself. [`detect`](Self::detect) asks, in this order, and stops at
/// the first "no":
///
/// 1. CPUID leaf 0: is there a leaf 7?
/// 2. CPUID leaf 7, EDX bit 30: does `IA32_CORE_CAPABILITIES` exist?
/// 3. That register, bit 1: does the CPU have RAR?
/// 4. Vendor, family and model: is this bit known to mean RAR here?
/// 5. `MSR_RAR_INFO`: how many payload table entries, which types? If it lists types, INVPCID has
///    to be among them.
/// 6. CPUID leaf `0x8000_0008`: how wide is a physical address?
///
/// So no register is read before something says that it exists.
///
/// # Examples
///
/// ```
/// use rar_regs::{Detection, FakeCpu, SupportError};
///
/// let support = Detection::new().minimum_entries(16).detect(&FakeCpu::with_rar(63)).unwrap();
/// assert_eq!(support.entries(), 64);
///
/// let error = Detection::new().minimum_entries(16).detect(&FakeCpu::with_rar(7)).unwrap_err();
/// assert_eq!(error, SupportError::TableTooSmall { entries: 8, minimum: 16 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Detection {
    models: ModelCheck,
    minimum_entries: u8,
    required: RequiredTypes,
}

/// The payload types that have to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct RequiredTypes {
    /// Bit `t` for type `t`.
    listed: u32,
    /// A type above 31, which no register can list.
    unlistable: Option<u8>,
}

/// The payload type that imitates INVPCID: the one that TLB flushes are made of.
const INVPCID: u8 = 2;

/// Which CPU models count as having RAR when they set the capability bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ModelCheck {
    /// Those of [`ListedModel::ALL`](crate::ListedModel::ALL).
    #[default]
    Listed,
    /// All that set the bit, of any vendor: for a hypervisor or simulator that offers RAR, and to
    /// try a new model.
    ///
    /// On a CPU where the bit means something else, reading `MSR_RAR_INFO` raises #GP(0).
    Any,
}

impl Detection {
    /// Returns the careful default: listed models only, a table of any size.
    pub const fn new() -> Self {
        Self {
            models: ModelCheck::Listed,
            minimum_entries: 1,
            required: RequiredTypes {
                listed: 0,
                unlistable: None,
            },
        }
    }

    /// Says which CPU models are accepted.
    pub const fn models(self, models: ModelCheck) -> Self {
        Self { models, ..self }
    }

    /// Says how many payload table entries are needed. More than 64 are never found.
    pub const fn minimum_entries(self, minimum_entries: u8) -> Self {
        Self {
            minimum_entries,
            ..self
        }
    }

    /// Demands that the CPU lists a payload type, besides INVPCID.
    ///
    /// A hypervisor that flushes guests demands types 3 (INVEPT) and 4 (INVVPID). A CPU that lists
    /// no types at all passes without this demand, as nothing is known of its types, but not with
    /// it. Types above 31 cannot be listed, so detection then fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_regs::{Detection, FakeCpu, RarInfo, SupportError};
    ///
    /// let detection = Detection::new().require(3).require(4);
    /// let cpu = FakeCpu::with_rar(63).with_msr(RarInfo::MSR, 63 << 32 | 0b1_1100);
    /// assert!(detection.detect(&cpu).is_ok());
    ///
    /// let error = detection.detect(&FakeCpu::with_rar(63)).unwrap_err();
    /// assert!(matches!(error, SupportError::MissingType { payload_type: 3, .. }));
    /// ```
    pub const fn require(self, payload_type: u8) -> Self {
        let mut required = self.required;
        match 1u32.checked_shl(payload_type as u32) {
            Some(bit) => required.listed |= bit,
            None => required.unlistable = Some(payload_type),
        }
        Self { required, ..self }
    }

    /// Returns the proof that the executing CPU has RAR.
    ///
    /// Run it once, on the boot CPU; later CPUs run [`RarSupport::check_cpu`].
    ///
    /// # Errors
    ///
    /// A [`SupportError`] that names the first "no" and its remedy.
    pub fn detect<C: MsrAccess + Cpuid + ?Sized>(
        self,
        cpu: &C,
    ) -> Result<RarSupport, SupportError> {
        let exists = RarExists::check(cpu)?;
        let signature = CpuSignature::detect(cpu);
        if self.models == ModelCheck::Listed && signature.listed().is_none() {
            return Err(SupportError::UnlistedModel { signature });
        }
        let info = RarInfo::from_bits(msr::read(cpu, exists, RarMsr::Info)?);
        if info.reserved_bits() != 0 {
            return Err(SupportError::ReservedInfoBits { info });
        }
        if info.entries() < self.minimum_entries {
            return Err(SupportError::TableTooSmall {
                entries: info.entries(),
                minimum: self.minimum_entries,
            });
        }
        if info.supports(INVPCID) == Some(false) {
            return Err(SupportError::NoInvpcid { info });
        }
        if let Some(payload_type) = self.required.missing(info) {
            return Err(SupportError::MissingType { payload_type, info });
        }
        let width = PhysicalAddressWidth::detect(cpu)
            .map_err(|bits| SupportError::AddressWidth { bits })?;
        Ok(RarSupport::new(self, exists, signature, info, width))
    }
}

impl RequiredTypes {
    /// Returns the lowest required type that is not listed.
    fn missing(self, info: RarInfo) -> Option<u8> {
        let missing = self.listed & !info.payload_types();
        let [lowest, ..] = missing.trailing_zeros().to_le_bytes();
        if missing == 0 {
            self.unlistable
        } else {
            Some(lowest)
        }
    }
}

impl Default for Detection {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;
    use crate::{CoreCapabilities, CpuidResult, FakeCpu, MsrFault, MsrOperation, Vendor};

    /// Detects and asserts the outcome and exactly which registers were read, in order; nothing is
    /// ever written.
    #[track_caller]
    fn refused(
        detection: Detection,
        cpu: &FakeCpu,
        expected: SupportError,
        reads: &[u32],
        remedy: &str,
    ) {
        assert_eq!(detection.detect(cpu), Err(expected));
        assert_eq!(
            cpu.reads().map(|record| record.msr).collect::<Vec<_>>(),
            reads
        );
        assert_eq!(cpu.writes().count(), 0);
        assert!(expected.to_string().contains(remedy), "{expected}");
    }

    #[test]
    fn a_supported_cpu() {
        let cpu = FakeCpu::with_rar(63).with_physical_address_width(52);
        let support = Detection::default()
            .minimum_entries(64)
            .detect(&cpu)
            .unwrap();
        assert_eq!(support.entries(), 64);
        assert_eq!(support.info().bits(), 63 << 32);
        assert_eq!(support.supports(0), None);
        assert_eq!(support.physical_address_width().bits(), 52);
        assert_eq!(
            (support.signature().family, support.signature().model),
            (6, 0x8f)
        );
        assert_eq!(
            cpu.reads().map(|record| record.msr).collect::<Vec<_>>(),
            [0xcf, 0xf0]
        );
    }

    #[test]
    fn the_smallest_table_is_accepted_unless_more_is_asked_for() {
        assert_eq!(
            Detection::new()
                .detect(&FakeCpu::with_rar(0))
                .unwrap()
                .entries(),
            1
        );
        refused(
            Detection::new().minimum_entries(64),
            &FakeCpu::with_rar(62),
            SupportError::TableTooSmall {
                entries: 63,
                minimum: 64,
            },
            &[0xcf, 0xf0],
            "lower `minimum_entries`",
        );
    }

    #[test]
    fn leaf_7_is_not_believed_where_it_does_not_exist() {
        let leaf_0 = CpuidResult {
            eax: 6,
            ..FakeCpu::with_rar(63).cpuid(0, 0)
        };
        refused(
            Detection::new(),
            &FakeCpu::with_rar(63).with_cpuid(0, 0, leaf_0),
            SupportError::NoFeatureLeaf { max_leaf: 6 },
            &[],
            "lift the CPUID limit",
        );
    }

    #[test]
    fn core_capabilities_is_not_read_without_its_cpuid_bit() {
        let edx = !(1 << 30);
        refused(
            Detection::new(),
            &FakeCpu::with_rar(63).with_cpuid(
                7,
                0,
                CpuidResult {
                    edx,
                    ..CpuidResult::default()
                },
            ),
            SupportError::NoCoreCapabilities { edx },
            &[],
            "flush with interrupts",
        );
    }

    #[test]
    fn the_rar_registers_are_not_read_without_the_capability() {
        for detection in [Detection::new(), Detection::new().models(ModelCheck::Any)] {
            refused(
                detection,
                &FakeCpu::with_rar(63).with_msr(0xcf, !2),
                SupportError::NoRarCapability {
                    capabilities: CoreCapabilities::from_bits(!2),
                },
                &[0xcf],
                "bit 1 is clear",
            );
        }
    }

    #[test]
    fn the_rar_registers_are_not_read_on_an_unlisted_model() {
        for (vendor, eax) in [
            (Vendor::INTEL, 0x000a_06d1),
            (Vendor::new(*b"AuthenticAMD"), 0x0008_06f8),
        ] {
            let cpu = FakeCpu::with_rar(63).with_signature(vendor, eax);
            let signature = CpuSignature::detect(&cpu);
            refused(
                Detection::new(),
                &cpu,
                SupportError::UnlistedModel { signature },
                &[0xcf],
                "models(ModelCheck::Any)",
            );
            let support = Detection::new()
                .models(ModelCheck::Any)
                .detect(&cpu)
                .unwrap();
            assert_eq!(support.signature(), signature);
        }
    }

    #[test]
    fn undefined_bits_of_the_info_register_are_refused() {
        for bit in 38..64 {
            let bits = 1 << bit | 63 << 32;
            refused(
                Detection::new(),
                &FakeCpu::with_rar(63).with_msr(0xf0, bits),
                SupportError::ReservedInfoBits {
                    info: RarInfo::from_bits(bits),
                },
                &[0xcf, 0xf0],
                "not known here",
            );
        }
    }

    fn listing(types: u64) -> FakeCpu {
        FakeCpu::with_rar(63).with_msr(0xf0, 63 << 32 | types)
    }

    #[test]
    fn listed_types_have_to_hold_invpcid() {
        for types in [1, 0b11, 0b1_1000, !0b100 & 0xffff_ffff] {
            let info = RarInfo::from_bits(63 << 32 | types);
            refused(
                Detection::new(),
                &listing(types),
                SupportError::NoInvpcid { info },
                &[0xcf, 0xf0],
                "flush with interrupts",
            );
        }
        for types in [0, 0b100, 0b1_1111, 0xffff_ffff] {
            assert!(Detection::new().detect(&listing(types)).is_ok());
        }
    }

    #[test]
    fn required_types_have_to_be_listed() {
        let hypervisor = Detection::new().require(4).require(3);
        assert!(hypervisor.detect(&listing(0b1_1100)).is_ok());
        for (detection, types, payload_type) in [
            (hypervisor, 0, 3),
            (hypervisor, 0b0_1100, 4),
            (hypervisor, 0b1_0100, 3),
            (hypervisor.require(200), 0xffff_ffff, 200),
            (hypervisor.require(31), 0x7fff_ffff, 31),
        ] {
            let info = RarInfo::from_bits(63 << 32 | types);
            refused(
                detection,
                &listing(types),
                SupportError::MissingType { payload_type, info },
                &[0xcf, 0xf0],
                "flush with interrupts",
            );
        }
        let all = hypervisor.require(31).require(0);
        let support = all.detect(&listing(0xffff_ffff)).unwrap();
        assert!(support.check_cpu(&listing(0xffff_ffff)).is_ok());
        assert!(support.check_cpu(&listing(0x7fff_ffff)).is_err());
    }

    #[test]
    fn an_impossible_address_width_is_refused() {
        refused(
            Detection::new(),
            &FakeCpu::with_rar(63).with_physical_address_width(0),
            SupportError::AddressWidth { bits: 0 },
            &[0xcf, 0xf0],
            "correct the firmware",
        );
    }

    #[test]
    fn an_announced_register_that_faults_is_reported() {
        for (msr, reads) in [(0xcf, &[0xcf][..]), (0xf0, &[0xcf, 0xf0][..])] {
            let fault = MsrFault {
                msr,
                access: MsrOperation::Read,
            };
            refused(
                Detection::new(),
                &FakeCpu::with_rar(63).without_msr(msr),
                SupportError::Fault(fault),
                reads,
                "although the CPU announces it",
            );
        }
    }
}
