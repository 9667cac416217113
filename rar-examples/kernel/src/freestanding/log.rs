//! The defmt logger: a ring for each CPU, drained by one CPU at a time into QEMU's debug port.

pub(crate) mod writer;

use core::sync::atomic::{AtomicBool, Ordering};

use super::percpu::{self, PerCpu};
use super::port::Port;
use super::smp::cpu_table;
use super::{clock, irq};

const DEBUG_PORT: u16 = 0xe9;

static PRESENT: AtomicBool = AtomicBool::new(false);
static DRAINING: AtomicBool = AtomicBool::new(false);

defmt::timestamp!("{=u64:us}", clock::microseconds());

fn port() -> Port {
    // SAFETY: QEMU's debug console only takes bytes; elsewhere the port has no device.
    unsafe { Port::new(DEBUG_PORT) }
}

/// Looks for the debug console: it answers with its own number.
pub(crate) fn start() {
    PRESENT.store(port().read8() == 0xe9, Ordering::Relaxed);
}

/// Writes nothing to the debug console from here on: the port is for a kernel above.
pub fn leave_port() {
    PRESENT.store(false, Ordering::Relaxed);
}

#[defmt::global_logger]
struct Logger;

// SAFETY: a frame is written by one CPU into its own ring, with interrupts disabled from `acquire`
// to `release`, so no other frame can begin in between, except from an NMI or exception handler,
// whose frames are dropped.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        let enabled = irq::enabled();
        irq::disable();
        let cpu = percpu::this();
        let writer = cpu.log();
        writer.depth.fetch_add(1, Ordering::Relaxed);
        if !writer.is_outermost() {
            return;
        }
        writer.interrupts.store(enabled, Ordering::Relaxed);
        writer.ring.begin();
        writer.with_encoder(|encoder| encoder.start_frame(|bytes| writer.ring.write(bytes)));
    }

    unsafe fn flush() {
        drain();
    }

    unsafe fn release() {
        let cpu = percpu::this();
        let writer = cpu.log();
        let outermost = writer.is_outermost();
        if outermost {
            writer.with_encoder(|encoder| encoder.end_frame(|bytes| writer.ring.write(bytes)));
            if cpu.in_nmi() {
                writer.ring.count_dropped();
            } else {
                writer.ring.commit();
            }
        } else {
            writer.ring.count_dropped();
        }
        writer.depth.fetch_sub(1, Ordering::Relaxed);
        if outermost && writer.interrupts.load(Ordering::Relaxed) {
            irq::enable();
        }
    }

    unsafe fn write(bytes: &[u8]) {
        let writer = percpu::this().log();
        if writer.is_outermost() {
            writer
                .with_encoder(|encoder| encoder.write(bytes, |encoded| writer.ring.write(encoded)));
        }
    }
}

/// Writes out what every CPU has logged, unless another CPU is doing so.
pub fn drain() {
    let _irq = irq::Disabled::new();
    if DRAINING.swap(true, Ordering::Acquire) {
        return;
    }
    let present = PRESENT.load(Ordering::Relaxed);
    for cpu in cpu_table::all() {
        cpu.log().ring.drain(|byte| {
            if present {
                port().write8(byte);
            }
        });
    }
    DRAINING.store(false, Ordering::Release);
}

/// As [`drain`], though the CPU that was draining will never run again.
pub fn drain_after_panic() {
    DRAINING.store(false, Ordering::Relaxed);
    drain();
}

/// Returns how many frames were lost on all CPUs together.
pub(crate) fn dropped() -> usize {
    cpu_table::all()
        .map(|cpu: &PerCpu| cpu.log().ring.dropped())
        .sum()
}
