//! Faults that a kernel injects into itself: a CPU that stops.

use core::sync::atomic::{AtomicU32, Ordering};

use rar_kernel::{Once, irq, percpu};

use crate::options::Stop;

/// No CPU.
const NO_CPU: u32 = 0;

static STOP: Once<Stop<'static>> = Once::new();
/// Number of the CPU that stops in the test that runs, plus one.
static STOPPING: AtomicU32 = AtomicU32::new(NO_CPU);
/// Number of the CPU that has stopped, plus one.
static STOPPED: AtomicU32 = AtomicU32::new(NO_CPU);

/// Injects a fault: see [`Stop`].
pub fn inject(stop: Stop<'static>) {
    let _first = STOP.set(stop);
}

pub(crate) fn note_test(name: &str) {
    let stop = STOP.get().filter(|stop| stop.test == name);
    STOPPING.store(stop.map_or(NO_CPU, |stop| stop.cpu + 1), Ordering::Relaxed);
}

/// Stops this CPU for good if a fault says so: interrupts off, and no answer to NMIs.
pub(crate) fn stop_if_wanted() {
    let stopping = STOPPING.load(Ordering::Relaxed);
    if stopping != NO_CPU && stopping == percpu::this().number() + 1 {
        irq::disable();
        STOPPED.store(stopping, Ordering::Release);
        irq::halt_forever();
    }
}

pub(crate) fn is_stopped(cpu: u32) -> bool {
    STOPPED.load(Ordering::Acquire) == cpu + 1
}
