//! The machine boundary of the test suite, on a simulated machine.

mod boundary;
mod layout;
mod methods;
mod run;
mod units;
mod user;

pub use boundary::Boundary;
pub use run::{Ended, SuiteRun, Transcript};

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rar_payload::CostModel;
use rar_regs::{Detection, RarSupport};
use rar_shootdown::{LazySkip, Policy, Shootdown};
use rar_suite::{Page, Platform as _, Record, Space, Suite};

use self::layout::{LARGE, REGION, tables};
use self::user::Spin;
use crate::defects::DriverDefect;
use crate::machine::{Cpu, Machine, MachineConfig, Member, steps};
use crate::page_tables::{Entry, slot};
use crate::schedule;

/// Room for every page under test in both spaces, so that no stale translation is evicted.
pub const TLB: usize = 1200;

/// The test that the simulated machine cannot run, since loads of its guests are not cached.
pub const BEYOND: &str = "target-in-guest";

/// The test that applies only without units, since units ignore IF.
pub const BY_NMI: &str = "target-takes-nmi";

/// Timeouts for a clock that counts steps per CPU: only a silent CPU reaches them. Ranges take the
/// entries that they need, since tests check what was not flushed.
pub const STEPS: Policy = {
    let mut policy = Policy::new();
    policy.answer_timeout = steps(2_000);
    policy.fallback_timeout = steps(10_000);
    policy.slot_timeout = steps(2_000);
    policy.resignal_after = None;
    policy.lazy = LazySkip::LOWER_HALF;
    policy.costs = CostModel::EXACT;
    policy
};

/// The shootdown under test.
pub type SimShootdown<'m> = Shootdown<&'m Boundary<'m>>;

/// Returns the configuration of a machine for the suite, of honest units with IGNORE_IF.
#[must_use]
pub fn config(cpus: u32) -> MachineConfig {
    MachineConfig {
        // A non-temporal store leaves the buffer at the next one, since tests count stores.
        buffered: 1,
        nmi: true,
        ..MachineConfig::new(cpus)
    }
}

/// Why a run was given up. Unwinds out of it.
#[derive(Clone, Debug)]
pub struct GivenUp(pub String);

/// The platform: two address spaces, frames, and the shootdown under test.
pub struct SimPlatform<'m> {
    suite: &'m Suite,
    boundary: &'m Boundary<'m>,
    shootdown: &'m SimShootdown<'m>,
    support: Option<RarSupport>,
    members: Vec<Mutex<Option<Member<'m, TLB>>>>,
    /// For each space: which of its two page tables is in use.
    in_use: [AtomicU64; 2],
    spins: Vec<Spin>,
    /// How many more changes of an entry empty their CPU's TLB.
    forgets: AtomicU64,
    emit: &'m (dyn Fn(&Record<'_>) + Sync),
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
            in_use: [AtomicU64::new(0), AtomicU64::new(0)],
            spins: (0..machine.cpus()).map(|_| Spin::default()).collect(),
            forgets: AtomicU64::new(0),
            emit,
        };
        platform.build(Space::First);
        platform.build(Space::Second);
        platform
    }

    /// Lets the first `changes` changes of entries empty their CPU's TLB, as a small TLB may evict.
    #[must_use]
    pub fn forgetting(self, changes: u64) -> Self {
        self.forgets.store(changes, Ordering::SeqCst);
        self
    }

    /// Brings this CPU online and loads the first space. Every CPU calls it once, before it runs
    /// the suite.
    pub fn join(&self) {
        self.come_online();
        self.enter(Space::First);
    }

    fn build(&self, space: Space) {
        let [root, pointers, small, large, table, _] = tables(space);
        let memory = &self.machine().memory;
        memory.store(slot(root, REGION, 39), Entry::table(pointers).0);
        memory.store(slot(pointers, REGION, 30), Entry::table(small).0);
        memory.store(slot(pointers, LARGE, 30), Entry::table(large).0);
        memory.store(slot(small, REGION, 21), Entry::table(table).0);
    }

    fn machine(&self) -> &'m Machine<'m, TLB> {
        self.boundary.machine
    }

    fn cpu(&self) -> &'m Cpu<TLB> {
        self.machine().cpu(self.me())
    }

    fn me(&self) -> u32 {
        match schedule::cpu() {
            Some(cpu) => cpu,
            None => self.give_up(format_args!("the platform is used outside any CPU")),
        }
    }

    /// Returns what a CPU compares its unit with: the detection of CPU 0 or, in a broken driver,
    /// its own.
    fn support_seen_by(&self, cpu: u32) -> Option<RarSupport> {
        if !self.boundary.has(DriverDefect::UnsynchronisedMaximum) {
            return self.support;
        }
        Detection::new().detect(&self.machine().registers(cpu)).ok()
    }

    fn in_use(&self, space: Space) -> &AtomicU64 {
        let [first, second] = &self.in_use;
        match space {
            Space::First => first,
            Space::Second => second,
        }
    }

    /// The page table of small pages: the one in use, or the other.
    fn table(&self, space: Space, spare: bool) -> u64 {
        let [.., first, second] = tables(space);
        let second_in_use = self.in_use(space).load(Ordering::SeqCst) == 1;
        if second_in_use == spare {
            first
        } else {
            second
        }
    }

    fn member(&self, cpu: u32) -> &Mutex<Option<Member<'m, TLB>>> {
        #[expect(clippy::indexing_slicing, reason = "one for each CPU of the machine")]
        &self.members[cpu as usize]
    }

    fn linear(&self, page: Page, word: u16) -> u64 {
        self.address(page) + 8 * u64::from(word)
    }
}
