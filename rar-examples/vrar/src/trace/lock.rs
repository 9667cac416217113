//! The lock that keeps the lines of a trace apart.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A lock that CPUs take in turn. A CPU that never gives it back costs each of the others one wait.
#[derive(Debug)]
pub(crate) struct TraceLock {
    /// The turn of the CPU that comes next.
    next: AtomicU64,
    /// The turn that holds the lock.
    serving: AtomicU64,
    /// A turn was passed over, perhaps in the middle of a line.
    torn: AtomicBool,
}

/// What the line before is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineBefore {
    /// Complete.
    Whole,
    /// Perhaps not.
    Torn,
}

impl TraceLock {
    pub(crate) const fn new() -> Self {
        Self {
            next: AtomicU64::new(0),
            serving: AtomicU64::new(0),
            torn: AtomicBool::new(false),
        }
    }

    /// Calls `action` in turn. A holder that has not come to its end in `patience` is passed over;
    /// `now` counts the time.
    pub(crate) fn with<T>(
        &self,
        now: impl Fn() -> u64,
        patience: u64,
        action: impl FnOnce(LineBefore) -> T,
    ) -> T {
        // Only the number counts: `serving` orders what the turns do.
        let mine = self.next.fetch_add(1, Ordering::Relaxed);
        let mut holder = self.serving();
        let mut since = now();
        while holder < mine {
            if now().wrapping_sub(since) > patience {
                self.torn.store(true, Ordering::Release);
                self.end(holder);
            }
            core::hint::spin_loop();
            let serving = self.serving();
            if serving != holder {
                (holder, since) = (serving, now());
            }
        }
        // A turn that was passed over itself goes on without the lock.
        let torn = self.torn.swap(false, Ordering::AcqRel) || holder > mine;
        let result = action(if torn {
            LineBefore::Torn
        } else {
            LineBefore::Whole
        });
        self.end(mine);
        result
    }

    /// Acquire pairs with the Release in [`end`](Self::end): what the turn before has written is
    /// seen.
    fn serving(&self) -> u64 {
        self.serving.load(Ordering::Acquire)
    }

    /// Ends a turn, unless it was passed over.
    fn end(&self, turn: u64) {
        let _passed_over = self.serving.compare_exchange(
            turn,
            turn + 1,
            Ordering::Release,
            // Only the number counts.
            Ordering::Relaxed,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn turns_do_not_mix() {
        const THREADS: u64 = 4;
        const LINES: u64 = 50;
        let lock = TraceLock::new();
        let now = || {
            std::thread::yield_now();
            0
        };
        let written = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (lock, written) = (&lock, &written);
                scope.spawn(move || {
                    for _ in 0..LINES {
                        lock.with(now, u64::MAX, |before| {
                            assert_eq!(before, LineBefore::Whole);
                            for _ in 0..3 {
                                written.lock().unwrap().push(thread);
                                std::thread::yield_now();
                            }
                        });
                    }
                });
            }
        });
        let written = written.into_inner().unwrap();
        assert_eq!(written.len() as u64, 3 * THREADS * LINES);
        assert!(written.chunks(3).all(|line| line == [line[0]; 3]));
    }

    #[test]
    fn a_holder_that_stops_is_passed_over() {
        let lock = TraceLock::new();
        let clock = Cell::new(0);
        let tick = || {
            clock.set(clock.get() + 1);
            clock.get()
        };
        lock.with(tick, 100, |_| {
            // In the middle of the line of another CPU.
            assert_eq!(lock.with(tick, 100, |before| before), LineBefore::Torn);
            assert!(clock.get() > 100);
        });
        let before = clock.get();
        assert_eq!(lock.with(tick, 100, |before| before), LineBefore::Whole);
        assert!(clock.get() < before + 10, "nothing waits afterwards");
    }
}
