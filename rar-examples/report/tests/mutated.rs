//! Reports with changed bytes: the decoder comes to an end, and a seal shows every change.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rar_report::{
    Backend, Disturbances, EndReason, Event, EventKind, Fact, Histogram, Measurement, Method,
    Outcome, Record, Records, TestResult, Writer, open, open_prefix, seal,
};

/// A change of one place.
#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Bit(Index, u8),
    Cut(Index),
    Insert(Index, u8),
    Swap(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<(Index, u8)>().prop_map(|(at, value)| Change::Byte(at, value)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        any::<Index>().prop_map(Change::Cut),
        any::<(Index, u8)>().prop_map(|(at, value)| Change::Insert(at, value)),
        any::<(Index, Index)>().prop_map(|(one, other)| Change::Swap(one, other)),
    ]
}

fn apply(change: &Change, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let last = bytes.len();
    match change {
        Change::Byte(at, value) => bytes[at.index(last)] = *value,
        Change::Bit(at, bit) => bytes[at.index(last)] ^= 1 << bit,
        Change::Cut(at) => bytes.truncate(at.index(last)),
        Change::Insert(at, value) => bytes.insert(at.index(last), *value),
        Change::Swap(one, other) => bytes.swap(one.index(last), other.index(last)),
    }
}

/// What came from outside while a test ran.
const DISTURBED: Disturbances = Disturbances {
    gaps: 2,
    longest_gap: 130,
    ..Disturbances::NONE
};

/// A few records of each kind, the names of tests more than once.
static TYPICAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut room = vec![0; 16 << 10];
    let mut writer = Writer::new(&mut room, 7, "0.1.0");
    for (name, method) in [
        ("one-page", Method::Rar),
        ("storm", Method::Ipi),
        ("one-page", Method::Nmi),
    ] {
        writer.push(&Record::Result(TestResult {
            backend: Backend::Software,
            name,
            outcome: Outcome::Observed("FAILURE of 2 targets"),
            initiators: 3,
            fallbacks: 1 << 40,
            resignals: 0,
            disturbances: DISTURBED,
        }));
        let mut histogram = Histogram::new();
        (700..900).for_each(|sample| histogram.record(sample));
        writer.push(&Record::Measurement(Measurement {
            backend: Backend::Software,
            method,
            targets: 3,
            pages: 1,
            state: "spin",
            initiators: 1,
            samples: 200,
            min: 700,
            p50: 800,
            p99: 898,
            max: 899,
            histogram,
            spoiled: 2,
            disturbances: DISTURBED,
        }));
        writer.push(&Record::Event(Event {
            kind: EventKind::Note,
            cpu: Some(3),
            backend: None,
            test: name,
            text: "a note",
        }));
    }
    writer.push(&Record::Fact(Fact {
        key: "cpus-at-least",
        value: "4",
    }));
    writer.finish(EndReason::Complete).to_vec()
});

/// The same, sealed.
static SEALED: LazyLock<Vec<u8>> =
    LazyLock::new(|| seal(&TYPICAL, &mut vec![0; 16 << 10]).unwrap().to_vec());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_thousand_changed_reports_are_read_to_their_end(changes in vec(change(), 1..5)) {
        let mut bytes = TYPICAL.clone();
        for change in &changes {
            apply(change, &mut bytes);
        }
        let read = Records::new(&bytes).count();
        // Each record takes two bytes at least.
        prop_assert!(read <= bytes.len() / 2 + 1);
        prop_assert!(read > 0 || bytes.is_empty());
    }

    #[test]
    fn a_changed_container_is_refused_or_the_same(changes in vec(change(), 1..4)) {
        let mut sealed = SEALED.clone();
        for change in &changes {
            apply(change, &mut sealed);
        }
        prop_assume!(sealed != *SEALED);
        let mut opened = vec![0; 16 << 10];
        if let Ok(bytes) = open(&sealed, &mut opened) {
            prop_assert_eq!(bytes, TYPICAL.as_slice());
        }
        let _any = open_prefix(&sealed, &mut opened);
    }
}
