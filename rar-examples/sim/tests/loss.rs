//! TLB entries lost needlessly, against other policies.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use rar_sim::loss::storm::{self, Storm};
use rar_sim::loss::{CPUS, Loss, Memory, Policy, Workload, measure};
use rar_sim::machine::Answering;

/// The losses by this driver, by it with global pages by address, by Linux, and by the published
/// series.
fn losses(workload: &Workload) -> [Loss; 4] {
    Policy::ALL.map(|policy| measure(policy, workload).unwrap())
}

/// Not above: as few or fewer, or the price of not disturbing an idle CPU.
fn is_not_above(own: Loss, other: Loss) -> bool {
    own.needless <= other.needless || own.disturbed < other.disturbed
}

#[test]
fn no_workload_loses_more_than_by_either_of_the_other_policies() {
    for workload in Workload::all() {
        let [plain, by_address, linux, series] = losses(&workload);
        for other in [linux, series] {
            assert!(is_not_above(by_address, other), "{}", workload.name);
            let is_plain_enough = workload.memory != Memory::Kernel;
            assert!(
                !is_plain_enough || is_not_above(plain, other),
                "{}",
                workload.name
            );
        }
        assert!(is_not_above(plain, series), "{}", workload.name);
    }
}

#[test]
fn ranges_of_the_kernel_lose_at_most_a_tenth_by_address() {
    let kernel = |workload: &Workload| workload.memory == Memory::Kernel;
    let ranges: Vec<_> = Workload::all().into_iter().filter(kernel).collect();
    assert!(ranges.len() >= 3);
    for workload in ranges {
        let [plain, by_address, ..] = losses(&workload);
        assert!(
            plain.needless > 1000,
            "{}: a control: everything goes",
            workload.name
        );
        assert!(
            10 * by_address.needless <= plain.needless,
            "{}",
            workload.name
        );
    }
}

#[test]
fn the_others_lose_what_they_are_known_to_lose_and_the_same_each_time() {
    let of = |name: &str| {
        let mut all = Workload::all().into_iter();
        losses(&all.find(|workload| workload.name == name).unwrap())
    };
    let [_, _, linux, series] = of("unmap 40 pages");
    // All of the cached space except the 40 pages.
    assert_eq!(linux.needless, (640 - 40) * u64::from(CPUS));
    assert_eq!(series.needless, 0);
    let [_, _, linux, series] = of("kernel: unmap 8 pages");
    assert_eq!(linux.needless, 0);
    assert_eq!(
        series.needless,
        (640 + 128 + 256 + 256 - 8) * u64::from(CPUS)
    );
    let idle = of("one CPU idle, may be skipped: unmap 8 pages");
    let [plain, _, linux, series] = idle;
    assert_eq!((plain.needless, plain.disturbed), (640 - 8, 0));
    assert_eq!(linux, plain);
    assert_eq!((series.needless, series.disturbed), (0, 1));
    assert_eq!(idle, of("one CPU idle, may be skipped: unmap 8 pages"));
}

#[test]
fn a_storm_costs_a_cpu_that_answers_in_software_no_more_than_one_flush() {
    // Up to the limit of one flush the pages are flushed one by one, exactly.
    let few = storm::measure(Answering::Software, 4).unwrap();
    let exact = Storm {
        pages: 4 * storm::PAGES,
        whole: 0,
        needless: 0,
    };
    assert_eq!(few, exact);
    for initiators in [5, 16, 63] {
        let pages = u64::from(initiators) * storm::PAGES;
        let by_software = storm::measure(Answering::Software, initiators).unwrap();
        let one_flush = Storm {
            pages: 0,
            whole: 1,
            // Only the rest of the one space.
            needless: 640 - pages,
        };
        assert_eq!(by_software, one_flush);
        // A control: a unit executes them one by one.
        let by_unit = storm::measure(Answering::Units, initiators).unwrap();
        assert_eq!((by_unit.pages, by_unit.needless), (pages, 0));
    }
}
