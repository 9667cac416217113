//! The responder in software.

use rar_sim::history::{Episode, Op};
use rar_sim::machine::Answering;

use crate::observer::{CPUS, TAKEN};
use crate::race::{at_least, machine, race};

/// A CPU that executes an entry while it waits is interrupted, and the handler executes others
/// (I11).
#[test]
fn nested_responders() {
    let totals = race(
        |_| Episode {
            backend: Answering::Software,
            ..machine()
        },
        |script| {
            // CPUs 1 to 3 wait for CPU 0, whose interrupts are off, and serve meanwhile. The others
            // flush the space that those three have loaded, so that signals interrupt them there.
            let waits = |cpu| (1..=3).contains(&cpu);
            script.add(0, Op::Switch { space: 1 });
            (1..CPUS).for_each(|cpu| script.add(cpu, Op::Switch { space: 2 }));
            for _ in 0..10 {
                script.add(0, Op::InterruptsOff { moments: 250 });
                for cpu in 1..CPUS {
                    let (space, flushes) = if waits(cpu) { (1, 1) } else { (2, 5) };
                    for _ in 0..flushes {
                        let slot = script.page();
                        script.add(cpu, Op::Remap { space, slot });
                    }
                }
            }
        },
        &mut |(), sight| {
            let stays_taken = |cpu, slot| {
                sight.before.byte(cpu, slot) == TAKEN && sight.now.byte(cpu, slot) == TAKEN
            };
            // One responder ends its entries in the order of slots: an entry that ends before a
            // lower one was taken by a second responder.
            let nested = |(cpu, slot): &(usize, usize)| {
                sight.before.byte(*cpu, *slot) == TAKEN
                    && (0..*slot).any(|lower| stays_taken(*cpu, lower))
            };
            sight.ended().filter(nested).count() as u64
        },
    );
    // A spin finds an entry that is armed but not signalled yet: only where CPUs can switch between
    // any two accesses.
    if cfg!(rar_observed) {
        at_least(totals.seen, 40, "a responder was interrupted by another");
    }
}
