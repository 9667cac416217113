//! CPUs that join and leave while others flush (I10).

use rar_sim::history::{Episode, Op, Reset};

use crate::observer::{CPUS, Sight};
use crate::race::{Script, at_least, machine, race};

/// The CPUs that run space 0 join and leave; the others change it, with so few targets that many
/// flushes pass while one CPU joins.
fn coming_and_going(script: &mut Script) {
    for cpu in 0..CPUS {
        for _ in 0..20 {
            if cpu % 3 == 0 {
                let moments = script.choice.u8(..10);
                let resets = [Reset::None, Reset::Init, Reset::Power];
                let reset = resets[script.choice.usize(..resets.len())];
                script.add(cpu, Op::Unplug { moments, reset });
                script.add(cpu, Op::Sweep);
            } else {
                for _ in 0..3 {
                    let slot = match script.choice.u8(..16) {
                        0 => script.kernel_page(),
                        _ => script.page(),
                    };
                    script.add(cpu, Op::Remap { space: 0, slot });
                }
            }
        }
    }
}

/// CPUs that cache all they can, also while they come online.
fn restless_machine() -> Episode {
    Episode {
        speculation: 200,
        ..machine()
    }
}

/// Another CPU's flush is in flight.
fn is_flushed_elsewhere(sight: &Sight<'_>, cpu: usize) -> bool {
    (0..CPUS).any(|other| other != cpu && sight.holds_slots(other))
}

/// A CPU comes online during a flush that does not name it: it has seen the new page tables, or it
/// flushes.
#[test]
fn target_set_versus_a_joining_cpu() {
    let totals = race(
        |_| restless_machine(),
        coming_and_going,
        &mut |online: &mut [bool; CPUS], sight| {
            let joined = |(cpu, was): (usize, &mut bool)| {
                let is = sight.is_online(cpu);
                let was = std::mem::replace(was, is);
                let unnamed = sight.now.open(cpu).next().is_none();
                is && !was && unnamed && is_flushed_elsewhere(sight, cpu)
            };
            let seen = online.iter_mut().enumerate().map(joined);
            seen.map(u64::from).sum()
        },
    );
    at_least(totals.seen, 1_000, "a CPU joined during a flush");
}

/// A CPU leaves with open entries: it flushes before it leaves, and no CPU waits for it.
#[test]
fn going_offline_while_targeted() {
    let totals = race(
        |_| restless_machine(),
        coming_and_going,
        &mut |online: &mut [bool; CPUS], sight| {
            let left = |(cpu, was): (usize, &mut bool)| {
                let is = sight.is_online(cpu);
                let was = std::mem::replace(was, is);
                was && !is && sight.now.open(cpu).next().is_some()
            };
            let seen = online.iter_mut().enumerate().map(left);
            seen.map(u64::from).sum()
        },
    );
    at_least(totals.seen, 1_000, "a CPU left with an entry open");
    assert_eq!(totals.statistics.fallbacks, 0);
}
