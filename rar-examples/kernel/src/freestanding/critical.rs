//! Critical sections of the whole machine: one CPU at a time, interrupts disabled.

use core::sync::atomic::{AtomicU32, Ordering};

use critical_section::RawRestoreState;

use super::{irq, percpu, spin};

const NO_CPU: u32 = 0;
const WAS_ENABLED: RawRestoreState = 1;
const NESTED: RawRestoreState = 2;

/// Number of the owning CPU plus one.
static OWNER: AtomicU32 = AtomicU32::new(NO_CPU);

struct KernelSection;
critical_section::set_impl!(KernelSection);

// SAFETY: `acquire` returns with interrupts disabled and this CPU as the owner, so no other CPU and
// no handler of this one is inside; the outermost `release` gives both back. Acquire and Release on
// OWNER order what is done inside.
unsafe impl critical_section::Impl for KernelSection {
    #[expect(
        clippy::panic,
        reason = "a section that never ends cannot be waited for"
    )]
    unsafe fn acquire() -> RawRestoreState {
        let enabled = if irq::enabled() { WAS_ENABLED } else { 0 };
        irq::disable();
        let me = percpu::this().number() + 1;
        if OWNER.load(Ordering::Relaxed) == me {
            return enabled | NESTED;
        }
        for _ in 0..spin::BOUND {
            if OWNER
                .compare_exchange_weak(NO_CPU, me, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return enabled;
            }
            core::hint::spin_loop();
        }
        panic!(
            "CPU {} never left its critical section",
            OWNER.load(Ordering::Relaxed).wrapping_sub(1)
        )
    }

    unsafe fn release(state: RawRestoreState) {
        if state & NESTED == 0 {
            OWNER.store(NO_CPU, Ordering::Release);
        }
        if state & WAS_ENABLED != 0 {
            irq::enable();
        }
    }
}
