//! The machine boundary of the test suite, on a simulated machine.

mod boundary;
mod run;
mod units;
mod user;

pub use boundary::Boundary;
pub use run::{Ended, SuiteRun, Transcript};

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rar_payload::{CostModel, Pcid};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, CpuSet, PinnedCpu};
use rar_regs::{Detection, RarSupport};
use rar_shootdown::{Instant, LazySkip, Machine as _, Policy, Shootdown};
use rar_suite::{
    Access, FRAMES, Frame, Hearing, LARGE_FRAMES, Lab, Mapping, Page, PageFault, Reach, Record,
    Register, Space, StoreKind, Suite, Units, UserMode, Witness,
};

use self::user::Spin;
use crate::defects::DriverDefect;
use crate::machine::{Backend, Cpu, Machine, MachineConfig, Member, STEP, Vector, lock, steps};
use crate::page_tables::{Entry, slot};
use crate::schedule;

/// Room for every page under test in both spaces, so that no stale translation is evicted.
pub const TLB: usize = 1200;

/// The test that the simulated machine cannot run: the loads of its guests are not cached.
pub const BEYOND: &str = "target-in-guest";

/// The test that units leave nothing to do for: they answer whatever IF says.
pub const BY_NMI: &str = "target-takes-nmi";

/// How many entries the table has where no unit limits them.
const SOFTWARE_ENTRIES: usize = 64;

/// The first page under test: its page table decides nothing else.
const REGION: u64 = 0x4000_0000;
/// The one large page.
const LARGE: u64 = 0x8000_0000;
const SMALL_FRAMES: u64 = 0x1_0000_0000;
const LARGE_FRAME_BASE: u64 = 0x2_0000_0000;
/// Where the page tables of the first space lie, one page each: root, two levels below it, the directories, two tables.
const TABLES: u64 = 0x10_0000;
const TABLES_OF_ONE_SPACE: u64 = 0x10_000;

/// Ticks of a machine whose clock counts steps.
const TICKS_PER_MILLISECOND: u64 = 10;

/// Bounds for a clock that counts steps per CPU: only a CPU that does not answer reaches them. Ranges take the entries that they
/// need: tests look at what was not asked for.
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
        // A non-temporal store leaves when the next one comes: tests count stores.
        buffered: 1,
        nmi: true,
        ..MachineConfig::new(cpus)
    }
}

/// Why a run was given up: what unwinds out of it.
#[derive(Clone, Debug)]
pub struct GivenUp(pub String);

/// The laboratory: two address spaces, frames, and the shootdown under test.
pub struct SimLab<'m> {
    suite: &'m Suite,
    boundary: &'m Boundary<'m>,
    shootdown: &'m SimShootdown<'m>,
    support: Option<RarSupport>,
    members: Vec<Mutex<Option<Member<'m, TLB>>>>,
    /// For each space: which of its two page tables is in use.
    in_use: [AtomicU64; 2],
    spins: Vec<Spin>,
    /// How many changes of an entry are still to drop what their CPU caches.
    forgets: AtomicU64,
    emit: &'m (dyn Fn(&Record<'_>) + Sync),
}

impl<'m> SimLab<'m> {
    /// Returns a laboratory on a machine whose CPUs are registered with the domain of the shootdown. `emit` takes the records.
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
        let lab = Self {
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
        lab.build(Space::First);
        lab.build(Space::Second);
        lab
    }

    /// Lets the first changes of entries drop everything that their CPU caches, as a small TLB may.
    #[must_use]
    pub fn forgetting(self, changes: u64) -> Self {
        self.forgets.store(changes, Ordering::SeqCst);
        self
    }

    /// Brings this CPU online and loads the first space. Every CPU calls it once, before it runs the suite.
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
            None => self.give_up(format_args!("the laboratory is used outside any CPU")),
        }
    }

    /// What a CPU compares its unit with: what CPU 0 found, as it should be, or what it finds itself.
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

/// The page tables of a space: root, page-directory pointers, the two directories, the two tables for small pages.
fn tables(space: Space) -> [u64; 6] {
    let first = match space {
        Space::First => TABLES,
        Space::Second => TABLES + TABLES_OF_ONE_SPACE,
    };
    [0, 1, 2, 3, 4, 5].map(|page| first + (page << 12))
}

fn physical(frame: Frame) -> u64 {
    match frame {
        Frame::Small(number) => {
            assert!(number < FRAMES, "the tests own {FRAMES} frames");
            SMALL_FRAMES + (u64::from(number) << 12)
        }
        Frame::Large(number) => {
            assert!(
                number < LARGE_FRAMES,
                "the tests own {LARGE_FRAMES} large frames"
            );
            LARGE_FRAME_BASE + (u64::from(number) << 21)
        }
    }
}

fn leaf(mapping: Option<Mapping>) -> u64 {
    let Some(mapping) = mapping else {
        return Entry::NONE.0;
    };
    let large = match mapping.frame {
        Frame::Small(_) => 0,
        Frame::Large(_) => Entry::LARGE,
    };
    let access = match mapping.access {
        Access::Read => 0,
        // No rule of RAR knows of user pages, so the simulated page tables do not either.
        Access::Write | Access::User => Entry::WRITABLE,
    };
    let reach = match mapping.reach {
        Reach::Space => 0,
        Reach::Global => Entry::GLOBAL,
    };
    physical(mapping.frame) | Entry::PRESENT | large | access | reach
}

impl<'m> Lab for SimLab<'m> {
    type Machine = &'m Boundary<'m>;

    fn shootdown(&self) -> &SimShootdown<'m> {
        self.shootdown
    }

    fn witness(&self) -> &Witness {
        self.machine().witness()
    }

    fn entries(&self) -> usize {
        if self.machine().backend() == Backend::Software {
            return SOFTWARE_ENTRIES;
        }
        let info = self
            .cpu()
            .with_unit(|unit| unit.read_msr(Register::Info as u32));
        // 37:32 is the highest index.
        info.map_or(SOFTWARE_ENTRIES, |info| (info >> 32 & 0x3F) as usize + 1)
    }

    fn cpus(&self) -> u32 {
        self.machine().cpus()
    }

    fn backend(&self) -> rar_suite::Backend {
        match self.machine().backend() {
            Backend::Hardware => rar_suite::Backend::Model,
            Backend::Software => rar_suite::Backend::Software,
        }
    }

    fn pin(&self) -> PinnedCpu<'_> {
        pinned(self.me())
    }

    fn now(&self) -> Instant {
        self.machine().now()
    }

    fn ticks(&self) -> u64 {
        self.now().as_nanos() / u64::from(STEP.subsec_nanos())
    }

    fn ticks_per_millisecond(&self) -> u64 {
        TICKS_PER_MILLISECOND
    }

    fn relax(&self) {
        self.machine().relax();
    }

    fn address(&self, page: Page) -> u64 {
        match page {
            Page::Small(number) => REGION + (u64::from(number) << 12),
            Page::Large => LARGE,
        }
    }

    fn pcid(&self, space: Space) -> Pcid {
        let number = match space {
            Space::First => 1,
            Space::Second => 2,
        };
        Pcid::new(number).unwrap_or(Pcid::ZERO)
    }

    fn store_frame(&self, frame: Frame, word: u16, value: u64) {
        self.machine()
            .memory
            .store(physical(frame) + 8 * u64::from(word), value);
    }

    fn load_frame(&self, frame: Frame, word: u16) -> u64 {
        self.machine()
            .memory
            .load(physical(frame) + 8 * u64::from(word))
    }

    fn map(&self, space: Space, page: Page, mapping: Option<Mapping>) {
        schedule::step();
        let [_, _, _, large, ..] = tables(space);
        let entry = match page {
            Page::Small(_) => slot(self.table(space, false), self.address(page), 12),
            Page::Large => slot(large, LARGE, 21),
        };
        self.machine().memory.store(entry, leaf(mapping));
        let left = self.forgets.load(Ordering::SeqCst);
        if left > 0 {
            self.forgets.store(left - 1, Ordering::SeqCst);
            self.flush_own_tlb();
        }
    }

    fn map_in_spare(&self, space: Space, page: u16, mapping: Option<Mapping>) {
        schedule::step();
        let address = self.address(Page::Small(page));
        let entry = slot(self.table(space, true), address, 12);
        self.machine().memory.store(entry, leaf(mapping));
    }

    fn swap_tables(&self, space: Space) {
        schedule::step();
        let [_, _, small, ..] = tables(space);
        let spare = Entry::table(self.table(space, true));
        self.machine()
            .memory
            .store(slot(small, REGION, 21), spare.0);
        self.in_use(space).fetch_xor(1, Ordering::SeqCst);
    }

    fn load(&self, page: Page, word: u16) -> Result<u64, PageFault> {
        let loaded = self.machine().load(self.me(), self.linear(page, word));
        loaded.map_err(|_| PageFault)
    }

    fn store(&self, page: Page, word: u16, value: u64, kind: StoreKind) -> Result<(), PageFault> {
        let me = self.me();
        let stored = self.machine().store(me, self.linear(page, word), value);
        if kind == StoreKind::Plain {
            // Tests publish how far they are by atomics of the host, which plain stores may not fall behind.
            schedule::step();
            self.machine().drain_stores(me);
        }
        stored.map_err(|_| PageFault)
    }

    fn enter(&self, space: Space) {
        let [root, ..] = tables(space);
        self.machine()
            .load_cr3(self.me(), root | u64::from(self.pcid(space).get()));
    }

    fn flush_own_tlb(&self) {
        self.machine().empty_tlb(&self.pin());
    }

    fn invlpg(&self, page: Page) {
        self.machine().invlpg(&self.pin(), self.address(page));
    }

    fn disable_interrupts(&self) {
        self.cpu().set_interrupts(false);
    }

    fn enable_interrupts(&self) {
        self.cpu().set_interrupts(true);
        schedule::step();
    }

    fn halt(&self) {
        self.machine().halt(self.me());
    }

    fn wake(&self, cpu: CpuId) {
        self.machine().interrupt(cpu.get(), Vector::Wake);
    }

    fn has_nmi(&self) -> bool {
        self.machine().backend() == Backend::Software
    }

    fn send_nmi(&self, cpu: CpuId) {
        self.machine().interrupt(cpu.get(), Vector::Nmi);
    }

    fn send_bare_ipi(&self, targets: &CpuSet) -> bool {
        for cpu in targets.iter() {
            self.machine().interrupt(cpu.get(), Vector::Bare);
        }
        true
    }

    fn bare_ipis(&self, cpu: CpuId) -> &AtomicU64 {
        &self.machine().cpu(cpu.get()).bare_ipis
    }

    fn interrupt_self(&self) {
        let cpu = self.cpu();
        let before = cpu.set_interrupts(false);
        self.suite.on_interrupt(self);
        cpu.set_interrupts(before);
        schedule::step();
    }

    fn set_hearing(&self, hearing: Hearing) {
        let deaf_to: &[Vector] = match hearing {
            Hearing::Both => &[],
            Hearing::FallbackOnly => &[Vector::Signal],
            Hearing::None => &[Vector::Signal, Vector::Fallback, Vector::Nmi],
        };
        self.machine().set_deaf_to(self.me(), deaf_to);
    }

    fn go_offline(&self) {
        let me = self.me();
        let member = lock(self.member(me)).take();
        if let Some(Err(error)) = member.map(|member| self.machine().leave(me, member)) {
            self.give_up(format_args!("CPU {me} stays online: {error}"));
        }
    }

    fn come_online(&self) {
        let me = self.me();
        match self.machine().join(me, self.support_seen_by(me)) {
            Ok(member) => *lock(self.member(me)) = Some(member),
            Err(error) => self.give_up(format_args!("CPU {me} does not come online: {error}")),
        }
    }

    fn verify_unit(&self) {
        let me = self.me();
        if let Some(Member::Microcode(unit)) = &*lock(self.member(me))
            && let Err(error) = unit.verify(&self.pin(), self.boundary)
        {
            self.give_up(format_args!("CPU {me} cannot verify its unit: {error}"));
        }
    }

    fn user_mode(&self) -> Option<&dyn UserMode> {
        Some(self)
    }

    fn units(&self) -> Option<&dyn Units> {
        (self.machine().backend() == Backend::Hardware).then_some(self)
    }

    fn emit(&self, record: &Record<'_>) {
        (self.emit)(record);
    }

    fn give_up(&self, why: fmt::Arguments<'_>) -> ! {
        // Unwinds this CPU and ends the run, which catches it. No panic: nothing is wrong with the program.
        std::panic::resume_unwind(Box::new(GivenUp(why.to_string())))
    }
}
