//! What one CPU needs to write log frames.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::FrameRing;

/// What one CPU needs to write frames: owned by it, shared only through the ring.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) ring: FrameRing<16384>,
    /// Frames open on this CPU; one beyond the first came from a handler that cut into another
    /// frame.
    pub(super) depth: AtomicU32,
    pub(super) interrupts: AtomicBool,
    encoder: Encoder,
}

#[derive(Debug)]
struct Encoder(UnsafeCell<EncoderState>);

struct EncoderState(defmt::Encoder);

impl core::fmt::Debug for EncoderState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EncoderState")
    }
}

// SAFETY: only the CPU that owns the writer touches the encoder, with interrupts disabled, and
// `depth` keeps NMI and exception handlers that cut in away from it.
unsafe impl Sync for Encoder {}

impl Writer {
    pub(crate) const fn new() -> Self {
        Self {
            ring: FrameRing::new(),
            depth: AtomicU32::new(0),
            interrupts: AtomicBool::new(false),
            encoder: Encoder(UnsafeCell::new(EncoderState(defmt::Encoder::new()))),
        }
    }

    pub(super) fn with_encoder(&self, f: impl FnOnce(&mut defmt::Encoder)) {
        // SAFETY: the owning CPU, interrupts disabled, outermost frame (`is_outermost`): no other
        // reference exists.
        f(unsafe { &mut (*self.encoder.0.get()).0 });
    }

    pub(super) fn is_outermost(&self) -> bool {
        self.depth.load(Ordering::Relaxed) == 1
    }
}
