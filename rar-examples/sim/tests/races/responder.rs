//! The responder in software.

use rar_sim::history::{Episode, Op};
use rar_sim::machine::Answering;

use crate::observer::{CPUS, SLOTS, TAKEN};
use crate::race::{machine, race};

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
            script.all_cpus(&Op::Switch { space: 0 });
            for _ in 0..5 {
                for cpu in 0..CPUS {
                    script.add(cpu, Op::Sweep);
                    let slot = script.page();
                    let (space, other) = (0, script.choice.u8(1..3));
                    script.add(cpu, Op::RemapTwo { space, other, slot });
                    if script.choice.u8(..4) == 0 {
                        let moments = script.moments();
                        script.add(cpu, Op::InterruptsOff { moments });
                    }
                }
            }
        },
        &mut |(), sight| {
            let taken_before = |cpu, slot| sight.before.byte(cpu, slot) == TAKEN;
            let taken = |cpu, slot| sight.now.byte(cpu, slot) == TAKEN;
            // One entry is taken while another stays taken: only a second responder does that.
            let nested = |cpu: &usize| {
                let stays = |slot| taken_before(*cpu, slot) && taken(*cpu, slot);
                let fresh = |slot| !taken_before(*cpu, slot) && taken(*cpu, slot);
                (0..SLOTS).any(stays) && (0..SLOTS).any(fresh)
            };
            (0..CPUS).filter(nested).count() as u64
        },
    );
    // A spin finds an entry that is armed but not signalled yet: only where CPUs can switch between
    // any two accesses.
    let is_seen = totals.seen > 0 || !cfg!(rar_observed);
    assert!(is_seen, "a responder was interrupted by another");
}
