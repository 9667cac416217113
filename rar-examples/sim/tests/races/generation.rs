//! Several initiators flush one CPU, by its unit and by its flush generation.

use rar_model::{Faults, Knobs};
use rar_percpu::Ticket;
use rar_sim::history::{Episode, Fallbacks, Op};

use crate::observer::{CPUS, SLOTS, Sight};
use crate::race::{Script, at_least, machine, race};

/// The only CPU that may cache the space.
const TARGET: usize = 7;

/// All CPUs change the pages or page tables of a space that one CPU runs.
fn one_target(script: &mut Script) {
    for cpu in (0..CPUS).filter(|cpu| cpu % 3 == 0) {
        script.add(cpu, Op::SwitchAndForget { space: 1 });
    }
    script.add(TARGET, Op::SwitchAndForget { space: 0 });
    let frees_tables = script.choice.bool();
    for _ in 0..4 {
        let slot = script.page();
        script.add(TARGET, Op::Touch { slot, write: false });
        if !frees_tables {
            script.add(TARGET, Op::Sweep);
        }
        for cpu in 0..TARGET {
            let (space, slot, region) = (0, script.page(), script.choice.u8(..2));
            let op = if frees_tables {
                Op::FreeTable { space, region }
            } else {
                Op::Remap { space, slot }
            };
            script.add(cpu, op);
        }
    }
}

fn faulty(faults: Faults, patience: u32) -> Episode {
    Episode {
        knobs: Knobs {
            faults,
            ..Knobs::DEFAULT
        },
        patience,
        speculation: 128,
        fallbacks: Fallbacks::Expected,
        ..machine()
    }
}

/// Two entries of two initiators are open in one vector.
#[test]
fn two_initiators_one_target() {
    let totals = race(|_| machine(), one_target, &mut |(), sight| {
        let target_alone = (0..TARGET).all(|cpu| sight.now.open(cpu).next().is_none());
        // Each of these flushes has one slot.
        u64::from(target_alone && sight.now.open(TARGET).count() >= 2)
    });
    at_least(totals.seen, 30_000, "two initiators met at one target");
    assert_eq!(totals.statistics.fallbacks, 0);
}

/// Two initiators flush one CPU by generation at once; no unit answers. Who waits for a slot finds
/// the silent units out meanwhile, and needs none.
#[test]
fn two_initiators_one_generation() {
    let totals = race(
        |_| {
            let mute = Faults {
                mute: u64::MAX,
                ..Faults::NONE
            };
            faulty(mute, 20)
        },
        |script| {
            one_target(script);
            for cpu in 0..CPUS {
                let (space, other, region) = (1, 2, (cpu % 2) as u8);
                script.add(
                    cpu,
                    Op::RemapAtOnce {
                        space,
                        other,
                        region,
                    },
                );
                script.add(
                    cpu,
                    Op::RemapAtOnce {
                        space,
                        other,
                        region,
                    },
                );
            }
        },
        &mut Requests::look,
    );
    at_least(totals.seen, 200, "two requests were open at once");
    let statistics = &totals.statistics;
    assert!(statistics.fallbacks > 0 && statistics.by_generation > 0);
    assert!(statistics.quarantined > 0, "nothing was reclaimed");
}

/// Requests of the target's generation that are open.
#[derive(Default)]
struct Requests {
    open: Vec<Ticket>,
}

impl Requests {
    /// Returns 1 if a request came while another was open.
    fn look(&mut self, sight: &Sight<'_>) -> u64 {
        let generation = sight.state(TARGET).generation();
        self.open.retain(|ticket| !generation.is_completed(*ticket));
        let newest = generation.newest();
        let fresh = !generation.is_completed(newest) && !self.open.contains(&newest);
        if fresh {
            self.open.push(newest);
        }
        u64::from(fresh && self.open.len() >= 2)
    }
}

/// The slots whose entry was open while the target's generation was served.
struct Served([bool; SLOTS]);

impl Default for Served {
    fn default() -> Self {
        Self([false; SLOTS])
    }
}

/// The unit answers near the time of the fallback: sometimes before the generation is served,
/// sometimes after.
#[test]
fn fallback_generation_and_hardware_both_answer() {
    let (mut microcode_first, mut generation_first) = (0, 0);
    let totals = race(
        |seed| {
            // Seeds that are near differ much: a few of them cover the range.
            let delay = 40 + (seed * 37 % 200) as u16;
            let late = Faults {
                delay,
                ..Faults::NONE
            };
            faulty(late, 20)
        },
        one_target,
        &mut |served: &mut Served, sight| {
            let generation = sight.state(TARGET).generation();
            let asked = !generation.is_completed(generation.newest());
            for (slot, served) in served.0.iter_mut().enumerate() {
                let open = sight.now.is_open(TARGET, slot);
                let ended = sight.before.is_open(TARGET, slot) && !open;
                microcode_first += u64::from(ended && asked);
                generation_first += u64::from(ended && *served);
                // Requested, then served, with the entry still open.
                *served = open && (*served || sight.quarantined() > 0 && !asked);
            }
            0
        },
    );
    at_least(
        microcode_first,
        200,
        "the unit was faster than the fallback",
    );
    at_least(generation_first, 200, "the fallback was faster");
    at_least(totals.statistics.fallbacks, 200, "late CPUs are counted");
}
