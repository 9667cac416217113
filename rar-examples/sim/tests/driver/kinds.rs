//! Every kind of request, on every honest unit, behind every kind of interrupt command.

use rar_model::{Knobs, PageSize, Tag, Translation};
use rar_payload::{Globals, PageRange, Request, TableOwner};
use rar_percpu::fake::pinned;
use rar_percpu::{Domain, PinnedCpu};
use rar_shootdown::{GlobalFlush, InvpgDropsGlobals};
use rar_sim::machine::Addressing;

use crate::page_tables::pcid_of;
use crate::rig::{PCID, Rig, Setup, run};
use crate::scene::{
    BASE, OTHER, TAGS, flush, is_page, judge, machines, make_stale, map, pages, pcid, range,
};

const ALL: [u32; 4] = [0, 1, 2, 3];
/// All except the initiator of [`judge`], whose own instruction may flush more.
const OTHERS: [u32; 3] = [0, 2, 3];

type Is = fn(&Translation) -> bool;

/// Requests, what they must flush, and what they do flush.
type Case = (fn() -> Vec<Request>, Is, Is);

const CASES: [Case; 10] = [
    (
        || vec![pages(3, 4)],
        |held| is_page(held, TAGS[0], 3, 4),
        |held| is_page(held, TAGS[0], 3, 4),
    ),
    // A space that no target runs.
    (
        || {
            vec![Request::Pages {
                pcid: pcid(OTHER),
                range: range(0, 1),
            }]
        },
        |held| is_page(held, TAGS[1], 0, 1),
        |held| is_page(held, TAGS[1], 0, 1),
    ),
    (
        || vec![Request::AddressSpace { pcid: pcid(OTHER) }],
        |held| held.tag() == TAGS[1],
        |held| held.tag() == TAGS[1],
    ),
    (
        || vec![Request::TablesFreed(TableOwner::AddressSpace(pcid(PCID)))],
        |held| held.tag() == TAGS[0],
        |held| held.tag() == TAGS[0],
    ),
    // Global pages are flushed only with everything.
    (
        || vec![Request::GlobalPages { range: range(2, 2) }],
        |held| is_page(held, Tag::Global, 2, 2),
        |_| true,
    ),
    (
        || vec![Request::TablesFreed(TableOwner::Kernel)],
        |held| held.tag() == Tag::Global,
        |_| true,
    ),
    (
        || {
            vec![Request::Everything {
                globals: Globals::Include,
            }]
        },
        |_| true,
        |_| true,
    ),
    (
        || {
            vec![Request::Everything {
                globals: Globals::Exclude,
            }]
        },
        |held| pcid_of(held).is_some(),
        |held| pcid_of(held).is_some(),
    ),
    // Several requests under one signal, each exact.
    (
        || {
            vec![
                pages(0, 2),
                Request::Pages {
                    pcid: pcid(OTHER),
                    range: range(4, 1),
                },
                pages(9, 3),
            ]
        },
        |held| {
            is_page(held, TAGS[0], 0, 2)
                || is_page(held, TAGS[1], 4, 1)
                || is_page(held, TAGS[0], 9, 3)
        },
        |held| {
            is_page(held, TAGS[0], 0, 2)
                || is_page(held, TAGS[1], 4, 1)
                || is_page(held, TAGS[0], 9, 3)
        },
    ),
    (
        || vec![pages(1, 1), Request::GlobalPages { range: range(1, 1) }],
        |held| is_page(held, TAGS[0], 1, 1) || is_page(held, Tag::Global, 1, 1),
        |_| true,
    ),
];

#[test]
fn each_kind_flushes_what_it_must_and_leaves_the_rest() {
    for setup in machines() {
        run::<48>(setup, |rig, _units| {
            map(rig, 12, PageSize::Size4K);
            for (requests, meant, goes) in CASES {
                for targets in [&ALL[..], &[1], &[0, 3], &[1, 2]] {
                    judge(rig, &requests(), targets, meant, goes);
                }
            }
        });
    }
}

#[test]
fn large_pages_go_by_their_own_stride() {
    for setup in machines() {
        for (size, ours) in [
            (PageSize::Size2M, rar_payload::PageSize::Size2M),
            (PageSize::Size1G, rar_payload::PageSize::Size1G),
        ] {
            run::<48>(setup.clone(), |rig, _units| {
                let start = BASE + size.bytes() * 2;
                for page in 0..8 {
                    for tag in TAGS {
                        rig.tables
                            .map(tag, size.start_of(BASE) + page * size.bytes(), size);
                    }
                }
                let range = PageRange::new(size.start_of(start), 3, ours).unwrap();
                let hit =
                    |held: &Translation| held.tag() == TAGS[0] && range.contains(held.linear());
                let request = Request::Pages {
                    pcid: pcid(PCID),
                    range,
                };
                judge(rig, &[request], &ALL, hit, hit);
            });
        }
    }
}

/// The rule of `PageRange` about old leaves, and why it matters: no source says that a stride of 4K
/// reaches a 2M page.
#[test]
fn a_stride_smaller_than_the_leaf_is_not_enough_on_a_sparing_unit() {
    for (knobs, left) in [
        (rar_model::Knobs::DEFAULT, 0),
        (rar_model::Knobs::SPARING, 1),
    ] {
        run::<48>(Setup::new(knobs), |rig, _units| {
            let linear = BASE + 0x20_0000;
            rig.tables.map(TAGS[0], linear, PageSize::Size2M);
            make_stale(rig, |_| true);
            let range = PageRange::new(linear, 2, rar_payload::PageSize::Size4K).unwrap();
            let request = Request::Pages {
                pcid: pcid(PCID),
                range,
            };
            flush(rig, 0, &[request], &ALL);
            assert_eq!(rig.stale(3).len(), left);
            // Where leaves are mixed, the whole space.
            let whole = Request::AddressSpace { pcid: pcid(PCID) };
            flush(rig, 0, &[whole], &ALL);
            assert_eq!(rig.stale(3), []);
        });
    }
}

#[test]
fn a_flush_of_itself_alone_sends_no_command() {
    for setup in machines() {
        run::<48>(setup, |rig, _units| {
            map(rig, 3, PageSize::Size4K);
            let hit = |held: &Translation| is_page(held, TAGS[0], 1, 1);
            judge(rig, &[pages(1, 1)], &[1], hit, hit);
            assert_eq!(rig.machine.commands(), 0);
        });
    }
}

#[test]
fn a_cluster_takes_one_command_however_many_operations() {
    for (addressing, commands) in [
        (Addressing::Xapic, 7),
        (Addressing::Physical, 7),
        // Ids 0, 3 | 0x11, 0x1f | 0x20, 0x21 | 0x43; CPU 1 is the initiator.
        (Addressing::Cluster, 4),
    ] {
        let mut setup = Setup::new(Knobs::DEFAULT).cpus(8);
        setup.machine.addressing = addressing;
        run::<48>(setup, |rig, _units| {
            map(rig, 12, PageSize::Size4K);
            let hit =
                |held: &Translation| is_page(held, TAGS[0], 0, 1) || is_page(held, TAGS[0], 5, 2);
            judge(
                rig,
                &[pages(0, 1), pages(5, 2)],
                &[0, 1, 2, 3, 4, 5, 6, 7],
                hit,
                hit,
            );
            assert_eq!(rig.machine.commands(), commands);
        });
    }
}

/// A machine whose kernel says that INVPG drops global translations by address, and a change of two
/// global pages flushed there.
fn flush_two_global_pages(knobs: Knobs, judge: impl Fn(&Rig<'_, 48>)) {
    let mut setup = Setup::new(knobs);
    #[expect(unsafe_code, reason = "the kernel's promise of InvpgDropsGlobals::new")]
    // SAFETY: 1. does not hold of every unit here. No memory of the host depends on a simulated
    // translation.
    let promise = unsafe { InvpgDropsGlobals::new() };
    setup.policy.global_pages = GlobalFlush::ByAddress(promise);
    run::<48>(setup, |rig, _units| {
        map(rig, 12, PageSize::Size4K);
        judge(rig);
        let (_, quarantined) = rig.machine.domain().free_and_quarantined_slots();
        assert_eq!(quarantined, 0);
    });
}

#[test]
fn global_pages_go_by_address_where_the_kernel_says_that_units_do_so() {
    let is_global = |held: &Translation| is_page(held, Tag::Global, 2, 2);
    // INVLPG also drops the page of the current space.
    let goes = move |held: &Translation| is_global(held) || is_page(held, TAGS[0], 2, 2);
    let request = Request::GlobalPages { range: range(2, 2) };
    flush_two_global_pages(Knobs::DEFAULT, |rig| {
        judge(rig, &[request], &OTHERS, is_global, goes);
    });
    // With another request, each is exact.
    flush_two_global_pages(Knobs::DEFAULT, |rig| {
        let both = [request, pages(5, 1)];
        let five = |held: &Translation| is_page(held, TAGS[0], 5, 1);
        judge(
            rig,
            &both,
            &OTHERS,
            |held| is_global(held) || five(held),
            |held| goes(held) || five(held),
        );
    });
    // Why it is a promise: this unit spares the pages, and the driver cannot detect it.
    flush_two_global_pages(Knobs::SPARING, |rig| {
        make_stale(rig, is_global);
        flush(rig, 1, &[request], &ALL);
        assert_eq!(rig.stale(1), [], "by its own instruction");
        assert_eq!(rig.stale(2).len(), 2);
    });
}

#[test]
fn a_lazy_cpu_is_skipped_and_flushes_on_its_way_back() {
    run::<48>(
        Setup::new(rar_model::Knobs::SPARING),
        |rig: &Rig<'_, 48>, _units| {
            map(rig, 4, PageSize::Size4K);
            let (domain, lazy) = (rig.machine.domain(), pinned(2));
            enter_lazy(domain, &lazy);
            make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
            flush(rig, 0, &[pages(1, 2)], &ALL);
            assert_eq!(rig.stale(3), []);
            assert_eq!(rig.stale(2).len(), 2, "not disturbed");
            // Nothing of the missed space is left; everything else is kept.
            let mut kept = rig.contents(2);
            kept.retain(|held| held.tag() != TAGS[0]);
            assert!(kept.iter().any(|held| held.tag() == TAGS[1]));
            assert!(kept.iter().any(|held| held.tag() == Tag::Global));
            assert!(domain.leave_lazy(&lazy, rig.machine).flushed);
            assert_eq!(rig.stale(2), []);
            assert_eq!(rig.contents(2), kept);

            // After changes of two spaces every space is flushed, and no global translation.
            kept.retain(|held| held.tag() == Tag::Global);
            enter_lazy(domain, &lazy);
            make_stale(rig, |held| {
                is_page(held, TAGS[0], 1, 2) || is_page(held, TAGS[1], 1, 1)
            });
            let other = Request::Pages {
                pcid: pcid(OTHER),
                range: range(1, 1),
            };
            for request in [pages(1, 2), other] {
                flush(rig, 0, &[request], &ALL);
            }
            assert!(domain.leave_lazy(&lazy, rig.machine).flushed);
            assert_eq!(rig.contents(2), kept);

            // Freed tables skip no CPU.
            enter_lazy(domain, &lazy);
            make_stale(rig, |held| held.tag() == TAGS[0]);
            let freed = Request::TablesFreed(TableOwner::AddressSpace(pcid(PCID)));
            flush(rig, 0, &[freed], &ALL);
            assert_eq!(rig.stale(2), []);
        },
    );
}

fn enter_lazy(domain: &Domain, cpu: &PinnedCpu<'_>) {
    #[expect(unsafe_code, reason = "the kernel's promise of Domain::enter_lazy")]
    // SAFETY: 1. No memory of the host depends on a simulated translation.
    unsafe {
        domain.enter_lazy(cpu);
    }
}
