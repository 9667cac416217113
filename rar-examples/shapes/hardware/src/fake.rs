//! Threads of the host that play CPUs.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{scope, yield_now};
use std::thread_local;

thread_local! {
    static THIS_CPU: Cell<u32> = const { Cell::new(0) };
}

pub(crate) fn this_thread() -> u32 {
    THIS_CPU.get()
}

/// Gives the whole machine to one test at a time, and boots the kernel once.
pub fn power_on(boot: impl FnOnce()) -> MutexGuard<'static, bool> {
    static IS_BOOTED: Mutex<bool> = Mutex::new(false);
    // A test that failed leaves a machine that the next one can use.
    let mut is_booted = IS_BOOTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*is_booted {
        boot();
        *is_booted = true;
    }
    is_booted
}

/// Runs code on a CPU: this thread plays it meanwhile. No other thread may play the same CPU.
pub fn on_cpu<T>(cpu: u32, code: impl FnOnce() -> T) -> T {
    let before = THIS_CPU.replace(cpu);
    let result = code();
    THIS_CPU.set(before);
    result
}

/// Runs `code` while a CPU of its own idles with interrupts enabled, and calls the handler at each
/// interrupt.
pub fn while_idling<T>(cpu: u32, handler: impl Fn() + Sync, code: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    let idle = || {
        while !stop.load(Ordering::Acquire) {
            if crate::take_interrupt() {
                handler();
            }
            yield_now();
        }
    };
    scope(|threads| {
        threads.spawn(|| on_cpu(cpu, idle));
        // Also after a panic of the code; otherwise the scope would wait forever.
        let _stop = StopOnDrop(&stop);
        code()
    })
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
