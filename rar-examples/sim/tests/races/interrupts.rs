//! Flushes from interrupts.

use rar_sim::history::Op;

use crate::observer::CPUS;
use crate::race::{at_least, race, slow_machine};

/// An interrupt handler flushes while its CPU holds slots: with no slot left it does not wait for
/// one (I7).
#[test]
fn nested_flush_from_an_interrupt_with_slots_held() {
    let totals = race(
        slow_machine,
        |script| {
            for round in 0..3 {
                for cpu in 0..CPUS {
                    script.add(cpu, Op::Sweep);
                    for _ in 0..2 {
                        let target = script.choice.u16(..CPUS as u16);
                        script.add(cpu, Op::Interrupt { target });
                    }
                    let (space, other) = ((cpu % 3) as u8, (cpu % 3 + 1) as u8);
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
        &mut |(), sight| u64::from(sight.all_slots_are_held()),
    );
    at_least(totals.seen, 500_000, "all slots were held at once");
    at_least(totals.nested, 800, "an interrupt flushed with slots held");
    assert!(
        totals.statistics.slotless > 0,
        "no flush went without a slot"
    );
}
