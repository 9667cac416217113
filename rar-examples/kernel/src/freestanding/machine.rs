//! What the shootdown needs of this kernel: signals to RAR units, or ordinary interrupts where
//! there are none.

use core::cell::Cell;

use rar_percpu::{CpuId, CpuSet, Domain, NativeTlb, PinnedCpu, Responder};
use rar_regs::{ApicId, RarSupport};
use rar_shootdown::{Instant, Machine, Message, NotSent};

use super::apic::{self, SendError};
use super::cpu::vector;
use super::smp::cpu_table;
use super::{clock, nmi};

/// Whether the kernel above serves flushes in its NMI handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NmiUse {
    /// A handler [added](crate::add_nmi_handler) to the NMI calls
    /// [`Shootdown::serve`](rar_shootdown::Shootdown::serve).
    Serves,
    /// No NMI is sent.
    Unused,
}

/// The machine of a shootdown.
#[derive(Debug)]
pub struct KernelMachine {
    tlb: NativeTlb,
    support: Option<RarSupport>,
    nmi: NmiUse,
}

impl KernelMachine {
    /// Returns the machine that this kernel runs on; with `support`, its CPUs answer by their RAR
    /// units.
    #[must_use]
    pub fn new(support: Option<RarSupport>, nmi: NmiUse) -> Self {
        // SAFETY: 1. All of this kernel runs in ring 0. 2. The CPUs of one machine offer the same.
        // 3. CR3 and CR4 change only when a CPU starts and when it enters a space, never in a
        // handler.
        let tlb = unsafe { NativeTlb::new() };
        Self { tlb, support, nmi }
    }

    /// Returns the proof that the CPUs have RAR units, if they are used.
    #[must_use]
    pub fn support(&self) -> Option<RarSupport> {
        self.support
    }

    /// Returns whether a CPU can be sent NMIs whose handler serves.
    #[must_use]
    pub fn has_nmi(&self) -> bool {
        self.nmi == NmiUse::Serves && apic::get().is_some()
    }
}

impl<const WORDS: usize> Machine<WORDS> for KernelMachine {
    type Tlb = NativeTlb;

    fn tlb(&self) -> &NativeTlb {
        &self.tlb
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
    ) -> Result<(), NotSent> {
        match message {
            Message::Signal | Message::SecondSignal if self.support.is_none() => {
                send_fixed(domain, targets, vector::SOFTWARE_SIGNAL)
            }
            Message::Signal | Message::SecondSignal => {
                let by_microcode = |cpu| responder(domain, cpu) == Responder::Microcode;
                let (mut units, mut handlers) = (*targets, *targets);
                units.retain(by_microcode);
                handlers.retain(|cpu| !by_microcode(cpu));
                let requested = send_requests(domain, &units);
                let interrupted = send_fixed(domain, &handlers, vector::SOFTWARE_SIGNAL);
                requested.and(interrupted)
            }
            Message::Interrupt => send_fixed(domain, targets, vector::FALLBACK),
            Message::Nmi if self.has_nmi() => {
                // A CPU of the domain is one that runs.
                send_each(domain, targets, |cpu, _| {
                    cpu_table::cpu(cpu.get()).map_or(Ok(()), nmi::send_nmi)
                })
            }
            // NMIs that no handler serves, and whatever a later version adds.
            _ => Err(NotSent::Unsupported),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(clock::nanoseconds())
    }
}

fn responder<const WORDS: usize>(domain: &Domain<WORDS>, cpu: CpuId) -> Responder {
    domain
        .cpu(cpu)
        .map_or(Responder::None, |state| state.responder())
}

/// A CPU that has no APIC id any more is offline, and flushes on its way back.
fn apic_id<const WORDS: usize>(domain: &Domain<WORDS>, cpu: CpuId) -> Option<ApicId> {
    domain.cpu(cpu)?.apic_id()
}

fn send_requests<const WORDS: usize>(
    domain: &Domain<WORDS>,
    targets: &CpuSet<WORDS>,
) -> Result<(), NotSent> {
    let Some(first) = targets.first() else {
        return Ok(());
    };
    // The one that was named last is the one that cannot be addressed.
    let named = Cell::new(first);
    let ids = targets.iter().filter_map(|cpu| {
        named.set(cpu);
        apic_id(domain, cpu)
    });
    apic::send_requests(ids).map_err(|error| not_sent(&error, named.get()))
}

/// Sends an ordinary interrupt to each target.
///
/// # Errors
///
/// The first error of [`apic::send_fixed`]; the other targets get theirs.
pub fn send_fixed<const WORDS: usize>(
    domain: &Domain<WORDS>,
    targets: &CpuSet<WORDS>,
    vector: u8,
) -> Result<(), NotSent> {
    send_each(domain, targets, |_, id| apic::send_fixed(id, vector))
}

/// Sends to each target, also after one that cannot be sent to; returns the first error.
fn send_each<const WORDS: usize>(
    domain: &Domain<WORDS>,
    targets: &CpuSet<WORDS>,
    send: impl Fn(CpuId, ApicId) -> Result<(), SendError>,
) -> Result<(), NotSent> {
    let mut sent = Ok(());
    for cpu in targets.iter() {
        if let Some(Err(error)) = apic_id(domain, cpu).map(|id| send(cpu, id)) {
            sent = sent.and(Err(not_sent(&error, cpu)));
        }
    }
    sent
}

fn not_sent(error: &SendError, to: CpuId) -> NotSent {
    match error {
        SendError::Command(_) => NotSent::Unreachable(to),
        SendError::Busy(_) => NotSent::Busy,
        SendError::NotStarted => NotSent::Unsupported,
    }
}
