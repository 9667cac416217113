//! The CPUs that run, by their numbers.

use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use rar_regs::ApicId;

use crate::CpuList;
use crate::freestanding::once::Once;
use crate::freestanding::percpu::PerCpu;

static ALL: [AtomicPtr<PerCpu>; CpuList::CAPACITY] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; CpuList::CAPACITY];
static COUNT: AtomicUsize = AtomicUsize::new(0);
pub(super) static CPUS: Once<Cpus> = Once::new();

/// The CPUs that came up.
#[derive(Debug)]
pub struct Cpus {
    pub(super) expected: usize,
    pub(super) missing: CpuList,
}

impl Cpus {
    /// Returns how many CPUs run: they are number 0 to this minus one.
    #[must_use]
    pub fn online(&self) -> u32 {
        u32::try_from(COUNT.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// Returns how many CPUs firmware listed.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.expected
    }

    /// Returns the APIC ids of listed CPUs that did not come up.
    #[must_use]
    pub fn missing(&self) -> &[u32] {
        self.missing.ids()
    }
}

/// Returns the CPUs that came up, once every CPU was tried.
#[must_use]
pub fn cpus() -> Option<&'static Cpus> {
    CPUS.get()
}

/// Adds a CPU that runs; CPUs come one at a time, in the order of their numbers.
pub(crate) fn add(cpu: &'static PerCpu) {
    let count = COUNT.load(Ordering::Relaxed);
    if let Some(place) = ALL.get(count) {
        place.store(core::ptr::from_ref(cpu).cast_mut(), Ordering::Relaxed);
        // Release pairs with the Acquire in `all`.
        COUNT.store(count + 1, Ordering::Release);
    }
}

/// Returns every CPU that runs.
pub fn all() -> impl Iterator<Item = &'static PerCpu> {
    let count = COUNT.load(Ordering::Acquire);
    ALL.iter().take(count).filter_map(running)
}

fn running(place: &AtomicPtr<PerCpu>) -> Option<&'static PerCpu> {
    // SAFETY: null, or stored by `add` from a 'static reference, before the count that covers it.
    unsafe { place.load(Ordering::Relaxed).as_ref() }
}

/// Returns the APIC id of a CPU by its number.
#[must_use]
pub fn apic_id(number: u32) -> Option<ApicId> {
    cpu(number).map(PerCpu::apic_id)
}

/// Returns a CPU that runs by its number.
#[must_use]
pub fn cpu(number: u32) -> Option<&'static PerCpu> {
    let count = COUNT.load(Ordering::Acquire);
    let number = usize::try_from(number).ok()?;
    ALL.get(..count)?.get(number).and_then(running)
}
