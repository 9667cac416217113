//! The oracle: what an access may find.
//!
//! The CPU that changes a page stores what it will show (`begun`), then the entry, then flushes,
//! then stores what it shows (`published`). A CPU that reads `published`, makes an access, and then
//! reads `begun`, must have found one of the two: the first can be older than the access only if
//! its flush has not returned. While no change is in flight both are the same.

use core::sync::atomic::Ordering;

use rar_suite::{Page, Platform, Space, StoreKind};

use crate::cpu::Cpu;
use crate::failure::Kind;
use crate::layout::{own_word, place_of, storm_page};
use crate::state::{FAULT, State};

impl<L: Platform> Cpu<'_, L> {
    pub(crate) fn published(&self, space: Space, page: u16) -> State {
        let record = self.shared.page(space, page);
        State::from_bits(record.published.load(Ordering::Acquire))
    }

    fn begun(&self, space: Space, page: u16) -> State {
        let record = self.shared.page(space, page);
        State::from_bits(record.begun.load(Ordering::Acquire))
    }

    fn count_access(&self) {
        self.accesses.set(self.accesses.get() + 1);
    }

    /// Loads from a page of the space that this CPU runs in, and judges what it finds.
    pub(crate) fn load(&self, page: u16) {
        let space = self.space();
        let before = self.published(space, page);
        let found = self.load_word(page);
        let after = self.begun(space, page);
        self.count_access();
        if found != before.shows() && found != after.shows() {
            self.fail(Kind::StaleLoad, (space, page), after.shows(), found);
        }
    }

    /// Stores to this CPU's own word of a page, and judges whether it could.
    pub(crate) fn store(&self, page: u16, value: u64) {
        let space = self.space();
        let before = self.published(space, page);
        let stored = self.store_to(page, value);
        let after = self.begun(space, page);
        self.count_access();
        let [may, may_not] = [true, false]
            .map(|writable| before.is_writable() == writable || after.is_writable() == writable);
        if stored && !may {
            self.fail(Kind::StaleStore, (space, page), FAULT, 0);
        } else if !stored && !may_not {
            self.fail(Kind::RefusedStore, (space, page), 0, FAULT);
        }
    }

    fn load_word(&self, page: u16) -> u64 {
        let (page, first) = place_of(page);
        self.platform.load(page, first).unwrap_or(FAULT)
    }

    fn store_to(&self, page: u16, value: u64) -> bool {
        let (page, first) = place_of(page);
        let word = first + own_word(self.me);
        let stored = self.platform.store(page, word, value, StoreKind::Plain);
        stored.is_ok()
    }

    /// Tries the old translation between the change of the entry and the flush; returns whether
    /// this CPU could still use it. `None` if an access would not show it.
    pub(crate) fn try_old(&self, page: u16) -> Option<bool> {
        let space = self.space();
        let (old, new) = (self.published(space, page), self.begun(space, page));
        self.count_access();
        if old.shows() != new.shows() {
            let found = self.load_word(page);
            if found != old.shows() && found != new.shows() {
                self.fail(Kind::StaleLoad, (space, page), new.shows(), found);
            }
            Some(found == old.shows())
        } else if old.is_writable() && !new.is_writable() {
            Some(self.store_to(page, 1))
        } else {
            None
        }
    }

    /// Loads from the page that another CPU changes in storms; returns what it finds.
    pub(crate) fn load_of_storm(&self, cpu: u32) -> u64 {
        let post = self.shared.post(cpu);
        let before = post.storm_published.load(Ordering::Acquire);
        let found = self.platform.load(storm_page(cpu), 0).unwrap_or(FAULT);
        let after = post.storm_begun.load(Ordering::Acquire);
        self.count_access();
        if found < before || found > after {
            let Page::Small(page) = storm_page(cpu) else {
                return found;
            };
            self.fail(Kind::StaleLoad, (self.space(), page), before, found);
        }
        found
    }
}
