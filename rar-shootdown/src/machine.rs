//! What the operating system supplies.

use rar_percpu::{CpuId, CpuSet, DEFAULT_WORDS, Domain, LocalTlb, PinnedCpu};

use crate::event::Event;
use crate::stuck::Stuck;

/// A moment on the machine's clock, in nanoseconds since any fixed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// Returns the moment that many nanoseconds after the fixed one.
    #[must_use]
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Returns the nanoseconds since the fixed moment.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// What a machine is to send, in the order in which a flush escalates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Message {
    /// The targets are to look at their action vectors: a remote action request (delivery mode
    /// 011b) where [`Responder::Microcode`](rar_percpu::Responder::Microcode) answers, an ordinary
    /// interrupt where [`Responder::Software`](rar_percpu::Responder::Software) does.
    Signal,
    /// The same again: the targets were silent for
    /// [`Policy::resignal_after`](crate::Policy::resignal_after).
    SecondSignal,
    /// An ordinary interrupt whose handler calls [`Shootdown::serve`](crate::Shootdown::serve): the
    /// signal was not answered, or the targets are flushed without one.
    Interrupt,
    /// A non-maskable interrupt whose handler calls
    /// [`Shootdown::serve_in_nmi`](crate::Shootdown::serve_in_nmi): the interrupt was not answered.
    Nmi,
}

/// Why a message did not reach every target. Those it reached are not named: sending it again is
/// harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NotSent {
    /// This machine has no such message.
    Unsupported,
    /// The local APIC went on sending something else.
    Busy,
    /// This target has no address that the interrupt command can name.
    Unreachable(CpuId),
}

impl core::fmt::Display for NotSent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unsupported => f.write_str("the machine offers no such message"),
            Self::Busy => f.write_str("the local APIC stayed busy"),
            Self::Unreachable(cpu) => write!(f, "CPU {cpu} has no APIC id that can be addressed"),
        }
    }
}

impl core::error::Error for NotSent {}

/// What a [`Shootdown`](crate::Shootdown) needs of the machine it runs on: one trait, implemented
/// once per kernel. `X86Machine` is a ready one.
///
/// # Contract for implementers
///
/// - The methods are called on the flush path, some with interrupts disabled and some from
///   interrupt handlers.
/// - None waits for another CPU, takes a lock that another CPU can hold while it waits, or starts a
///   flush.
/// - A flush calls [`send`](Self::send) with [`Message::Signal`] first, and with the later messages
///   only for targets that were not reached by the earlier ones.
///
/// The trait can be used as `dyn Machine<WORDS, Tlb = ...>`.
pub trait Machine<const WORDS: usize = DEFAULT_WORDS> {
    /// The TLB of the CPU that the code runs on.
    type Tlb: LocalTlb + ?Sized;

    /// Returns the TLB of the CPU that the code runs on.
    fn tlb(&self) -> &Self::Tlb;

    /// Sends the message to each target. The domain knows their APIC ids, and who responds on each.
    ///
    /// Everything stored before is visible to a target that gets the message. The senders of
    /// `rar-regs` execute the fence that a write to an x2APIC register needs.
    ///
    /// # Errors
    ///
    /// [`NotSent`] if a target may not have got it: the flush escalates at once instead of waiting.
    /// A machine without NMIs, or whose NMI handler does not serve, returns
    /// [`NotSent::Unsupported`] for [`Message::Nmi`].
    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
    ) -> Result<(), NotSent>;

    /// Returns the time in nanoseconds. It is read only when a target has not answered at the first
    /// look.
    ///
    /// A clock that stands still, jumps or differs between CPUs makes waits shorter or longer,
    /// never endless.
    fn now(&self) -> Instant;

    /// Lets a moment pass inside a spin: `PAUSE`.
    fn relax(&self) {
        core::hint::spin_loop();
    }

    /// Gets what is rare in a healthy system, on the CPU where it was noticed. The ordinary flush
    /// reports nothing.
    fn report(&self, event: &Event) {
        let _ = event;
    }

    /// Gets the report of a flush that did not end in time, on the CPU that waited, before its
    /// slots are set apart and [`Event::Error`] is [reported](Self::report). Where the flush is
    /// given back to the caller, [`Pending::stuck`](crate::Pending::stuck) makes the report anew.
    ///
    /// To show it is one `write!`: it has several lines. This CPU serves no other meanwhile, so a
    /// slow console should get a copy later, or the flushes of others are late, too.
    fn report_stuck(&self, stuck: &Stuck<'_, WORDS>) {
        let _ = stuck;
    }
}

impl<T: Machine<WORDS> + ?Sized, const WORDS: usize> Machine<WORDS> for &T {
    type Tlb = T::Tlb;

    fn tlb(&self) -> &Self::Tlb {
        T::tlb(self)
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
    ) -> Result<(), NotSent> {
        T::send(self, message, cpu, domain, targets)
    }

    fn now(&self) -> Instant {
        T::now(self)
    }

    fn relax(&self) {
        T::relax(self);
    }

    fn report(&self, event: &Event) {
        T::report(self, event);
    }

    fn report_stuck(&self, stuck: &Stuck<'_, WORDS>) {
        T::report_stuck(self, stuck);
    }
}
