//! What the suite reports, taken in as it comes: one line for each test, one for each violation.

use core::fmt::{self, Write};

use rar_kernel::{Ink, SpinLock, console, println, screen};
use rar_report::{EventKind, Writer};
use rar_suite::{Record, test_named};
use rar_validate::{Collection, Coverage, Event, Fold, Folded, ProgressBar, Short, Tally, ink_of};
use rar_vocabulary::{Outcome, Text};

/// The machine, the run, its counts; and a row that is free.
const HEADER_ROWS: usize = 4;
/// A screen with fewer columns has no room for a bar.
const COLUMNS_FOR_BAR: usize = 70;
/// The bar has this share of the header's columns.
const BAR_SHARE: usize = 3;
/// Room for the counts of all backends.
const COUNTS: usize = 200;

static TALLY: SpinLock<Tally> = SpinLock::new(Tally::new());
static FOLD: SpinLock<Fold> = SpinLock::new(Fold::new());
static COLLECTION: SpinLock<Collection> = SpinLock::new(Collection::new());

/// Takes in a record. Called on the CPU that emits it.
///
/// The serial port gets a line for each test; the screen gets one for each group, and what was
/// violated or observed.
pub(crate) fn on_record(record: &Record<'_>) {
    COLLECTION.lock().add(record);
    let finished = TALLY.lock().add(record);
    if let Some(finished) = finished {
        console::print_serial_line(format_args!("{finished}"));
        let group = test_named(finished.name.as_str()).map_or("", |test| test.group);
        let folded = FOLD.lock().add(group, &finished);
        show_groups(folded);
    }
    match *record {
        Record::Start {
            backend,
            cpus,
            tests,
            ..
        } => {
            println!("backend {backend}: {tests} tests on {cpus} CPUs");
        }
        Record::Test {
            name,
            initiator,
            outcome: Outcome::Fail,
            why,
            ..
        } => {
            let text = format_args!("VIOLATED {name}, CPU {initiator} initiates: {why}");
            console::print_serial_line(text);
            console::print_screen_line(Ink::Bad, format_args!("  ! {text}"));
        }
        Record::Measurement(measurement) => {
            console::print_serial_line(format_args!("{measurement}"));
        }
        Record::Test {
            name,
            initiator: 0,
            outcome: Outcome::Observed,
            why,
            ..
        } => {
            console::print_serial_line(format_args!("{name} observed: {why}"));
            console::print_screen_line(Ink::Note, format_args!("  ? {name}: {why}"));
        }
        Record::End { .. } => {
            let folded = FOLD.lock().end();
            show_groups(folded);
        }
        _ => {}
    }
    header();
}

fn show_groups(folded: [Option<Folded>; 2]) {
    for folded in folded.into_iter().flatten() {
        console::print_screen_line(folded.ink(), format_args!("{folded}"));
    }
}

/// Gives the screen its header.
pub(crate) fn begin(title: fmt::Arguments<'_>) {
    screen::set_header(HEADER_ROWS);
    console::print_header(0, Ink::Head, title);
    header();
}

/// Brings the header up to date: what runs, how far it has come, and what was found.
fn header() {
    let tally = tally();
    let Some(part) = tally.parts().last() else {
        return;
    };
    let done = u32::try_from(part.counts.total()).unwrap_or(u32::MAX);
    let test = tally.running();
    let (backend, of) = (part.backend.as_str(), part.runs);
    let columns = screen::columns();
    if columns < COLUMNS_FOR_BAR {
        let text = format_args!(" {backend} {done} of {of} {test}");
        console::print_header(1, Ink::Head, text);
    } else {
        let columns = columns / BAR_SHARE;
        let bar = ProgressBar { done, of, columns };
        let text = format_args!(" {backend:9} {bar} {done} of {of}  {test}");
        console::print_header(1, Ink::Head, text);
    }
    let mut counts = Text::<COUNTS>::new();
    for part in tally.parts() {
        // Text that has no room is cut.
        let _cut = write!(
            counts,
            " {}: {}  ",
            part.backend.as_str(),
            Short(&part.counts)
        );
    }
    console::print_header(
        2,
        ink_of(&tally.counts()),
        format_args!("{}", counts.as_str()),
    );
}

/// Returns what was seen so far.
pub(crate) fn tally() -> Tally {
    TALLY.lock().clone()
}

/// Takes in how many of the CPUs take part.
pub(crate) fn cover(coverage: Coverage) {
    TALLY.lock().cover(coverage);
}

/// The driver refuses units that are there.
pub(crate) fn refuse() {
    TALLY.lock().refuse();
}

/// Prints something beside the tests on every output, and keeps it for the report.
pub(crate) fn happened(kind: EventKind, cpu: Option<u32>, test: &str, text: fmt::Arguments<'_>) {
    console::print_line_in(Ink::Note, text);
    keep(kind, cpu, test, text);
}

/// As [`happened`], for what was printed already.
pub(crate) fn keep(kind: EventKind, cpu: Option<u32>, test: &str, text: fmt::Arguments<'_>) {
    COLLECTION.lock().happened(Event {
        kind,
        cpu,
        test: Text::of(format_args!("{test}")),
        text: Text::of(text),
    });
}

/// Writes what was collected into a report.
pub(crate) fn write(writer: &mut Writer<'_>) {
    COLLECTION.lock().write(writer);
}
