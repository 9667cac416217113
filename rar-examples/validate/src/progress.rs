//! What the suite reports, taken in as it comes: one line for each test, one for each violation.

use rar_kernel::{SpinLock, println};
use rar_suite::{Outcome, Record};
use rar_validate::Tally;

static TALLY: SpinLock<Tally> = SpinLock::new(Tally::new());

/// Takes in a record. Called on the CPU that emits it.
pub(crate) fn on_record(record: &Record<'_>) {
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
