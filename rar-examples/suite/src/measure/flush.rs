//! One flush, by each method.

use core::sync::atomic::{Ordering, fence};

use rar_payload::{Globals, Request};
use rar_percpu::{AtomicCpuSet, CpuId, LocalTlb as _};
use rar_shootdown::Machine as _;

use super::points::{EVERYTHING, Point};
use crate::lab::{Lab, Page, Space};
use crate::measurement::Method;
use crate::trial::Trial;

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
    let generation = |cpu: u32| {
        let state = shootdown.domain().cpu(CpuId::new(cpu));
        state.map(|state| state.generation())
    };
    // The page-table stores before the requests.
    fence(Ordering::SeqCst);
    for cpu in 1..=targets {
        if let Some(generation) = generation(cpu) {
            generation.request();
        }
    }
    for cpu in 1..=targets {
        t.lab.send_nmi(CpuId::new(cpu));
    }
    shootdown.machine().tlb().flush_everything(&t.lab.pin());
    let started = t.lab.now();
    let limit = NMI_MILLISECONDS * t.lab.ticks_per_millisecond();
    for generation in (1..=targets).filter_map(generation) {
        // Nobody else asks, so the newest request is this one.
        while !generation.is_completed(generation.newest()) {
            if t.lab.now().is_past(started, limit) {
                return false;
            }
            t.lab.relax();
        }
    }
    true
}
