//! Four CPUs that flush each other at once, their units on threads of their own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rar_model::{Faults, Knobs, PageSize, Scan, ScanOrder, TableSize, Tag};
use rar_payload::Request;
use rar_percpu::Enabled;
use rar_percpu::fake::pinned;

use crate::driver_machine::{
    Board, Config, PCID, Rig, Service, Unit, disable, enable, frame_of, run, run_in_trouble,
};
use crate::scene::{BASE, members, pages, pcid};

const CPUS: u32 = 4;
/// Each CPU changes its own pages, and all use all.
const PAGES_EACH: usize = 2;
const PAGES: usize = CPUS as usize * PAGES_EACH;

fn address(page: usize) -> u64 {
    BASE + ((page as u64) << 12)
}

/// For each page the oldest frame that may still be used: raised after a flush has ended.
struct Oracle {
    oldest: [AtomicU64; PAGES],
    stale_uses: AtomicU64,
}

impl Oracle {
    fn new<const TLB: usize>(board: &Board<'_, TLB>) -> Self {
        for page in 0..PAGES {
            board
                .tables
                .map(Tag::Pcid(PCID), address(page), PageSize::Size4K);
        }
        Self {
            oldest: [const { AtomicU64::new(1) }; PAGES],
            stale_uses: AtomicU64::new(0),
        }
    }

    /// Uses a page on a CPU. What was flushed before the look at `oldest` must not be used after it.
    fn use_page<const TLB: usize>(&self, board: &Board<'_, TLB>, cpu: usize, page: usize) {
        let oldest = self.oldest[page].load(Ordering::Acquire);
        let used = board.access(cpu, address(page)).unwrap();
        if frame_of(&used) < oldest {
            self.stale_uses.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn flushed(&self, page: usize, frame: u64) {
        self.oldest[page].fetch_max(frame, Ordering::AcqRel);
    }
}

/// One CPU's life: use every page, change an own one, flush it from all.
fn churn<const TLB: usize>(rig: &Rig<'_, TLB>, oracle: &Oracle, cpu: u32, rounds: usize) {
    let (this, targets) = (pinned(cpu), members(&[0, 1, 2, 3]));
    for round in 0..rounds {
        for page in 0..PAGES {
            oracle.use_page(rig.board, cpu as usize, page);
        }
        let page = cpu as usize * PAGES_EACH + round % PAGES_EACH;
        let frame = rig.board.tables.remap(Tag::Pcid(PCID), address(page));
        let request = match round % 16 {
            0 => Request::AddressSpace { pcid: pcid(PCID) },
            _ => pages(page as u64, 1),
        };
        rig.shootdown.flush(&this, &[request], &targets).unwrap();
        oracle.flushed(page, frame);
        // At once, since every further flush would wait as long.
        let statistics = rig.shootdown.statistics();
        assert_eq!((statistics.fallbacks, statistics.errors), (0, 0));
    }
}

fn all_at_once<const TLB: usize>(rig: &Rig<'_, TLB>, rounds: usize) -> u64 {
    let oracle = Oracle::new(rig.board);
    std::thread::scope(|scope| {
        for cpu in 0..CPUS {
            let oracle = &oracle;
            scope.spawn(move || churn(rig, oracle, cpu, rounds));
        }
    });
    oracle.stale_uses.into_inner()
}

/// 20,800 flushes in all.
#[test]
fn nobody_uses_a_translation_that_was_flushed() {
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
        run::<16>(
            Config::new(knobs).served(Service::Threads),
            |rig, _units| {
                assert_eq!(all_at_once(rig, 1_300), 0);
            },
        );
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
    run::<16>(Config::new(lie).served(Service::Threads), |rig, _units| {
        // Where CPUs share few cores, a host may run one after the other, and nobody uses what was not flushed.
        let caught = (0..100).any(|_| all_at_once(rig, 100) != 0);
        assert!(caught, "no stale use in 100 runs");
    });
}

/// CPU 3 goes offline and comes back all the while, its registers lost each time.
#[test]
fn nobody_uses_a_stale_translation_across_hotplug() {
    // A byte armed for a CPU that has just gone may cost a slot for a while, so that a flush may find none.
    run_in_trouble::<16>(
        Config::new(Knobs::DEFAULT).served(Service::Threads),
        |rig, mut units| {
            let oracle = Oracle::new(rig.board);
            let over = AtomicBool::new(false);
            let mut unit = units.pop().unwrap();
            std::thread::scope(|scope| {
                let (oracle, over) = (&oracle, &over);
                let flushers: Vec<_> = (0..3)
                    .map(|cpu| scope.spawn(move || churn(rig, oracle, cpu, 300)))
                    .collect();
                scope.spawn(move || {
                    let mut visits = 0;
                    while !over.load(Ordering::Acquire) {
                        for page in 0..PAGES {
                            oracle.use_page(rig.board, 3, page);
                        }
                        unit = off_and_on(rig, unit);
                        visits += 1;
                        std::thread::yield_now();
                    }
                    assert!(
                        visits > 20,
                        "too little hotplug to prove anything: {visits}"
                    );
                });
                let ended: Vec<_> = flushers.into_iter().map(|flusher| flusher.join()).collect();
                over.store(true, Ordering::Release);
                assert!(ended.iter().all(Result::is_ok));
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
        },
    );
}

fn off_and_on<'r, const TLB: usize>(
    rig: &Rig<'r, TLB>,
    unit: Unit<'r, Enabled>,
) -> Unit<'r, Enabled> {
    let detected = disable(rig.board, unit, 3).unwrap();
    rig.board.power_cycle(3);
    let configured = detected.configure(&pinned(3), rig.board.memory()).unwrap();
    enable(rig.board, configured, 3, rig.interrupts).unwrap()
}
