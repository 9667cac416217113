//! One flush, by each method.

use core::sync::atomic::{Ordering, fence};

use rar_payload::{Globals, Request};
use rar_percpu::{AtomicCpuSet, CpuId, CpuSet, LocalTlb as _};
use rar_shootdown::Machine as _;

use super::points::{EVERYTHING, Point};
use crate::lab::{Lab, Page, Space};
use crate::measurement::Method;
use crate::trial::{Trial, milliseconds_between};

/// How many milliseconds a target may take to answer an NMI.
const NMI_MILLISECONDS: u64 = 250;

/// How many of the pages under test a flush of this kind names or, if it names none, is watched by.
pub(super) fn watched(pages: u32) -> u16 {
    match u16::try_from(pages) {
        Ok(pages) if pages > 0 => pages,
        _ => 16,
    }
}

/// Flushes once; returns whether it ended well.
pub(super) fn flush<L: Lab>(t: &Trial<'_, L>, point: &Point, targets: &AtomicCpuSet) -> bool {
    match point.method {
        Method::Rar | Method::Ipi => by_driver(t, point, targets),
        Method::Nmi => by_nmi(t, point.targets),
        Method::Clock => true,
        Method::Invlpg => {
            (0..watched(point.pages)).for_each(|page| t.lab.invlpg(Page::Small(page)));
            true
        }
        Method::Full => {
            let tlb = t.lab.shootdown().machine().tlb();
            tlb.flush_everything(&t.lab.pin());
            true
        }
        Method::Cr3 => {
            t.lab.enter(Space::First);
            true
        }
    }
}

fn by_driver<L: Lab>(t: &Trial<'_, L>, point: &Point, targets: &AtomicCpuSet) -> bool {
    let request = match point.pages {
        EVERYTHING => Request::Everything {
            globals: Globals::Include,
        },
        pages => t.pages(0, watched(pages)),
    };
    let cpu = t.lab.pin();
    t.lab.shootdown().flush(&cpu, &[request], targets).is_ok()
}

/// The same that the driver does when the signal fails, but at once and by NMI: it asks CPU 1 to `targets` by flush generation, flushes
/// itself, and waits.
fn by_nmi<L: Lab>(t: &Trial<'_, L>, targets: u32) -> bool {
    let shootdown = t.lab.shootdown();
    let targets = || (1..=targets).map(CpuId::new);
    let mut set = CpuSet::new();
    for cpu in targets() {
        // The suite runs on fewer CPUs than a set can name.
        let _fits = set.insert(cpu);
    }
    // The page-table stores before the requests.
    fence(Ordering::SeqCst);
    let ticket = shootdown.domain().request_full_flush(&set);
    for cpu in targets() {
        t.lab.send_nmi(cpu);
    }
    shootdown.machine().tlb().flush_everything(&t.lab.pin());
    let started = t.lab.now();
    for cpu in targets() {
        while !shootdown.domain().is_flushed(cpu, ticket) {
            if milliseconds_between(started, t.lab.now()) > NMI_MILLISECONDS {
                return false;
            }
            t.lab.relax();
        }
    }
    true
}
