//! Units with wrong registers.

use rar_model::{
    ACTION_VECTOR_BASE, CONTROL, Defect, GeneralProtection, Knobs, PAYLOAD_TABLE_BASE, RarUnit,
};

use super::observes;
use crate::rig::{ENABLE, IGNORE_IF, Rig, TABLE, VECTOR};

/// Returns the bits that `msr` accepts one at a time, and those of them that it stores.
fn taken_and_stored(knobs: Knobs, msr: u32) -> (Vec<u32>, Vec<u32>) {
    let takes = |bit: &u32| RarUnit::new(knobs).write_msr(msr, 1 << bit).is_ok();
    let taken: Vec<_> = (0..64).filter(takes).collect();
    let stores = |bit: &u32| {
        let unit = RarUnit::new(knobs);
        assert_eq!(unit.write_msr(msr, 1 << bit), Ok(()));
        unit.read_msr(msr) == Ok(1 << bit)
    };
    let stored = taken.iter().copied().filter(stores).collect();
    (taken, stored)
}

/// A correct unit accepts and stores `legal`; the broken one stores `legal` and accepts `taken`.
fn takes(
    defect: Defect,
    msr: u32,
    legal: impl Iterator<Item = u32> + Clone,
    taken: impl Iterator<Item = u32>,
) {
    let right = (legal.clone().collect(), legal.clone().collect());
    let wrong = (taken.collect(), legal.collect());
    observes(defect, |knobs| taken_and_stored(knobs, msr), [right, wrong]);
}

pub(super) fn control_low_bits_accepted(defect: Defect) {
    takes(defect, CONTROL, 30..32, 0..32);
    let bases = [(ACTION_VECTOR_BASE, 6..46), (PAYLOAD_TABLE_BASE, 12..46)];
    for (msr, legal) in bases {
        let taken = taken_and_stored(super::broken(defect), msr).0;
        assert_eq!(taken, legal.collect::<Vec<_>>());
    }
}

pub(super) fn base_low_bits_accepted(defect: Defect) {
    takes(defect, ACTION_VECTOR_BASE, 6..46, 0..46);
    takes(defect, PAYLOAD_TABLE_BASE, 12..46, 0..46);
    let control = taken_and_stored(super::broken(defect), CONTROL).0;
    assert_eq!(control, [30, 31]);
}

/// Returns the three registers and whether a signal is latched, after INIT.
fn after_init(knobs: Knobs) -> ([Result<u64, GeneralProtection>; 3], bool) {
    let rig = Rig::enabled(knobs);
    rig.unit.signal();
    rig.unit.init();
    let values =
        [CONTROL, ACTION_VECTOR_BASE, PAYLOAD_TABLE_BASE].map(|msr| rig.unit.read_msr(msr));
    (values, rig.unit.pending())
}

const PROGRAMMED: [Result<u64, GeneralProtection>; 3] =
    [Ok(ENABLE | IGNORE_IF), Ok(VECTOR), Ok(TABLE)];

pub(super) fn msrs_lost_at_init(defect: Defect) {
    observes(
        defect,
        after_init,
        [(PROGRAMMED, false), ([Ok(0); 3], false)],
    );
}

pub(super) fn latch_kept_at_init(defect: Defect) {
    observes(
        defect,
        after_init,
        [(PROGRAMMED, false), (PROGRAMMED, true)],
    );
}
