//! The local APIC of this CPU, in whichever mode the machine runs.

use core::arch::x86_64::__cpuid;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rar_regs::{
    ApicId, ClusterMembers, DestinationError, IcrBusy, IcrError, X2apicIcr, XapicIcr, XapicMmio,
    send_x2apic,
};
use rar_suite::OddCommand;

use super::address::{low32, word};
use super::cpu::{read_msr, write_msr};
use super::paging::{self, MapError};
use super::{Once, vector};
use crate::println;

/// SDM vol. 3, "Local APIC Register Address Map": offsets in the page of an xAPIC.
mod offset {
    pub(super) const ID: u32 = 0x20;
    pub(super) const TASK_PRIORITY: u32 = 0x80;
    pub(super) const END_OF_INTERRUPT: u32 = 0xB0;
    pub(super) const SPURIOUS: u32 = 0xF0;
    pub(super) const ERROR_STATUS: u32 = 0x280;
    pub(super) const LVT_TIMER: u32 = 0x320;
    pub(super) const LVT_LINT0: u32 = 0x350;
    pub(super) const LVT_LINT1: u32 = 0x360;
    pub(super) const LVT_ERROR: u32 = 0x370;
    pub(super) const TIMER_INITIAL: u32 = 0x380;
    pub(super) const TIMER_CURRENT: u32 = 0x390;
    pub(super) const TIMER_DIVIDE: u32 = 0x3E0;
}

const BASE_X2APIC: u64 = 1 << 10;
const BASE_ENABLE: u64 = 1 << 11;
const X2APIC_FIRST_MSR: u32 = 0x800;
const LVT_MASKED: u32 = 1 << 16;
const SPURIOUS_ENABLE: u32 = 1 << 8;
/// The timer counts every 128th tick of its clock.
const DIVIDE_BY_128: u32 = 0b1010;

/// The way to the local APIC: the same on every CPU.
#[derive(Debug)]
pub enum LocalApic {
    /// By model-specific registers.
    X2apic,
    /// By a page of registers.
    Xapic {
        /// The page, mapped uncached; every CPU sees its own APIC there.
        registers: XapicRegisters,
        /// The sender of interrupt commands.
        sender: XapicMmio,
    },
}

/// The register page of an xAPIC.
#[derive(Clone, Copy, Debug)]
pub struct XapicRegisters(NonNull<AtomicU32>);

// SAFETY: the page is mapped for ever and each CPU reaches its own registers through it.
unsafe impl Sync for XapicRegisters {}
// SAFETY: as above.
unsafe impl Send for XapicRegisters {}

impl XapicRegisters {
    fn at(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: offsets of this module stay inside the page.
        let register = unsafe { self.0.byte_add(offset as usize) };
        // SAFETY: the page is mapped for ever; 32-bit loads and stores are how its registers are accessed.
        unsafe { register.as_ref() }
    }
}

static XAPIC: Once<LocalApic> = Once::new();
static X2APIC: LocalApic = LocalApic::X2apic;
static IN_X2APIC_MODE: AtomicBool = AtomicBool::new(false);

/// An interrupt that was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
#[non_exhaustive]
pub enum SendError {
    /// The command cannot be made.
    Command(#[defmt(Debug2Format)] IcrError),
    /// The APIC was busy for too long.
    Busy(#[defmt(Debug2Format)] IcrBusy),
    /// There is no APIC yet.
    NotStarted,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(error) => error.fmt(f),
            Self::Busy(error) => error.fmt(f),
            Self::NotStarted => f.write_str("the local APIC was not started"),
        }
    }
}

impl core::error::Error for SendError {}

impl From<IcrError> for SendError {
    fn from(error: IcrError) -> Self {
        Self::Command(error)
    }
}

impl From<DestinationError> for SendError {
    fn from(error: DestinationError) -> Self {
        Self::Command(IcrError::Destination(error))
    }
}

impl From<IcrBusy> for SendError {
    fn from(error: IcrBusy) -> Self {
        Self::Busy(error)
    }
}

/// Returns the APIC, once it was started.
#[must_use]
pub fn get() -> Option<&'static LocalApic> {
    if IN_X2APIC_MODE.load(Ordering::Acquire) {
        return Some(&X2APIC);
    }
    XAPIC.get()
}

/// The whole machine drives its APICs by registers from here on: every CPU calls [`LocalApic::start`] before it takes or sends an interrupt.
pub(crate) fn go_to_x2apic() {
    IN_X2APIC_MODE.store(true, Ordering::Release);
}

/// Returns whether CPUID shows a local APIC; it does not where firmware has disabled it, either.
fn has_apic() -> bool {
    __cpuid(1).edx & 1 << 9 != 0
}

/// Chooses the mode for the whole machine and maps the registers: x2APIC where firmware left it on or CPUID offers it.
pub(crate) fn choose(x2apic_offered: bool, physical: u64) -> Result<(), MapError> {
    if !has_apic() {
        println!("no local APIC: a single CPU, without a watchdog");
        return Ok(());
    }
    // SAFETY: the register exists on every CPU with a local APIC.
    let base = unsafe { read_msr(x86::msr::IA32_APIC_BASE) };
    if x2apic_offered || base & BASE_X2APIC != 0 {
        go_to_x2apic();
        return Ok(());
    }
    paging::map_device(physical, super::frames::PAGE)?;
    let page: *mut u32 = core::ptr::with_exposed_provenance_mut(word(physical));
    let page = NonNull::new(page).ok_or(MapError::OutOfReach { address: physical })?;
    let _first = XAPIC.set(LocalApic::Xapic {
        registers: XapicRegisters(page.cast()),
        // SAFETY: the page of xAPIC registers, mapped uncached for ever.
        sender: unsafe { XapicMmio::new(page) },
    });
    Ok(())
}

impl LocalApic {
    /// Returns the name of the mode.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::X2apic => "x2APIC",
            Self::Xapic { .. } => "xAPIC",
        }
    }

    fn read(&self, offset: u32) -> u32 {
        match self {
            // SAFETY: in x2APIC mode each register of the page is an MSR.
            Self::X2apic => low32(unsafe { read_msr(X2APIC_FIRST_MSR + offset / 16) }),
            Self::Xapic { registers, .. } => registers.at(offset).load(Ordering::Relaxed),
        }
    }

    fn write(&self, offset: u32, value: u32) {
        match self {
            // SAFETY: as above; this module writes values that are legal in either mode and do not touch memory.
            Self::X2apic => unsafe { write_msr(X2APIC_FIRST_MSR + offset / 16, u64::from(value)) },
            Self::Xapic { registers, .. } => registers.at(offset).store(value, Ordering::Release),
        }
    }

    /// Enables this CPU's APIC in the machine's mode, with nothing but interprocessor interrupts let through.
    pub(crate) fn start(&self) {
        // SAFETY: see `choose`.
        let base = unsafe { read_msr(x86::msr::IA32_APIC_BASE) };
        let mut wanted = base | BASE_ENABLE;
        if matches!(self, Self::X2apic) {
            wanted |= BASE_X2APIC;
        }
        if base & BASE_ENABLE == 0 {
            // x2APIC mode is entered from xAPIC mode only (SDM vol. 3, "x2APIC State Transitions").
            // SAFETY: enables the APIC where it is.
            unsafe { write_msr(x86::msr::IA32_APIC_BASE, base | BASE_ENABLE) };
        }
        if wanted != base {
            // SAFETY: a legal transition; the mode is what the rest of the kernel uses.
            unsafe { write_msr(x86::msr::IA32_APIC_BASE, wanted) };
        }
        for entry in [
            offset::LVT_TIMER,
            offset::LVT_LINT0,
            offset::LVT_LINT1,
            offset::LVT_ERROR,
        ] {
            self.write(entry, LVT_MASKED);
        }
        self.write(offset::TASK_PRIORITY, 0);
        self.write(
            offset::SPURIOUS,
            SPURIOUS_ENABLE | u32::from(vector::SPURIOUS),
        );
        self.write(offset::ERROR_STATUS, 0);
        self.write(offset::END_OF_INTERRUPT, 0);
    }

    /// Returns the number of this CPU's APIC.
    #[must_use]
    pub fn id(&self) -> ApicId {
        let id = self.read(offset::ID);
        ApicId::new(match self {
            Self::X2apic => id,
            Self::Xapic { .. } => id >> 24,
        })
    }

    /// Starts this CPU's timer: one interrupt when it has counted down. A count of zero stops it.
    pub(crate) fn start_timer(&self, count: u32) {
        let masked = if count == 0 { LVT_MASKED } else { 0 };
        self.write(offset::TIMER_DIVIDE, DIVIDE_BY_128);
        self.write(offset::LVT_TIMER, masked | u32::from(vector::WATCHDOG));
        self.write(offset::TIMER_INITIAL, count);
    }

    /// Returns what this CPU's timer has still to count.
    pub(crate) fn timer_rest(&self) -> u32 {
        self.read(offset::TIMER_CURRENT)
    }

    fn send(&self, command: Command, to: ApicId) -> Result<(), SendError> {
        match self {
            Self::X2apic => {
                let icr = match command {
                    Command::Fixed(vector) => X2apicIcr::fixed(to, vector)?,
                    Command::Nmi => X2apicIcr::nmi(to)?,
                    Command::Init => X2apicIcr::init(to)?,
                    Command::Startup(page) => X2apicIcr::startup(to, page)?,
                };
                // SAFETY: ring 0 and x2APIC mode; every vector sent has a handler, and INIT and start-up go to CPUs that run nothing.
                unsafe { send_x2apic(icr) };
            }
            Self::Xapic { sender, .. } => {
                let icr = match command {
                    Command::Fixed(vector) => XapicIcr::fixed(to, vector)?,
                    Command::Nmi => XapicIcr::nmi(to)?,
                    Command::Init => XapicIcr::init(to)?,
                    Command::Startup(page) => XapicIcr::startup(to, page)?,
                };
                // SAFETY: as above, in xAPIC mode.
                unsafe { sender.send(icr)? };
            }
        }
        Ok(())
    }
}

impl LocalApic {
    /// Sends a remote action request to each CPU of the list, in as few commands as there are runs of one cluster.
    fn send_requests(
        &self,
        targets: impl Iterator<Item = ApicId>,
        alone: Alone,
    ) -> Result<(), SendError> {
        match self {
            Self::X2apic => {
                let mut group: Option<(ApicId, ClusterMembers)> = None;
                for id in targets {
                    if let Some((_, members)) = &mut group
                        && members.try_add(id)
                    {
                        continue;
                    }
                    flush_group(group.take(), alone)?;
                    group = match ClusterMembers::new(id) {
                        Ok(members) => Some((id, members)),
                        Err(_) => {
                            send_request(X2apicIcr::rar(id)?);
                            None
                        }
                    };
                }
                flush_group(group, alone)
            }
            Self::Xapic { .. } => self.send_physical_requests(targets),
        }
    }

    fn send_physical_requests(
        &self,
        targets: impl Iterator<Item = ApicId>,
    ) -> Result<(), SendError> {
        for id in targets {
            match self {
                Self::X2apic => send_request(X2apicIcr::rar(id)?),
                // SAFETY: ring 0, no NMI handler sends while a flush is made, and a RAR unit takes the message or drops it.
                Self::Xapic { sender, .. } => unsafe { sender.send(XapicIcr::rar(id)?)? },
            }
        }
        Ok(())
    }
}

/// How a command names the only target in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    Physical,
    Cluster,
}

fn flush_group(group: Option<(ApicId, ClusterMembers)>, alone: Alone) -> Result<(), SendError> {
    if let Some((first, members)) = group {
        send_request(
            if alone == Alone::Physical && members.members().count_ones() == 1 {
                X2apicIcr::rar(first)?
            } else {
                X2apicIcr::rar_cluster(members)
            },
        );
    }
    Ok(())
}

fn send_request(icr: X2apicIcr) {
    // SAFETY: ring 0 and x2APIC mode; a RAR unit takes the message or drops it.
    unsafe { send_x2apic(icr) };
}

#[derive(Clone, Copy, Debug)]
enum Command {
    Fixed(u8),
    Nmi,
    Init,
    Startup(u8),
}

fn send(command: Command, to: ApicId) -> Result<(), SendError> {
    get().ok_or(SendError::NotStarted)?.send(command, to)
}

/// Acknowledges the interrupt in service on this CPU.
pub(crate) fn end_of_interrupt() {
    if let Some(apic) = get() {
        apic.write(offset::END_OF_INTERRUPT, 0);
    }
}

/// Sends a remote action request to each CPU of the list.
///
/// # Errors
///
/// As for [`send_fixed`]; the CPUs before the one that cannot be addressed have got theirs.
pub fn send_requests(targets: impl Iterator<Item = ApicId>) -> Result<(), SendError> {
    get()
        .ok_or(SendError::NotStarted)?
        .send_requests(targets, Alone::Physical)
}

/// Sends a request that no driver sends; x2APIC mode only.
pub(crate) fn send_odd_request(command: OddCommand, to: ApicId) -> Result<(), SendError> {
    const LEVEL: u64 = 1 << 14;
    const VECTOR: u64 = 0xE0;
    const SHORTHAND: u32 = 18;
    let known = X2apicIcr::rar(to)?.bits();
    let mode = known & 0xFFFF_FFFF;
    send_request(X2apicIcr::from_bits(match command {
        OddCommand::Vector => known | VECTOR,
        OddCommand::Level => known | LEVEL,
        OddCommand::Own => mode | 1 << SHORTHAND,
        OddCommand::All => mode | 2 << SHORTHAND,
        OddCommand::Others => mode | 3 << SHORTHAND,
    }));
    Ok(())
}

/// As [`send_requests`], with a command of its own for each CPU.
pub(crate) fn send_physical_requests(
    targets: impl Iterator<Item = ApicId>,
) -> Result<(), SendError> {
    get()
        .ok_or(SendError::NotStarted)?
        .send_physical_requests(targets)
}

/// As [`send_requests`], with commands to clusters only, where the APIC knows them.
pub(crate) fn send_cluster_requests(
    targets: impl Iterator<Item = ApicId>,
) -> Result<(), SendError> {
    get()
        .ok_or(SendError::NotStarted)?
        .send_requests(targets, Alone::Cluster)
}

/// Sends an ordinary interrupt.
///
/// # Errors
///
/// Fails when the CPU cannot be addressed or the APIC stays busy.
pub fn send_fixed(to: ApicId, vector: u8) -> Result<(), SendError> {
    send(Command::Fixed(vector), to)
}

/// Sends a non-maskable interrupt.
///
/// # Errors
///
/// As for [`send_fixed`].
pub fn send_nmi(to: ApicId) -> Result<(), SendError> {
    send(Command::Nmi, to)
}

/// Resets a CPU that runs nothing: it waits for [`send_startup`].
pub(crate) fn send_init(to: ApicId) -> Result<(), SendError> {
    send(Command::Init, to)
}

/// Starts a CPU that was reset, in real mode at the start of a page below 1 MiB.
pub(crate) fn send_startup(to: ApicId, page: u8) -> Result<(), SendError> {
    send(Command::Startup(page), to)
}
