//! Ranges around the limits of one entry and of one flush.

use rar_model::{Knobs, PageSize, Translation};
use rar_payload::{PageRange, Request};

use crate::rig::{PCID, Setup, run, run_in_trouble};
use crate::scene::{
    TAGS, flush, honest_units, is_page, judge, make_stale, map, pages, pcid, statistics,
};

#[test]
fn ranges_of_every_length_are_exact_to_the_page() {
    for knobs in honest_units() {
        run::<640>(Setup::new(knobs).cpus(3), |rig, _units| {
            map(rig, 204, PageSize::Size4K);
            for (count, entries) in [
                (1, 1),
                (2, 1),
                (63, 1),
                (64, 2),
                (126, 2),
                (127, 3),
                (200, 4),
            ] {
                let hit = |held: &Translation| is_page(held, TAGS[0], 2, count);
                let before = rig.machine.cpu(0).executed();
                judge(rig, &[pages(2, count)], &[0, 1], hit, hit);
                let executed = rig.machine.cpu(0).executed() - before;
                assert_eq!(executed, entries, "{count} pages");
            }
        });
    }
}

#[test]
fn a_range_too_long_for_one_flush_takes_the_space_and_says_so() {
    run_in_trouble::<1024>(Setup::new(Knobs::SPARING), |rig, _units| {
        map(rig, 255, PageSize::Size4K);
        judge(
            rig,
            &[pages(1, 253)],
            &[0, 1, 2, 3],
            |held| is_page(held, TAGS[0], 1, 253),
            |held| held.tag() == TAGS[0],
        );
        rig.assert_statistics(statistics(|expected| {
            expected.collapsed = 1;
        }));
    });
}

#[test]
fn the_last_pages_below_and_above_the_hole_and_of_the_address_space() {
    for knobs in honest_units() {
        for start in [
            0x7fff_ffff_e000,
            0xffff_8000_0000_0000,
            0xffff_ffff_ffff_e000,
            0,
        ] {
            run::<16>(Setup::new(knobs), |rig, _units| {
                for page in [start, start + 0x1000] {
                    rig.tables.map(TAGS[0], page, PageSize::Size4K);
                }
                make_stale(rig, |_| true);
                let range = PageRange::new(start, 2, rar_payload::PageSize::Size4K).unwrap();
                let request = Request::Pages {
                    pcid: pcid(PCID),
                    range,
                };
                flush(rig, 0, &[request], &[0, 1, 2, 3]);
                for cpu in 0..4 {
                    assert_eq!(rig.stale(cpu), [], "CPU {cpu}");
                }
            });
        }
    }
}
