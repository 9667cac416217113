//! Work for the handler of non-maskable interrupts.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use rar_kernel::{CpuList, clock, percpu, send_nmi};

/// How long an NMI may take to come: a host that is busy may not run this CPU.
const COMING_MILLISECONDS: u64 = 10_000;

/// Null, or what the next NMI of a CPU does; written and read by that CPU alone.
static WORK: [AtomicPtr<Work<'_>>; CpuList::CAPACITY] =
    [const { AtomicPtr::new(null_mut()) }; CpuList::CAPACITY];

type Work<'w> = &'w dyn Fn();

fn of_this_cpu() -> Option<&'static AtomicPtr<Work<'static>>> {
    WORK.get(percpu::this().id().index())
}

/// Sends an NMI to this CPU, whose handler calls `work`, and returns whether it did. What it calls
/// takes no locks, prints nothing, and ends.
pub(crate) fn run(work: &dyn Fn()) -> bool {
    let Some(place) = of_this_cpu() else {
        return false;
    };
    place.store((&raw const work).cast_mut().cast(), Ordering::Release);
    // A message that cannot be sent is one that does not come.
    let _ = send_nmi(percpu::this());
    let done = clock::wait_until(COMING_MILLISECONDS, || {
        place.load(Ordering::Acquire).is_null()
    });
    // An NMI that comes later finds nothing of this stack.
    place.store(null_mut(), Ordering::Release);
    done
}

/// Does what this CPU wants done. Called from the handler.
pub(crate) fn work() {
    let Some(place) = of_this_cpu() else { return };
    // SAFETY: null, or stored by `run` on this CPU, which waits below this handler with the closure
    // on its stack.
    if let Some(work) = unsafe { place.load(Ordering::Acquire).as_ref() } {
        work();
        place.store(null_mut(), Ordering::Release);
    }
}
