//! The default machine of this kernel.
#![forbid(unsafe_code)]

use rar_shape_hardware::{Tlb, now, send_interrupts};
use rar_shootdown::rar_percpu::{CpuSet, Domain, PinnedCpu};
use rar_shootdown::{Instant, Machine, Message, NotSent};

use crate::flush::WORDS;

/// Any machine with this kernel's TLBs.
pub type DynMachine = dyn Machine<WORDS, Tlb = Tlb> + Sync;

/// CPUs without RAR, which flush in an interrupt handler.
#[derive(Debug)]
pub struct Interrupts;

impl Machine<WORDS> for Interrupts {
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
}
