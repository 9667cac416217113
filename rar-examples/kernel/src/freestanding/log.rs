//! The defmt logger: a ring for each CPU, drained by one CPU at a time into QEMU's debug port.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::percpu::{self, PerCpu};
use super::port::Port;
use super::{clock, irq, smp};

const DEBUG_PORT: u16 = 0xE9;

static PRESENT: AtomicBool = AtomicBool::new(false);
static DRAINING: AtomicBool = AtomicBool::new(false);

defmt::timestamp!("{=u64:us}", clock::microseconds());

fn port() -> Port {
    // SAFETY: QEMU's debug console only takes bytes; elsewhere nobody answers.
    unsafe { Port::new(DEBUG_PORT) }
}

/// Looks for the debug console: it answers with its own number.
pub(crate) fn start() {
    PRESENT.store(port().read8() == 0xE9, Ordering::Relaxed);
}

/// What one CPU needs to write frames: owned by it, shared only through the ring.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) ring: crate::FrameRing<16384>,
    /// Frames open on this CPU; one beyond the first came from a handler that cut into another frame.
    depth: AtomicU32,
    interrupts: AtomicBool,
    encoder: Encoder,
}

#[derive(Debug)]
struct Encoder(core::cell::UnsafeCell<EncoderState>);

struct EncoderState(defmt::Encoder);

impl core::fmt::Debug for EncoderState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EncoderState")
    }
}

// SAFETY: only the CPU that owns the writer touches the encoder, with interrupts disabled, and `depth` keeps NMI and
// exception handlers that cut in away from it.
unsafe impl Sync for Encoder {}

impl Writer {
    pub(crate) const fn new() -> Self {
        Self {
            ring: crate::FrameRing::new(),
            depth: AtomicU32::new(0),
            interrupts: AtomicBool::new(false),
            encoder: Encoder(core::cell::UnsafeCell::new(EncoderState(
                defmt::Encoder::new(),
            ))),
        }
    }

    fn with_encoder(&self, f: impl FnOnce(&mut defmt::Encoder)) {
        // SAFETY: the owning CPU, interrupts disabled, outermost frame (`is_outermost`): no other reference exists.
        f(unsafe { &mut (*self.encoder.0.get()).0 });
    }

    fn is_outermost(&self) -> bool {
        self.depth.load(Ordering::Relaxed) == 1
    }
}

#[defmt::global_logger]
struct Logger;

// SAFETY: a frame is written by one CPU into its own ring, with interrupts disabled from `acquire` to `release`, so no other
// frame can begin in between, except from an NMI or exception handler, whose frames are dropped.
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
pub(crate) fn drain() {
    let _irq = irq::Disabled::new();
    if DRAINING.swap(true, Ordering::Acquire) {
        return;
    }
    let present = PRESENT.load(Ordering::Relaxed);
    for cpu in smp::all() {
        cpu.log().ring.drain(|byte| {
            if present {
                port().write8(byte);
            }
        });
    }
    DRAINING.store(false, Ordering::Release);
}

/// As [`drain`], though the CPU that was draining will never run again.
pub(crate) fn drain_after_panic() {
    DRAINING.store(false, Ordering::Relaxed);
    drain();
}

/// Returns how many frames were lost on all CPUs together.
pub(crate) fn dropped() -> usize {
    smp::all()
        .map(|cpu: &PerCpu| cpu.log().ring.dropped())
        .sum()
}
