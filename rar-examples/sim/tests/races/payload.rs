//! An entry between its first word and its answer.

use rar_sim::history::Op;

use crate::observer::{CPUS, SLOTS};
use crate::race::{Script, at_least, machine, race};

/// Every CPU may cache one space and changes it.
fn one_space(script: &mut Script) {
    script.all_cpus(&Op::Switch { space: 0 });
    for _ in 0..4 {
        for cpu in 0..CPUS {
            script.add(cpu, Op::Sweep);
            let (region, first, count) = (script.choice.u8(..2), script.choice.u8(..5), 2);
            let slot = script.page();
            let op = if script.choice.bool() {
                Op::Remap { space: 0, slot }
            } else {
                Op::RemapMany {
                    space: 0,
                    region,
                    first,
                    count,
                }
            };
            script.add(cpu, op);
        }
    }
}

/// The open bytes that were seen with a latched signal.
struct Signalled([[bool; SLOTS]; CPUS]);

impl Default for Signalled {
    fn default() -> Self {
        Self([[false; SLOTS]; CPUS])
    }
}

/// A unit that scans for one initiator finds the entry of another, which has not signalled yet.
#[test]
fn arm_versus_a_scan_by_anothers_signal() {
    let totals = race(
        |_| machine(),
        one_space,
        &mut |signalled: &mut Signalled, sight| {
            let answered_unasked = sight
                .ended()
                .filter(|(cpu, slot)| !signalled.0[*cpu][*slot]);
            let seen = answered_unasked.count() as u64;
            for (cpu, signalled) in signalled.0.iter_mut().enumerate() {
                let pending = sight.cpu(cpu).with_unit(|unit| unit.pending());
                for (slot, signalled) in signalled.iter_mut().enumerate() {
                    *signalled = sight.now.is_open(cpu, slot) && (*signalled || pending);
                }
            }
            seen
        },
    );
    at_least(totals.seen, 400, "an entry was answered before its signal");
}

/// The slots with a partly written payload and no armed byte.
struct Written([bool; SLOTS]);

impl Default for Written {
    fn default() -> Self {
        Self([false; SLOTS])
    }
}

/// Units scan while entries are being written: a unit that sees PENDING sees the whole payload.
#[test]
fn payload_visible_before_pending() {
    let totals = race(
        |_| machine(),
        one_space,
        &mut |half_written: &mut Written, sight| {
            let mut seen = 0;
            let scans = (0..CPUS).any(|cpu| sight.now.open(cpu).next().is_some());
            for (slot, half_written) in half_written.0.iter_mut().enumerate() {
                let changed = sight.before.payload(slot) != sight.now.payload(slot);
                let closed = !sight.now.is_open_anywhere(slot);
                seen += u64::from(changed && closed && scans && *half_written);
                *half_written = closed && (changed || *half_written);
            }
            seen
        },
    );
    if cfg!(rar_observed) {
        assert!(totals.seen > 0, "a payload was seen half written");
    }
}
