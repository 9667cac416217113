extern crate std;
use core::error::Error as _;
use std::format;
use std::string::ToString;
use std::vec::Vec;

use super::*;

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
        // Also where there is no target: the fault is the caller's, whatever the set holds.
        assert_eq!(send(message, addressing, []), (Vec::new(), Err(error)));
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
    assert!(error.to_string().starts_with("APIC id 0x2: "), "{error}");
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

#[test]
fn a_message_that_was_not_sent_has_its_cause() {
    let (id, busy) = (ApicId::new(5), IcrBusy { polls: 77 });
    let text = busy.to_string();
    assert!(text.contains("still sending after 77 polls"), "{text}");
    let error = SendError::Busy { id, busy };
    assert_eq!(error.to_string(), format!("{id}: {text}"));
    let source = |error: &SendError| error.source().map(ToString::to_string);
    assert_eq!(source(&error), Some(text));
    let refused = DestinationError::Broadcast { id };
    let error = SendError::Destination(refused);
    assert_eq!(source(&error), Some(refused.to_string()));
    assert_eq!(source(&SendError::Vector { vector: 1 }), None);
}
