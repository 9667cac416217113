//! NMIs that come at any step.

use rar_sim::history::{Episode, Op, Reset};
use rar_sim::machine::{Answering, Vector};

use crate::observer::{CPUS, TAKEN};
use crate::race::{Script, at_least, machine, race};

/// How many steps of the machine come before the next NMI.
const STEPS: u64 = 97;

/// Flushes, waits, handlers, lazy CPUs, and CPUs that come and go.
fn everything(script: &mut Script) {
    script.all_cpus(&Op::Switch { space: 0 });
    for _ in 0..8 {
        for cpu in 0..CPUS {
            let (slot, moments) = (script.page(), script.moments());
            let op = match script.choice.u8(..8) {
                0 => Op::Interrupt {
                    target: script.choice.u16(..CPUS as u16),
                },
                1 => Op::InterruptsOff { moments },
                2 => Op::Idle {
                    moments,
                    halted: false,
                },
                3 => Op::Unplug {
                    moments,
                    reset: Reset::Init,
                },
                _ => Op::Remap { space: 0, slot },
            };
            script.add(cpu, op);
            script.add(cpu, Op::Sweep);
        }
    }
}

/// An NMI cuts into each step of a flush, of a wait and of a responder on its CPU, and its handler
/// serves (I11): nothing stale is used after a flush, no entry is ended twice, and every flush
/// ends without a fallback.
#[test]
fn an_nmi_cuts_into_any_step() {
    let totals = race(
        |_| Episode {
            backend: Answering::Software,
            ..machine()
        },
        everything,
        &mut |step: &mut u64, sight| {
            *step += 1;
            // To each CPU in turn, and not so often that handlers run within handlers.
            if step.is_multiple_of(STEPS) {
                let cpu = (*step / STEPS) as usize % CPUS;
                sight.cpu(cpu).interrupt(Vector::Nmi);
            }
            let stays_taken = |cpu, slot| {
                sight.before.byte(cpu, slot) == TAKEN && sight.now.byte(cpu, slot) == TAKEN
            };
            // One responder ends its entries in the order of slots: an entry that ends before a
            // lower one was taken by a second responder, which no interrupt may be.
            let nested = |(cpu, slot): &(usize, usize)| {
                sight.before.byte(*cpu, *slot) == TAKEN
                    && !sight.cpu(*cpu).interrupts_on()
                    && (0..*slot).any(|lower| stays_taken(*cpu, lower))
            };
            sight.ended().filter(nested).count() as u64
        },
    );
    if cfg!(rar_observed) {
        at_least(totals.seen, 60, "a responder was cut by an NMI");
    }
    assert_eq!(totals.statistics.fallbacks, 0);
}
