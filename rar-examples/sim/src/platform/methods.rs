//! The simulated machine as the suite's platform.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rar_payload::Pcid;
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, CpuSet, PinnedCpu};
use rar_shootdown::{Instant, Machine as _};
use rar_suite::{
    Crash, DeafTo, Disturbances, Frame, Guest, Mapping, Page, PageFault, Platform, RarUnits,
    Record, Register, Space, StoreKind, UseBit, UserMode, Witness,
};

use super::layout::{LARGE, REGION, leaf, physical, tables};
use super::{Boundary, GivenUp, SimPlatform, SimShootdown};
use crate::machine::{Answering, Member, STEP, Vector, lock, steps};
use crate::page_tables::{Entry, slot};
use crate::schedule;

/// Bit 63 of what is moved to CR3.
const KEEP_TRANSLATIONS: u64 = 1 << 63;
/// How many entries the table has where no unit limits them.
const SOFTWARE_ENTRIES: usize = 64;

/// Ticks of a machine whose clock counts steps.
const TICKS_PER_MILLISECOND: u64 = 10;

/// More than any handler takes, by a clock that counts steps.
const GAP_BOUND: Duration = steps(500);

impl<'m> Platform for SimPlatform<'m> {
    type Machine = &'m Boundary<'m>;

    fn shootdown(&self) -> &SimShootdown<'m> {
        self.shootdown
    }

    fn witness(&self) -> &Witness {
        self.machine().witness()
    }

    fn entries(&self) -> usize {
        if self.machine().backend() == Answering::Software {
            return SOFTWARE_ENTRIES;
        }
        let info = self
            .cpu()
            .with_unit(|unit| unit.read_msr(Register::Info as u32));
        // 37:32 is the highest index.
        info.map_or(SOFTWARE_ENTRIES, |info| (info >> 32 & 0x3f) as usize + 1)
    }

    fn cpus(&self) -> u32 {
        self.machine().cpus()
    }

    fn backend(&self) -> rar_suite::Backend {
        match self.machine().backend() {
            Answering::Units => rar_suite::Backend::Model,
            Answering::Software => rar_suite::Backend::Software,
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
        if self.trouble.may_pause() {
            self.pause_if_interrupted();
        }
        self.machine().relax();
    }

    fn gap_bound(&self) -> Duration {
        GAP_BOUND
    }

    fn disturbances(&self) -> Disturbances {
        self.trouble.disturbances()
    }

    fn address(&self, page: Page) -> u64 {
        match page {
            Page::Small(number) => REGION + (u64::from(number) << 12),
            Page::Large => LARGE,
        }
    }

    fn pcid(&self, space: Space) -> Pcid {
        let number = self.pcid_of(space).load(Ordering::Acquire);
        Pcid::new(number).unwrap_or(Pcid::ZERO)
    }

    fn set_pcid(&self, space: Space, pcid: Pcid) {
        self.pcid_of(space).store(pcid.get(), Ordering::Release);
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
            Page::Small(number) => self.small_entry(space, number),
            Page::Large => slot(large, LARGE, 21),
        };
        self.machine().memory.store(entry, leaf(mapping));
        if self.trouble.forgets() {
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

    fn split_large(&self, space: Space) {
        schedule::step();
        let [_, _, _, large, ..] = tables(space);
        let spare = Entry::table(self.table(space, true));
        self.machine().memory.store(slot(large, LARGE, 21), spare.0);
    }

    fn clear_use(&self, space: Space, page: u16, bit: UseBit) {
        schedule::step();
        self.machine()
            .memory
            .clear(self.small_entry(space, page), bit.mask());
    }

    fn is_used(&self, space: Space, page: u16, bit: UseBit) -> bool {
        schedule::step();
        self.machine().memory.load(self.small_entry(space, page)) & bit.mask() != 0
    }

    fn load_by_walk(&self, page: Page, word: u16) -> Result<u64, PageFault> {
        self.invlpg(page);
        let loaded = self
            .machine()
            .load_slowly(self.me(), self.linear(page, word));
        loaded.map_err(|_| PageFault)
    }

    fn load(&self, page: Page, word: u16) -> Result<u64, PageFault> {
        let loaded = self.machine().load(self.me(), self.linear(page, word));
        loaded.map_err(|_| PageFault)
    }

    fn store(&self, page: Page, word: u16, value: u64, kind: StoreKind) -> Result<(), PageFault> {
        let me = self.me();
        let stored = self.machine().store(me, self.linear(page, word), value);
        if kind == StoreKind::Plain {
            // Tests publish their progress by atomics of the host, so plain stores must not be
            // later than those.
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

    fn enter_keeping(&self, space: Space) {
        let [root, ..] = tables(space);
        let cr3 = root | u64::from(self.pcid(space).get()) | KEEP_TRANSLATIONS;
        self.machine().load_cr3(self.me(), cr3);
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
        self.machine().backend() == Answering::Software
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

    fn set_deaf_to(&self, deaf_to: DeafTo) {
        let deaf_to: &[Vector] = match deaf_to {
            DeafTo::Nothing => &[],
            DeafTo::Signals => &[Vector::Signal],
            DeafTo::Everything => &[Vector::Signal, Vector::Fallback, Vector::Nmi],
        };
        if self.trouble.loses_signals() {
            self.cpu().with_unit(|unit| unit.init());
        }
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
        if let Err(error) = self.machine().register(me) {
            self.give_up(format_args!("{error}"));
        }
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

    fn switch_to_software(&self) {
        let me = self.me();
        let mut place = lock(self.member(me));
        let switched = place
            .take()
            .map(|member| self.machine().switch_to_software(me, member));
        match switched.transpose() {
            Ok(member) => *place = member,
            Err(error) => self.give_up(format_args!("CPU {me} keeps its unit: {error}")),
        }
    }

    fn user_mode(&self) -> Option<&dyn UserMode> {
        Some(self)
    }

    fn guest(&self) -> Result<&dyn Guest, &'static str> {
        Ok(self)
    }

    fn crash(&self) -> Result<&dyn Crash, &'static str> {
        Ok(self)
    }

    fn units(&self) -> Option<&dyn RarUnits> {
        (self.machine().backend() == Answering::Units).then_some(self)
    }

    fn emit(&self, record: &Record<'_>) {
        (self.emit)(record);
    }

    fn give_up(&self, why: fmt::Arguments<'_>) -> ! {
        // Unwinds this CPU and ends the run, which catches it. Not a panic: the program is not at
        // fault.
        std::panic::resume_unwind(Box::new(GivenUp(why.to_string())))
    }
}
