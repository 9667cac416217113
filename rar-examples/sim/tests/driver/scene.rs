//! What the tests of single flushes share: mapped pages, machines, and the judgement of a flush.

use rar_model::{Knobs, PageSize, Scan, ScanOrder, Tag, Translation};
use rar_payload::{PageRange, Pcid, Request};
use rar_percpu::fake::pinned;
use rar_percpu::{AtomicCpuSet, CpuId};
use rar_shootdown::Statistics;
use rar_sim::machine::Addressing;

use crate::rig::{PCID, Rig, Setup};

/// The first page: a user address, since an INVPCID by address must spare a global page even there.
pub(crate) const BASE: u64 = 0x40_0000;
/// A space that no CPU runs.
pub(crate) const OTHER: u16 = 6;

pub(crate) const TAGS: [Tag; 3] = [Tag::Pcid(PCID), Tag::Pcid(OTHER), Tag::Global];

/// Both honest units, in several scan orders and ways of scanning.
pub(crate) fn honest_units() -> Vec<Knobs> {
    let orders = [
        ScanOrder::Ascending,
        ScanOrder::Descending,
        ScanOrder::From(2),
        ScanOrder::From(63),
    ];
    let mut all: Vec<_> = [Knobs::DEFAULT, Knobs::SPARING]
        .into_iter()
        .flat_map(|base| orders.map(|order| Knobs { order, ..base }))
        .collect();
    all.push(Knobs {
        scan: Scan::Twice,
        ..Knobs::DEFAULT
    });
    all
}

/// Every honest unit behind every kind of interrupt command.
pub(crate) fn machines() -> Vec<Setup> {
    let with = |knobs, addressing| {
        let mut setup = Setup::new(knobs);
        setup.machine.addressing = addressing;
        setup
    };
    let addressings = [Addressing::Xapic, Addressing::Physical, Addressing::Cluster];
    honest_units()
        .into_iter()
        .flat_map(|knobs| addressings.map(|addressing| with(knobs, addressing)))
        .collect()
}

/// Maps pages `0..count` in both spaces and globally.
pub(crate) fn map<const TLB: usize>(rig: &Rig<'_, TLB>, count: u64, size: PageSize) {
    for page in 0..count {
        for tag in TAGS {
            rig.tables.map(tag, BASE + page * size.bytes(), size);
        }
    }
}

pub(crate) fn pcid(number: u16) -> Pcid {
    Pcid::new(number).unwrap()
}

/// A range of 4K pages.
pub(crate) fn range(first: u64, count: u64) -> PageRange {
    PageRange::new(BASE + (first << 12), count, rar_payload::PageSize::Size4K).unwrap()
}

/// Pages of the space that every CPU runs.
pub(crate) fn pages(first: u64, count: u64) -> Request {
    Request::Pages {
        pcid: pcid(PCID),
        range: range(first, count),
    }
}

/// The expected statistics: zero except for `change`.
pub(crate) fn statistics(change: impl FnOnce(&mut Statistics)) -> Statistics {
    let mut expected = Statistics::default();
    change(&mut expected);
    expected
}

/// A set with these members.
pub(crate) fn members(cpus: &[u32]) -> AtomicCpuSet {
    let set = AtomicCpuSet::new();
    for cpu in cpus {
        set.insert(CpuId::new(*cpu)).unwrap();
    }
    set
}

/// Whether a cached translation is one of the 4K pages `first..first + count` of a tag.
pub(crate) fn is_page(held: &Translation, tag: Tag, first: u64, count: u64) -> bool {
    let page = held.linear().wrapping_sub(BASE) >> 12;
    held.tag() == tag && (first..first + count).contains(&page)
}

/// Remaps every page that is `meant` while every CPU caches the old mapping: the positive control.
pub(crate) fn make_stale<const TLB: usize>(
    rig: &Rig<'_, TLB>,
    meant: impl Fn(&Translation) -> bool,
) {
    rig.warm();
    let old: Vec<_> = rig.tables.leaves().into_iter().filter(meant).collect();
    for leaf in &old {
        rig.tables.remap(leaf.tag(), leaf.linear());
    }
    assert!(!old.is_empty());
    for cpu in rig.cpus() {
        assert_eq!(
            rig.stale(cpu).len(),
            old.len(),
            "control: CPU {cpu} must still use the old mappings"
        );
    }
}

/// Flushes from a CPU; that must succeed.
pub(crate) fn flush<const TLB: usize>(
    rig: &Rig<'_, TLB>,
    initiator: u32,
    requests: &[Request],
    targets: &[u32],
) {
    let flushed = rig
        .shootdown
        .flush(&pinned(initiator), requests, &members(targets));
    flushed.unwrap();
}

/// Flushes from CPU 1 and judges every TLB: on targets exactly what `goes` names is gone and
/// nothing stale is left; on other CPUs nothing has changed.
pub(crate) fn judge<const TLB: usize>(
    rig: &Rig<'_, TLB>,
    requests: &[Request],
    targets: &[u32],
    meant: impl Fn(&Translation) -> bool,
    goes: impl Fn(&Translation) -> bool,
) {
    make_stale(rig, meant);
    let before: Vec<_> = rig.cpus().map(|cpu| rig.contents(cpu)).collect();
    let statistics = rig.shootdown.statistics();

    flush(rig, 1, requests, targets);

    for (cpu, mut expected) in rig.cpus().zip(before) {
        let is_target = targets.contains(&cpu);
        if is_target {
            expected.retain(|held| !goes(held));
        }
        assert_eq!(rig.contents(cpu), expected, "CPU {cpu}: {requests:?}");
        assert_eq!(
            rig.stale(cpu).is_empty(),
            is_target,
            "CPU {cpu}: {requests:?}"
        );
    }
    let mut after = rig.shootdown.statistics();
    after.collapsed = statistics.collapsed;
    assert_eq!(
        after, statistics,
        "nothing rare but a collapse, which the caller judges"
    );
}
