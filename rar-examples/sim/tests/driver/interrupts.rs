//! Targets that run with interrupts off.

use rar_model::{Knobs, PageSize};
use rar_percpu::fake::pinned;
use rar_regs::InterruptPolicy;
use rar_shootdown::FlushError;
use rar_sim::machine::Service;

use crate::rig::{Rig, Setup, run, run_in_trouble};
use crate::scene::{
    TAGS, flush, honest_units, is_page, make_stale, map, members, pages, statistics,
};

const ALL: [u32; 4] = [0, 1, 2, 3];

fn prepare<const TLB: usize>(rig: &Rig<'_, TLB>) {
    map(rig, 4, PageSize::Size4K);
    make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
    for cpu in 1..4 {
        rig.set_interrupts(cpu, false);
    }
}

#[test]
fn under_ignore_if_they_are_flushed_all_the_same() {
    for knobs in honest_units() {
        for service in [Service::Prompt, Service::Polled] {
            run::<16>(Setup::new(knobs).served(service), |rig, _units| {
                prepare(rig);
                flush(rig, 0, &[pages(1, 2)], &ALL);
                for cpu in 0..4 {
                    assert_eq!(rig.stale(cpu), [], "CPU {cpu}");
                    assert_eq!(rig.contents(cpu).len(), 10, "only what was asked");
                }
            });
        }
    }
}

#[test]
fn otherwise_they_are_flushed_once_interrupts_are_on() {
    for knobs in honest_units() {
        let setup = Setup::new(knobs).interrupts(InterruptPolicy::RespectIf);
        run::<16>(setup, |rig, _units| {
            prepare(rig);
            let (initiator, targets) = (pinned(0), members(&ALL));
            let pending = rig
                .shootdown
                .start(&initiator, &[pages(1, 2)], &targets, ());
            for cpu in 1..4 {
                assert_eq!(rig.stale(cpu).len(), 2, "control: held on CPU {cpu}");
                rig.set_interrupts(cpu, true);
                assert_eq!(rig.stale(cpu), []);
            }
            pending.wait(&pinned(0)).unwrap();
        });
    }
}

#[test]
fn a_target_that_never_turns_them_on_is_an_error_and_keeps_what_the_flush_owns() {
    let setup = Setup::new(Knobs::DEFAULT).interrupts(InterruptPolicy::RespectIf);
    run_in_trouble::<16>(setup, |rig, _units| {
        prepare(rig);
        let (initiator, targets) = (pinned(0), members(&[0, 2]));
        let late = rig
            .shootdown
            .start(&initiator, &[pages(1, 2)], &targets, "the frames")
            .wait(&initiator)
            .unwrap_err();
        let FlushError::NoAnswer {
            cpu,
            late: count,
            entry,
        } = late.error
        else {
            unreachable!("another error: {}", late.error);
        };
        assert_eq!((cpu.get(), count), (2, 1));
        assert_eq!(entry.map(|(slot, byte)| (slot.get(), byte.0)), Some((0, 1)));
        assert_eq!(rig.stale(2).len(), 2, "control");
        assert_eq!(rig.reclaim_slots(), 0);

        rig.set_interrupts(2, true);
        assert_eq!(late.pending.wait(&pinned(0)).unwrap(), "the frames");
        assert_eq!(rig.stale(2), []);
        assert_eq!(rig.reclaim_slots(), 1);
        rig.assert_statistics(statistics(|expected| {
            // The held interrupt was enough.
            expected.fallbacks = 1;
            expected.errors = 1;
        }));
    });
}
