//! Over random payloads.

use proptest::prelude::*;
use rar_model::{
    Action, FAILURE, InterruptFlag, Knobs, LinearWidth, Offence, Outcome, PENDING, RecordingTlb,
    SUCCESS, Serviced, Tag, TlbModel, ZeroPages,
};

use crate::rig::{CR3, HERE, Rig, TABLE, THERE};

/// Random words, and words near the legal ones, so that both answers occur.
fn words() -> impl Strategy<Value = [u64; 4]> {
    let near = (
        0..7u64,
        0..8u64,
        0..4u64,
        0..64u64,
        0..64u32,
        any::<[u64; 2]>(),
    )
        .prop_map(|(kind, subtype, size, count, shift, [operand, address])| {
            let control = kind << 8 | subtype << 32 | size << 35 | count << 37;
            [
                control,
                0,
                operand.checked_shr(shift).unwrap_or(0),
                address & (u64::MAX << shift.min(40)) & ((1 << 47) - 1),
            ]
        });
    prop_oneof![any::<[u64; 4]>(), near]
}

fn lenient() -> Knobs {
    Knobs {
        types: 0b11_1111,
        linear: LinearWidth::Bits57,
        reserved_bits: Offence::Ignore,
        unused_fields: Offence::Ignore,
        misaligned: Offence::Ignore,
        zero_pages: ZeroPages::Nothing,
        ..Knobs::DEFAULT
    }
}

proptest! {
    #[test]
    fn every_armed_entry_is_final_after_service(
        entries in proptest::collection::vec((0..64u8, words()), 0..64),
        sparing in any::<bool>(),
        relaxed in any::<bool>(),
    ) {
        let knobs = match (sparing, relaxed) {
            (true, _) => Knobs::SPARING,
            (false, true) => lenient(),
            (false, false) => Knobs::DEFAULT,
        };
        let mut rig = Rig::enabled(knobs);
        for (index, words) in &entries {
            rig.arm(*index, *words);
        }
        let armed = (0..64).filter(|&i| rig.byte(i) == PENDING).count();
        let pass = rig.pass();
        prop_assert!((0..64).all(|i| [SUCCESS, FAILURE].contains(&rig.byte(i))));
        prop_assert_eq!(rig.seen.len(), armed);
        prop_assert_eq!(pass.unanswered, 0);
        for execution in &rig.seen {
            let status = rig.byte(execution.index);
            prop_assert_eq!(execution.outcome.status(), Some(status));
            let illegal = matches!(execution.outcome, Outcome::Illegal(_));
            prop_assert_eq!(execution.decoded.is_err(), illegal);
        }
    }

    #[test]
    fn what_the_strict_rules_accept_the_lenient_ones_read_alike(words in words()) {
        if let Ok(action) = Action::decode(words, &Knobs::DEFAULT) {
            prop_assert_eq!(Action::decode(words, &lenient()), Ok(action));
        }
    }

    #[test]
    fn a_failure_asks_nothing_of_the_tlb(words in words()) {
        let rig = Rig::enabled(Knobs::DEFAULT);
        rig.arm(0, words);
        rig.unit.signal();
        let mut tlb = RecordingTlb::<2>::new(CR3);
        let served = rig.unit.service(InterruptFlag::Set, &rig.memory(), &mut tlb);
        prop_assert!(matches!(served, Serviced::Scanned(_)));
        let differs = words[0] >> 8 & 0xff == 0 && (words[2] ^ CR3) << 12 != 0;
        let expected = usize::from(rig.byte(0) == SUCCESS && !differs);
        prop_assert_eq!(tlb.total(), expected);
    }

    #[test]
    fn pages_outside_the_range_survive(
        first in 0..200u64,
        count in 1..64u64,
        cached in proptest::collection::btree_set(0..300u64, 0..20),
    ) {
        let mut rig = Rig::enabled(Knobs::DEFAULT);
        for tag in [Tag::Pcid(HERE), Tag::Pcid(THERE), Tag::Global] {
            rig.fill(tag, cached.iter().map(|page| page << 12));
        }
        let words = [2 << 8 | count << 37, 0, u64::from(HERE), first << 12];
        prop_assert_eq!(rig.run(words).0, SUCCESS);
        let left = rig.cached();
        for page in &cached {
            let hit = (first..first + count).contains(page);
            prop_assert_eq!(!left.contains(&(page << 12, Tag::Pcid(HERE))), hit);
        }
        let untouched = left.iter().filter(|(_, tag)| *tag != Tag::Pcid(HERE)).count();
        prop_assert_eq!(untouched, 2 * cached.len());
    }

    #[test]
    fn any_vector_bytes_leave_the_rest_alone(bytes in any::<[[u8; 32]; 2]>()) {
        let mut rig = Rig::enabled(Knobs::DEFAULT);
        let bytes = bytes.concat();
        for (index, &byte) in (0..).zip(&bytes) {
            rig.set_byte(index, byte);
        }
        rig.pass();
        for (index, &byte) in (0..).zip(&bytes) {
            // An all-zero payload is INVPG of no pages: illegal.
            let expected = if byte == PENDING { FAILURE } else { byte };
            prop_assert_eq!(rig.byte(index), expected);
        }
    }

    #[test]
    fn bases_without_memory_never_panic(table in any::<u64>(), vector in any::<u64>()) {
        let knobs = Knobs {
            msr_reserved_bits: Offence::Ignore,
            physical_address_bits: 52,
            ..Knobs::DEFAULT
        };
        let mut rig = Rig::disabled(knobs);
        prop_assert_eq!(rig.unit.write_msr(0xee, vector), Ok(()));
        prop_assert_eq!(rig.unit.write_msr(0xef, table), Ok(()));
        prop_assert_eq!(rig.unit.write_msr(0xed, 0xc000_0000), Ok(()));
        rig.tlb = TlbModel::new(0, rar_model::Pcids::Disabled);
        rig.pass();
        prop_assert_eq!(rar_model::PhysicalMemory::load_u8(&rig.memory(), TABLE), 0);
    }
}
