//! The machine, the one orchestrator, and how CPUs come up.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering};

use rar_shape_hardware::{CPUS, Tlb, now, send_interrupts};
use rar_shootdown::rar_percpu::{
    ApicId, CpuId, CpuSet, Domain, LifeCycleError, PerCpu, PinnedCpu, RegisterError, SoftwareCpu,
};
use rar_shootdown::{Event, Instant, Machine, Message, NotSent, Policy, Shootdown};

use crate::promises::disable_interrupts;

/// Room for 128 CPUs.
pub const WORDS: usize = 2;

/// All flushes of the kernel.
pub static SHOOTDOWN: Shootdown<Kernel, WORDS> = Shootdown::new(Kernel, Policy::new());

/// How many flushes did not end. Their frames are leaked.
pub static LEAKED: AtomicUsize = AtomicUsize::new(0);

static MEMORY: [PerCpu; CPUS] = [const { PerCpu::new() }; CPUS];

/// This kernel's machine: CPUs without RAR, which flush in an interrupt handler.
#[derive(Debug)]
pub struct Kernel;

impl Machine<WORDS> for Kernel {
    type Tlb = Tlb;

    fn tlb(&self) -> &Tlb {
        &Tlb
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
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

/// Registers all CPUs, on the CPU that boots. Here the APIC ids are the numbers.
///
/// # Errors
///
/// [`RegisterError`] if a CPU is registered otherwise.
pub fn register_cpus() -> Result<(), RegisterError> {
    for (number, memory) in (0..).zip(&MEMORY) {
        let (cpu, apic_id) = (CpuId::new(number), ApicId::new(number));
        SHOOTDOWN.domain().register(cpu, apic_id, memory)?;
    }
    Ok(())
}

/// Brings this CPU online. The kernel keeps the value until the CPU goes offline.
///
/// # Errors
///
/// [`LifeCycleError`] if the CPU is not registered, or online.
pub fn bring_online() -> Result<SoftwareCpu<'static, WORDS>, LifeCycleError> {
    let guard = disable_interrupts();
    SoftwareCpu::bring_online(SHOOTDOWN.domain(), &PinnedCpu::from_guard(&guard), &Tlb)
}

/// The handler of the flush interrupt.
pub fn on_flush_interrupt() {
    let guard = disable_interrupts();
    SHOOTDOWN.serve(&PinnedCpu::from_guard(&guard));
}
