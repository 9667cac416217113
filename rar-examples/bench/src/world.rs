//! The rest of the machine: the interrupt controller, and the targets' RAR units. None of it is
//! counted.

use std::arch::asm;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// One CPU's action vector, as a unit sees it.
pub(crate) type Vector = [AtomicU64; 8];

/// The targets, and how many bytes they have answered.
pub(crate) struct World {
    vectors: Vec<&'static Vector>,
    answered: AtomicU64,
    signals: AtomicU64,
}

impl World {
    /// Returns a world whose targets have these vectors.
    pub(crate) fn new(vectors: Vec<&'static Vector>) -> Self {
        Self {
            vectors,
            answered: AtomicU64::new(0),
            signals: AtomicU64::new(0),
        }
    }

    /// Returns how many bytes the targets have answered, and to how many signals.
    pub(crate) fn answers(&self) -> (u64, u64) {
        (
            self.answered.load(Ordering::Relaxed),
            self.signals.load(Ordering::Relaxed),
        )
    }

    /// Answers each byte that is PENDING with SUCCESS.
    pub(crate) fn answer(&self) {
        let mut answered = 0;
        for word in self.vectors.iter().flat_map(|vector| vector.iter()) {
            let pending = word.load(Ordering::Acquire);
            if pending != 0 {
                answered += u64::from((pending & 0x0101_0101_0101_0101).count_ones());
                word.store(0, Ordering::Release);
            }
        }
        self.answered.fetch_add(answered, Ordering::Relaxed);
        self.signals.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes the signal and answers it. Not counted.
// SAFETY: (no_mangle) nothing else has this name.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn rar_bench_outside_signal(world: &World) {
    world.answer();
    // SAFETY: no instruction. It keeps the function whole.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}

/// As [`rar_bench_outside_signal`], where nothing is counted anyway.
#[inline(never)]
pub(crate) extern "C" fn answer_uncounted(world: &World) {
    world.answer();
}

/// Takes the signal; no target answers.
#[inline(never)]
pub(crate) extern "C" fn silence(_: &World) {
    // SAFETY: no instruction.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}

/// Returns memory of 64 bytes as a unit sees it.
pub(crate) fn vector_at(memory: *const u8) -> &'static Vector {
    const { assert!(size_of::<Vector>() == 64 && size_of::<AtomicU8>() == 1) };
    // SAFETY: every caller gives 64 bytes, aligned to as much, that live as long as the process and
    // are atomic bytes or C's. One thread runs, so that mixed sizes of access do not matter.
    unsafe { &*memory.cast::<Vector>() }
}
