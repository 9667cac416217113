//! What a machine is made of, and the choices that a test can make.

use std::time::Duration;

use rar_model::Knobs;

/// The configuration of a machine.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    /// How many CPUs there are.
    pub cpus: u32,
    /// What answers signals.
    pub backend: Answering,
    /// The decisions of the RAR units; CPU *i* has member *i* modulo the length.
    pub knobs: Vec<Knobs>,
    /// Returns the APIC id of a CPU.
    pub apic_id: fn(u32) -> u32,
    /// How a signal addresses its targets.
    pub addressing: Addressing,
    /// What the units make of commands that no driver sends.
    pub odd_commands: OddCommands,
    /// Whether the units answer while interrupts are disabled.
    pub interrupts: rar_regs::InterruptPolicy,
    /// When the units answer.
    pub service: Service,
    /// What the CPU's own `INVLPG` drops.
    pub invlpg: Invlpg,
    /// Whether the driver may send NMIs.
    pub nmi: bool,
    /// What the clock counts.
    pub clock: Clock,
    /// Decides speculation, and when buffered stores leave.
    pub seed: u64,
    /// How many stores a CPU's buffer holds.
    pub buffered: usize,
    /// Before how many of 256 accesses to shared memory a CPU is suspended: accesses of microcode
    /// and, with `--cfg rar_observed`, of the driver.
    pub preemption: u8,
    /// How often, of 256 opportunities, a CPU walks the page tables speculatively.
    pub speculation: u8,
    /// After how many of 256 accesses to memory a page walk is suspended.
    pub walk_pauses: u8,
}

impl MachineConfig {
    /// Returns the configuration of honest units with IGNORE_IF, and one x2APIC command per target.
    #[must_use]
    pub fn new(cpus: u32) -> Self {
        Self {
            cpus,
            backend: Answering::Units,
            knobs: vec![Knobs::DEFAULT],
            apic_id,
            addressing: Addressing::Physical,
            odd_commands: OddCommands::Dropped,
            interrupts: rar_regs::InterruptPolicy::IgnoreIf,
            service: Service::Boundary,
            invlpg: Invlpg::DropsGlobals,
            nmi: false,
            clock: Clock::Steps,
            seed: 1,
            buffered: 8,
            preemption: 64,
            speculation: 0,
            walk_pauses: 0,
        }
    }
}

/// How many CPUs a cluster of 16 ids has: with gaps, as on real machines.
const PER_CLUSTER: u32 = 12;

/// Returns the APIC id of a CPU.
const fn apic_id(cpu: u32) -> u32 {
    cpu / PER_CLUSTER * 16 + cpu % PER_CLUSTER
}

/// What answers signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// A RAR unit per CPU.
    Units,
    /// The handler of an ordinary interrupt.
    Software,
}

/// What the machine's clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Steps of the scheduler, divided by the number of CPUs, each a [`STEP`].
    Steps,
    /// The time of the host, for CPUs that are threads.
    Time,
    /// Its own readings, each a nanosecond; for tests that run no CPU.
    Readings,
}

/// How long a step of the scheduler takes.
pub const STEP: Duration = Duration::from_micros(100);

/// Returns how long `count` steps take.
#[must_use]
pub const fn steps(count: u32) -> Duration {
    STEP.saturating_mul(count)
}

/// How a signal addresses its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// One xAPIC command per target; APIC ids below 255 only.
    Xapic,
    /// One x2APIC command per target.
    Physical,
    /// One x2APIC command per cluster.
    Cluster,
}

/// How units treat commands that no driver sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddCommands {
    /// Nothing.
    Dropped,
    /// As they treat the others.
    Taken,
}

/// When the RAR units answer, and interrupts are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Between two instructions of their CPU. A test that runs no CPU calls
    /// [`Machine::end_instruction`](super::Machine::end_instruction).
    Boundary,
    /// Within the signal; for tests that run no CPU.
    Prompt,
    /// Whenever the driver spins: one chance for each CPU a round; for tests that run no CPU.
    Polled,
}

/// What a CPU's `INVLPG` does to global translations while PCIDs are on. It decides how the CPU
/// executes an INVPG entry itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invlpg {
    /// It drops them. INVPG becomes `INVLPG`.
    DropsGlobals,
    /// It may spare them. INVPG becomes a flush of everything.
    MaySpareGlobals,
}
