//! CPUs that idle and run guests while others flush.

use rar_model::Activity;
use rar_sim::history::Op;

use crate::observer::CPUS;
use crate::race::{Script, machine, race};

fn coming_back(script: &mut Script) {
    script.everyone(&Op::Switch { space: 0 });
    for _ in 0..5 {
        for cpu in 0..CPUS {
            script.add(cpu, Op::Sweep);
            let (moments, coin) = (script.moments(), script.choice.bool());
            let away = if script.choice.bool() {
                Op::Idle {
                    moments,
                    halted: coin,
                }
            } else {
                Op::Guest {
                    moments,
                    deferred: coin,
                }
            };
            let slot = script.page();
            script.add(cpu, Op::Touch { slot, write: true });
            script.add(cpu, away);
            script.add(cpu, Op::Sweep);
            let slot = script.page();
            script.add(cpu, Op::Remap { space: 0, slot });
            let change = match script.choice.u8(..4) {
                0 => Op::FreeTable {
                    space: 0,
                    region: 0,
                },
                1 => Op::FreeKernelTable,
                2 => Op::Remap {
                    space: 0,
                    slot: script.kernel_page(),
                },
                _ => Op::Remap {
                    space: 0,
                    slot: script.page(),
                },
            };
            script.add(cpu, change);
        }
    }
}

/// A CPU that defers is left alone, and flushes when it comes back; what spares nobody reaches it in its sleep.
#[test]
fn target_set_versus_a_cpu_that_comes_back() {
    let totals = race(|_| machine(), coming_back, &mut |(), sight| {
        let asleep = |cpu: &usize| {
            let activity = sight.cpu(*cpu).with_unit(|unit| unit.activity());
            activity == Activity::Halted && sight.now.open(*cpu).next().is_some()
        };
        (0..CPUS).filter(asleep).count() as u64
    });
    assert!(totals.seen > 0, "a CPU was targeted in its sleep");
    assert!(totals.made_up > 0, "a CPU was left alone and came back");
    assert_eq!(totals.statistics.fallbacks, 0);
}
