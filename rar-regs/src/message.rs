//! One message to many CPUs: as few interrupt commands as the addressing allows.

use core::fmt;

use crate::{ApicId, ClusterMembers, DestinationError, IcrBusy, IcrError, X2apicIcr, XapicIcr};

/// What is sent to each target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Message {
    /// A remote action request.
    Rar,
    /// An ordinary interrupt.
    Fixed {
        /// Its vector, 16 to 255.
        vector: u8,
    },
    /// A non-maskable interrupt.
    Nmi,
}

/// How an x2APIC is told the targets. An xAPIC is always told one ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Addressing {
    /// One command for each target, by its ID.
    ///
    /// Intel's own Linux branch and Linux RFC v4 have a sender of this kind (code).
    Physical,
    /// One command for up to 16 targets of one cluster that follow each other: ascending IDs need
    /// the fewest. A target above ID `0xf_ffff` has no logical address and gets a command of its
    /// own.
    ///
    /// For interrupts and NMIs: SDM vol. 3, Logical Destination Mode in x2APIC Mode (documented).
    /// For remote action requests: the sender of Linux RFC v4 on a machine with logical
    /// destinations (code); that silicon takes them is unknown.
    Cluster,
}

/// Why a message did not reach every target.
///
/// The targets that are not named got it, or failed later: the first failure is reported, and the
/// others are sent to all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The xAPIC was still delivering an earlier interrupt. Each later target was tried once.
    Busy {
        /// The first target that was not sent to.
        id: ApicId,
        /// How long it was waited for.
        busy: IcrBusy,
    },
    /// A target cannot be addressed. It carries the ID.
    Destination(DestinationError),
    /// Vectors 0 to 15 are illegal to send. Nothing was sent.
    Vector {
        /// The refused vector.
        vector: u8,
    },
}

impl From<DestinationError> for SendError {
    fn from(error: DestinationError) -> Self {
        Self::Destination(error)
    }
}

impl From<IcrError> for SendError {
    fn from(error: IcrError) -> Self {
        match error {
            IcrError::Destination(error) => Self::Destination(error),
            IcrError::Vector { vector } => Self::Vector { vector },
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { id, busy } => write!(f, "{id}: {busy}"),
            Self::Destination(error) => error.fmt(f),
            Self::Vector { vector } => IcrError::Vector { vector: *vector }.fmt(f),
        }
    }
}

impl core::error::Error for SendError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Busy { busy, .. } => Some(busy),
            Self::Destination(error) => Some(error),
            Self::Vector { .. } => None,
        }
    }
}

impl Message {
    fn check(self) -> Result<(), SendError> {
        match self {
            Self::Fixed { vector } => Ok(crate::icr::fixed(vector).map(|_| ())?),
            Self::Rar | Self::Nmi => Ok(()),
        }
    }

    fn x2apic(self, id: ApicId) -> Result<X2apicIcr, IcrError> {
        match self {
            Self::Rar => Ok(X2apicIcr::rar(id)?),
            Self::Fixed { vector } => X2apicIcr::fixed(id, vector),
            Self::Nmi => Ok(X2apicIcr::nmi(id)?),
        }
    }

    #[inline]
    fn cluster(self, members: ClusterMembers) -> Result<X2apicIcr, IcrError> {
        match self {
            Self::Rar => Ok(X2apicIcr::rar_cluster(members)),
            Self::Fixed { vector } => X2apicIcr::fixed_cluster(members, vector),
            Self::Nmi => Ok(X2apicIcr::nmi_cluster(members)),
        }
    }

    fn xapic(self, id: ApicId) -> Result<XapicIcr, IcrError> {
        match self {
            Self::Rar => Ok(XapicIcr::rar(id)?),
            Self::Fixed { vector } => XapicIcr::fixed(id, vector),
            Self::Nmi => Ok(XapicIcr::nmi(id)?),
        }
    }
}

/// The register of an x2APIC. Tests put a recorder in its place.
pub(crate) trait X2apicPort {
    /// Writes a command after every earlier store is visible.
    fn write_fenced(&mut self, icr: X2apicIcr);

    /// Writes another command, after [`write_fenced`](Self::write_fenced) in the same send.
    fn write(&mut self, icr: X2apicIcr);
}

/// Sends a message through an x2APIC with one fence for all targets.
pub(crate) fn send_by_x2apic(
    message: Message,
    addressing: Addressing,
    targets: impl IntoIterator<Item = ApicId>,
    port: &mut impl X2apicPort,
) -> Result<(), SendError> {
    message.check()?;
    let mut sender = X2apicSender::new(message, port);
    let mut group: Option<ClusterMembers> = None;
    for id in targets {
        if group.as_mut().is_some_and(|members| members.try_add(id)) {
            continue;
        }
        let next = match addressing {
            Addressing::Physical => None,
            Addressing::Cluster => ClusterMembers::new(id).ok(),
        };
        match next {
            // Those that came before keep their place, and are on their way while this group grows.
            Some(members) => sender.group(group.replace(members)),
            None => sender.one(id),
        }
    }
    sender.group(group);
    sender.outcome
}

/// Sends a message to clusters through an x2APIC, with one fence for all of them.
#[inline]
pub(crate) fn send_to_clusters_by_x2apic(
    message: Message,
    clusters: impl IntoIterator<Item = ClusterMembers>,
    port: &mut impl X2apicPort,
) -> Result<(), SendError> {
    message.check()?;
    let mut sender = X2apicSender::new(message, port);
    // By the iterator's own loop, which is tighter than one around its `next`.
    clusters
        .into_iter()
        .for_each(|members| sender.group(Some(members)));
    sender.outcome
}

struct X2apicSender<'a, P> {
    message: Message,
    port: &'a mut P,
    fence: Fence,
    outcome: Result<(), SendError>,
}

/// Whether a fence was executed in this send.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fence {
    Needed,
    Done,
}

impl<'a, P: X2apicPort> X2apicSender<'a, P> {
    #[inline]
    fn new(message: Message, port: &'a mut P) -> Self {
        Self {
            message,
            port,
            fence: Fence::Needed,
            outcome: Ok(()),
        }
    }

    fn one(&mut self, id: ApicId) {
        let icr = self.message.x2apic(id);
        self.command(icr);
    }

    #[inline]
    fn group(&mut self, members: Option<ClusterMembers>) {
        if let Some(members) = members {
            let icr = self.message.cluster(members);
            self.command(icr);
        }
    }

    #[inline]
    fn command(&mut self, icr: Result<X2apicIcr, IcrError>) {
        match icr {
            Err(error) => self.outcome = self.outcome.and(Err(error.into())),
            Ok(icr) if self.fence == Fence::Done => self.port.write(icr),
            Ok(icr) => {
                self.port.write_fenced(icr);
                self.fence = Fence::Done;
            }
        }
    }
}

/// The register of an xAPIC. Tests put a recorder in its place.
pub(crate) trait XapicPort {
    /// Sends if the APIC is idle.
    fn try_send(&mut self, icr: XapicIcr) -> Result<(), IcrBusy>;
}

/// Sends a message through an xAPIC, one target at a time.
///
/// `max_polls` bounds the wait for an idle APIC; `relax` is called between two polls. Once the wait
/// for a target has ended without a send, the later targets are tried once each, so that the whole
/// send stays bounded.
pub(crate) fn send_by_xapic(
    message: Message,
    targets: impl IntoIterator<Item = ApicId>,
    port: &mut impl XapicPort,
    mut max_polls: u32,
    mut relax: impl FnMut(),
) -> Result<(), SendError> {
    message.check()?;
    let mut outcome = Ok(());
    for id in targets {
        let sent = match message.xapic(id) {
            Err(error) => Err(error.into()),
            Ok(icr) => send_bounded(icr, port, max_polls, &mut relax).map_err(|busy| {
                max_polls = 1;
                SendError::Busy { id, busy }
            }),
        };
        outcome = outcome.and(sent);
    }
    outcome
}

fn send_bounded(
    icr: XapicIcr,
    port: &mut impl XapicPort,
    max_polls: u32,
    relax: &mut impl FnMut(),
) -> Result<(), IcrBusy> {
    for poll in 1..=max_polls {
        if port.try_send(icr).is_ok() {
            return Ok(());
        }
        if poll < max_polls {
            relax();
        }
    }
    Err(IcrBusy { polls: max_polls })
}

#[cfg(test)]
mod tests;
