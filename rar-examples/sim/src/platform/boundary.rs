//! The machine as the driver sees it, optionally with one driver defect in between.
#![expect(
    unsafe_code,
    reason = "a driver that forgets its own TLB breaks the promise of the trait, on purpose"
)]

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use rar_payload::Operation;
use rar_percpu::{ActionState, CpuSet, Domain, LocalTlb, PinnedCpu, SlotIndex, Unsupported};
use rar_shootdown::{Instant, Message, NotSent};

use super::TLB;
use crate::defects::DriverDefect;
use crate::machine::{Machine, lock};

/// Quadwords 0 to 3 of each entry, as the broken driver wrote them.
type Left = [Option<[u64; 4]>; SlotIndex::COUNT];

/// The machine as the driver under test sees it.
pub struct Boundary<'m> {
    pub(super) machine: &'m Machine<'m, TLB>,
    defect: Option<DriverDefect>,
    left: Mutex<Left>,
}

impl<'m> Boundary<'m> {
    /// Returns the boundary of the unaltered driver.
    #[must_use]
    pub fn new(machine: &'m Machine<'m, TLB>) -> Self {
        Self::with_defect(machine, None)
    }

    /// Returns the boundary of a driver with a defect, if one is given.
    #[must_use]
    pub fn with_defect(machine: &'m Machine<'m, TLB>, defect: Option<DriverDefect>) -> Self {
        Self {
            machine,
            defect,
            left: Mutex::new([None; SlotIndex::COUNT]),
        }
    }

    /// Returns how many of `slots` slots the driver uses.
    pub(super) fn slots(&self, entries: u8) -> u8 {
        self.defect.map_or(entries, |defect| defect.slots(entries))
    }

    pub(super) fn has(&self, defect: DriverDefect) -> bool {
        self.defect == Some(defect)
    }

    /// Alters every entry that is armed for these targets, once for each time that the driver wrote
    /// it.
    fn rewrite(&self, targets: &CpuSet, change: impl Fn(&mut [u64; 4])) {
        let (memory, mut left) = (self.machine.driver(), lock(&self.left));
        for (slot, left) in SlotIndex::first(SlotIndex::COUNT).zip(left.iter_mut()) {
            let is_armed = |target| {
                let byte = memory.byte(target, slot);
                byte.is_some_and(|byte| byte.load(Ordering::Acquire) == ActionState::Pending as u8)
            };
            let Some(entry) = memory.entry(slot).filter(|_| targets.iter().any(is_armed)) else {
                continue;
            };
            let mut words = entry.map(|word| word.load(Ordering::Relaxed));
            if *left != Some(words) {
                change(&mut words);
                entry
                    .iter()
                    .zip(words)
                    .for_each(|(word, value)| word.store(value, Ordering::Release));
                *left = Some(words);
            }
        }
    }
}

impl rar_shootdown::Machine for Boundary<'_> {
    type Tlb = Self;

    fn tlb(&self) -> &Self {
        self
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain,
        targets: &CpuSet,
    ) -> Result<(), NotSent> {
        let mut targets = *targets;
        if let Some(defect) = self.defect
            && matches!(message, Message::Signal | Message::SecondSignal)
        {
            let sender = cpu.id().get();
            self.rewrite(&targets, |words| defect.rewrite(sender, words));
            defect.choose_targets(&mut targets);
        }
        self.machine.send(message, cpu, domain, &targets)
    }

    fn now(&self) -> Instant {
        self.machine.now()
    }

    fn relax(&self) {
        self.machine.relax();
    }
}

// SAFETY: 1. to 4. As the machine promises; except the defect that keeps the own TLB, which breaks
// 1. and exists to be detected. No memory of the host depends on a simulated translation.
unsafe impl LocalTlb for Boundary<'_> {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        if self.has(DriverDefect::OwnTlbKept) {
            return Ok(());
        }
        self.machine.flush(cpu, operation)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.machine.flush_everything(cpu);
    }
}
