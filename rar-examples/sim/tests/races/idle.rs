//! CPUs that idle and run guests while others flush.

use rar_model::Activity;
use rar_sim::history::Op;

use crate::observer::CPUS;
use crate::race::{Script, at_least, machine, race};

/// Half of the CPUs idle and run guests, half change what those may have cached: mostly one kind of
/// change in a run.
fn coming_back(script: &mut Script) {
    script.all_cpus(&Op::Switch { space: 0 });
    let mostly = script.choice.u8(..4);
    for _ in 0..6 {
        for cpu in (0..CPUS).step_by(2) {
            let slot = script.page();
            script.add(cpu, Op::Touch { slot, write: true });
            let (moments, coin) = (3 * script.moments(), script.choice.bool());
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
            script.add(cpu, away);
            script.add(cpu, Op::Sweep);
        }
        for cpu in (1..CPUS).step_by(2) {
            for _ in 0..3 {
                let any = script.choice.u8(..4);
                let kind = if script.choice.bool() { mostly } else { any };
                let op = change(script, kind);
                script.add(cpu, op);
            }
        }
    }
}

fn change(script: &mut Script, kind: u8) -> Op {
    let (space, region) = (0, script.choice.u8(..2));
    match kind {
        0 => Op::FreeTable { space, region },
        1 => Op::FreeKernelTable,
        2 => Op::Remap {
            space,
            slot: script.kernel_page(),
        },
        _ => Op::Remap {
            space,
            slot: script.page(),
        },
    }
}

/// A lazy CPU is skipped, and flushes when it leaves the mode; a flush that skips no CPU reaches it
/// while it sleeps.
#[test]
fn entering_and_leaving_idle_while_targeted() {
    let totals = race(|_| machine(), coming_back, &mut |(), sight| {
        let asleep = |cpu: &usize| {
            let activity = sight.cpu(*cpu).with_unit(|unit| unit.activity());
            activity == Activity::Halted && sight.now.open(*cpu).next().is_some()
        };
        (0..CPUS).filter(asleep).count() as u64
    });
    at_least(totals.seen, 50_000, "a CPU was targeted in its sleep");
    at_least(totals.made_up, 300, "a CPU was skipped and came back");
    assert_eq!(totals.statistics.fallbacks, 0);
}
