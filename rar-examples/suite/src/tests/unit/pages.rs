//! What an entry evicts, and what it keeps.

use rar_payload::{Globals, InvpcidScope, InvpgScope, Operation, PageSize};

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::large_page;
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::tables::swap_and_control;
use crate::tests::unit::bench::{Bench, FIRST, SERVING, without_driver};

/// Pages on either side that must still be served from the TLB.
const MARGIN: u16 = 3;

/// Exactly `COUNT` pages are flushed: their neighbours on both sides stay cached.
pub(crate) fn exactly<L: Platform, const COUNT: u16>(t: &TestRun<'_, L>) {
    let all = COUNT + 2 * MARGIN;
    without_driver(t, |bench| {
        map_and_touch(t, 0, all, Scope::Space);
        remap_and_control(t, 0, all, Scope::Space);
        flush(bench, bench.pages(MARGIN, COUNT));
        t.step(Participants::Others, || {
            for page in (0..MARGIN).chain(MARGIN + COUNT..all) {
                t.expect_kept(Page::Small(page), old_value(page));
            }
            for page in MARGIN..MARGIN + COUNT {
                t.expect_gone(Page::Small(page), new_value(page));
            }
        });
    });
}

/// An entry of one 4 KiB page in the middle of a 2 MiB page drops that page, as INVLPG does.
///
/// *Observed*: no source states it for RAR.
pub(crate) fn small_stride<L: Platform>(t: &TestRun<'_, L>) {
    const INSIDE: u64 = 5 << 12;
    flush_large_page(t, |bench| {
        bench.range(Page::Large, INSIDE.wrapping_neg(), 1, PageSize::Size4K)
    });
}

/// An entry of two 2 MiB pages drops the second one.
pub(crate) fn large_stride<L: Platform>(t: &TestRun<'_, L>) {
    flush_large_page(t, |bench| {
        let before = PageSize::Size2M.bytes();
        bench.range(Page::Large, before, 2, PageSize::Size2M)
    });
}

/// Which translations an INVPCID entry of each subtype drops: a global page, a page that an address
/// names, another page.
pub(crate) fn subtypes<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let pcid = bench.pcid();
        let all = |globals| Operation::Invpcid(InvpcidScope::AllContexts(globals));
        // Page 0 is global, pages 0 and 1 are named.
        let cases = [
            (bench.pages(0, 2), [false, true, false]),
            (
                Operation::Invpcid(InvpcidScope::Context { pcid }),
                [false, true, true],
            ),
            (all(Globals::Exclude), [false, true, true]),
            (all(Globals::Include), [true, true, true]),
        ];
        for (operation, gone) in cases {
            check(bench, operation, gone);
        }
    });
}

/// Type 1 drops the pages that it names of the current PCID, global ones too.
///
/// *Observed*: it imitates INVLPG; that it follows INVLPG's other rules is inferred.
pub(crate) fn invpg<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let start = t.platform.address(Page::Small(0));
        if let Some(pages) = bench.chunk(start, 2, PageSize::Size4K) {
            let scope = InvpgScope::Pages(pages);
            let operation = Operation::Invpg { cr3: None, scope };
            check(bench, operation, [true, true, false]);
        }
        for (globals, gone) in [(Globals::Exclude, false), (Globals::Include, true)] {
            let scope = InvpgScope::All(globals);
            check(
                bench,
                Operation::Invpg { cr3: None, scope },
                [gone, true, true],
            );
        }
    });
}

/// An entry that names a page drops its paging-structure caches: the next walk finds the new page
/// table.
///
/// *Observed*: that the rules of the imitated instruction hold for paging-structure caches is
/// inferred.
pub(crate) fn structures<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 40, Scope::Space);
        swap_and_control(t, Participants::All);
        flush(bench, bench.pages(7, 1));
        t.step(Participants::Others, || {
            t.expect_gone(Page::Small(7), new_value(7))
        });
    });
}

/// Flushes pages 0 (global), 1 (named, as page 0 is) and 2, and asserts which of them are gone.
fn check<L: Platform>(bench: &Bench<'_, '_, L>, operation: Operation, gone: [bool; 3]) {
    let t = bench.t;
    let [global, named, other] = gone;
    // Where no page can be global, page 0 is as page 1.
    let first = if t.platform.has_global_pages() {
        global
    } else {
        named
    };
    let gone = [first, named, other];
    t.step(Participants::All, || t.platform.flush_own_tlb());
    map_and_touch(t, 0, 1, Scope::Global);
    map_and_touch(t, 1, 2, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Global);
    remap_and_control(t, 1, 2, Scope::Space);
    flush(bench, operation);
    t.step(Participants::Others, || {
        for (page, gone) in (0..).zip(gone) {
            if gone {
                t.expect_gone(Page::Small(page), new_value(page));
            } else {
                t.expect_kept(Page::Small(page), old_value(page));
            }
        }
    });
}

fn flush_large_page<'a, L: Platform>(
    t: &TestRun<'a, L>,
    operation: impl Fn(&Bench<'_, 'a, L>) -> Operation,
) {
    without_driver(t, |bench| {
        large_page::remap_and_control(t);
        flush(bench, operation(bench));
        t.step(Participants::Others, || {
            t.expect_gone(Page::Large, large_page::NEW)
        });
    });
}

/// Flushes on all CPUs except the initiator.
fn flush<L: Platform>(bench: &Bench<'_, '_, L>, operation: Operation) {
    bench.t.step(Participants::All, || bench.program(SERVING));
    bench.t.step(Participants::Initiator, || {
        bench.flush_others(FIRST, operation)
    });
}
