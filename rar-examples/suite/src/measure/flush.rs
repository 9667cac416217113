//! One flush, by each method, or what it is compared with.

use core::sync::atomic::{Ordering, fence};

use rar_payload::{Globals, Request};
use rar_percpu::{CpuId, CpuSet, LocalTlb as _};
use rar_shootdown::Machine as _;
use rar_vocabulary::Method;

use super::points::{EVERYTHING, Point};
use crate::platform::{Page, Platform};
use crate::space::Space;
use crate::test_run::{TestRun, milliseconds_between};

/// How many polls the initiator makes before it also reads the clock.
const MAX_POLLS: u32 = 1_000;

/// How many pages under test a flush of this kind names or, if it names none, is checked with.
pub(super) fn watched(pages: u32) -> u16 {
    match u16::try_from(pages) {
        Ok(pages) if pages > 0 => pages,
        _ => 16,
    }
}

/// Returns CPU 1 to `targets`.
pub(super) fn others(targets: u32) -> CpuSet {
    let mut set = CpuSet::new();
    for cpu in 1..=targets {
        // The suite runs on fewer CPUs than a set can name.
        let _fits = set.insert(CpuId::new(cpu));
    }
    set
}

/// Flushes once; `round` counts from 0. Returns whether the flush succeeded. `others` are the
/// targets, without the initiator.
pub(super) fn flush<L: Platform>(
    t: &TestRun<'_, L>,
    point: &Point,
    others: &CpuSet,
    round: u64,
) -> bool {
    match point.method {
        Method::Rar | Method::Ipi => by_driver(t, point),
        Method::Nmi => by_nmi(t, others),
        Method::BareIpi => bare_ipi(t, others, round),
        Method::BareExit => t.platform.bare_exit(),
        Method::Clock => true,
        Method::Invlpg => {
            (0..watched(point.pages)).for_each(|page| t.platform.invlpg(Page::Small(page)));
            true
        }
        Method::Full => {
            let tlb = t.platform.shootdown().machine().tlb();
            tlb.flush_everything(&t.platform.pin());
            true
        }
        Method::Cr3 => {
            t.platform.enter(Space::First);
            true
        }
    }
}

fn by_driver<L: Platform>(t: &TestRun<'_, L>, point: &Point) -> bool {
    let request = match point.pages {
        EVERYTHING => Request::Everything {
            globals: Globals::Include,
        },
        pages => t.pages(0, watched(pages)),
    };
    let cpu = t.platform.pin();
    let targets = &t.shared.chosen;
    t.platform
        .shootdown()
        .flush(&cpu, &[request], targets)
        .is_ok()
}

/// Interrupts the targets, which have counted `round` of these interrupts so far, and waits until
/// each has counted one more.
fn bare_ipi<L: Platform>(t: &TestRun<'_, L>, targets: &CpuSet, round: u64) -> bool {
    t.platform.send_bare_ipi(targets)
        && targets.iter().all(|cpu| {
            let answers = t.platform.bare_ipis(cpu);
            is_soon(t, || answers.load(Ordering::Acquire) > round)
        })
}

/// Does what the driver does when the signal fails, but at once and by NMI: requests a flush
/// generation of the targets, flushes this CPU, and waits.
fn by_nmi<L: Platform>(t: &TestRun<'_, L>, targets: &CpuSet) -> bool {
    let shootdown = t.platform.shootdown();
    // Orders the page-table stores before the requests.
    fence(Ordering::SeqCst);
    let ticket = shootdown.domain().request_full_flush(targets);
    for cpu in targets.iter() {
        t.platform.send_nmi(cpu);
    }
    shootdown
        .machine()
        .tlb()
        .flush_everything(&t.platform.pin());
    let flushed = |cpu| is_soon(t, || shootdown.domain().is_flushed(cpu, ticket));
    targets.iter().all(flushed)
}

/// Waits for an answer; returns whether it arrived. Reads the clock only after many polls.
fn is_soon<L: Platform>(t: &TestRun<'_, L>, answered: impl Fn() -> bool) -> bool {
    for _ in 0..MAX_POLLS {
        if answered() {
            return true;
        }
        t.platform.relax();
    }
    let started = t.platform.now();
    while !answered() {
        if milliseconds_between(started, t.platform.now()) > t.answer_milliseconds() {
            return false;
        }
        t.platform.relax();
    }
    true
}
