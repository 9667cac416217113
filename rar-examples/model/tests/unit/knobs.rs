//! The knobs that no other file tests: faults, CR3 comparison and the two presets.

use std::cell::Cell;

use rar_model::{
    Cr3Mismatch, FAILURE, Faults, InterruptFlag, Invalidation, Knobs, Outcome, PENDING,
    PhysicalMemory, Refused, SUCCESS, Sender, Serviced, Tag, Tlb,
};

use crate::rig::{CR3, EVERYTHING, HERE, Rig, VECTOR, control, invpcid_pages, invpg_pages};

fn faulty(faults: Faults) -> Rig {
    let mut rig = Rig::enabled(Knobs {
        faults,
        ..Knobs::DEFAULT
    });
    rig.fill(Tag::Pcid(HERE), [0x1000]);
    rig
}

#[test]
fn fault_fail() {
    let mut rig = faulty(Faults {
        fail: 1 << 7,
        ..Faults::NONE
    });
    let outcome = Some(Outcome::InjectedFailure);
    assert_eq!(rig.run(EVERYTHING), (FAILURE, outcome));
    assert_eq!(rig.cached().len(), 1);
    rig.arm(8, EVERYTHING);
    assert_eq!(rig.pass().succeeded, 1, "entry 8 has no fault");
    assert_eq!(rig.cached().len(), 0);
}

#[test]
fn fault_lie() {
    let mut rig = faulty(Faults {
        lie: 1 << 7,
        ..Faults::NONE
    });
    let outcome = Some(Outcome::SuccessWithoutFlush);
    assert_eq!(rig.run(EVERYTHING), (SUCCESS, outcome));
    assert_eq!(rig.cached().len(), 1);
}

#[test]
fn fault_lie_to_itself() {
    let mut rig = faulty(Faults {
        lie_to_itself: 1 << 7,
        ..Faults::NONE
    });
    assert_eq!(rig.run_from(Sender::Itself, EVERYTHING), SUCCESS);
    assert_eq!(rig.cached().len(), 1);
    rig.unit.signal();
    assert_eq!(rig.run_from(Sender::Itself, EVERYTHING), SUCCESS);
    assert_eq!(rig.cached().len(), 1, "merged with a signal of its own");
    assert_eq!(rig.run_from(Sender::Another, EVERYTHING), SUCCESS);
    assert_eq!(rig.cached().len(), 0);
}

#[test]
fn a_correct_unit_flushes_for_any_sender() {
    for sender in [Sender::Itself, Sender::Another] {
        let mut rig = faulty(Faults::NONE);
        assert_eq!(rig.run_from(sender, EVERYTHING), SUCCESS);
        assert_eq!(rig.cached().len(), 0);
    }
}

#[test]
fn fault_mute_and_its_end() {
    let mut rig = faulty(Faults {
        mute: 1 << 7,
        ..Faults::NONE
    });
    rig.arm(7, EVERYTHING);
    for _ in 0..2 {
        assert_eq!(rig.pass().unanswered, 1);
        assert_eq!((rig.byte(7), rig.cached().len()), (PENDING, 1));
    }
    rig.unit.set_knobs(Knobs::DEFAULT);
    assert_eq!(rig.pass().succeeded, 1);
    assert_eq!((rig.byte(7), rig.cached().len()), (SUCCESS, 0));
}

/// Reads an action byte at the invalidation, and when stores are drained after it.
struct Peek<'a, M> {
    memory: &'a M,
    seen: Cell<Option<u8>>,
    drained: Cell<Option<u8>>,
}

impl<M: PhysicalMemory> Tlb for Peek<'_, M> {
    fn cr3(&self) -> u64 {
        0
    }

    fn invalidate(&mut self, _: Invalidation) -> Result<(), Refused> {
        self.seen.set(Some(self.memory.load_u8(VECTOR + 7)));
        self.drained.set(None);
        Ok(())
    }

    fn drain_stores(&mut self) {
        self.drained.set(Some(self.memory.load_u8(VECTOR + 7)));
    }
}

#[test]
fn fault_early_status_and_the_right_order() {
    for (early_status, expected) in [(0, PENDING), (1 << 7, SUCCESS)] {
        let rig = faulty(Faults {
            early_status,
            ..Faults::NONE
        });
        rig.arm(7, EVERYTHING);
        rig.unit.signal();
        let memory = rig.memory();
        let mut tlb = Peek {
            memory: &memory,
            seen: Cell::default(),
            drained: Cell::default(),
        };
        let served = rig.unit.service(InterruptFlag::Clear, &memory, &mut tlb);
        assert!(matches!(served, Serviced::Scanned(_)));
        assert_eq!((tlb.seen.get(), rig.byte(7)), (Some(expected), SUCCESS));
        assert_eq!(tlb.drained.get(), Some(expected));
    }
}

#[test]
fn knob_cr3_mismatch() {
    let mut rig = Rig::enabled(Knobs {
        cr3_mismatch: Cr3Mismatch::Failure,
        ..Knobs::DEFAULT
    });
    let outcome = Some(Outcome::Cr3Differs(Cr3Mismatch::Failure));
    assert_eq!(rig.run([control(0, 2, 0, 0), 0, 0, 0]), (FAILURE, outcome));
}

#[test]
fn knob_cr3_mask() {
    let words = [control(0, 2, 0, 0), 0, CR3 | 1 << 62, 0];
    for (cr3_mask, performed) in [((1 << 52) - 1, true), (u64::MAX, false)] {
        let mut rig = Rig::enabled(Knobs {
            cr3_mask,
            ..Knobs::DEFAULT
        });
        let (_, outcome) = rig.run(words);
        assert_eq!(outcome == Some(Outcome::Performed), performed);
    }
}

#[test]
fn the_sparing_unit_does_what_is_known() {
    let mut rig = Rig::enabled(Knobs::SPARING);
    for tag in [Tag::Pcid(HERE), Tag::Global] {
        rig.fill(tag, [0x1000, 0x2000]);
    }
    assert_eq!(rig.run(invpcid_pages(0x1000, 1)).0, SUCCESS);
    assert_eq!(rig.cached().len(), 3);
    assert_eq!(rig.run(invpg_pages(0x2000, 1)).0, SUCCESS);
    let globals = [(0x1000, Tag::Global), (0x2000, Tag::Global)];
    assert_eq!(rig.cached(), globals);
    assert_eq!(rig.run(EVERYTHING).0, SUCCESS);
    assert_eq!(rig.cached(), []);
}
