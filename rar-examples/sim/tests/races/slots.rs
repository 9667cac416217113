//! The owners of slots.

use rar_model::{Faults, Knobs};
use rar_sim::history::{Episode, Fallbacks, Op};

use crate::observer::{CPUS, SLOTS};
use crate::race::{at_least, machine, race, slow_machine};

/// Eight CPUs want 96 slots at once: each slot has one owner, and a CPU that finds none flushes
/// without.
#[test]
fn claim_and_release() {
    let mut used = [false; SLOTS];
    let totals = race(
        slow_machine,
        |script| {
            for round in 0..3 {
                for cpu in 0..CPUS {
                    let (space, other) = ((cpu % 3) as u8, (cpu % 3 + 1) as u8);
                    let region = round % 2;
                    script.add(cpu, Op::Sweep);
                    script.add(
                        cpu,
                        Op::RemapAtOnce {
                            space,
                            other,
                            region,
                        },
                    );
                }
            }
        },
        &mut |(), sight| {
            sight.armed().for_each(|(_, slot)| used[slot] = true);
            // From all held to one free: a release for which others wait.
            u64::from(sight.all_slots_are_held())
        },
    );
    assert_eq!(used, [true; SLOTS], "every slot was used");
    at_least(totals.seen, 500_000, "all slots were held at once");
    assert!(
        totals.statistics.slotless > 0,
        "no flush went without a slot"
    );
}

/// Eight CPUs want two of four slots each, and get the second one at once or not at all: a CPU that
/// gave back what it had, to look at every slot, waits if the others took it meanwhile.
#[test]
fn slots_given_back_versus_a_look_at_all() {
    let totals = race(
        |seed| Episode {
            entries: 4,
            ..slow_machine(seed)
        },
        |script| {
            for _ in 0..6 {
                for cpu in 0..CPUS {
                    let (space, other) = ((cpu % 3) as u8, (cpu % 3 + 1) as u8);
                    let slot = script.page();
                    script.add(cpu, Op::RemapTwo { space, other, slot });
                }
            }
        },
        &mut |(), sight| u64::from(sight.all_slots_are_held()),
    );
    at_least(totals.seen, 500_000, "all slots were held at once");
    assert_eq!(totals.statistics.slotless, 0, "each flush waits for a slot");
}

/// Units that answer after the timeout: the fallback flushes, the slot is quarantined, and the late
/// answer ends only its own entry (I6).
#[test]
fn late_answer_versus_quarantine() {
    let late = |_| Episode {
        knobs: Knobs {
            faults: Faults {
                delay: 400,
                ..Faults::NONE
            },
            ..Knobs::DEFAULT
        },
        patience: 40,
        fallbacks: Fallbacks::Expected,
        ..machine()
    };
    let mut taken_back = 0;
    let totals = race(
        late,
        |script| {
            for round in 0..3 {
                for cpu in 0..CPUS {
                    let (space, other) = ((cpu % 3) as u8, (cpu % 3 + 1) as u8);
                    script.add(cpu, Op::Sweep);
                    let region = round % 2;
                    script.add(
                        cpu,
                        Op::RemapAtOnce {
                            space,
                            other,
                            region,
                        },
                    );
                }
            }
        },
        &mut |quarantined: &mut usize, sight| {
            let before = std::mem::replace(quarantined, sight.quarantined());
            taken_back += u64::from(*quarantined < before);
            let open = (0..SLOTS).filter(|slot| sight.before.is_open_anywhere(*slot));
            // Then every open entry was given up by its owner.
            let only_late_ones = before > 0 && open.count() <= before;
            if only_late_ones {
                sight.ended().count() as u64
            } else {
                0
            }
        },
    );
    assert!(totals.statistics.fallbacks > 0, "late CPUs are counted");
    at_least(totals.seen, 1_000, "an answer came after its deadline");
    assert!(taken_back > 0, "a slot came back from quarantine");
}
