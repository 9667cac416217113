//! CPUs that go offline, return, or lose their registers.

use std::sync::atomic::Ordering;

use rar_model::{CONTROL, Knobs, PENDING, PageSize, RarUnit, Signals};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, Enabled, SlotIndex};
use rar_sim::machine::Service;

use crate::rig::{Rig, Setup, Unit, disable, enable, run, run_in_trouble};
use crate::scene::{
    TAGS, flush, honest_units, is_page, make_stale, map, members, pages, statistics,
};

const ALL: [u32; 4] = [0, 1, 2, 3];
const LEAVER: u32 = 3;
const REGISTERS: [u32; 3] = [0xed, 0xee, 0xef];

fn stale_pages<const TLB: usize>(rig: &Rig<'_, TLB>) {
    make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
}

fn flush_stale_pages<const TLB: usize>(rig: &Rig<'_, TLB>) {
    flush(rig, 0, &[pages(1, 2)], &ALL);
}

fn assert_nothing_stale<const TLB: usize>(rig: &Rig<'_, TLB>) {
    for cpu in 0..4 {
        assert_eq!(rig.stale(cpu), [], "CPU {cpu}");
    }
}

fn registers<const TLB: usize>(rig: &Rig<'_, TLB>, cpu: u32) -> [u64; 3] {
    let cpu = rig.machine.cpu(cpu);
    cpu.with_unit(|unit| REGISTERS.map(|msr| unit.read_msr(msr).unwrap()))
}

/// Arms the byte of slot 0 for a CPU, as an initiator that was held up does.
fn arm_late<const TLB: usize>(rig: &Rig<'_, TLB>, cpu: u32) {
    let slot = SlotIndex::new(0).unwrap();
    let byte = rig.machine.driver().byte(CpuId::new(cpu), slot).unwrap();
    byte.store(PENDING, Ordering::Release);
}

/// Takes a CPU offline, cuts its power, and brings it online again.
fn sleep<'r, const TLB: usize>(
    rig: &Rig<'r, TLB>,
    unit: Unit<'r, Enabled, TLB>,
    cpu: u32,
) -> Unit<'r, Enabled, TLB> {
    let number = pinned(cpu);
    let detected = disable(rig.machine, unit, cpu).unwrap();
    rig.machine.cpu(cpu).power_cycle();
    assert_eq!(registers(rig, cpu), [0; 3]);
    let configured = detected.configure(&number, rig.machine.driver()).unwrap();
    enable(rig, configured, cpu).unwrap()
}

#[test]
fn a_cpu_that_lost_all_registers_comes_back_like_new() {
    for knobs in honest_units() {
        run::<16>(Setup::new(knobs), |rig, mut units| {
            map(rig, 4, PageSize::Size4K);
            let before = registers(rig, LEAVER);
            for _ in 0..3 {
                stale_pages(rig);
                flush_stale_pages(rig);
                assert_nothing_stale(rig);
                let unit = units.pop().unwrap();
                stale_pages(rig);
                units.push(sleep(rig, unit, LEAVER));
                assert_eq!(rig.contents(LEAVER), [], "it comes up with nothing");
                assert_eq!(registers(rig, LEAVER), before);
            }
        });
    }
}

#[test]
fn a_suspended_machine_comes_back_whole() {
    run::<16>(Setup::new(Knobs::SPARING), |rig, units| {
        map(rig, 4, PageSize::Size4K);
        let mut back = Vec::new();
        for (cpu, unit) in (0..).zip(units) {
            back.push(sleep(rig, unit, cpu));
        }
        stale_pages(rig);
        flush_stale_pages(rig);
        assert_nothing_stale(rig);
    });
}

#[test]
fn an_offline_cpu_is_not_signalled_and_flushes_on_its_way_back() {
    run::<16>(Setup::new(Knobs::DEFAULT), |rig, mut units| {
        map(rig, 4, PageSize::Size4K);
        let detected = disable(rig.machine, units.pop().unwrap(), 3).unwrap();
        stale_pages(rig);
        let commands = rig.machine.commands();
        flush_stale_pages(rig);
        assert_eq!(rig.machine.commands(), commands + 2);
        assert!((0..3).all(|cpu| rig.stale(cpu).is_empty()));
        assert_eq!(rig.stale(LEAVER).len(), 2, "not flushed");
        let configured = detected
            .configure(&pinned(3), rig.machine.driver())
            .unwrap();
        let _unit = enable(rig, configured, LEAVER).unwrap();
        assert_nothing_stale(rig);
    });
}

/// Whether the signal latched at that moment is dropped or held.
#[test]
fn a_cpu_that_leaves_while_targeted_delays_no_flush() {
    for at_disable in [Signals::Drop, Signals::Hold] {
        for knobs in honest_units() {
            let config = Setup::new(Knobs {
                at_disable,
                ..knobs
            })
            .served(Service::Boundary);
            run::<16>(config, |rig, mut units| {
                map(rig, 4, PageSize::Size4K);
                stale_pages(rig);
                let (initiator, targets) = (pinned(0), members(&ALL));
                let pending = rig
                    .shootdown
                    .start(&initiator, &[pages(1, 2)], &targets, ());
                let unit = units.pop().unwrap();
                let _down = disable(rig.machine, unit, 3).unwrap();
                for cpu in [1, 2] {
                    assert_eq!(rig.stale(cpu).len(), 2, "control");
                    let _served = rig.machine.end_instruction(cpu);
                }
                pending.wait(&pinned(0)).unwrap();
                assert_nothing_stale(rig);
                assert!(rig.machine.cpu(LEAVER).record().is_empty());
            });
        }
    }
}

#[test]
fn a_cpu_that_left_and_came_back_while_targeted_has_flushed() {
    for knobs in honest_units() {
        run::<16>(
            Setup::new(knobs).served(Service::Boundary),
            |rig, mut units| {
                map(rig, 4, PageSize::Size4K);
                stale_pages(rig);
                let (initiator, targets) = (pinned(0), members(&[0, 3]));
                let pending = rig
                    .shootdown
                    .start(&initiator, &[pages(1, 2)], &targets, ());
                assert_eq!(rig.stale(LEAVER).len(), 2, "control");
                let unit = units.pop().unwrap();
                let _back = sleep(rig, unit, LEAVER);
                pending.wait(&pinned(0)).unwrap();
                assert_eq!(rig.stale(LEAVER), []);
            },
        );
    }
}

/// An initiator was held up between its check of the online CPUs and its signal: the byte is armed,
/// the signal lost.
#[test]
fn an_entry_armed_for_a_cpu_that_is_gone_costs_a_slot_until_it_is_back() {
    run_in_trouble::<16>(
        Setup::new(Knobs::DEFAULT).served(Service::Boundary),
        |rig, mut units| {
            map(rig, 4, PageSize::Size4K);
            stale_pages(rig);
            let (initiator, targets) = (pinned(0), members(&[0, 3]));
            let pending = rig
                .shootdown
                .start(&initiator, &[pages(1, 2)], &targets, ());
            let detected = disable(rig.machine, units.pop().unwrap(), 3).unwrap();
            arm_late(rig, LEAVER);
            assert_eq!(
                rig.machine.cpu(LEAVER).with_unit(RarUnit::signal),
                rar_model::Signalled::Dropped(rar_model::Loss::Disabled)
            );
            pending.wait(&pinned(0)).unwrap();
            rig.assert_statistics(statistics(|expected| {
                expected.quarantined = 1;
            }));
            assert_eq!(rig.reclaim_slots(), 0);
            let configured = detected
                .configure(&pinned(3), rig.machine.driver())
                .unwrap();
            let _unit = enable(rig, configured, LEAVER).unwrap();
            assert_eq!(rig.reclaim_slots(), 1);
            assert_eq!(rig.stale(0), []);
            assert_eq!(rig.stale(LEAVER), []);
            assert_eq!(rig.stale(1).len(), 2, "no target");
        },
    );
}

/// The same, but the CPU is back before the byte is armed: only the count of joins shows that it
/// has flushed.
#[test]
fn an_entry_armed_after_the_cpu_came_back_is_not_waited_out() {
    run_in_trouble::<16>(
        Setup::new(Knobs::SPARING).served(Service::Boundary),
        |rig, mut units| {
            map(rig, 4, PageSize::Size4K);
            stale_pages(rig);
            let (initiator, targets) = (pinned(0), members(&[0, 3]));
            let pending = rig
                .shootdown
                .start(&initiator, &[pages(1, 2)], &targets, ());
            assert_eq!(rig.stale(LEAVER).len(), 2, "control");
            let unit = units.pop().unwrap();
            let _back = sleep(rig, unit, LEAVER);
            arm_late(rig, LEAVER);
            pending.wait(&pinned(0)).unwrap();
            assert_eq!(rig.stale(LEAVER), []);
            rig.assert_statistics(statistics(|expected| {
                expected.quarantined = 1;
            }));
            // The next signal, from any CPU, ends the entry.
            rig.machine.cpu(LEAVER).with_unit(RarUnit::signal);
            let _served = rig.machine.end_instruction(LEAVER);
            assert_eq!(rig.reclaim_slots(), 1);
        },
    );
}

/// Firmware disables RAR behind the driver's back: the CPU is online and drops every signal.
#[test]
fn a_signal_dropped_by_a_disabled_unit_falls_back() {
    for knobs in honest_units() {
        run_in_trouble::<16>(Setup::new(knobs), |rig, mut units| {
            map(rig, 4, PageSize::Size4K);
            stale_pages(rig);
            let broken = rig.machine.cpu(LEAVER);
            broken.with_unit(|unit| unit.write_msr(CONTROL, 0).unwrap());
            flush_stale_pages(rig);
            assert_nothing_stale(rig);
            assert_eq!(rig.machine.dropped_signals(), 1);
            let mut expected = statistics(|expected| {
                expected.fallbacks = 1;
                expected.quarantined = 1;
                expected.demotions = 1;
            });
            rig.assert_statistics(expected);
            assert_eq!(rig.reclaim_slots(), 0);

            // Going offline and online repairs it.
            let unit = units.pop().unwrap();
            units.push(sleep(rig, unit, LEAVER));
            assert_eq!(rig.reclaim_slots(), 1);
            expected.quarantined = 0;
            stale_pages(rig);
            flush_stale_pages(rig);
            assert_nothing_stale(rig);
            assert_eq!(rig.contents(LEAVER).len(), 10, "by its unit");
            rig.assert_statistics(expected);
        });
    }
}
