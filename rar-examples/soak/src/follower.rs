//! A CPU that is flushed: it caches translations, and judges them after the flush.

use core::sync::atomic::Ordering;

use rar_percpu::CpuId;
use rar_suite::{Asked, DeafTo, Page, Platform};
use rar_vocabulary::{Backend, SoakFault};

use crate::cpu::Cpu;
use crate::failure::Kind;
use crate::layout::{CHANGING, bits, index, other};
use crate::order::{Order, order_of};
use crate::random::Random;
use crate::state::State;
use crate::tally::add;

/// How rarely a CPU enters another space, or lazy TLB mode.
const SELDOM: u32 = 24;

/// A CPU that is flushed, in one scene.
pub(crate) struct Follower<'c, 'a, L> {
    cpu: &'c Cpu<'a, L>,
    random: Random,
    /// Whether it uses the pages while they change.
    restless: bool,
    /// What each page showed when this CPU cached it for the next flush; nothing has flushed this
    /// CPU since.
    cached: [State; CHANGING as usize],
    /// How often the driver had flushed this CPU by instructions before that.
    flushes: u64,
    stored: u64,
}

impl<'c, 'a, L: Platform> Follower<'c, 'a, L> {
    pub(crate) fn new(cpu: &'c Cpu<'a, L>, random: Random, restless: bool) -> Self {
        Self {
            cpu,
            random,
            restless,
            cached: [State::NEVER; CHANGING as usize],
            flushes: 0,
            stored: 0,
        }
    }

    /// Obeys orders until the scene ends.
    pub(crate) fn follow(&mut self, mut last: u64) {
        loop {
            let word = self.wait_for_order(last);
            last = word;
            match order_of(word) {
                Order::Step => last = self.step(word),
                Order::Control => self.try_old(),
                Order::Recover => {}
                Order::End => self.judge(),
            }
            self.obey(last);
            if order_of(word) == Order::End {
                return;
            }
        }
    }

    fn obey(&self, word: u64) {
        self.cpu.post().obeyed.store(word, Ordering::Release);
    }

    fn wait_for_order(&mut self, last: u64) -> u64 {
        let mut word = last;
        let cpu = self.cpu;
        cpu.wait_until("an order", || {
            word = cpu.shared.order.word();
            if word == last && self.restless && !cpu.is_lazy() {
                self.use_some_page();
            }
            word != last
        });
        word
    }

    /// Uses a page that changes at this moment.
    fn use_some_page(&mut self) {
        let mask = self.mask(&self.cpu.shared.cached);
        if let Some(page) = self.random.bit_of(mask) {
            if self.random.one_in(2) {
                self.cpu.load(page);
            } else {
                self.store(page);
            }
        }
    }

    fn store(&mut self, page: u16) {
        self.stored += 1;
        self.cpu.store(page, self.stored);
    }

    /// The pages that the order names in the space of this CPU.
    fn mask(&self, masks: &[core::sync::atomic::AtomicU64; 2]) -> u64 {
        let own = masks.get(index(self.cpu.space()));
        own.map_or(0, |mask| mask.load(Ordering::Acquire))
    }

    /// Returns the last order that is obeyed: a CPU that bears a fault obeys several.
    fn step(&mut self, word: u64) -> u64 {
        self.judge();
        let shared = self.cpu.shared;
        let is_victim = shared.victim.load(Ordering::Acquire) == self.cpu.me + 1;
        if !is_victim && self.random.one_in(SELDOM) {
            self.cpu.enter(other(self.cpu.space()));
            add(&shared.tally.switches, 1);
        }
        self.cache();
        if is_victim {
            return self.bear(word);
        }
        if self.random.one_in(SELDOM) {
            self.cpu.enter_lazy();
        }
        word
    }

    /// Judges the pages of the last flush. Says so if this CPU held all of their old translations.
    fn judge(&mut self) {
        self.cpu.leave_lazy();
        let space = self.cpu.space();
        let mask = self.mask(&self.cpu.shared.judged);
        let mut held_all = mask != 0;
        for page in bits(mask) {
            let record = self.cpu.shared.page(space, page);
            let old = State::from_bits(record.before.load(Ordering::Acquire));
            let new = self.cpu.published(space, page);
            self.cpu.load(page);
            // Only a store shows whether a page may be written.
            if old.is_writable() != new.is_writable() || self.random.one_in(4) {
                self.store(page);
            }
            let held = self.held(page) == old && old != new;
            if held {
                self.judge_record(page);
            }
            held_all &= held;
        }
        if held_all && !self.cpu.shared.failure.is_set() {
            add(&self.cpu.shared.witnesses, 1);
        }
        self.forget();
    }

    /// Where the TLB loses more than is flushed, so that no load shows what was not: judges the
    /// record of this CPU's unit.
    fn judge_record(&self, page: u16) {
        let asked = self.cpu.platform.asked_to_flush(Page::Small(page));
        if asked == Some(Asked::No) && self.driver_flushes() == self.flushes {
            let place = (self.cpu.space(), page);
            self.cpu.fail(Kind::Unrecorded, place, 1, 0);
        }
    }

    fn driver_flushes(&self) -> u64 {
        let witness = self.cpu.platform.witness();
        witness.flushes_of(CpuId::new(self.cpu.me))
    }

    fn held(&self, page: u16) -> State {
        let held = self.cached.get(usize::from(page));
        held.copied().unwrap_or(State::NEVER)
    }

    fn forget(&mut self) {
        self.cached = [State::NEVER; CHANGING as usize];
    }

    /// Caches the pages of the next flush.
    fn cache(&mut self) {
        let space = self.cpu.space();
        if self.cpu.platform.backend() == Backend::Vrar {
            // The record is judged from here on.
            self.cpu.platform.flush_own_tlb();
        }
        self.flushes = self.driver_flushes();
        for page in bits(self.mask(&self.cpu.shared.cached)) {
            let state = self.cpu.published(space, page);
            self.cpu.load(page);
            if state.is_writable() {
                self.store(page);
            }
            if let Some(held) = self.cached.get_mut(usize::from(page)) {
                *held = state;
            }
        }
    }

    /// The control: tries the old translations before the flush.
    fn try_old(&mut self) {
        if self.cpu.is_lazy() {
            return;
        }
        let space = self.cpu.space();
        for page in bits(self.mask(&self.cpu.shared.cached)) {
            if self.held(page) != self.cpu.published(space, page) {
                continue;
            }
            let Some(seen) = self.cpu.try_old(page) else {
                continue;
            };
            let tally = &self.cpu.shared.tally;
            add(&tally.controls, 1);
            add(&tally.controls_seen, u64::from(seen));
            // A TLB may evict at any time: then this CPU is no witness of the flush.
            if let Some(held) = self.cached.get_mut(usize::from(page)).filter(|_| !seen) {
                *held = State::NEVER;
            }
        }
    }

    /// Bears the fault of the order until it is to recover; returns that order.
    fn bear(&mut self, word: u64) -> u64 {
        let (cpu, platform) = (self.cpu, self.cpu.platform);
        let fault = cpu.shared.fault.load(Ordering::Acquire) as usize;
        self.forget();
        match SoakFault::ALL.get(fault) {
            Some(SoakFault::Offline) => {
                platform.go_offline();
                let recovered = self.until_recovery(word);
                platform.come_online();
                (0..CHANGING).for_each(|page| cpu.load(page));
                recovered
            }
            Some(SoakFault::DeafToSignals) => self.be_deaf(DeafTo::Signals, word),
            Some(SoakFault::DeafToEverything) => self.be_deaf(DeafTo::Everything, word),
            Some(SoakFault::InterruptsOff) => self.spin(word),
            None => word,
        }
    }

    fn be_deaf(&self, deaf_to: DeafTo, word: u64) -> u64 {
        let (cpu, platform) = (self.cpu, self.cpu.platform);
        platform.set_deaf_to(deaf_to);
        let mut recovered = self.until_recovery(word);
        platform.set_deaf_to(DeafTo::Nothing);
        if deaf_to == DeafTo::Everything {
            // The flush has failed. It ends while this CPU answers again.
            recovered = self.until_recovery(recovered);
        }
        cpu.serve();
        if self.is_demoted() {
            platform.verify_unit();
        }
        recovered
    }

    fn is_demoted(&self) -> bool {
        let domain = self.cpu.platform.shootdown().domain();
        let state = domain.cpu(CpuId::new(self.cpu.me));
        state.is_some_and(|state| state.generation().is_demoted())
    }

    /// Spins with interrupts disabled until the flush has returned or failed.
    fn spin(&self, word: u64) -> u64 {
        let (cpu, platform) = (self.cpu, self.cpu.platform);
        // Not the driver's timeouts: they count no time in which the host runs no CPU.
        let most = platform.timeout_seconds() * 1_000_000_000 / 2;
        platform.disable_interrupts();
        cpu.post().spins.store(true, Ordering::Release);
        self.obey(word);
        let begun = platform.now().as_nanos();
        let mut last = cpu.first_look();
        let mut is_over = || {
            let spent = cpu.look_again(&mut last).saturating_sub(begun);
            cpu.shared.flushed.load(Ordering::Acquire) >= word || spent > most
        };
        while !is_over() {
            platform.relax();
        }
        cpu.post().spins.store(false, Ordering::Release);
        platform.enable_interrupts();
        self.until_recovery(word)
    }

    /// Says that the order is obeyed, and waits for the one to recover.
    fn until_recovery(&self, word: u64) -> u64 {
        self.obey(word);
        let mut newest = word;
        self.cpu.wait_until("the order to recover", || {
            newest = self.cpu.shared.order.word();
            newest > word && order_of(newest) == Order::Recover
        });
        newest
    }
}
