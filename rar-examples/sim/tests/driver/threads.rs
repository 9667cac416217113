//! Four CPUs that flush each other at once, each on a thread of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rar_model::{Faults, Knobs, PageSize, Scan, ScanOrder, TableSize, Tag};
use rar_payload::Request;
use rar_percpu::Enabled;
use rar_percpu::fake::pinned;

use crate::page_tables::frame_of;
use crate::rig::{CountOnDrop, PCID, Rig, Setup, Unit, disable, enable, run, run_in_trouble};
use crate::scene::{BASE, members, pages, pcid};

const CPUS: usize = 4;
/// Each CPU changes its own pages and uses all pages.
const PAGES_EACH: usize = 2;
const PAGES: usize = CPUS * PAGES_EACH;

fn address(page: usize) -> u64 {
    BASE + ((page as u64) << 12)
}

/// For each page the oldest frame that may still be used: raised after a flush has ended.
struct Oracle {
    oldest: [AtomicU64; PAGES],
    stale_uses: AtomicU64,
}

impl Oracle {
    fn new<const TLB: usize>(rig: &Rig<'_, TLB>) -> Self {
        for page in 0..PAGES {
            rig.tables
                .map(Tag::Pcid(PCID), address(page), PageSize::Size4K);
        }
        Self {
            oldest: [const { AtomicU64::new(1) }; PAGES],
            stale_uses: AtomicU64::new(0),
        }
    }

    /// Uses a page on a CPU. A translation flushed before the read of `oldest` must not be used
    /// after it.
    fn use_page<const TLB: usize>(&self, rig: &Rig<'_, TLB>, cpu: u32, page: usize) {
        let oldest = self.oldest[page].load(Ordering::Acquire);
        let used = rig.access(cpu, address(page)).unwrap();
        if frame_of(&used) < oldest {
            self.stale_uses.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn flushed(&self, page: usize, frame: u64) {
        self.oldest[page].fetch_max(frame, Ordering::AcqRel);
    }
}

/// Runs one CPU: uses every page, changes one of its own, flushes it on all CPUs.
fn churn<const TLB: usize>(rig: &Rig<'_, TLB>, oracle: &Oracle, cpu: u32, rounds: usize) {
    let (this, targets) = (pinned(cpu), members(&[0, 1, 2, 3]));
    for round in 0..rounds {
        for page in 0..PAGES {
            oracle.use_page(rig, cpu, page);
        }
        let page = cpu as usize * PAGES_EACH + round % PAGES_EACH;
        let frame = rig.tables.remap(Tag::Pcid(PCID), address(page));
        let request = match round % 16 {
            0 => Request::AddressSpace { pcid: pcid(PCID) },
            _ => pages(page as u64, 1),
        };
        rig.shootdown.flush(&this, &[request], &targets).unwrap();
        oracle.flushed(page, frame);
        // Checked at once, since every further flush would wait as long.
        let statistics = rig.shootdown.statistics();
        assert_eq!((statistics.fallbacks, statistics.errors), (0, 0));
    }
}

fn all_at_once<const TLB: usize>(rig: &Rig<'_, TLB>, rounds: usize) -> u64 {
    let oracle = Oracle::new(rig);
    rig.on_threads(&|cpu| churn(rig, &oracle, cpu, rounds));
    oracle.stale_uses.into_inner()
}

/// 20,800 flushes in all.
#[test]
fn no_cpu_uses_a_flushed_translation() {
    let units = [
        Knobs::DEFAULT,
        Knobs::SPARING,
        Knobs {
            order: ScanOrder::From(1),
            scan: Scan::Twice,
            ..Knobs::DEFAULT
        },
        Knobs {
            table: TableSize::new(4).unwrap(),
            order: ScanOrder::From(2),
            ..Knobs::SPARING
        },
    ];
    for knobs in units {
        run::<16>(Setup::new(knobs).threads(), |rig, _units| {
            assert_eq!(all_at_once(rig, 1_300), 0);
        });
    }
}

#[test]
fn the_oracle_catches_a_unit_that_lies_now_and_then() {
    let lie = Knobs {
        faults: Faults {
            lie: 1 << 1,
            ..Faults::NONE
        },
        ..Knobs::DEFAULT
    };
    // A host with few cores may run one CPU after the other, so that no stale use happens.
    let caught = (0..100).any(|_| {
        let mut stale_uses = 0;
        run::<16>(Setup::new(lie).threads(), |rig, _units| {
            stale_uses = all_at_once(rig, 100);
        });
        stale_uses != 0
    });
    assert!(caught, "no stale use in 100 runs");
}

/// CPU 3 goes offline and online in a loop, and loses its registers each time.
#[test]
fn no_cpu_uses_a_stale_translation_across_hotplug() {
    // A byte armed for a CPU that has just left may occupy a slot for a while, so a flush may find
    // none.
    run_in_trouble::<16>(Setup::new(Knobs::DEFAULT).threads(), |rig, mut units| {
        let oracle = Oracle::new(rig);
        let flushers_ended = AtomicU32::new(0);
        let leaver = Mutex::new(units.pop());
        rig.on_threads(&|cpu| {
            if cpu != 3 {
                let _ended = CountOnDrop(&flushers_ended);
                return churn(rig, &oracle, cpu, 300);
            }
            let mut unit = leaver.lock().unwrap().take().unwrap();
            let mut visits = 0;
            while flushers_ended.load(Ordering::Acquire) < 3 {
                for page in 0..PAGES {
                    oracle.use_page(rig, 3, page);
                }
                unit = off_and_on(rig, unit);
                visits += 1;
            }
            assert!(
                visits > 20,
                "too little hotplug to prove anything: {visits}"
            );
        });
        assert_eq!(oracle.stale_uses.into_inner(), 0);
        let statistics = rig.shootdown.statistics();
        assert_eq!(
            (
                statistics.fallbacks,
                statistics.resignals,
                statistics.failures,
                statistics.errors
            ),
            (0, 0, 0, 0),
            "leaving is recognised, not waited out"
        );
    });
}

fn off_and_on<'r, const TLB: usize>(
    rig: &Rig<'r, TLB>,
    unit: Unit<'r, Enabled, TLB>,
) -> Unit<'r, Enabled, TLB> {
    let detected = disable(rig.machine, unit, 3).unwrap();
    rig.machine.cpu(3).power_cycle();
    let configured = detected
        .configure(&pinned(3), rig.machine.driver())
        .unwrap();
    enable(rig, configured, 3).unwrap()
}
