//! The pair of legacy interrupt controllers, which all CPUs share.
#![expect(unsafe_code, reason = "a lock")]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::legacy::pics::Pics;

/// Polls of a lock whose holder accesses some ports.
const MAX_POLLS: u32 = 100_000_000;
/// No CPU, in `asks`.
const NONE: u32 = u32::MAX;

/// The pair, and the CPU that it interrupts.
#[derive(Debug)]
pub(crate) struct SharedPics {
    locked: AtomicBool,
    pics: UnsafeCell<Pics>,
    /// The APIC id of the CPU that took an interrupt of the pair last: the machine's pair
    /// interrupts that CPU, and so does this one.
    taker: AtomicU32,
    /// The taker while an interrupt waits for it.
    asks: AtomicU32,
}

// SAFETY: `pics` is used under the lock only.
unsafe impl Sync for SharedPics {}

impl SharedPics {
    pub(crate) const fn new(vectors: [u8; 2]) -> Self {
        Self {
            locked: AtomicBool::new(false),
            pics: UnsafeCell::new(Pics::new(vectors)),
            taker: AtomicU32::new(NONE),
            asks: AtomicU32::new(NONE),
        }
    }

    /// Uses the pair; `None` if another CPU does not let go of it.
    pub(crate) fn with<T>(&self, action: impl FnOnce(&mut Pics) -> T) -> Option<T> {
        let free = || !self.locked.swap(true, Ordering::Acquire);
        let taken = (0..MAX_POLLS).any(|_| {
            free() || {
                core::hint::spin_loop();
                false
            }
        });
        if !taken {
            return None;
        }
        // SAFETY: the lock is held, so nothing else refers to the pair.
        let pics = unsafe { &mut *self.pics.get() };
        let result = action(pics);
        let asks = match pics.next() {
            Some(_) => self.taker.load(Ordering::Relaxed),
            None => NONE,
        };
        self.asks.store(asks, Ordering::Release);
        self.locked.store(false, Ordering::Release);
        Some(result)
    }

    /// This CPU is the one that the pair interrupts. Called under the lock.
    pub(crate) fn set_taker(&self, apic_id: u32) {
        self.taker.store(apic_id, Ordering::Relaxed);
    }

    /// Returns the CPU for which an interrupt waits.
    pub(crate) fn asks(&self) -> Option<u32> {
        Some(self.asks.load(Ordering::Acquire)).filter(|id| *id != NONE)
    }
}
