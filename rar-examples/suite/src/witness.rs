//! What the driver did, counted at the machine boundary, not by the driver.

use core::sync::atomic::{AtomicU64, Ordering};

use rar_payload::{InvpcidScope, InvpgScope, Operation};
use rar_percpu::CpuId;

use crate::record::MAX_CPUS;

/// Counts what the driver asks of its machine.
///
/// A test must not rely on the driver's own statistics: a broken driver may not count, or may hide
/// the stale state by a flush that was not requested. The machine calls the methods here, once for
/// each call of the driver.
#[derive(Debug)]
pub struct Witness {
    signals: AtomicU64,
    interrupts: AtomicU64,
    /// For each CPU: its own flushes, as the driver asks for them.
    flushes: [AtomicU64; MAX_CPUS],
    /// Those of them that name no pages.
    whole: [AtomicU64; MAX_CPUS],
}

/// What the driver sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Calls that signal targets.
    pub signals: u64,
    /// Calls that send targets an ordinary interrupt.
    pub interrupts: u64,
}

impl Witness {
    /// Returns a witness that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            signals: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
            flushes: [const { AtomicU64::new(0) }; MAX_CPUS],
            whole: [const { AtomicU64::new(0) }; MAX_CPUS],
        }
    }

    /// The driver signals targets.
    pub fn signals(&self) {
        self.signals.fetch_add(1, Ordering::Relaxed);
    }

    /// The driver sends targets an ordinary interrupt.
    pub fn interrupts(&self) {
        self.interrupts.fetch_add(1, Ordering::Relaxed);
    }

    /// The driver flushes the TLB of this CPU.
    pub fn flushes(&self, cpu: CpuId, operation: &Operation) {
        add(&self.flushes, cpu);
        let names_pages = matches!(
            operation,
            Operation::Invpcid(InvpcidScope::Pages { .. })
                | Operation::Invpg {
                    scope: InvpgScope::Pages(_),
                    ..
                }
        );
        if !names_pages {
            add(&self.whole, cpu);
        }
    }

    /// The driver flushes everything on this CPU.
    pub fn flushes_everything(&self, cpu: CpuId) {
        add(&self.flushes, cpu);
        add(&self.whole, cpu);
    }

    /// Returns what was sent so far, by all CPUs.
    #[must_use]
    pub fn sent(&self) -> Sent {
        Sent {
            signals: self.signals.load(Ordering::Acquire),
            interrupts: self.interrupts.load(Ordering::Acquire),
        }
    }

    /// Returns how often the driver has flushed the TLB of a CPU on that CPU.
    #[must_use]
    pub fn flushes_of(&self, cpu: CpuId) -> u64 {
        read(&self.flushes, cpu)
    }

    /// Returns how many of these flushes named no pages.
    #[must_use]
    pub fn whole_flushes_of(&self, cpu: CpuId) -> u64 {
        read(&self.whole, cpu)
    }
}

impl Default for Witness {
    fn default() -> Self {
        Self::new()
    }
}

impl Sent {
    /// Returns what was sent since.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            signals: self.signals - before.signals,
            interrupts: self.interrupts - before.interrupts,
        }
    }
}

fn add(counters: &[AtomicU64], cpu: CpuId) {
    if let Some(counter) = counters.get(cpu.index()) {
        counter.fetch_add(1, Ordering::AcqRel);
    }
}

fn read(counters: &[AtomicU64], cpu: CpuId) -> u64 {
    counters
        .get(cpu.index())
        .map_or(0, |counter| counter.load(Ordering::Acquire))
}

#[cfg(test)]
mod tests {
    use rar_payload::{Globals, PageChunk, PageRange, PageSize, Pcid};

    use super::*;

    #[test]
    fn only_what_names_no_pages_is_a_whole_flush() {
        let (witness, cpu, other) = (Witness::new(), CpuId::new(3), CpuId::new(4));
        let range = PageRange::new(0x7000, 2, PageSize::Size4K).unwrap();
        let pages = PageChunk::new(range).unwrap();
        let pcid = Pcid::ZERO;
        for (operation, whole) in [
            (InvpcidScope::Pages { pcid, pages }, 0),
            (InvpcidScope::Context { pcid }, 1),
            (InvpcidScope::AllContexts(Globals::Include), 2),
        ] {
            witness.flushes(cpu, &Operation::Invpcid(operation));
            assert_eq!(witness.whole_flushes_of(cpu), whole);
        }
        witness.flushes_everything(cpu);
        assert_eq!(
            (witness.flushes_of(cpu), witness.whole_flushes_of(cpu)),
            (4, 3)
        );
        assert_eq!(witness.flushes_of(other), 0);
    }

    #[test]
    fn what_was_sent_is_counted_by_kind() {
        let witness = Witness::new();
        witness.signals();
        let before = witness.sent();
        witness.signals();
        witness.interrupts();
        witness.interrupts();
        let sent = Sent {
            signals: 1,
            interrupts: 2,
        };
        assert_eq!(witness.sent().since(before), sent);
    }
}
