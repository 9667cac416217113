//! Interrupt commands, in whichever mode the machine runs.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use rar_regs::{
    ApicId, ClusterMembers, DestinationError, IcrBusy, IcrError, X2apicIcr, XapicIcr, send_x2apic,
};

use super::local_apic::{LocalApic, get};

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

impl LocalApic {
    fn send(&self, command: Command, to: ApicId) -> Result<(), SendError> {
        match self {
            Self::X2apic => {
                let icr = match command {
                    Command::Fixed(vector) => X2apicIcr::fixed(to, vector)?,
                    Command::Nmi => X2apicIcr::nmi(to)?,
                    Command::Init => X2apicIcr::init(to)?,
                    Command::Startup(page) => X2apicIcr::startup(to, page)?,
                };
                // SAFETY: ring 0 and x2APIC mode; every vector sent has a handler, and INIT and
                // start-up go to CPUs that run nothing.
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
    /// Sends a remote action request to each CPU of the list, in as few commands as there are runs
    /// of one cluster.
    fn send_requests(
        &self,
        targets: impl Iterator<Item = ApicId>,
        single_target: SingleTarget,
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
                    flush_group(group.take(), single_target)?;
                    group = match ClusterMembers::new(id) {
                        Ok(members) => Some((id, members)),
                        Err(_) => {
                            send_request(X2apicIcr::rar(id)?);
                            None
                        }
                    };
                }
                flush_group(group, single_target)
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
                // SAFETY: ring 0, no NMI handler sends while a flush is made, and a RAR unit takes
                // the message or drops it.
                Self::Xapic { sender, .. } => unsafe { sender.send(XapicIcr::rar(id)?)? },
            }
        }
        Ok(())
    }
}

/// How a command names the only target in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SingleTarget {
    Physical,
    Cluster,
}

fn flush_group(
    group: Option<(ApicId, ClusterMembers)>,
    single_target: SingleTarget,
) -> Result<(), SendError> {
    if let Some((first, members)) = group {
        send_request(
            if single_target == SingleTarget::Physical && members.members().count_ones() == 1 {
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

/// Set once, before other CPUs start: firmware says that commands to clusters may be lost.
static PHYSICAL_ONLY: AtomicBool = AtomicBool::new(false);

/// Sends requests to one CPU at a time from here on, except those of [`send_cluster_requests`].
pub(crate) fn use_physical_destinations() {
    // CPUs that start later see it by the hand-over of their start.
    PHYSICAL_ONLY.store(true, Ordering::Relaxed);
}

/// Sends a remote action request to each CPU of the list.
///
/// # Errors
///
/// As for [`send_fixed`]; the CPUs before the one that cannot be addressed have got theirs.
pub fn send_requests(targets: impl Iterator<Item = ApicId>) -> Result<(), SendError> {
    let apic = get().ok_or(SendError::NotStarted)?;
    // Written before this CPU started.
    match PHYSICAL_ONLY.load(Ordering::Relaxed) {
        true => apic.send_physical_requests(targets),
        false => apic.send_requests(targets, SingleTarget::Physical),
    }
}

/// As [`send_requests`], with a command of its own for each CPU.
///
/// # Errors
///
/// As for [`send_fixed`].
pub fn send_physical_requests(targets: impl Iterator<Item = ApicId>) -> Result<(), SendError> {
    get()
        .ok_or(SendError::NotStarted)?
        .send_physical_requests(targets)
}

/// As [`send_requests`], with commands to clusters only, where the APIC has clusters.
///
/// # Errors
///
/// As for [`send_fixed`].
pub fn send_cluster_requests(targets: impl Iterator<Item = ApicId>) -> Result<(), SendError> {
    get()
        .ok_or(SendError::NotStarted)?
        .send_requests(targets, SingleTarget::Cluster)
}

/// Sends an ordinary interrupt.
///
/// # Errors
///
/// Fails when the CPU cannot be addressed or the APIC stays busy.
pub fn send_fixed(to: ApicId, vector: u8) -> Result<(), SendError> {
    send(Command::Fixed(vector), to)
}

/// Sends a non-maskable interrupt, which its CPU takes for a stray one: [`crate::send_nmi`] counts
/// it.
pub(crate) fn send_nmi(to: ApicId) -> Result<(), SendError> {
    send(Command::Nmi, to)
}

/// Resets a CPU, which then waits for a start-up message: one that runs nothing any more, or whose
/// memory stays as it is.
///
/// # Errors
///
/// As for [`send_fixed`].
pub fn send_init(to: ApicId) -> Result<(), SendError> {
    send(Command::Init, to)
}

/// Starts a CPU that was reset, in real mode at the start of a page below 1 MiB.
pub(crate) fn send_startup(to: ApicId, page: u8) -> Result<(), SendError> {
    send(Command::Startup(page), to)
}
