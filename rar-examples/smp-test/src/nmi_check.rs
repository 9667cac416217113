//! A non-maskable interrupt that comes while another is served waits until that has ended.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rar_kernel::{add_nmi_handler, clock, percpu, send_nmi};

/// How long the interrupts may take to come: a host that is busy may not run this CPU.
const MILLISECONDS: u64 = 10_000;
/// Stays in the shim while the first is served.
const STAYS: u32 = 100;

static ASKED: AtomicBool = AtomicBool::new(false);
static SERVED: AtomicU32 = AtomicU32::new(0);
static SERVING: AtomicU32 = AtomicU32::new(0);
static DEEPEST: AtomicU32 = AtomicU32::new(0);

/// Sends this CPU an NMI whose handler sends another, and says what was wrong with their service.
pub(crate) fn check() -> Result<(), &'static str> {
    if !add_nmi_handler(serve) {
        return Err("no room for a handler of NMIs");
    }
    ASKED.store(true, Ordering::Release);
    let sent = send_nmi(percpu::this());
    let served = || SERVED.load(Ordering::Acquire);
    let came = clock::wait_until(MILLISECONDS, || served() == 2);
    ASKED.store(false, Ordering::Release);
    if sent.is_err() || !came {
        return Err("an NMI that was sent while another was served did not come");
    }
    if DEEPEST.load(Ordering::Acquire) != 1 {
        return Err("an NMI was delivered while another was served");
    }
    Ok(())
}

fn serve() {
    if !ASKED.load(Ordering::Acquire) {
        return;
    }
    let depth = SERVING.fetch_add(1, Ordering::AcqRel) + 1;
    DEEPEST.fetch_max(depth, Ordering::AcqRel);
    if SERVED.load(Ordering::Acquire) == 0 && depth == 1 {
        // A message that cannot be sent is one that does not come.
        let _ = send_nmi(percpu::this());
        for _ in 0..STAYS {
            core::hint::black_box(__cpuid(0));
        }
    }
    SERVING.fetch_sub(1, Ordering::AcqRel);
    SERVED.fetch_add(1, Ordering::AcqRel);
}
