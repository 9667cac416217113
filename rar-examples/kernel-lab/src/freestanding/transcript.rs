//! Records as lines on the console: `@ ` and one JSON object.

use rar_kernel::{Once, console, log, println, smp};
use rar_suite::Record;
use serde::Serialize;

use super::{fault_injection, watchdog};

/// The longest record: 64 controls of three numbers.
const CAPACITY: usize = 8192;

/// A function that sees every record.
pub type Listener = fn(&Record<'_>);

static LISTENER: Once<Listener> = Once::new();

/// Names the function that sees every record as well, on the CPU that emits it and one at a time.
/// The first one stays.
pub fn listen(listener: Listener) {
    let _first = LISTENER.set(listener);
}

/// The start record, with what only the kernel has.
#[derive(Serialize)]
struct Start<'a> {
    r#type: &'a str,
    backend: &'a str,
    cpus: u32,
    expected_cpus: usize,
    missing: &'a [u32],
    tests: u32,
    runs: u32,
    initiators: u32,
}

pub(crate) fn emit(record: &Record<'_>) {
    match *record {
        Record::Start {
            backend,
            cpus,
            tests,
            runs,
            initiators,
        } => {
            let (expected_cpus, missing) =
                smp::cpus().map_or((1, [].as_slice()), |cpus| (cpus.expected(), cpus.missing()));
            print(&Start {
                r#type: "start",
                backend,
                cpus,
                expected_cpus,
                missing,
                tests,
                runs,
                initiators,
            });
        }
        ref other => print(other),
    }
    match *record {
        Record::Begin { name, .. } => {
            fault_injection::note_test(name);
            watchdog::begin();
        }
        // A test that measures may take as long for each point as others in all.
        Record::Measurement(_) => watchdog::begin(),
        Record::Test { .. } => watchdog::end(),
        _ => {}
    }
    if let Some(listener) = LISTENER.get() {
        listener(record);
    }
    log::drain();
}

fn print(record: &impl Serialize) {
    let mut buffer = [0; CAPACITY];
    let written = serde_json_core::to_slice(record, &mut buffer).ok();
    let text = written
        .and_then(|length| buffer.get(..length))
        .and_then(|bytes| core::str::from_utf8(bytes).ok());
    match text {
        Some(text) => console::print_serial_line(format_args!("@ {text}")),
        None => println!("a record does not fit in {CAPACITY} bytes"),
    }
}
