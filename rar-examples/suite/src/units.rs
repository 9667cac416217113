//! The second machine boundary: RAR units that a test uses in place of the driver.

use rar_percpu::{CpuSet, SlotIndex};

use crate::space::Space;

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

/// What not every machine can do with its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// [`Units::reset`].
    Reset,
    /// [`Units::run_guest`].
    Guest,
    /// [`Units::enter_keeping`], with a PCID of its own for each space.
    Pcids,
    /// [`Units::executed`].
    Record,
    /// [`Units::signal_by`] to a [`Destination::Cluster`].
    Clusters,
    /// [`Units::mwait`].
    Mwait,
    /// [`Units::send_odd`].
    OddCommands,
    /// [`Units::run_in_nmi`].
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
    /// One command for each cluster, also if one CPU of it is meant.
    Cluster,
}

/// A command for which no source says what a processor makes of it; all are edge-triggered, with delivery mode 011b.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddCommand {
    /// To one CPU, with vector 0xE0, which Linux uses as a token.
    Vector,
    /// To one CPU, with the level bit (14) set.
    Level,
    /// By shorthand, to the sender.
    Own,
    /// By shorthand, to all.
    All,
    /// By shorthand, to all but the sender.
    Others,
}

/// An instruction that takes long.
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
    /// The same of that entry as it was when a signal announced it, where the machine keeps it.
    pub announced: Option<u64>,
}

/// The RAR unit of each CPU. Every method acts on the CPU that calls it.
///
/// A test writes registers and sends signals only while the CPU is offline in the domain, so that no driver uses the unit at the same time; of
/// one that is online it may change [`IGNORE_IF`] alone. It writes no legal base but zero and those of [`addresses`](Self::addresses), a base only
/// while the unit is disabled, and enables it with no other than those.
pub trait Units: Sync {
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

    /// Returns the physical addresses of the domain's payload table and of this CPU's action vector.
    fn addresses(&self) -> Addresses;

    /// Writes any words as an entry of the payload table. A test sends an entry of type 5 only if asked for what is risky, and then with the number
    /// and a legal value of a register that nobody uses.
    fn store_entry(&self, slot: SlotIndex, words: [u64; 8]);

    /// Returns CR3.
    fn cr3(&self) -> u64;

    /// Returns MAXPHYADDR.
    fn physical_address_bits(&self) -> u32;

    /// Sends one RAR signal to each of these CPUs, which may include this one, with the fence that it needs before it.
    fn signal(&self, targets: &CpuSet);

    /// As [`signal`](Self::signal), but with commands of this kind.
    fn signal_by(&self, destination: Destination, targets: &CpuSet);

    /// Returns how many rounds of a spin a CPU may make between the moment a signal was sent to it and the end of its service. No
    /// source names a bound: each machine says what is slow.
    fn patience(&self) -> u32;

    /// Returns whether the machine has an ability.
    fn can(&self, ability: Ability) -> bool;

    /// Resets this CPU by INIT and brings it back to where it was, but for the registers of its unit, which are as INIT leaves them.
    fn reset(&self);

    /// Runs a guest with a tag of its own on this CPU, in which `until` is asked again and again; returns when it says yes, or
    /// `false` if the guest ended in another way.
    fn run_guest(&self, until: &dyn Fn() -> bool) -> bool;

    /// Sends a command that no driver sends; `to` matters where no shorthand says who gets it.
    fn send_odd(&self, command: OddCommand, to: u32);

    /// Returns how many sub-states each C-state of MWAIT has: CPUID.5:EDX, four bits each from C0 on.
    fn mwait_states(&self) -> u32;

    /// Enables interrupts and waits in MWAIT, with this hint, until something ends it; returns with interrupts enabled.
    fn mwait(&self, hint: u32);

    /// Executes one string instruction over 2 MiB of the large frames.
    fn run_string(&self, string: LongString);

    /// Sends an NMI to this CPU, whose handler runs `work`, which ends by itself and prints nothing; returns after it has, or `false` if no NMI came.
    fn run_in_nmi(&self, work: &dyn Fn()) -> bool;

    /// Loads CR3 and keeps what is cached of the space: this CPU runs in it from here on.
    fn enter_keeping(&self, space: Space);

    /// Returns what this CPU's unit has executed.
    fn executed(&self) -> Executed;
}

/// Where the memory lies that a unit is to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The payload table.
    pub table: u64,
    /// The action vector of this CPU.
    pub vector: u64,
}
