//! The second machine boundary: RAR units that a test uses instead of the driver.

use rar_percpu::{CpuSet, SlotIndex};

/// Bit 31 of [`Register::Control`].
pub const ENABLE: u64 = 1 << 31;
/// Bit 30 of [`Register::Control`].
pub const IGNORE_IF: u64 = 1 << 30;

/// A register of a RAR unit, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// IA32_CORE_CAPABILITIES.
    CoreCapabilities = 0xcf,
    /// MSR_RAR_CONTROL.
    Control = 0xed,
    /// MSR_RAR_ACTION_VECTOR_BASE.
    ActionVectorBase = 0xee,
    /// MSR_RAR_PAYLOAD_TABLE_BASE.
    PayloadTableBase = 0xef,
    /// MSR_RAR_INFO.
    Info = 0xf0,
}

/// The access raised #GP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralProtection;

/// An ability of the units that not every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// [`RarUnits::reset`].
    Reset,
    /// [`RarUnits::run_guest`].
    Guest,
    /// [`Platform::enter_keeping`](crate::Platform::enter_keeping), with a PCID of its own for each
    /// space.
    Pcids,
    /// [`RarUnits::executed`].
    Record,
    /// [`RarUnits::signal_by`] to a [`Destination::Cluster`].
    Clusters,
    /// [`RarUnits::mwait`].
    Mwait,
    /// [`RarUnits::send_odd`].
    OddCommands,
    /// [`RarUnits::run_in_nmi`].
    NonMaskable,
}

impl Ability {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reset => "INIT of a CPU that goes on afterwards",
            Self::Guest => "guests",
            Self::Pcids => "PCIDs",
            Self::Record => "a record of what units execute",
            Self::Clusters => "APICs that take the name of a cluster",
            Self::Mwait => "MONITOR and MWAIT",
            Self::OddCommands => "interrupt commands of any bits",
            Self::NonMaskable => "NMIs that a CPU sends to itself",
        }
    }
}

/// How an interrupt command names its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One command for each target, by its APIC id.
    Physical,
    /// One command for each cluster, even for a single CPU of it.
    Cluster,
}

/// A command whose effect no source states. All have delivery mode 011b, and are edge-triggered
/// unless their name says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddCommand {
    /// To one CPU, with vector 0xe0, which Linux uses as a token.
    Vector,
    /// To one CPU, with the level bit (14) set.
    Level,
    /// To one CPU, level-triggered (bit 15), with the level bit clear: INIT calls it de-assert.
    Trigger,
    /// To one CPU, level-triggered, with the level bit set.
    TriggerLevel,
    /// By shorthand, to the sender.
    Own,
    /// By shorthand, to all.
    All,
    /// By shorthand, to all except the sender.
    Others,
}

/// A long-running instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongString {
    /// REP MOVSB.
    Move,
    /// REP STOSB.
    Store,
}

/// What a unit has executed since power-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// How many entries.
    pub entries: u64,
    /// [`payload_hash`](rar_vocabulary::payload_hash) of the last one, as the unit read it.
    pub last: u64,
    /// The same for that entry at the time of its signal, if the machine records it.
    pub announced: Option<u64>,
}

/// The RAR unit of each CPU. Every method acts on the CPU that calls it.
///
/// A test writes registers and sends signals only while the CPU is offline in the domain, so that
/// no driver uses the unit at the same time. On an online CPU it may only change [`IGNORE_IF`], or
/// write zero to all registers. The
/// only legal bases it writes are zero and those of [`addresses`](Self::addresses). It writes them
/// only while the unit is disabled, and enables a unit only with the latter.
pub trait RarUnits: Sync {
    /// Executes RDMSR.
    ///
    /// # Errors
    ///
    /// [`GeneralProtection`] if it faults.
    fn read(&self, register: Register) -> Result<u64, GeneralProtection>;

    /// Executes WRMSR.
    ///
    /// # Errors
    ///
    /// [`GeneralProtection`] if it faults.
    fn write(&self, register: Register, value: u64) -> Result<(), GeneralProtection>;

    /// Returns the physical addresses of the domain's payload table and of this CPU's action
    /// vector.
    fn addresses(&self) -> Addresses;

    /// Writes any words as an entry of the payload table. A test sends an entry of type 5 only if
    /// risky tests are requested, and then with the number and a legal value of an unused register.
    fn store_entry(&self, slot: SlotIndex, words: [u64; 8]);

    /// Returns CR3.
    fn cr3(&self) -> u64;

    /// Returns MAXPHYADDR.
    fn physical_address_bits(&self) -> u32;

    /// Sends one RAR signal to each of these CPUs, which may include this one, after the necessary
    /// fence.
    fn signal(&self, targets: &CpuSet);

    /// As [`signal`](Self::signal), but with commands of this kind.
    fn signal_by(&self, destination: Destination, targets: &CpuSet);

    /// Returns how many spins a CPU may make between a signal to it and the end of the service. No
    /// source names a bound, so each machine sets its own.
    fn timeout_spins(&self) -> u32;

    /// Returns whether the machine has an ability.
    fn can(&self, ability: Ability) -> bool;

    /// Resets this CPU by INIT and restores its state, except the registers of its unit, which stay
    /// as INIT leaves them.
    fn reset(&self);

    /// Runs a guest with its own tag on this CPU. The guest calls `until` in a loop and ends when
    /// that returns true. Returns `false` if the guest ended in another way.
    fn run_guest(&self, until: &dyn Fn() -> bool) -> bool;

    /// Sends a command that no driver sends. `to` is ignored where a shorthand names the targets.
    fn send_odd(&self, command: OddCommand, to: u32);

    /// Returns how many sub-states each C-state of MWAIT has: CPUID.5:EDX, four bits each from C0
    /// on.
    fn mwait_states(&self) -> u32;

    /// Enables interrupts and waits in MWAIT, with this hint, until it ends. Returns with
    /// interrupts enabled.
    fn mwait(&self, hint: u32);

    /// Executes one string instruction over 2 MiB of the large frames.
    fn run_string(&self, string: LongString);

    /// Sends an NMI to this CPU, whose handler runs `work`. `work` must end by itself and print
    /// nothing. Returns after the handler, or `false` if no NMI arrived.
    fn run_in_nmi(&self, work: &dyn Fn()) -> bool;

    /// Turns PCIDs off on this CPU (`CR4.PCIDE` = 0), runs `work`, and turns them on again if they
    /// were on. CR3 leads to the first space, and both changes empty the TLB. All CPUs do so
    /// together.
    fn without_pcids(&self, work: &dyn Fn());

    /// Returns what this CPU's unit has executed.
    fn executed(&self) -> Executed;
}

/// The addresses of the memory that a unit uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The payload table.
    pub table: u64,
    /// The action vector of this CPU.
    pub vector: u64,
}
