//! Entries for the host while a guest runs.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Acquire, Release};

use rar_payload::{Globals, InvpcidScope, InvpgScope, Operation, PageSize};

use crate::failure::Assertion::{Control, GuestEnds, Mapped};
use crate::failure::Place;
use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_frame, new_value, old_value};
use crate::tests::remap::map_and_touch;
use crate::tests::unit::bench::{Bench, FIRST, GO, READY, SERVING, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, prepare};

/// Set when the guests have shown that they use the old translation.
const SHOWN: usize = 2;
/// Set when the entry has been executed.
const EXECUTED: usize = 3;
/// What a target publishes: the entry has dropped the translation of the guest, and of the host.
const GUEST_GONE: u64 = 1;
const HOST_GONE: u64 = 2;

/// An entry flushes the translations of the host that it names, also while a guest runs.
///
/// *Observed*: the document's section about guests is not public, but a host has no use for any
/// other behaviour.
pub(crate) fn runs<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::All, || {
            if t.is_initiator() {
                bench.await_moment(READY, t.platform.cpus() - 1);
                bench.flush_others(FIRST, bench.pages(0, 1));
                bench.announce(GO);
            } else {
                let entered = Cell::new(false);
                let ended = bench.units.run_guest(&|| {
                    if !entered.replace(true) {
                        bench.announce(READY);
                    }
                    t.word(GO).load(Acquire) != 0 || t.shared.failure.is_set()
                });
                if !ended {
                    t.fail(GuestEnds, Place::Number(t.me), 1, 0);
                }
            }
        });
        expect_page_0_flushed(bench);
    });
}

/// *Observed*: whose translations an entry drops that arrives while a guest runs: those of the
/// host, those of the guest with its own tag, or both.
pub(crate) fn tags<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let start = t.platform.address(Page::Small(1));
        let Some(pages) = bench.chunk(start, 1, PageSize::Size4K) else {
            return;
        };
        let invpg = Operation::Invpg {
            cr3: None,
            scope: InvpgScope::Pages(pages),
        };
        let all = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
        let entries = [
            ("INVPCID", bench.pages(0, 1)),
            ("INVPG", invpg),
            ("all", all),
        ];
        show_tags_stay(bench, 3);
        for ((name, entry), page) in entries.into_iter().zip(0..) {
            observe_tags(bench, page, name, entry);
        }
    });
}

/// The positive control: without an entry, neither a guest nor its host loses a translation. The
/// way into a guest and out of it (VMXON to VMXOFF) may drop some.
fn show_tags_stay<L: Platform>(bench: &Bench<'_, '_, L>, page: u16) {
    let t = bench.t;
    meet_guests(bench, page, || {});
    t.step(Participants::Others, || {
        let seen = t.published(t.me).load(Acquire);
        t.assert(Control, Place::At(Page::Small(page)), 0, seen);
    });
}

fn observe_tags<L: Platform>(bench: &Bench<'_, '_, L>, page: u16, name: &str, entry: Operation) {
    let t = bench.t;
    meet_guests(bench, page, || {
        bench.order(FIRST, entry, bench.others());
        bench.signal(bench.others());
        bench.await_success(FIRST, bench.others());
    });
    t.step(Participants::Initiator, || {
        let count = |bit| {
            let seen = bench.others().map(|cpu| t.published(cpu).load(Acquire));
            seen.filter(|seen| seen & bit != 0).count()
        };
        let (hosts, guests) = (count(HOST_GONE), count(GUEST_GONE));
        t.observe(format_args!(
            "{name}: of {} targets dropped by {hosts} hosts, {guests} guests",
            bench.others().count(),
        ));
    });
}

/// Makes a page stale in all other CPUs and in guests on them, and calls `flush` while the guests
/// run. The CPUs publish which of the two translations is gone.
fn meet_guests<L: Platform>(bench: &Bench<'_, '_, L>, page: u16, flush: impl Fn()) {
    let t = bench.t;
    t.step(Participants::Initiator, || {
        for word in [READY, GO, SHOWN, EXECUTED] {
            t.word(word).store(0, Release);
        }
    });
    t.step(Participants::All, || t.platform.flush_own_tlb());
    map_and_touch(t, page, 1, Scope::Space);
    t.step(Participants::All, || bench.program(SERVING));
    t.step(Participants::All, || {
        if t.is_initiator() {
            let others = t.platform.cpus() - 1;
            bench.await_moment(READY, others);
            t.map(Page::Small(page), new_frame(page));
            bench.announce(GO);
            bench.await_moment(SHOWN, others);
            flush();
            bench.announce(EXECUTED);
        } else {
            let seen = stay(bench, page);
            let host = t.platform.load(Page::Small(page), 0) == Ok(new_value(page));
            let seen = seen | if host { HOST_GONE } else { 0 };
            t.published(t.me).store(seen, Release);
        }
    });
}

/// Runs a guest until the entry has been executed. Returns whether its own translation is gone.
fn stay<L: Platform>(bench: &Bench<'_, '_, L>, page: u16) -> u64 {
    let t = bench.t;
    let (entered, shown, gone) = (Cell::new(false), Cell::new(false), Cell::new(0));
    let at = Place::At(Page::Small(page));
    let load = || t.platform.load(Page::Small(page), 0).unwrap_or(u64::MAX);
    let is_set = |word| t.word(word).load(Acquire) != 0;
    let ended = bench.units.run_guest(&|| {
        if !entered.replace(true) {
            t.assert(Mapped, at, old_value(page), load());
            bench.announce(READY);
        }
        if !shown.get() && is_set(GO) {
            let found = load();
            t.shared.controls.take(t.me, found, new_value(page));
            t.assert(Control, at, old_value(page), found);
            shown.set(true);
            bench.announce(SHOWN);
        }
        if is_set(EXECUTED) {
            gone.set(if load() == new_value(page) {
                GUEST_GONE
            } else {
                0
            });
            return true;
        }
        t.shared.failure.is_set()
    });
    if !ended {
        t.fail(GuestEnds, Place::Number(t.me), 1, 0);
    }
    gone.get()
}
