//! What the shim must stand: that the memory in which the kernel had what CPUs ran on at their
//! launch gets another owner.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use rar_kernel::int::word;
use rar_kernel::irq::Disabled;
use rar_kernel::paging::{AddressSpace, enter_kernel_space, kernel_root};
use rar_kernel::{Once, apic, clock, smp};
use rar_percpu::CpuId;

use super::vector;

/// How long CPUs wait for each other.
const MILLISECONDS: u64 = 10_000;
/// How often they do.
const MEETINGS: u64 = 4;
/// Stays of each CPU in the host meanwhile, by its own doing; calls from another come on top.
const STAYS: u32 = 20;

/// What is overwritten at once: a page.
const BYTES: usize = 4096;

struct Round {
    /// Where the CPUs go on: the kernel's space with another top table.
    space: AddressSpace,
    arrived: AtomicU32,
    /// A CPU has not waited for another: nothing is shown.
    apart: AtomicBool,
}

static ROUND: Once<Round> = Once::new();

/// Overwrites the kernel's top page table, and the page where CPUs begin with its descriptor table,
/// while every CPU runs on another space and enters the host again and again.
///
/// # Errors
///
/// Says what could not be tried. A shim that needs what was overwritten ends the machine.
pub fn overwrite_tables() -> Result<(), &'static str> {
    let space = AddressSpace::sharing_kernel().map_err(|_| "no memory for another space")?;
    let round = Round {
        space,
        arrived: AtomicU32::new(0),
        apart: AtomicBool::new(false),
    };
    let round = ROUND.set(round).ok_or("tables are overwritten once only")?;
    smp::run_on_all(take_part);
    // Each CPU may wait out every meeting.
    if !clock::wait_until((MEETINGS + 1) * MILLISECONDS, smp::everyone_done) {
        return Err("a CPU did not outlive that the kernel's page tables were overwritten");
    }
    if round.apart.load(Ordering::Acquire) {
        return Err("a CPU came too late to where the kernel's page tables are overwritten");
    }
    Ok(())
}

impl Round {
    /// Waits until every CPU has come here for the time of this number; a round in which one has
    /// not is [apart](Self::apart).
    fn meet(&self, step: u32) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = smp::cpus().map_or(1, smp::Cpus::online) * step;
        if !clock::wait_until(MILLISECONDS, || self.arrived.load(Ordering::Acquire) >= all) {
            self.apart.store(true, Ordering::Release);
        }
    }
}

fn take_part(cpu: CpuId) {
    let Some(round) = ROUND.get() else { return };
    // Handlers run on what is overwritten as little as this function does, but they take time.
    let _disabled = Disabled::new();
    round.space.enter();
    round.meet(1);
    let wipes = cpu.get() == 0 && !round.apart.load(Ordering::Acquire);
    let saved = wipes.then(|| [kernel_root(), smp::trampoline_page()].map(Saved::wipe));
    round.meet(2);
    let count = smp::cpus().map_or(1, smp::Cpus::online);
    for _ in 0..STAYS {
        __cpuid(0);
        if let Some(neighbour) = smp::apic_id((cpu.get() + 1) % count) {
            // One that is not sent tells less, and fails nothing.
            let _ = apic::send_fixed(neighbour, vector::BARE);
        }
    }
    round.meet(3);
    if let Some(saved) = saved {
        saved.into_iter().flatten().for_each(Saved::restore);
    }
    round.meet(4);
    enter_kernel_space();
}

/// A page that was overwritten.
struct Saved {
    page: &'static [AtomicU8],
    bytes: [u8; BYTES],
}

impl Saved {
    fn wipe(address: Option<u64>) -> Option<Self> {
        let start = core::ptr::with_exposed_provenance(word(address?));
        // SAFETY: a page of RAM that the kernel keeps forever, mapped one to one; no CPU writes to
        // it but by this function, and none runs on it.
        let page: &[AtomicU8] = unsafe { core::slice::from_raw_parts(start, BYTES) };
        let mut bytes = [0; BYTES];
        for (kept, byte) in bytes.iter_mut().zip(page) {
            *kept = byte.swap(0, Ordering::AcqRel);
        }
        Some(Self { page, bytes })
    }

    fn restore(self) {
        for (byte, kept) in self.page.iter().zip(self.bytes) {
            byte.store(kept, Ordering::Release);
        }
    }
}
