//! Mapping and unmapping, the machine, and how cores come up: the whole of it.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use rar_shape_hardware::{CPUS, Frame, PAGE, PageTable, Tlb, now, send_interrupts};
use rar_shootdown::rar_payload::{PageRange, PageSize, Pcid, RangeError, Request};
use rar_shootdown::rar_percpu::{
    ApicId, CpuId, CpuSet, Domain, LifeCycleError, PerCpu, PinnedCpu, RegisterError, SoftwareCpu,
};
use rar_shootdown::{AllOnline, Event, Instant, Machine, Message, NotSent, Policy, Shootdown};

use crate::promises::without_interrupts;

/// All flushes of the kernel.
pub static SHOOTDOWN: Shootdown<Kernel, 1> = Shootdown::new(Kernel, Policy::new());

/// The only page table.
pub static PAGES: PageTable = PageTable::new();

/// How many flushes did not end. Their frames are leaked.
pub static LEAKED: AtomicUsize = AtomicUsize::new(0);

static MEMORY: [PerCpu; CPUS] = [const { PerCpu::new() }; CPUS];

/// Unmaps pages and frees their frames when no core can reach them any more.
///
/// # Errors
///
/// [`RangeError`] if the addresses are not those of pages: nothing was unmapped.
pub fn unmap(first: u64, pages: u64) -> Result<(), RangeError> {
    let range = PageRange::new(first, pages, PageSize::Size4K)?;
    let frames: Vec<_> = (0..pages)
        .filter_map(|page| PAGES.unmap(first + page * PAGE))
        .collect();
    flush(range, frames);
    Ok(())
}

/// Maps a page to another frame and frees the old one when no core can reach it any more.
///
/// # Errors
///
/// [`RangeError`] if the address is not that of a page: nothing was mapped.
pub fn map(address: u64, frame: Frame) -> Result<(), RangeError> {
    let range = PageRange::new(address, 1, PageSize::Size4K)?;
    // A page that was not mapped is in no TLB.
    if let Some(old) = PAGES.map(address, frame) {
        flush(range, old);
    }
    Ok(())
}

/// Flushes the pages on all cores and frees what they held.
fn flush<F>(range: PageRange, owned: F) {
    let guard = without_interrupts();
    let cpu = PinnedCpu::from_guard(&guard);
    let request = Request::Pages {
        pcid: Pcid::ZERO,
        range,
    };
    let flight = SHOOTDOWN.start(&cpu, &[request], &AllOnline, owned);
    drop(flight.wait_or_leak(&cpu));
}

/// This kernel's machine: cores without RAR, which flush in an interrupt handler.
#[derive(Debug)]
pub struct Kernel;

impl Machine<1> for Kernel {
    type Tlb = Tlb;

    fn tlb(&self) -> &Tlb {
        &Tlb
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        domain: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        match message {
            Message::Nmi => Err(NotSent::Unsupported),
            _ => send_interrupts(domain, targets),
        }
    }

    fn now(&self) -> Instant {
        now()
    }

    fn report(&self, event: &Event) {
        if matches!(event, Event::Leaked(_)) {
            LEAKED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Registers all cores, on the one that boots. Here the APIC ids are the numbers.
///
/// # Errors
///
/// [`RegisterError`] if a core is registered otherwise.
pub fn register_cores() -> Result<(), RegisterError> {
    for (number, memory) in (0..).zip(&MEMORY) {
        let (core, apic_id) = (CpuId::new(number), ApicId::new(number));
        SHOOTDOWN.domain().register(core, apic_id, memory)?;
    }
    Ok(())
}

/// Brings this core online. Cores of a unikernel stay online, so the value may be dropped.
///
/// # Errors
///
/// [`LifeCycleError`] if the core is not registered, or online.
pub fn bring_online() -> Result<SoftwareCpu<'static, 1>, LifeCycleError> {
    let guard = without_interrupts();
    SoftwareCpu::bring_online(SHOOTDOWN.domain(), &PinnedCpu::from_guard(&guard), &Tlb)
}

/// The handler of the flush interrupt.
pub fn on_flush_interrupt() {
    let guard = without_interrupts();
    SHOOTDOWN.serve(&PinnedCpu::from_guard(&guard));
}
