//! Each count rises by exactly what happened, on the CPU where it happened, and on no other.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use rar_payload::{CostModel, Globals, PageRange, PageSize, Pcid, Request, TableOwner};
use rar_percpu::fake::{in_nmi, pinned};
use rar_percpu::{ApicId, CpuId, PerCpu, SoftwareCpu};
use rar_shootdown::fake::{FakeMachine, Hearing};
use rar_shootdown::{
    AllOnline, Counting, LazySkip, Machine, Policy, Shootdown, Statistics, WaitTimes,
};

const CPUS: usize = 4;

type Fake = Shootdown<FakeMachine<CPUS>, 1>;

/// A policy whose times are looks at the fake's clock, which goes on by a nanosecond each.
fn policy(counting: Counting) -> Policy {
    let mut policy = Policy::new();
    policy.answer_timeout = Duration::from_nanos(400);
    policy.fallback_timeout = Duration::from_nanos(400);
    policy.slot_timeout = Duration::from_nanos(10);
    policy.resignal_after = Some(Duration::from_nanos(200));
    policy.lazy = LazySkip::LOWER_HALF;
    policy.counting = counting;
    policy
}

fn fake(change: impl FnOnce(&mut Policy)) -> Fake {
    let mut policy = policy(Counting::Flushes);
    change(&mut policy);
    let shootdown = Fake::new(FakeMachine::new(), policy);
    for number in 0..4 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        let (domain, cpu) = (shootdown.domain(), pinned(number));
        domain
            .register(cpu.id(), ApicId::new(number), memory)
            .unwrap();
        let tlb = Machine::<1>::tlb(shootdown.machine());
        std::mem::forget(SoftwareCpu::bring_online(domain, &cpu, tlb).unwrap());
    }
    shootdown
}

/// Asserts what CPU 2 has counted, and that no other CPU has counted anything.
#[track_caller]
fn assert_counted(shootdown: &Fake, change: impl FnOnce(&mut Statistics)) {
    let mut expected = Statistics::default();
    change(&mut expected);
    for number in [0, 1, 3] {
        let other = shootdown.statistics_of(CpuId::new(number)).unwrap();
        assert_eq!(other, Statistics::default(), "CPU {number}");
    }
    let (quarantined, mut all) = (expected.quarantined, shootdown.statistics());
    assert_eq!(all.quarantined, quarantined);
    (all.quarantined, expected.quarantined) = (0, 0);
    assert_eq!(shootdown.statistics_of(CpuId::new(2)), Some(expected));
    assert_eq!(all, expected);
}

fn pcid(number: u16) -> Pcid {
    Pcid::new(number).unwrap()
}

fn pages(space: u16, first: u64, count: u64) -> Request {
    Request::Pages {
        pcid: pcid(space),
        range: PageRange::new(first << 12, count, PageSize::Size4K).unwrap(),
    }
}

fn flush(shootdown: &Fake, requests: &[Request]) {
    shootdown.flush(&pinned(2), requests, &AllOnline).unwrap();
}

fn start_and_wait(shootdown: &Fake, requests: &[Request]) {
    let started = shootdown.start(&pinned(2), requests, &AllOnline, ());
    started.wait(&pinned(2)).unwrap();
}

/// Asserts what one flush of the requests counts, whichever way it is made.
#[track_caller]
fn assert_flush(requests: &[Request], change: impl Fn(&mut Statistics)) {
    for way in [flush, start_and_wait] {
        let shootdown = fake(|_| {});
        way(&shootdown, requests);
        assert_counted(&shootdown, |expected| {
            (expected.flushes, expected.targets) = (1, 3);
            change(expected);
        });
        // Nothing of the ordinary is counted unless the policy asks for it.
        let shootdown = fake(|policy| policy.counting = Counting::Rare);
        way(&shootdown, requests);
        assert_counted(&shootdown, |expected| {
            let mut all = Statistics::default();
            change(&mut all);
            expected.collapsed = all.collapsed;
        });
    }
}

#[test]
fn pages_are_counted_once_a_flush() {
    assert_flush(&[pages(5, 1, 3)], |expected| expected.pages = 3);
    assert_flush(&[pages(5, 1, 3), pages(6, 1, 2)], |expected| {
        expected.pages = 5;
    });
    let four = [0, 100, 200, 300].map(|first| pages(5, first, 2));
    assert_flush(&four, |expected| expected.pages = 8);
}

#[test]
fn each_whole_space_has_its_cause() {
    let whole = Request::AddressSpace { pcid: pcid(5) };
    assert_flush(&[whole], |expected| expected.whole_asked = 1);
    let everything = Request::Everything {
        globals: Globals::Include,
    };
    assert_flush(&[everything], |expected| expected.whole_asked = 1);
    let freed = Request::TablesFreed(TableOwner::AddressSpace(pcid(5)));
    assert_flush(&[freed], |expected| expected.whole_tables = 1);
    let freed = Request::TablesFreed(TableOwner::Kernel);
    assert_flush(&[freed], |expected| expected.whole_tables = 1);
    let range = PageRange::page(0x1000, PageSize::Size4K).unwrap();
    assert_flush(&[Request::GlobalPages { range }], |expected| {
        expected.whole_globals = 1;
    });
    // 100 pages are two operations, and cost more than the space.
    assert_flush(&[pages(5, 1, 100)], |expected| {
        (expected.whole_cheaper, expected.merged) = (1, 1);
    });
    assert_flush(&[pages(5, 1, 100), whole, pages(6, 1, 1)], |expected| {
        (expected.whole_asked, expected.pages, expected.merged) = (1, 1, 2);
    });
}

#[test]
fn ranges_that_touch_are_merged() {
    let five = [0, 1, 2, 3, 4].map(|first| pages(5, first, 1));
    assert_flush(&five, |expected| (expected.pages, expected.merged) = (5, 4));
}

#[test]
fn too_few_entries_widen_and_are_a_cause_of_their_own() {
    let five = [0, 10, 20, 30, 40].map(|first| pages(5, first, 1));
    assert_flush(&five, |expected| {
        (expected.whole_crowded, expected.merged, expected.collapsed) = (1, 4, 1);
    });
    // The policy leaves room for two, the table for one.
    let shootdown = fake(|policy| policy.costs = CostModel::EXACT);
    shootdown.domain().limit_entries(1);
    flush(&shootdown, &[pages(5, 0, 1), pages(5, 10, 1)]);
    assert_counted(&shootdown, |expected| {
        (expected.flushes, expected.targets) = (1, 3);
        (expected.whole_crowded, expected.merged, expected.collapsed) = (1, 1, 1);
    });
}

#[test]
fn no_request_is_no_flush_and_no_target_is_one() {
    for way in [flush, start_and_wait] {
        let shootdown = fake(|_| {});
        way(&shootdown, &[]);
        assert_counted(&shootdown, |_| {});
        let none = rar_percpu::AtomicCpuSet::<1>::new();
        shootdown
            .flush(&pinned(2), &[pages(5, 1, 1)], &none)
            .unwrap();
        assert_counted(&shootdown, |expected| {
            (expected.flushes, expected.pages) = (1, 1);
        });
    }
}

#[test]
fn a_lazy_target_is_skipped() {
    for way in [flush, start_and_wait] {
        let shootdown = fake(|_| {});
        // SAFETY: a host; the CPU uses no translation.
        #[expect(unsafe_code, reason = "the promise of lazy TLB mode, about nothing")]
        unsafe {
            shootdown.domain().enter_lazy(&pinned(0));
        }
        way(&shootdown, &[pages(5, 1, 1)]);
        assert_counted(&shootdown, |expected| {
            (expected.flushes, expected.targets, expected.skipped) = (1, 3, 1);
            expected.pages = 1;
        });
    }
}

#[test]
fn a_target_that_takes_no_entry_is_counted_by_generation_and_not_as_skipped() {
    for way in [flush, start_and_wait] {
        let shootdown = fake(|_| {});
        // SAFETY: a host; the CPU uses no translation.
        #[expect(unsafe_code, reason = "the promise of a CPU in a guest, about nothing")]
        unsafe {
            shootdown.domain().enter_guest(&pinned(0)).unwrap();
        }
        way(&shootdown, &[Request::TablesFreed(TableOwner::Kernel)]);
        assert_counted(&shootdown, |expected| {
            (expected.flushes, expected.targets) = (1, 3);
            (expected.whole_tables, expected.by_generation) = (1, 1);
        });
    }
}

#[test]
fn each_step_of_the_escalation_is_counted_by_who_waits() {
    let expected = |shootdown: &Fake, change: &dyn Fn(&mut Statistics)| {
        let mut counted = shootdown.statistics_of(CpuId::new(2)).unwrap();
        assert_eq!(counted.waits.total(), 1, "{counted}");
        counted.waits = WaitTimes::default();
        let mut expected = Statistics::default();
        (expected.flushes, expected.targets, expected.pages) = (1, 3, 1);
        change(&mut expected);
        assert_eq!(counted, expected);
    };
    for way in [flush, start_and_wait] {
        let hears = |hearing| {
            let shootdown = fake(|_| {});
            shootdown.machine().set_hearing(CpuId::new(1), hearing);
            shootdown.machine().set_hearing(CpuId::new(3), hearing);
            way(&shootdown, &[pages(5, 1, 1)]);
            shootdown
        };
        expected(&hears(Hearing::SecondSignal), &|expected| {
            expected.resignals = 1;
        });
        expected(&hears(Hearing::Interrupt), &|expected| {
            (expected.resignals, expected.fallbacks) = (1, 2);
        });
        expected(&hears(Hearing::Nmi), &|expected| {
            (expected.resignals, expected.fallbacks, expected.nmis) = (1, 2, 1);
        });
    }
}

#[test]
fn an_error_is_counted_and_its_wait_is_not() {
    let shootdown = fake(|_| {});
    let silent = CpuId::new(1);
    shootdown.machine().set_hearing(silent, Hearing::Nothing);
    let started = shootdown.start(&pinned(2), &[pages(5, 1, 1)], &AllOnline, ());
    let late = started.wait(&pinned(2)).unwrap_err();
    assert_counted(&shootdown, |expected| {
        (expected.flushes, expected.targets, expected.pages) = (1, 3, 1);
        (expected.resignals, expected.fallbacks, expected.nmis) = (1, 1, 1);
        (expected.errors, expected.quarantined) = (1, 1);
    });
    let before = shootdown.statistics();
    // Another CPU goes on waiting, and the answer comes.
    shootdown.machine().set_hearing(silent, Hearing::Everything);
    late.pending.wait(&pinned(3)).unwrap();
    let since = shootdown.statistics().since(&before);
    assert_eq!((since.fallbacks, since.waits.total()), (1, 1));
    assert_eq!((since.flushes, since.errors, since.quarantined), (0, 0, 1));
    let by = |number| shootdown.statistics_of(CpuId::new(number)).unwrap();
    assert_eq!((by(2).fallbacks, by(3).fallbacks), (1, 1));
    assert_eq!((by(2).waits.total(), by(3).waits.total()), (0, 1));
}

#[test]
fn without_a_slot_the_flush_is_slotless() {
    let shootdown = fake(|_| {});
    shootdown.domain().limit_entries(0);
    flush(&shootdown, &[pages(5, 1, 1)]);
    let mut counted = shootdown.statistics();
    counted.waits = WaitTimes::default();
    let mut expected = Statistics::default();
    (expected.flushes, expected.targets, expected.pages) = (1, 3, 1);
    expected.slotless = 1;
    assert_eq!(counted, expected);
}

#[test]
fn a_wait_is_timed_where_the_clock_is_read_or_where_the_policy_asks() {
    let waits = |counting, hearing| {
        let shootdown = fake(|policy| policy.counting = counting);
        let read = || Machine::<1>::now(shootdown.machine()).as_nanos();
        shootdown.machine().set_hearing(CpuId::new(1), hearing);
        let before = read();
        flush(&shootdown, &[pages(5, 1, 1)]);
        // The readings of the flush itself.
        (shootdown.statistics().waits.total(), read() - before - 1)
    };
    assert_eq!(waits(Counting::Rare, Hearing::Everything), (0, 0));
    assert_eq!(waits(Counting::Flushes, Hearing::Everything), (0, 0));
    assert_eq!(waits(Counting::Waits, Hearing::Everything), (1, 2));
    assert_eq!(waits(Counting::Rare, Hearing::SecondSignal).0, 0);
    assert_eq!(waits(Counting::Flushes, Hearing::SecondSignal).0, 1);
    // A flush that is begun with no CPU to wait for is no wait.
    let shootdown = fake(|policy| policy.counting = Counting::Waits);
    let none = rar_percpu::AtomicCpuSet::<1>::new();
    shootdown
        .flush(&pinned(2), &[pages(5, 1, 1)], &none)
        .unwrap();
    assert_eq!(shootdown.statistics().waits.total(), 0);
}

#[test]
fn what_is_served_is_counted_by_who_serves() {
    let shootdown = fake(|_| {});
    let target = CpuId::new(1);
    shootdown.machine().set_hearing(target, Hearing::Nothing);
    let flights: Vec<_> = (0..6)
        .map(|at| shootdown.start(&pinned(2), &[pages(5, at * 70, 60)], &AllOnline, ()))
        .collect();
    let served = shootdown.serve(&pinned(1));
    assert_eq!((served.succeeded, served.failed), (6, 0));
    for flight in flights {
        flight.wait(&pinned(2)).unwrap();
    }
    let mut expected = Statistics::default();
    expected.served = 6;
    assert_eq!(shootdown.statistics_of(target), Some(expected));
    // By generation.
    let mut set = rar_percpu::CpuSet::<1>::new();
    set.insert(target).unwrap();
    let _ticket = shootdown.domain().request_full_flush(&set);
    assert!(shootdown.serve(&pinned(1)).generation);
    expected.served_full = 1;
    assert_eq!(shootdown.statistics_of(target), Some(expected));
    let _ticket = shootdown.domain().request_full_flush(&set);
    assert!(shootdown.serve_in_nmi(&in_nmi(1)).generation);
    expected.served_full = 2;
    assert_eq!(shootdown.statistics_of(target), Some(expected));
}

#[test]
fn what_is_refused_is_counted_by_who_refuses() {
    let shootdown = fake(|_| {});
    // The fake's TLB has no room for this CPU, and refuses.
    let target = pinned(u32::try_from(CPUS).unwrap());
    let memory = Box::leak(Box::new(PerCpu::new()));
    let (domain, tlb) = (shootdown.domain(), Machine::<1>::tlb(shootdown.machine()));
    domain
        .register(target.id(), ApicId::new(9), memory)
        .unwrap();
    std::mem::forget(SoftwareCpu::bring_online(domain, &target, tlb).unwrap());
    let flight = shootdown.start(&pinned(2), &[pages(5, 1, 1)], &AllOnline, ());
    let served = shootdown.serve(&target);
    assert_eq!((served.succeeded, served.failed), (0, 1));
    let mut expected = Statistics::default();
    expected.refused = 1;
    assert_eq!(shootdown.statistics_of(target.id()), Some(expected));
    drop(flight);
}

#[test]
fn readings_add_up_and_the_dead_are_not_forgotten() {
    let shootdown = fake(|_| {});
    for number in 0..4 {
        for _ in 0..=number {
            shootdown
                .flush(&pinned(number), &[pages(5, 1, 1)], &AllOnline)
                .unwrap();
        }
    }
    let each = (0..4).map(|number| shootdown.statistics_of(CpuId::new(number)).unwrap());
    let flushes: Vec<_> = each.clone().map(|one| one.flushes).collect();
    assert_eq!(flushes, [1, 2, 3, 4]);
    let all = shootdown.statistics();
    assert_eq!(each.sum::<Statistics>(), all);
    let (mut one, mut other) = (all, all);
    (one.quarantined, other.quarantined) = (2, 3);
    let both = one + other;
    assert_eq!((both.flushes, both.quarantined), (20, 5));
    assert_eq!(all.since(&all), Statistics::default());
    #[expect(unsafe_code, reason = "the promise that a CPU is dead, about nothing")]
    // SAFETY: a host; nothing runs as the CPU any more.
    unsafe {
        shootdown.domain().declare_dead(CpuId::new(3));
    }
    assert_eq!(shootdown.statistics_of(CpuId::new(3)), None);
    assert_eq!(shootdown.statistics(), all);
}

#[test]
fn a_reading_is_shown_without_what_is_zero() {
    let mut reading = Statistics::default();
    let nothing = "flushes: none\nwaits: none\nrare: none\nslots in quarantine: 0";
    assert_eq!(reading.to_string(), nothing);
    let shown = format!("{:?}", fake(|_| {}));
    assert!(shown.contains(&format!("{reading:?}")), "{shown}");
    (reading.flushes, reading.targets, reading.pages) = (12, 36, 10);
    (reading.whole_asked, reading.fallbacks, reading.errors) = (2, 3, 1);
    reading.quarantined = 1;
    assert_eq!(
        reading.to_string(),
        "flushes: 12 flushes, 36 targets, 10 pages, 2 whole (asked)\nwaits: none\n\
         rare: 3 fallbacks, 1 errors\nslots in quarantine: 1"
    );
}
