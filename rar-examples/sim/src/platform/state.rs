//! The platform: address spaces, frames, and the shootdown under test.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use rar_regs::{Detection, RarSupport};
use rar_shootdown::Shootdown;
use rar_suite::{Page, Platform as _, Record, Space, Suite};

use super::boundary::Boundary;
use super::layout::{LARGE, REGION, tables};
use super::setup::TLB;
use super::trouble::{Trouble, TroubleLeft};
use super::user::Spin;
use crate::defects::DriverDefect;
use crate::machine::{Cpu, Machine, Member};
use crate::page_tables::{Entry, slot};
use crate::schedule;

/// How many moments a CPU that waits looks out for an interrupt that comes with trouble.
const LOOKOUT: u32 = 300;

/// The PCIDs of the spaces of tests.
const PCIDS: [u16; 2] = [1, 2];

/// The shootdown under test.
pub type SimShootdown<'m> = Shootdown<&'m Boundary<'m>>;

/// The platform: address spaces, frames, and the shootdown under test.
pub struct SimPlatform<'m> {
    pub(super) suite: &'m Suite,
    pub(super) boundary: &'m Boundary<'m>,
    pub(super) shootdown: &'m SimShootdown<'m>,
    pub(super) support: Option<RarSupport>,
    pub(super) members: Vec<Mutex<Option<Member<'m, TLB>>>>,
    /// For each space: which of its two page tables is in use, and its PCID.
    pub(super) spaces: [(AtomicU64, AtomicU16); Space::COUNT],
    pub(super) spins: Vec<Spin>,
    /// For each CPU: whether it has crashed.
    pub(super) crashed: Vec<AtomicBool>,
    pub(super) trouble: TroubleLeft,
    pub(super) emit: &'m (dyn Fn(&Record<'_>) + Sync),
}

impl<'m> SimPlatform<'m> {
    /// Returns the platform on a machine whose CPUs are registered with the shootdown's domain.
    /// `emit` receives the records.
    #[must_use]
    pub fn new(
        suite: &'m Suite,
        boundary: &'m Boundary<'m>,
        support: Option<RarSupport>,
        shootdown: &'m SimShootdown<'m>,
        emit: &'m (dyn Fn(&Record<'_>) + Sync),
    ) -> Self {
        let machine = boundary.machine;
        let entries = support.map_or(64, |support| support.entries());
        shootdown.domain().limit_entries(boundary.slots(entries));
        let platform = Self {
            suite,
            boundary,
            shootdown,
            support,
            members: (0..machine.cpus()).map(|_| Mutex::new(None)).collect(),
            spaces: std::array::from_fn(|index| {
                let pcid = PCIDS.get(index).copied().unwrap_or(0);
                (AtomicU64::new(0), AtomicU16::new(pcid))
            }),
            spins: (0..machine.cpus()).map(|_| Spin::default()).collect(),
            crashed: (0..machine.cpus())
                .map(|_| AtomicBool::new(false))
                .collect(),
            trouble: TroubleLeft::new(Trouble::NONE),
            emit,
        };
        Space::all().for_each(|space| platform.build(space));
        platform
    }

    /// Lets the machine have trouble.
    #[must_use]
    pub fn with(self, trouble: Trouble) -> Self {
        Self {
            trouble: TroubleLeft::new(trouble),
            ..self
        }
    }

    /// Brings this CPU online and loads the first space. Every CPU calls it once, before it runs
    /// the suite.
    pub fn join(&self) {
        self.come_online();
        self.enter(Space::First);
    }

    pub(super) fn build(&self, space: Space) {
        let [root, pointers, small, large, table, _] = tables(space);
        let memory = &self.machine().memory;
        memory.store(slot(root, REGION, 39), Entry::table(pointers).0);
        memory.store(slot(pointers, REGION, 30), Entry::table(small).0);
        memory.store(slot(pointers, LARGE, 30), Entry::table(large).0);
        memory.store(slot(small, REGION, 21), Entry::table(table).0);
    }

    pub(super) fn machine(&self) -> &'m Machine<'m, TLB> {
        self.boundary.machine
    }

    pub(super) fn cpu(&self) -> &'m Cpu<TLB> {
        self.machine().cpu(self.me())
    }

    /// Lets the others run, and this CPU do nothing for a while if they interrupt it.
    pub(super) fn pause_if_interrupted(&self) {
        let is_interrupted = |_| {
            schedule::yield_now();
            self.cpu().interrupt_waits()
        };
        if (0..LOOKOUT).any(is_interrupted) {
            (0..self.trouble.pause()).for_each(|_| schedule::yield_now());
        }
    }

    pub(super) fn me(&self) -> u32 {
        match schedule::cpu() {
            Some(cpu) => cpu,
            None => self.give_up(format_args!("the platform is used outside any CPU")),
        }
    }

    /// Returns what a CPU compares its unit with: the detection of CPU 0 or, in a broken driver,
    /// its own.
    pub(super) fn support_seen_by(&self, cpu: u32) -> Option<RarSupport> {
        if !self.boundary.has(DriverDefect::UnsynchronisedMaximum) {
            return self.support;
        }
        Detection::new().detect(&self.machine().registers(cpu)).ok()
    }

    pub(super) fn in_use(&self, space: Space) -> &AtomicU64 {
        &self.of(space).0
    }

    pub(super) fn pcid_of(&self, space: Space) -> &AtomicU16 {
        &self.of(space).1
    }

    fn of(&self, space: Space) -> &(AtomicU64, AtomicU16) {
        #[expect(clippy::indexing_slicing, reason = "one for each space")]
        &self.spaces[space.index()]
    }

    /// The page table of small pages: the one in use, or the other.
    pub(super) fn table(&self, space: Space, spare: bool) -> u64 {
        let [.., first, second] = tables(space);
        let second_in_use = self.in_use(space).load(Ordering::SeqCst) == 1;
        if second_in_use == spare {
            first
        } else {
            second
        }
    }

    /// Returns where the entry of a small page lies, in the table in use.
    pub(super) fn small_entry(&self, space: Space, page: u16) -> u64 {
        slot(
            self.table(space, false),
            self.address(Page::Small(page)),
            12,
        )
    }

    pub(super) fn member(&self, cpu: u32) -> &Mutex<Option<Member<'m, TLB>>> {
        #[expect(clippy::indexing_slicing, reason = "one for each CPU of the machine")]
        &self.members[cpu as usize]
    }

    pub(super) fn linear(&self, page: Page, word: u16) -> u64 {
        self.address(page) + 8 * u64::from(word)
    }
}
