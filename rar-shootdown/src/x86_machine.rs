//! A machine ready to use: the local APIC, the TLB by instructions, the time stamp counter.
#![expect(
    unsafe_code,
    reason = "interrupts are sent, and the time stamp counter is read, by privileged instructions"
)]

use rar_percpu::{CpuSet, Domain, NativeTlb, PinnedCpu, Responder};
use rar_regs::{LocalApic, SendError};

use crate::machine::{Instant, Machine, Message, NotSent};
use crate::tsc_clock::TscClock;

/// [`Machine`] by the local APIC in the mode it is in, by [`NativeTlb`], and by the time stamp counter.
///
/// Where microcode answers, [`Message::Signal`] is one interrupt command with delivery mode 011b for each cluster of CPUs in
/// x2APIC mode, and one for each CPU in xAPIC mode; where software answers, it is an ordinary interrupt.
#[derive(Debug)]
pub struct X86Machine {
    apic: LocalApic,
    tlb: NativeTlb,
    clock: TscClock,
    vector: u8,
    nmi: NmiHandler,
}

/// What this kernel's handler of non-maskable interrupts does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NmiHandler {
    /// It calls [`Shootdown::serve`](crate::Shootdown::serve), so that a flush may end with an NMI as the last resort.
    Serves,
    /// Something else.
    Other,
}

impl X86Machine {
    /// Returns the machine.
    ///
    /// # Safety
    ///
    /// 1. What [`NativeTlb::new`] and [`LocalApic::detect`] demand holds on every CPU that comes online in the domain.
    /// 2. On each of them the handler of `vector` calls [`Shootdown::serve`](crate::Shootdown::serve) and ends the interrupt.
    /// 3. With [`NmiHandler::Serves`] the handler of NMIs calls it, too.
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
        }
    }
}
