//! What all tests of units share: the CPUs are offline for the driver, and the test does the
//! driver's work.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use rar_payload::{InvpcidScope, Operation, PageChunk, PageRange, PageSize, Pcid};
use rar_percpu::{ActionState, CpuId, CpuSet, SlotIndex};

use crate::failure::Assertion::{Answered, Named, Register as RegisterHolds, Untouched};
use crate::failure::Place;
use crate::platform::{Page, Platform};
use crate::raw;
use crate::space::Space;
use crate::test_run::{Participants, TestRun, milliseconds_between};
use crate::units::{Destination, ENABLE, IGNORE_IF, RarUnits, Register};

/// A point of a test: the targets are ready.
pub(crate) const READY: usize = 0;
/// A point of a test: the initiator lets the targets continue.
pub(crate) const GO: usize = 1;

/// A unit that ignores RFLAGS.IF.
pub(crate) const SERVING: u64 = ENABLE | IGNORE_IF;

/// The units of one run, without a driver.
pub(crate) struct Bench<'t, 'a, L> {
    pub(crate) t: &'t TestRun<'a, L>,
    pub(crate) units: &'a dyn RarUnits,
}

/// Takes every CPU offline, runs `test`, and brings the CPUs online again, also after a failure.
pub(crate) fn without_driver<'a, L: Platform>(
    t: &TestRun<'a, L>,
    test: impl FnOnce(&Bench<'_, 'a, L>),
) {
    // A machine without units skips the test.
    let Some(units) = t.platform.units() else {
        return;
    };
    t.step(Participants::All, || t.platform.go_offline());
    t.empty_tlbs();
    test(&Bench { t, units });
    t.platform.enable_interrupts();
    t.platform.come_online();
    t.barrier();
}

impl<L: Platform> Bench<'_, '_, L> {
    /// Programs this CPU's unit as a driver does: disabled, bases, then control.
    pub(crate) fn program(&self, control: u64) {
        let addresses = self.units.addresses();
        self.write(Register::Control, 0);
        self.write(Register::ActionVectorBase, addresses.vector);
        self.write(Register::PayloadTableBase, addresses.table);
        self.write(Register::Control, control);
    }

    /// A write that must not fault.
    pub(crate) fn write(&self, register: Register, value: u64) {
        if self.units.write(register, value).is_err() {
            self.t
                .fail(RegisterHolds, number_of(register), value, u64::MAX);
        }
    }

    /// The register must read as `value`.
    pub(crate) fn expect_register(&self, register: Register, value: u64) {
        let found = self.units.read(register).unwrap_or(u64::MAX);
        self.t
            .assert(RegisterHolds, number_of(register), value, found);
    }

    /// Every CPU except this one.
    pub(crate) fn others(&self) -> impl Iterator<Item = u32> + Clone + use<L> {
        let me = self.t.me;
        (0..self.t.platform.cpus()).filter(move |cpu| *cpu != me)
    }

    /// Writes an entry and arms it for these CPUs.
    pub(crate) fn order(
        &self,
        slot: SlotIndex,
        operation: Operation,
        cpus: impl Iterator<Item = u32>,
    ) {
        self.t.shared.flushes.fetch_add(1, AcqRel);
        self.units.store_entry(slot, operation.encode().words());
        self.arm(slot, cpus);
    }

    /// As [`order`](Self::order), with an entry of any words.
    pub(crate) fn order_words(
        &self,
        slot: SlotIndex,
        words: [u64; 8],
        cpus: impl Iterator<Item = u32>,
    ) {
        self.t.shared.flushes.fetch_add(1, AcqRel);
        self.units.store_entry(slot, words);
        self.arm(slot, cpus);
    }

    /// Marks an entry that is written PENDING for these CPUs.
    pub(crate) fn arm(&self, slot: SlotIndex, cpus: impl Iterator<Item = u32>) {
        let domain = self.t.platform.shootdown().domain();
        for cpu in cpus {
            raw::arm(domain, CpuId::new(cpu), slot);
        }
    }

    /// Sends one signal to each of these CPUs.
    pub(crate) fn signal(&self, cpus: impl Iterator<Item = u32>) {
        self.units.signal(&set(cpus));
    }

    /// As [`signal`](Self::signal), but the test chooses how the command names its targets.
    pub(crate) fn signal_by(&self, destination: Destination, cpus: impl Iterator<Item = u32>) {
        self.units.signal_by(destination, &set(cpus));
    }

    /// Orders one entry from the other CPUs, signals them, and waits for their answers.
    pub(crate) fn flush_others(&self, slot: SlotIndex, operation: Operation) {
        self.order(slot, operation, self.others());
        self.signal(self.others());
        self.await_success(slot, self.others());
    }

    /// The byte of a CPU as it is now.
    pub(crate) fn byte(&self, cpu: u32, slot: SlotIndex) -> u8 {
        let state = self.t.platform.shootdown().domain().cpu(CpuId::new(cpu));
        state.map_or(u8::MAX, |state| state.vector().load(slot).0)
    }

    /// Whether the byte of a CPU says SUCCESS or FAILURE.
    pub(crate) fn is_final(&self, cpu: u32, slot: SlotIndex) -> bool {
        is_end(self.byte(cpu, slot))
    }

    /// Waits until the byte of each CPU is final, and asserts that it says SUCCESS.
    pub(crate) fn await_success(&self, slot: SlotIndex, cpus: impl Iterator<Item = u32>) {
        for cpu in cpus {
            self.wait_for_answer(|| self.is_final(cpu, slot));
            let byte = u64::from(self.byte(cpu, slot));
            let success = ActionState::Success as u64;
            self.t.assert(Answered, Place::Number(cpu), success, byte);
        }
    }

    /// Waits a while and asserts that the byte of each CPU is still PENDING.
    pub(crate) fn expect_untouched(
        &self,
        slot: SlotIndex,
        cpus: impl Iterator<Item = u32> + Clone,
    ) {
        let touched = |cpu| self.byte(cpu, slot) != ActionState::Pending as u8;
        self.wait_quietly(|| cpus.clone().any(touched));
        for cpu in cpus {
            let pending = ActionState::Pending as u64;
            let byte = u64::from(self.byte(cpu, slot));
            self.t.assert(Untouched, Place::Number(cpu), pending, byte);
        }
    }

    /// Waits until `done`, at most as long as a unit may take to answer.
    pub(crate) fn wait_for_answer(&self, done: impl Fn() -> bool) {
        self.wait(self.t.answer_milliseconds(), done);
    }

    /// Waits until `done`, at most until what has not come counts as what never comes.
    pub(crate) fn wait_quietly(&self, done: impl Fn() -> bool) {
        self.wait(self.t.quiet_milliseconds(), done);
    }

    /// Waits until `done`, a timeout, or a failure of the test; the caller asserts which.
    pub(crate) fn wait(&self, milliseconds: u64, done: impl Fn() -> bool) {
        let mut watch = self.t.watch();
        let started = watch.last();
        let failed = || self.t.shared.failure.is_set();
        while !done() && !failed() {
            if milliseconds_between(started, watch.now()) >= milliseconds {
                return;
            }
            self.t.platform.relax();
        }
        // The last turn may have been long.
        watch.now();
    }

    /// Announces a point of the test to all CPUs.
    pub(crate) fn announce(&self, moment: usize) {
        self.t.word(moment).fetch_add(1, Release);
    }

    /// Waits until `cpus` CPUs have announced the point, or the test has failed.
    pub(crate) fn await_moment(&self, moment: usize, cpus: u32) {
        self.t.wait_until("a moment of the test", || {
            self.t.word(moment).load(Acquire) >= u64::from(cpus) || self.t.shared.failure.is_set()
        });
    }

    /// INVPCID subtype 0 of some pages of the first space.
    pub(crate) fn pages(&self, first: u16, count: u16) -> Operation {
        self.range(Page::Small(first), 0, count, PageSize::Size4K)
    }

    /// INVPCID subtype 0 of pages that begin `before` bytes below the start of `page`.
    pub(crate) fn range(&self, page: Page, before: u64, count: u16, size: PageSize) -> Operation {
        let pcid = self.pcid();
        let start = self.t.platform.address(page).wrapping_sub(before);
        match self.chunk(start, count, size) {
            Some(pages) => Operation::Invpcid(InvpcidScope::Pages { pcid, pages }),
            None => Operation::Invpcid(InvpcidScope::Context { pcid }),
        }
    }

    /// Returns a range of pages for an entry. Fails the test if the pages cannot be named.
    pub(crate) fn chunk(&self, start: u64, count: u16, size: PageSize) -> Option<PageChunk> {
        let range = PageRange::new(start, u64::from(count), size);
        let chunk = range.ok().and_then(|range| PageChunk::new(range).ok());
        if chunk.is_none() {
            let count = u64::from(count);
            self.t.fail(Named, Place::Number(0), count, 0);
        }
        chunk
    }

    pub(crate) fn pcid(&self) -> Pcid {
        self.t.platform.pcid(Space::First)
    }

    /// The slots that the units report, in ascending order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (SlotIndex, u16)> + use<L> {
        SlotIndex::first(self.t.platform.entries()).zip(0..)
    }
}

/// The slots of tests that need only a few.
pub(crate) const FIRST: SlotIndex = slot(0);
pub(crate) const SECOND: SlotIndex = slot(1);
pub(crate) const THIRD: SlotIndex = slot(2);

const fn slot(index: u8) -> SlotIndex {
    match SlotIndex::new(index) {
        Some(slot) => slot,
        None => unreachable!(),
    }
}

fn set(cpus: impl Iterator<Item = u32>) -> CpuSet {
    let mut set = CpuSet::new();
    for cpu in cpus {
        // The suite runs on fewer CPUs than a set can name.
        let _fits = set.insert(CpuId::new(cpu));
    }
    set
}

/// Whether a byte says SUCCESS or FAILURE.
pub(crate) fn is_end(byte: u8) -> bool {
    byte == ActionState::Success as u8 || byte == ActionState::Failure as u8
}

pub(crate) fn number_of(register: Register) -> Place {
    Place::Number(register as u32)
}
