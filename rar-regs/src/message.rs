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
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { id, busy } => write!(formatter, "{id}: {busy}"),
            Self::Destination(error) => error.fmt(formatter),
            Self::Vector { vector } => IcrError::Vector { vector: *vector }.fmt(formatter),
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
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    /// The words written, each with whether a fence stood before it.
    #[derive(Default)]
    struct Recorder(Vec<(bool, u64)>);

    impl X2apicPort for Recorder {
        fn write_fenced(&mut self, icr: X2apicIcr) {
            self.0.push((true, icr.bits()));
        }

        fn write(&mut self, icr: X2apicIcr) {
            self.0.push((false, icr.bits()));
        }
    }

    fn send(
        message: Message,
        addressing: Addressing,
        ids: impl IntoIterator<Item = u32>,
    ) -> (Vec<(bool, u64)>, Result<(), SendError>) {
        let mut port = Recorder::default();
        let targets = ids.into_iter().map(ApicId::new);
        let outcome = send_by_x2apic(message, addressing, targets, &mut port);
        (port.0, outcome)
    }

    #[test]
    fn physical_commands_name_one_target_each_after_one_fence() {
        let ids = [0x20, 0x21, 0x1_0005];
        assert_eq!(
            send(Message::Rar, Addressing::Physical, ids),
            (
                [
                    (true, 0x0000_0020_0000_0300),
                    (false, 0x0000_0021_0000_0300),
                    (false, 0x0001_0005_0000_0300)
                ]
                .into(),
                Ok(())
            )
        );
    }

    #[test]
    fn neighbours_of_one_cluster_share_a_command() {
        let ids = [0x20, 0x21, 0x2f, 0x30, 0x22];
        for (message, low) in [
            (Message::Rar, 0x0b00),
            (Message::Nmi, 0x4c00),
            (Message::Fixed { vector: 0xf3 }, 0x48f3),
        ] {
            let expected = [
                (true, 0x0002_8003_0000_0000 | low),
                (false, 0x0003_0001_0000_0000 | low),
                (false, 0x0002_0004_0000_0000 | low),
            ];
            assert_eq!(
                send(message, Addressing::Cluster, ids),
                (expected.into(), Ok(()))
            );
        }
    }

    #[test]
    fn sixty_four_clusters_take_sixty_four_commands_and_one_fence() {
        let (words, outcome) = send(Message::Rar, Addressing::Cluster, 1..1024);
        assert_eq!((words.len(), outcome), (64, Ok(())));
        assert_eq!(words.iter().filter(|(fenced, _)| *fenced).count(), 1);
        assert_eq!(words.first(), Some(&(true, 0x0000_fffe_0000_0b00)));
        for (cluster, word) in (1..).zip(words.get(1..).unwrap()) {
            assert_eq!(*word, (false, cluster << 48 | 0x0000_ffff_0000_0b00));
        }
    }

    #[test]
    fn clusters_take_a_command_each_and_one_fence() {
        let cluster = |id| ClusterMembers::new(ApicId::new(id)).unwrap();
        let send = |message, clusters: &[ClusterMembers]| {
            let mut port = Recorder::default();
            let outcome = send_to_clusters_by_x2apic(message, clusters.iter().copied(), &mut port);
            (port.0, outcome)
        };
        let three = [cluster(0x21), cluster(0x30), cluster(0)];
        assert_eq!(
            send(Message::Rar, &three),
            (
                [
                    (true, 0x0002_0002_0000_0b00),
                    (false, 0x0003_0001_0000_0b00),
                    (false, 0x0000_0001_0000_0b00)
                ]
                .into(),
                Ok(())
            )
        );
        assert_eq!(send(Message::Rar, &[]), (Vec::new(), Ok(())));
        let vector = 15;
        let error = SendError::Vector { vector };
        assert_eq!(
            send(Message::Fixed { vector }, &three),
            (Vec::new(), Err(error))
        );
    }

    #[test]
    fn an_id_without_a_cluster_is_sent_to_by_itself() {
        let ids = [0xf_fffe, 0x10_0000, 0xf_ffff];
        assert_eq!(
            send(Message::Nmi, Addressing::Cluster, ids).0,
            [
                (true, 0x0010_0000_0000_4400),
                (false, 0xffff_c000_0000_4c00)
            ]
        );
        // All 16 members of the last cluster would be the broadcast.
        let (words, outcome) = send(Message::Rar, Addressing::Cluster, 0xf_fff0..=0xf_ffff);
        assert_eq!(
            (words, outcome),
            (
                [
                    (true, 0xffff_7fff_0000_0b00),
                    (false, 0xffff_8000_0000_0b00)
                ]
                .into(),
                Ok(())
            )
        );
    }

    #[test]
    fn the_others_are_sent_to_and_the_first_failure_is_reported() {
        let id = ApicId::X2APIC_BROADCAST;
        let error = DestinationError::Broadcast { id };
        for addressing in [Addressing::Physical, Addressing::Cluster] {
            let (words, outcome) = send(Message::Rar, addressing, [1, u32::MAX, 0x11]);
            assert_eq!((words.len(), outcome), (2, Err(error.into())));
            assert_eq!(words.iter().filter(|(fenced, _)| *fenced).count(), 1);
            let (words, _) = send(Message::Rar, addressing, [u32::MAX, 1, 0x11]);
            assert_eq!(
                words.iter().map(|(fenced, _)| *fenced).collect::<Vec<_>>(),
                [true, false]
            );
        }
    }

    #[test]
    fn an_illegal_vector_sends_nothing() {
        let message = Message::Fixed { vector: 15 };
        let error = SendError::Vector { vector: 15 };
        for addressing in [Addressing::Physical, Addressing::Cluster] {
            assert_eq!(send(message, addressing, [1, 2]), (Vec::new(), Err(error)));
        }
        let mut port = Busy::after(0);
        let targets = [ApicId::new(1)];
        assert_eq!(
            send_by_xapic(message, targets, &mut port, 3, || {}),
            Err(error)
        );
        assert_eq!(port.tried, []);
        assert!(error.to_string().contains("0xf is illegal to send"));
    }

    #[test]
    fn nobody_is_sent_nothing() {
        assert_eq!(
            send(Message::Rar, Addressing::Cluster, []),
            (Vec::new(), Ok(()))
        );
    }

    /// An xAPIC that is busy from some poll on, and for how many polls.
    struct Busy {
        polls: u32,
        busy: core::ops::Range<u32>,
        tried: Vec<(u32, bool)>,
    }

    impl Busy {
        fn during(busy: core::ops::Range<u32>) -> Self {
            Self {
                polls: 0,
                busy,
                tried: Vec::new(),
            }
        }

        fn after(first: u32) -> Self {
            Self::during(first..u32::MAX)
        }
    }

    impl XapicPort for Busy {
        fn try_send(&mut self, icr: XapicIcr) -> Result<(), IcrBusy> {
            let idle = !self.busy.contains(&self.polls);
            self.polls += 1;
            self.tried.push((icr.high() >> 24, idle));
            if idle {
                Ok(())
            } else {
                Err(IcrBusy { polls: 1 })
            }
        }
    }

    #[test]
    fn a_busy_xapic_is_polled_and_the_caller_relaxes_between_the_polls() {
        let mut port = Busy::during(1..3);
        let mut relaxed = 0;
        let targets = [1, 2, 3].map(ApicId::new);
        let outcome = send_by_xapic(Message::Rar, targets, &mut port, 3, || relaxed += 1);
        assert_eq!((outcome, relaxed), (Ok(()), 2));
        assert_eq!(
            port.tried,
            [(1, true), (2, false), (2, false), (2, true), (3, true)]
        );
    }

    #[test]
    fn an_xapic_that_stays_busy_is_waited_for_once() {
        let mut port = Busy::during(1..5);
        let targets = [1, 2, 3, 4].map(ApicId::new);
        let mut relaxed = 0;
        let outcome = send_by_xapic(Message::Nmi, targets, &mut port, 3, || relaxed += 1);
        let id = ApicId::new(2);
        let error = SendError::Busy {
            id,
            busy: IcrBusy { polls: 3 },
        };
        // Between the three polls for the second target only.
        assert_eq!((outcome, relaxed), (Err(error), 2));
        assert_eq!(
            port.tried,
            [
                (1, true),
                (2, false),
                (2, false),
                (2, false),
                (3, false),
                (4, true)
            ]
        );
        assert!(error.to_string().starts_with("APIC ID 0x2: "), "{error}");
    }

    #[test]
    fn an_xapic_reaches_the_others_when_an_id_is_too_wide() {
        let mut port = Busy::after(u32::MAX);
        let targets = [0x100, 1, 0xff, 2].map(ApicId::new);
        let outcome = send_by_xapic(Message::Rar, targets, &mut port, 3, || {});
        let id = ApicId::new(0x100);
        assert_eq!(outcome, Err(DestinationError::NeedsX2apic { id }.into()));
        assert_eq!(port.tried, [(1, true), (2, true)]);
    }
}
