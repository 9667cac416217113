//! A CPU that is flushed: it caches translations, and judges them after the flush.

use core::sync::atomic::Ordering;

use rar_percpu::CpuId;
use rar_suite::{Asked, Platform, Space};
use rar_vocabulary::Backend;

use crate::cpu::Cpu;
use crate::failure::Kind;
use crate::layout::{ALL, PARTS_MASK, bits, place_of};
use crate::mood::Mood;
use crate::order::{Order, order_of};
use crate::random::Random;
use crate::state::State;
use crate::tally::add;

/// How rarely another thread runs on a CPU, or none, when an order comes.
const SELDOM: u32 = 24;
/// How rarely the same happens while it waits for one, and the most times for an order.
const WANDERS: u32 = 16;
const MOST_TRIPS: u32 = 2;
/// One of how many orders ends lazy TLB mode.
const WAKES: u32 = 3;

/// A CPU that is flushed, in one scene.
pub(crate) struct Follower<'c, 'a, L> {
    pub(crate) cpu: &'c Cpu<'a, L>,
    pub(crate) random: Random,
    mood: Mood,
    /// How often another thread may run here before the next order.
    trips: u32,
    /// What each page of a space showed when this CPU cached it for the next flush; nothing has
    /// flushed this CPU since.
    cached: [State; ALL as usize],
    cached_in: Space,
    /// How often the driver had flushed this CPU by instructions before that.
    flushes: u64,
    stored: u64,
}

impl<'c, 'a, L: Platform> Follower<'c, 'a, L> {
    pub(crate) fn new(cpu: &'c Cpu<'a, L>, random: Random, mood: Mood) -> Self {
        Self {
            cpu,
            random,
            mood,
            trips: 0,
            cached: [State::NEVER; ALL as usize],
            cached_in: cpu.space(),
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
                Order::Switch => {
                    // The way to software may flush everything.
                    self.forget();
                    self.cpu.platform.switch_to_software();
                }
                Order::End => self.judge(),
            }
            self.obey(last);
            if order_of(word) == Order::End {
                return;
            }
        }
    }

    pub(crate) fn obey(&self, word: u64) {
        self.cpu.post().obeyed.store(word, Ordering::Release);
    }

    fn wait_for_order(&mut self, last: u64) -> u64 {
        let mut word = last;
        let cpu = self.cpu;
        self.trips = match self.mood {
            Mood::Wandering => self.random.below(MOST_TRIPS + 1),
            Mood::Calm | Mood::Restless => 0,
        };
        cpu.wait_until("an order", || {
            word = cpu.shared.order.word();
            if word == last {
                self.pass_the_time();
            }
            word != last
        });
        word
    }

    fn pass_the_time(&mut self) {
        if self.trips > 0 && self.random.one_in(WANDERS) {
            self.trips -= 1;
            // What this CPU held may be gone.
            self.forget();
            if self.random.one_in(2) {
                self.cpu.reschedule(&mut self.random);
            } else if self.cpu.is_lazy() {
                self.wake();
            } else {
                self.cpu.enter_lazy();
            }
        }
        if self.mood != Mood::Calm && !self.cpu.is_lazy() {
            self.use_some_page();
        }
    }

    /// Leaves lazy TLB mode, and uses what this CPU had cached before.
    fn wake(&self) {
        self.cpu.leave_lazy();
        (0..ALL).for_each(|page| self.cpu.load(page));
    }

    /// Uses a page that changes at this moment.
    fn use_some_page(&mut self) {
        let mask = self.cpu.shared.cached.mask(self.cpu.space());
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

    fn is_open(&self) -> bool {
        self.cpu.shared.is_open(self.cpu.space())
    }

    /// Returns the last order that is obeyed: a CPU that bears a fault obeys several.
    fn step(&mut self, word: u64) -> u64 {
        let (shared, is_victim) = (self.cpu.shared, self.is_victim());
        if !is_victim && self.stays_lazy() {
            self.forget();
            return word;
        }
        self.judge();
        if is_victim {
            self.cache();
            return self.bear(word);
        }
        // A space whose pages are named is left only after they are cached.
        let is_over = !self.is_open() && shared.cached.mask(self.cpu.space()) == 0;
        let is_idle = self.cpu.thread.get().is_none();
        if is_over || is_idle || self.random.one_in(SELDOM) {
            self.cpu.reschedule(&mut self.random);
        }
        self.cache();
        if !self.is_open() {
            self.cpu.reschedule(&mut self.random);
        }
        if self.random.one_in(SELDOM) {
            self.cpu.enter_lazy();
        }
        word
    }

    /// Whether the flush that the order prepares needs this CPU in the space in which it is.
    fn is_victim(&self) -> bool {
        let victim = &self.cpu.shared.victim;
        victim.load(Ordering::Acquire) == self.cpu.me + 1
    }

    /// Whether this CPU goes on running a kernel thread, in the space of the last thread.
    fn stays_lazy(&mut self) -> bool {
        let stays = self.cpu.is_lazy() && self.is_open();
        stays && !self.random.one_in(WAKES)
    }

    /// Judges the pages of the last flush. Says so if this CPU held all of their old translations.
    fn judge(&mut self) {
        if self.cpu.is_lazy() {
            self.wake();
        }
        let shared = self.cpu.shared;
        let heir = shared.judged.heir();
        let heir = heir.filter(|(from, _)| self.holds_some_of(*from) && !self.is_victim());
        if let Some((_, heir)) = heir
            && !self.cpu.run_in(heir, &mut self.random)
        {
            self.forget();
        }
        let space = self.cpu.space();
        let from = heir.map_or(space, |(from, _)| from);
        let mask = shared.judged.mask(from);
        let mut held_all = mask != 0;
        for page in bits(mask) {
            let record = shared.page(from, page);
            let old = State::from_bits(record.before.load(Ordering::Acquire));
            let new = self.cpu.published(space, page);
            self.cpu.load(page);
            // Only a store shows whether a page may be written.
            if old.is_writable() != new.is_writable() || self.random.one_in(4) {
                self.store(page);
            }
            let held = self.held(from, page) == old && old != new;
            // No record has the name of a part alone.
            if held && (mask & PARTS_MASK == 0 || mask & PARTS_MASK == PARTS_MASK) {
                self.judge_record(page);
            }
            held_all &= held;
        }
        if held_all && !shared.failure.is_set() {
            add(&shared.witnesses, 1);
        }
        self.forget();
    }

    /// Whether this CPU holds translations of a space in which it no longer runs.
    fn holds_some_of(&self, space: Space) -> bool {
        let holds = self.cached.iter().any(|state| *state != State::NEVER);
        holds && self.cached_in == space && self.cpu.space() != space
    }

    /// Where the TLB loses more than is flushed, so that no load shows what was not: judges the
    /// record of this CPU's unit.
    fn judge_record(&self, page: u16) {
        let asked = self.cpu.platform.asked_to_flush(place_of(page).0);
        if asked == Some(Asked::No) && self.driver_flushes() == self.flushes {
            let place = (self.cpu.space(), page);
            self.cpu.fail(Kind::Unrecorded, place, 1, 0);
        }
    }

    fn driver_flushes(&self) -> u64 {
        let witness = self.cpu.platform.witness();
        witness.flushes_of(CpuId::new(self.cpu.me))
    }

    fn held(&self, space: Space, page: u16) -> State {
        let held = self.cached.get(usize::from(page));
        let held = held.filter(|_| self.cached_in == space);
        held.copied().unwrap_or(State::NEVER)
    }

    pub(crate) fn forget(&mut self) {
        self.cached = [State::NEVER; ALL as usize];
    }

    /// Caches the pages of the next flush.
    fn cache(&mut self) {
        if self.cpu.is_lazy() {
            return;
        }
        let space = self.cpu.space();
        if self.cpu.platform.backend() == Backend::Vrar {
            // The record is judged from here on.
            self.cpu.platform.flush_own_tlb();
        }
        self.flushes = self.driver_flushes();
        self.cached_in = space;
        for page in bits(self.cpu.shared.cached.mask(space)) {
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
        let space = self.cpu.space();
        if self.cpu.is_lazy() || space != self.cached_in {
            return;
        }
        for page in bits(self.cpu.shared.cached.mask(space)) {
            if self.held(space, page) != self.cpu.published(space, page) {
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
}
