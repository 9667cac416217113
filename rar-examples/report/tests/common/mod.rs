//! A report as a real run would write it.
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "numbers of a made-up report are small; a panic fails the test"
)]

use rar_report::{
    ApicMode, Backend, Disturbances, EndReason, Event, EventKind, Firmware, Histogram, Machine,
    Measurement, Method, Outcome, Record, RegisterRead, Registers, TestResult, TscSource, Writer,
};

pub(crate) const ID: u32 = 0xc0ff_ee42;

pub(crate) const MACHINE: Machine<'_> = Machine {
    vendor: "GenuineIntel",
    brand: "Intel(R) Xeon(R) Platinum 8480+",
    family: 6,
    model: 0x8f,
    stepping: 8,
    microcode: Some(0x2b00_0590),
    cpus_found: 224,
    cpus_online: 223,
    apic: ApicMode::X2apicByFirmware,
    max_apic_id: 511,
    tsc_hz: 2_000_000_000,
    tsc_source: TscSource::CpuidCrystal,
    memory: 512 << 30,
    firmware: Firmware::Uefi,
    loader: "GRUB 2.12-1",
    hypervisor: None,
    options: "backend=all list=full",
};

/// Words that test names are made of.
const WORDS: [&str; 30] = [
    "remap", "page", "range", "global", "pcid", "unit", "reserved", "bits", "stride", "large",
    "table", "cache", "signal", "merged", "lost", "disabled", "enable", "vector", "slot", "order",
    "storm", "self", "remote", "failure", "halt", "mwait", "nested", "cr3", "match", "write",
];

/// Numbers without a pattern, the same each time.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// The tests' names: 150 different ones of two to four words.
pub(crate) fn names() -> Vec<String> {
    let mut numbers = Numbers::new();
    let mut names: Vec<String> = Vec::new();
    while names.len() < 150 {
        let words = 2 + numbers.below(3);
        let name = (0..words)
            .map(|_| WORDS[numbers.below(30) as usize])
            .collect::<Vec<_>>()
            .join("-");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn outcome(test: usize, numbers: &mut Numbers) -> (u32, String) {
    match test % 10 {
        3 => (
            2,
            format!(
                "FAILURE {} of {} targets, {} ns",
                numbers.below(9),
                223,
                numbers.below(5000)
            ),
        ),
        5 => (
            3,
            [
                "needs a hypervisor",
                "needs 1 GiB pages",
                "the option risky is off",
            ][test % 3]
                .to_owned(),
        ),
        7 if test % 20 == 7 => (
            1,
            format!(
                "CPU {} read {:#x}, which is stale",
                numbers.below(224),
                numbers.below(1 << 40)
            ),
        ),
        _ => (0, String::new()),
    }
}

/// 150 tests on two backends, 100 measurements, a few events.
pub(crate) fn write_typical(memory: &mut [u8]) -> &[u8] {
    let mut numbers = Numbers::new();
    let mut writer = Writer::new(memory, ID, "0.1.0+3f2a91c");
    writer.push(&Record::Machine(MACHINE));
    writer.push(&Record::Registers(Registers {
        first_cpu: 0,
        cpus: 224,
        cpuid_7_edx: Some(0xffdd_4432),
        core_capabilities: RegisterRead::Value(0x7b),
        control: RegisterRead::Value(0),
        action_vector_base: RegisterRead::Value(0),
        payload_table_base: RegisterRead::Value(0),
        info: RegisterRead::Value(0x3f_0000_0000),
    }));
    for backend in [Backend::Hardware, Backend::Software] {
        for (test, name) in names().iter().enumerate() {
            let (kind, text) = outcome(test, &mut numbers);
            writer.push(&Record::Result(TestResult {
                backend,
                name,
                outcome: match kind {
                    0 => Outcome::Holds,
                    1 => Outcome::Violated {
                        initiator: numbers.below(224) as u32,
                        why: &text,
                    },
                    2 => Outcome::Observed(&text),
                    _ => Outcome::NotRun(&text),
                },
                initiators: if kind == 3 { 0 } else { 223 },
                fallbacks: 0,
                resignals: numbers.below(40) / 38,
                disturbances: Disturbances::NONE,
            }));
        }
    }
    for number in 0..100_u32 {
        let method =
            [Method::Rar, Method::Ipi, Method::Nmi, Method::Invlpg][(number / 25) as usize];
        let targets = [1, 2, 4, 16, 223][(number % 5) as usize];
        writer.push(&Record::Measurement(measurement(
            method,
            targets,
            number / 5 % 5,
            &mut numbers,
        )));
    }
    for cpu in [77, 12] {
        writer.push(&Record::Event(Event {
            kind: EventKind::CpuSilent,
            cpu: Some(cpu),
            backend: Some(Backend::Hardware),
            test: "signal-lost",
            text: "no answer in 250 ms",
        }));
    }
    assert!(writer.left_out().is_nothing());
    writer.finish(EndReason::Complete)
}

/// A thousand samples around a latency that grows with the targets.
pub(crate) fn measurement(
    method: Method,
    targets: u32,
    pages: u32,
    numbers: &mut Numbers,
) -> Measurement<'static> {
    let base = 700 + u64::from(targets) * 90;
    let mut samples: Vec<_> = (0..1000)
        .map(|sample| {
            base + numbers.below(base)
                + if sample % 97 == 0 {
                    numbers.below(90_000)
                } else {
                    0
                }
        })
        .collect();
    samples.sort_unstable();
    let mut histogram = Histogram::new();
    for sample in &samples {
        histogram.record(*sample);
    }
    Measurement {
        backend: if method == Method::Rar {
            Backend::Hardware
        } else {
            Backend::Software
        },
        method,
        targets,
        pages: [1, 8, 33, 63, 0][pages as usize],
        state: ["spin", "hlt", "mwait-c6"][(targets % 3) as usize],
        initiators: 1,
        samples: 1000,
        min: samples[0],
        p50: samples[500],
        p99: samples[990],
        max: samples[999],
        histogram,
        spoiled: 0,
        disturbances: Disturbances::NONE,
    }
}
