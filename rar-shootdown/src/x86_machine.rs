//! A machine ready to use: the local APIC, the TLB by instructions, the time stamp counter.
#![expect(
    unsafe_code,
    reason = "interrupts are sent, and the time stamp counter is read, by privileged instructions"
)]

use rar_percpu::{CpuId, CpuSet, Domain, NativeTlb, PerCpu, PinnedCpu, Responder};
use rar_regs::{Addressing, DestinationError, LocalApic, SendError};

use crate::machine::{Instant, Machine, Message, NotSent};
use crate::tsc_clock::TscClock;

/// [`Machine`] by the local APIC in the mode it is in, by [`NativeTlb`], and by the time stamp
/// counter.
///
/// Where microcode answers, [`Message::Signal`] is one interrupt command with delivery mode 011b
/// for each cluster of CPUs in x2APIC mode, and one for each CPU in xAPIC mode; where software
/// answers, it is an ordinary interrupt.
#[derive(Debug)]
pub struct X86Machine {
    apic: LocalApic,
    tlb: NativeTlb,
    clock: TscClock,
    vector: u8,
    nmi: NmiHandler,
    addressing: Addressing,
}

/// What this kernel's handler of non-maskable interrupts does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NmiHandler {
    /// It calls [`Shootdown::serve_in_nmi`](crate::Shootdown::serve_in_nmi), so that a flush may
    /// end with an NMI as the last resort.
    Serves,
    /// Something else.
    Other,
}

impl X86Machine {
    /// Returns the machine.
    ///
    /// # Safety
    ///
    /// 1. What [`NativeTlb::new`], [`LocalApic::detect`] and [`LocalApic::send`] demand holds on
    ///    every CPU that comes online in the domain.
    /// 2. On each of them the handler of `vector` calls
    ///    [`Shootdown::serve`](crate::Shootdown::serve) and ends the interrupt.
    /// 3. With [`NmiHandler::Serves`] the handler of NMIs on each of them calls
    ///    [`Shootdown::serve_in_nmi`](crate::Shootdown::serve_in_nmi).
    #[must_use]
    pub const unsafe fn new(
        apic: LocalApic,
        tlb: NativeTlb,
        clock: TscClock,
        vector: u8,
        nmi: NmiHandler,
    ) -> Self {
        Self {
            apic,
            tlb,
            clock,
            vector,
            nmi,
            addressing: Addressing::Cluster,
        }
    }

    /// Says how targets are addressed in x2APIC mode; [`Addressing::Cluster`] unless told
    /// otherwise.
    ///
    /// [`Addressing::Physical`] is for machines where flag 19 of the FADT is set (ACPI 6.5,
    /// FORCE_APIC_PHYSICAL_DESTINATION_MODE), and for a RAR unit that ignores logical destinations:
    /// no source says whether silicon has such units.
    #[must_use]
    pub const fn with_addressing(self, addressing: Addressing) -> Self {
        Self { addressing, ..self }
    }

    /// Sends to the targets, by whole clusters where the APIC ids allow it.
    #[inline]
    fn send_to_all<const WORDS: usize>(
        &self,
        message: rar_regs::Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
    ) -> Result<(), NotSent> {
        let clusters = match self.addressing {
            Addressing::Cluster => domain.clusters(targets),
            Addressing::Physical => None,
        };
        let sent = clusters.and_then(|clusters| {
            // SAFETY: 1. to 3. as in `send_to`.
            unsafe { self.apic.send_to_clusters(message, clusters) }
        });
        if let Some(sent) = sent {
            return sent.map_err(|error| not_sent(error, domain, targets));
        }
        self.send_to(message, cpu, domain, targets, |_| true)
    }

    /// Sends to those of the targets whose state `wanted` accepts.
    fn send_to<const WORDS: usize>(
        &self,
        message: rar_regs::Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
        wanted: impl Fn(&PerCpu) -> bool,
    ) -> Result<(), NotSent> {
        let states = targets.iter().filter_map(|target| domain.cpu(target));
        let ids = states
            .filter(|state| wanted(state))
            .filter_map(PerCpu::apic_id);
        // The bounded wait for a busy xAPIC serves others, who may wait for this CPU.
        let relax = || {
            domain.answer(cpu, &self.tlb);
            core::hint::spin_loop();
        };
        // SAFETY: 1. to 3. are duties of `new`: privilege level and mode are those of
        // `LocalApic::detect`, the handler of NMIs sends nothing, and the vector, NMIs and RAR
        // units of the CPUs that are online take their messages.
        unsafe { self.apic.send(message, self.addressing, ids, relax) }
            .map_err(|error| not_sent(error, domain, targets))
    }
}

fn not_sent<const WORDS: usize>(
    error: SendError,
    domain: &Domain<WORDS>,
    targets: &CpuSet<WORDS>,
) -> NotSent {
    let id = match error {
        SendError::Busy { .. } => return NotSent::Busy,
        SendError::Destination(
            DestinationError::Broadcast { id }
            | DestinationError::NeedsX2apic { id }
            | DestinationError::NoCluster { id },
        ) => id,
        _ => return NotSent::Unsupported,
    };
    let has_id = |cpu: &CpuId| domain.cpu(*cpu).and_then(PerCpu::apic_id) == Some(id);
    targets
        .iter()
        .find(has_id)
        .map_or(NotSent::Unsupported, NotSent::Unreachable)
}

impl<const WORDS: usize> Machine<WORDS> for X86Machine {
    type Tlb = NativeTlb;

    fn tlb(&self) -> &NativeTlb {
        &self.tlb
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
    ) -> Result<(), NotSent> {
        let interrupt = rar_regs::Message::Fixed {
            vector: self.vector,
        };
        match message {
            Message::Signal | Message::SecondSignal => match domain.only_responder() {
                Some(Responder::Microcode) => {
                    self.send_to_all(rar_regs::Message::Rar, cpu, domain, targets)
                }
                Some(Responder::Software) => self.send_to_all(interrupt, cpu, domain, targets),
                _ => {
                    let by_microcode = |state: &PerCpu| state.responder() == Responder::Microcode;
                    let rar = rar_regs::Message::Rar;
                    let units = self.send_to(rar, cpu, domain, targets, by_microcode);
                    let handlers = self.send_to(interrupt, cpu, domain, targets, |state| {
                        !by_microcode(state)
                    });
                    units.and(handlers)
                }
            },
            Message::Interrupt => self.send_to_all(interrupt, cpu, domain, targets),
            Message::Nmi if self.nmi == NmiHandler::Serves => {
                self.send_to(rar_regs::Message::Nmi, cpu, domain, targets, |_| true)
            }
            Message::Nmi => Err(NotSent::Unsupported),
        }
    }

    fn now(&self) -> Instant {
        // SAFETY: the code runs at privilege level 0 (duty 1 of `new`); reading the counter has no
        // effect.
        let ticks = unsafe { core::arch::x86_64::_rdtsc() };
        Instant::from_nanos(self.clock.nanoseconds(ticks))
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    extern crate std;
    use super::*;
    use rar_percpu::CpuId;
    use rar_regs::ApicId;
    use std::boxed::Box;

    #[test]
    fn what_was_not_sent_is_told_by_its_cause() {
        let domain = Domain::<1>::new();
        let cpu = CpuId::new(3);
        let id = ApicId::new(0x1_0000);
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain.register(cpu, id, memory).unwrap();
        let targets = CpuSet::of([CpuId::new(1), cpu]).unwrap();
        let told = |error| not_sent(error, &domain, &targets);
        let vector = SendError::Vector { vector: 3 };
        assert_eq!(told(vector), NotSent::Unsupported);
        let far = |id| SendError::Destination(DestinationError::NeedsX2apic { id });
        assert_eq!(told(far(id)), NotSent::Unreachable(cpu));
        assert_eq!(told(far(ApicId::new(9))), NotSent::Unsupported);
    }
}
