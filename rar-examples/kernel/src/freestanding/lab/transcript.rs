//! Records as lines on the console: `@ ` and one JSON object.

use core::sync::atomic::{AtomicPtr, Ordering};

use rar_suite::Record;
use serde::Serialize;

use crate::freestanding::{console, log, lost, smp, watchdog};
use crate::println;

/// The longest record: 64 controls of three numbers.
const CAPACITY: usize = 8192;

/// Who else wants the records: null, or a function of type `fn(&Record<'_>)`.
static LISTENER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Names the function that sees every record as well, on the CPU that emits it and one at a time.
pub fn listen(listener: fn(&Record<'_>)) {
    LISTENER.store(listener as *mut (), Ordering::Release);
}

fn tell(record: &Record<'_>) {
    let listener = LISTENER.load(Ordering::Acquire);
    if !listener.is_null() {
        // SAFETY: every pointer but null was stored by `listen` from a function of this type.
        let listener = unsafe { core::mem::transmute::<*mut (), fn(&Record<'_>)>(listener) };
        listener(record);
    }
}

/// The start record, with what only the kernel knows.
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

pub(super) fn emit(record: &Record<'_>) {
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
            lost::note_test(name);
            watchdog::begin();
        }
        // A test that measures may take as long for each point as others in all.
        Record::Measurement(_) => watchdog::begin(),
        Record::Test { .. } => watchdog::end(),
        _ => {}
    }
    tell(record);
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
