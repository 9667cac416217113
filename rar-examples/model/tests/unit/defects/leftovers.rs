//! Units whose flush leaves what the CPU keeps beside its translations.

use rar_model::{Defect, InterruptFlag, Invalidation, Knobs, Leftovers, Refused, SUCCESS, Tlb};

use super::observes;
use crate::rig::{EVERYTHING, Rig, invpcid_pages, invpg_pages};

/// Records what the unit leaves.
#[derive(Default)]
struct Seen(Vec<Leftovers>);

impl Tlb for Seen {
    fn cr3(&self) -> u64 {
        0
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        self.invalidate_leaving(invalidation, Leftovers::NONE)
    }

    fn invalidate_leaving(&mut self, _: Invalidation, leftovers: Leftovers) -> Result<(), Refused> {
        self.0.push(leftovers);
        Ok(())
    }
}

/// Returns what a unit leaves at each kind of entry.
fn left(knobs: Knobs) -> Vec<Leftovers> {
    let mut seen = Seen::default();
    for words in [EVERYTHING, invpg_pages(0, 1), invpcid_pages(0, 1)] {
        let rig = Rig::enabled(knobs);
        rig.arm(7, words);
        rig.unit.signal();
        // By reference, as a caller may pass its TLB.
        let mut tlb = &mut seen;
        let _served = rig
            .unit
            .service(InterruptFlag::Clear, &rig.memory(), &mut tlb);
        assert_eq!(rig.byte(7), SUCCESS);
    }
    seen.0
}

fn leaves(defect: Defect, wrong: Leftovers) {
    observes(defect, left, [vec![Leftovers::NONE; 3], vec![wrong; 3]]);
}

pub(super) fn walk_survives_flush(defect: Defect) {
    let walks = true;
    leaves(
        defect,
        Leftovers {
            walks,
            ..Leftovers::NONE
        },
    );
}

pub(super) fn dirty_bit_kept(defect: Defect) {
    let dirty_bits = true;
    leaves(
        defect,
        Leftovers {
            dirty_bits,
            ..Leftovers::NONE
        },
    );
}
