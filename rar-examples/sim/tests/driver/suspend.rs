//! The whole machine goes to sleep, or another kernel takes it over.

use rar_model::{Knobs, PageSize, RarUnit, Signalled};
use rar_percpu::fake::pinned;
use rar_percpu::{ActionByte, CpuId, Detected, Enabled, NotQuiet, PerCpu, SlotIndex, Verified};
use rar_sim::machine::{ACTION_VECTORS, PAYLOAD_TABLE, Service};

use crate::rig::{Rig, Setup, Unit, disable, enable, run, run_in_trouble};
use crate::scene::{
    TAGS, flush, honest_units, is_page, make_stale, map, members, pages, statistics,
};

const ALL: [u32; 4] = [0, 1, 2, 3];
const CONTROL: u32 = 0xed;
const VECTOR: u32 = 0xee;
const PAYLOADS: u32 = 0xef;

fn registers<const TLB: usize>(rig: &Rig<'_, TLB>, cpu: u32) -> [u64; 3] {
    let cpu = rig.machine.cpu(cpu);
    cpu.with_unit(|unit| [CONTROL, VECTOR, PAYLOADS].map(|msr| unit.read_msr(msr).unwrap()))
}

fn stale_pages<const TLB: usize>(rig: &Rig<'_, TLB>) {
    make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
}

/// Takes all CPUs offline, the boot CPU last.
fn all_down<'r, const TLB: usize>(
    rig: &Rig<'r, TLB>,
    units: Vec<Unit<'r, Enabled, TLB>>,
) -> Vec<Unit<'r, Detected, TLB>> {
    let down = (0..4).zip(units).rev();
    let mut down: Vec<_> = down
        .map(|(cpu, unit)| disable(rig.machine, unit, cpu).unwrap())
        .collect();
    down.reverse();
    down
}

/// The registers of all CPUs are lost, the boot CPU's included; memory is kept.
fn lose_power<const TLB: usize>(rig: &Rig<'_, TLB>) {
    for cpu in rig.cpus() {
        rig.machine.cpu(cpu).power_cycle();
        assert_eq!(registers(rig, cpu), [0; 3]);
    }
}

#[test]
fn after_a_suspend_every_register_is_written_again_and_units_flush() {
    for knobs in honest_units() {
        run::<16>(Setup::new(knobs), |rig, mut units| {
            map(rig, 4, PageSize::Size4K);
            let before = ALL.map(|cpu| registers(rig, cpu));
            for _ in 0..3 {
                let down = all_down(rig, units);
                assert_eq!(rig.shootdown.domain().check_quiet(), Ok(()));
                lose_power(rig);
                let written = ALL.map(|cpu| rig.machine.cpu(cpu).writes().len());
                units = Vec::new();
                for (cpu, detected) in (0..).zip(down) {
                    let number = pinned(cpu);
                    let configured = detected.configure(&number, rig.machine.driver()).unwrap();
                    units.push(enable(rig, configured, cpu).unwrap());
                    // Those that are not back are not waited for.
                    flush(rig, 0, &[pages(1, 2)], &ALL);
                }
                for (cpu, written) in ALL.into_iter().zip(written) {
                    let [control, vector, payloads] = before[cpu as usize];
                    assert_eq!(
                        rig.machine.cpu(cpu).writes()[written..],
                        [
                            (CONTROL, 0),
                            (VECTOR, vector),
                            (PAYLOADS, payloads),
                            (CONTROL, control)
                        ],
                        "CPU {cpu}"
                    );
                    assert_eq!(registers(rig, cpu), before[cpu as usize]);
                }
                let executed = ALL.map(|cpu| rig.machine.cpu(cpu).executed());
                stale_pages(rig);
                flush(rig, 0, &[pages(1, 2)], &ALL);
                for cpu in ALL {
                    assert_eq!(rig.stale(cpu), [], "CPU {cpu}");
                    assert_eq!(rig.contents(cpu).len(), 10, "only what was asked");
                    let by_unit = rig.machine.cpu(cpu).executed() - executed[cpu as usize];
                    assert_eq!(by_unit, u64::from(cpu != 0), "the initiator flushes itself");
                }
            }
        });
    }
}

/// A control: CPUs that stay online over the sleep, and are not verified, are not flushed by their
/// units. Verified, they are.
#[test]
fn without_the_rewriting_a_flush_after_a_suspend_is_missed_by_the_units() {
    for knobs in honest_units() {
        run_in_trouble::<16>(Setup::new(knobs), |rig, units| {
            map(rig, 4, PageSize::Size4K);
            let before = ALL.map(|cpu| registers(rig, cpu));
            lose_power(rig);
            stale_pages(rig);
            let (initiator, targets) = (pinned(0), members(&ALL));
            let pending = rig
                .shootdown
                .start(&initiator, &[pages(1, 2)], &targets, ());
            for cpu in 1..4 {
                assert_eq!(rig.stale(cpu).len(), 2, "CPU {cpu} has missed the signal");
            }
            assert_eq!(rig.machine.dropped_signals(), 3);
            pending.wait(&initiator).unwrap();
            let mut expected = statistics(|expected| {
                expected.fallbacks = 3;
                expected.demotions = 3;
                expected.quarantined = 1;
            });
            rig.assert_statistics(expected);

            for (cpu, unit) in (0..).zip(&units) {
                let verified = unit.verify(&pinned(cpu), rig.machine);
                assert_eq!(verified, Ok(Verified::Restored), "CPU {cpu}");
                assert_eq!(registers(rig, cpu), before[cpu as usize]);
            }
            assert_eq!(rig.reclaim_slots(), 1);
            expected.quarantined = 0;
            stale_pages(rig);
            flush(rig, 0, &[pages(1, 2)], &ALL);
            for cpu in ALL {
                assert_eq!(rig.stale(cpu), []);
                assert_eq!(rig.contents(cpu).len(), 10, "only what was asked");
            }
            rig.assert_statistics(expected);
        });
    }
}

/// What another kernel finds in its memory when a signal comes: this driver's table and vectors
/// are free by then, and are used for something else.
fn signal_into_reused_memory<const TLB: usize>(rig: &Rig<'_, TLB>) -> [bool; 4] {
    let slot = SlotIndex::new(7).unwrap();
    let byte = |cpu| rig.machine.driver().byte(CpuId::new(cpu), slot).unwrap();
    ALL.map(|cpu| {
        byte(cpu).store(1, std::sync::atomic::Ordering::Release);
        let signalled = rig.machine.cpu(cpu).with_unit(RarUnit::signal);
        let _served = rig.machine.end_instruction(cpu);
        let is_kept = byte(cpu).swap(0, std::sync::atomic::Ordering::AcqRel) == 1;
        assert_eq!(is_kept, matches!(signalled, Signalled::Dropped(_)));
        is_kept
    })
}

#[test]
fn before_a_kexec_nothing_is_pending_and_no_unit_touches_memory_any_more() {
    for knobs in honest_units() {
        run_in_trouble::<16>(Setup::new(knobs).served(Service::Boundary), |rig, units| {
            // A control: an enabled unit writes to what was its vector.
            assert_eq!(signal_into_reused_memory(rig), [false; 4]);
            let down = all_down(rig, units);
            assert_eq!(rig.shootdown.domain().check_quiet(), Ok(()));
            for cpu in ALL {
                // The addresses are still there, and nothing follows them.
                let vector = ACTION_VECTORS + u64::from(cpu) * size_of::<PerCpu>() as u64;
                assert_eq!(registers(rig, cpu), [0, vector, PAYLOAD_TABLE]);
            }
            assert_eq!(signal_into_reused_memory(rig), [true; 4]);
            drop(down);
        });
    }
}

#[test]
fn what_is_pending_before_a_kexec_is_named_by_cpu_and_slot() {
    run_in_trouble::<16>(
        Setup::new(Knobs::DEFAULT).served(Service::Boundary),
        |rig, mut units| {
            let domain = rig.shootdown.domain();
            let initiator = pinned(0);
            let (slot, cpu) = (SlotIndex::new(0).unwrap(), CpuId::new(3));
            let start = || {
                rig.shootdown
                    .start(&initiator, &[pages(1, 2)], &members(&[3]), ())
            };
            let pending = start();
            let unit = units.pop().unwrap();
            let down = all_down(rig, units);
            assert_eq!(domain.check_quiet(), Err(NotQuiet::Online { cpu }));
            let left = disable(rig.machine, unit, 3).unwrap();
            // All CPUs are offline, and a flush has not been ended.
            assert_eq!(
                domain.check_quiet(),
                Ok(()),
                "it was answered on the way down"
            );
            pending.wait(&initiator).unwrap();
            let held = domain.claim(&initiator, 1).unwrap();
            assert_eq!(domain.check_quiet(), Err(NotQuiet::InFlight { slot }));
            drop(held);
            // An initiator that saw the CPU online arms it late.
            let byte = rig.machine.driver().byte(cpu, slot).unwrap();
            byte.store(1, std::sync::atomic::Ordering::Release);
            let open = domain.check_quiet().unwrap_err();
            assert!(
                open == NotQuiet::Open {
                    cpu,
                    slot,
                    byte: ActionByte(1)
                },
                "{open}"
            );
            let text = open.to_string();
            assert!(
                text.contains("CPU 3: entry pending in slot 0 (got action byte 0x01"),
                "{text}"
            );
            // Up and down again ends it.
            let configured = left.configure(&pinned(3), rig.machine.driver()).unwrap();
            let unit = enable(rig, configured, 3).unwrap();
            let left = disable(rig.machine, unit, 3).unwrap();
            assert_eq!(domain.check_quiet(), Ok(()));
            drop((down, left));
        },
    );
}
