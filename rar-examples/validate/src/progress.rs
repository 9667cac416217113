//! What the suite reports, taken in as it comes: one line for each test, one for each violation.

use core::fmt;

use rar_kernel::{SpinLock, println};
use rar_report::{EventKind, Writer};
use rar_suite::{Outcome, Record};
use rar_validate::{Collection, Happening, Name, Tally, Words};

static TALLY: SpinLock<Tally> = SpinLock::new(Tally::new());
static COLLECTION: SpinLock<Collection> = SpinLock::new(Collection::new());

/// Takes in a record. Called on the CPU that emits it.
pub(crate) fn on_record(record: &Record<'_>) {
    COLLECTION.lock().add(record);
    let finished = TALLY.lock().add(record);
    if let Some(finished) = finished {
        println!("{finished}");
    }
    match *record {
        Record::Start {
            backend,
            cpus,
            tests,
            ..
        } => println!("backend {backend}: {tests} tests on {cpus} CPUs"),
        Record::Test {
            name,
            initiator,
            outcome: Outcome::Fail,
            why,
            ..
        } => println!("VIOLATED {name}, CPU {initiator} initiates: {why}"),
        Record::Measurement(measurement) => println!("{measurement}"),
        Record::Test {
            name,
            initiator: 0,
            outcome: Outcome::Observed,
            why,
            ..
        } => println!("{name} observed: {why}"),
        _ => {}
    }
}

/// Returns what was seen so far.
pub(crate) fn tally() -> Tally {
    *TALLY.lock()
}

/// The driver refuses units that are there.
pub(crate) fn refuse() {
    TALLY.lock().refuse();
}

/// Tells on every output, and in the report, of something beside the tests.
pub(crate) fn happened(kind: EventKind, cpu: Option<u32>, test: &str, text: fmt::Arguments<'_>) {
    println!("{text}");
    keep(kind, cpu, test, text);
}

/// As [`happened`], for what was told already.
pub(crate) fn keep(kind: EventKind, cpu: Option<u32>, test: &str, text: fmt::Arguments<'_>) {
    COLLECTION.lock().happened(Happening {
        kind,
        cpu,
        test: Name::new(test),
        text: Words::of(text),
    });
}

/// Writes what was collected into a report.
pub(crate) fn write(writer: &mut Writer<'_>) {
    COLLECTION.lock().write(writer);
}
