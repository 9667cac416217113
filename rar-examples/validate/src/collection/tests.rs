//! What a reader sees of a collection.

use rar_report::{EndReason, Records};
use rar_vocabulary::{Disturbances, Histogram, Method, Outcome, State};

use super::*;

fn start(backend: &'static str) -> Record<'static> {
    Record::Start {
        backend,
        cpus: 4,
        tests: 1,
        runs: 4,
        initiators: 4,
    }
}

fn test(
    name: &'static str,
    initiator: u32,
    outcome: Outcome,
    why: &'static str,
) -> Record<'static> {
    Record::Test {
        name,
        question: None,
        backend: "software",
        cpus: 4,
        initiator,
        flushes: 1,
        controls: &[],
        fallbacks: 1,
        resignals: 2,
        disturbances: Disturbances {
            strays: 3,
            ..Disturbances::NONE
        },
        outcome,
        why,
    }
}

/// Returns what a reader sees of a collection, as text.
fn written(records: &[Record<'_>], events: &[Event]) -> Vec<String> {
    let mut collection = Box::new(Collection::new());
    for record in records {
        collection.add(record);
    }
    for event in events {
        collection.happened(event.clone());
    }
    let mut memory = vec![0; 1 << 16];
    let mut writer = Writer::new(&mut memory, 7, "test");
    collection.write(&mut writer);
    let report = writer.finish(EndReason::Complete);
    Records::new(report)
        .map(|record| format!("{:?}", record.unwrap()))
        .filter(|text| text.starts_with("Result") || text.starts_with("Event"))
        .collect()
}

#[test]
fn the_worst_of_all_initiators_counts_and_the_first_that_saw_it() {
    let rows = written(
        &[
            start("software"),
            test("storm", 0, Outcome::Pass, ""),
            test("storm", 1, Outcome::Fail, "stale"),
            test("storm", 2, Outcome::Fail, "later"),
            test("halted", 0, Outcome::Skipped, "alone"),
            start("vrar"),
            test("halted", 0, Outcome::Pass, ""),
            test("halted", 1, Outcome::Pass, ""),
        ],
        &[],
    );
    assert_eq!(rows.len(), 3, "{rows:?}");
    let has = |row: &str, words: &[&str]| words.iter().all(|word| row.contains(word));
    let storm = [
        "Software",
        "storm",
        "initiator: 1",
        "stale",
        "initiators: 3",
        "fallbacks: 3",
        "strays: 9",
    ];
    assert!(has(&rows[0], &storm), "{}", rows[0]);
    assert!(has(
        &rows[1],
        &["Software", "NotRun(\"alone\")", "initiators: 0"]
    ));
    assert!(has(&rows[2], &["Vrar", "halted", "Holds", "initiators: 2"]));
}

#[test]
fn initiators_that_observe_different_things_are_told_apart() {
    let rows = written(
        &[
            start("vrar"),
            test("order", 0, Outcome::Observed, "upwards"),
            test("order", 1, Outcome::Observed, "upwards"),
            test("order", 2, Outcome::Observed, "downwards"),
        ],
        &[],
    );
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].contains("Observed(\"upwards\")"));
    assert!(rows[1].contains("downwards") && rows[1].contains("cpu: Some(2)"));
}

const DISTURBED: Disturbances = Disturbances {
    nmis: 1,
    strays: 2,
    gaps: 3,
    longest_gap: 400,
};

fn measurement(targets: u32) -> Measurement {
    let mut histogram = Histogram::new();
    for ticks in [300, 700, 800] {
        histogram.record(ticks);
    }
    Measurement {
        method: Method::Rar,
        backend: Backend::Vrar,
        cpus: 4,
        targets,
        pages: 63,
        state: State::InterruptsOff,
        contenders: 2,
        samples: 3,
        ticks_per_millisecond: 1_000,
        min: 300,
        p50: 700,
        p99: 800,
        max: 800,
        histogram,
        spoiled: 4,
        disturbances: DISTURBED,
    }
}

#[test]
fn what_was_measured_is_reported_as_it_was() {
    let mut collection = Box::new(Collection::new());
    collection.add(&Record::Measurement(&measurement(3)));
    let mut memory = vec![0; 1 << 12];
    let mut writer = Writer::new(&mut memory, 7, "test");
    collection.write(&mut writer);
    let report = writer.finish(EndReason::Complete);
    let mut records = Records::new(report).map(Result::unwrap);
    let found = records.find_map(|record| match record {
        rar_report::Record::Measurement(latency) => Some(latency),
        _ => None,
    });
    let mut histogram = Histogram::new();
    for ticks in [300, 700, 800] {
        histogram.record(ticks);
    }
    let expected = rar_report::Measurement {
        backend: Backend::Vrar,
        method: Method::Rar,
        targets: 3,
        pages: 63,
        state: "interrupts-off",
        initiators: 2,
        samples: 3,
        min: 300,
        p50: 700,
        p99: 800,
        max: 800,
        histogram,
        spoiled: 4,
        disturbances: DISTURBED,
    };
    assert_eq!(found, Some(expected));
}

#[test]
fn measurements_without_room_are_counted() {
    let measured: Vec<_> = (0..).map(measurement).take(MOST_MEASUREMENTS + 3).collect();
    let records: Vec<_> = measured.iter().map(Record::Measurement).collect();
    let rows = written(&records, &[]);
    assert!(
        rows[0].contains("0 results, 3 measurements and 0 events"),
        "{rows:?}"
    );
}

#[test]
fn what_has_no_room_is_counted() {
    let event = Event {
        kind: EventKind::CpuSilent,
        cpu: Some(3),
        test: Name::new(),
        text: Text::new(),
    };
    let rows = written(&[start("vrar")], &vec![event; MOST_EVENTS + 2]);
    assert_eq!(rows.len(), MOST_EVENTS + 1);
    assert!(
        rows[MOST_EVENTS].contains("0 results, 0 measurements and 2 events"),
        "{rows:?}"
    );
}
