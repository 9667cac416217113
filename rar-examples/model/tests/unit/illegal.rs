//! Payloads without a meaning end in FAILURE and flush nothing.

use rar_model::{
    Action, FAILURE, Illegal, InterruptFlag, Invalidation, InvpgScope, Knobs, LinearWidth, Offence,
    Outcome, RecordingTlb, Refused, SUCCESS, Serviced, Tag, Tlb, ZeroPages,
};

use crate::rig::{EVERYTHING, HERE, Rig, control, invpcid_pages, invpg_pages};

fn fails(words: [u64; 4], why: Illegal) {
    fails_with(Knobs::DEFAULT, words, why);
}

fn fails_with(knobs: Knobs, words: [u64; 4], why: Illegal) {
    let mut rig = Rig::enabled(knobs);
    rig.fill(Tag::Pcid(HERE), [0, 0x1000]);
    let found = rig.run(words);
    assert_eq!(found, (FAILURE, Some(Outcome::Illegal(why))), "{words:x?}");
    assert_eq!(rig.cached().len(), 2);
}

fn succeeds(knobs: Knobs, words: [u64; 4]) {
    let mut rig = Rig::enabled(knobs);
    assert_eq!(rig.run(words), (SUCCESS, Some(Outcome::Performed)));
}

#[test]
fn types() {
    for kind in 6..=255 {
        fails(
            [control(u64::from(kind), 0, 0, 1), 0, 0, 0],
            Illegal::UnknownType(kind),
        );
    }
    for kind in 3..=5 {
        let words = [control(u64::from(kind), 1, 0, 0), 0, 0, 0];
        fails(words, Illegal::UnsupportedType(kind));
    }
    let knobs = Knobs {
        types: 0b011,
        ..Knobs::DEFAULT
    };
    fails_with(knobs, EVERYTHING, Illegal::UnsupportedType(2));
}

#[test]
fn subtypes() {
    let all = Knobs {
        types: 0b11_1111,
        ..Knobs::DEFAULT
    };
    for (kind, legal) in [
        (0, 0b1101),
        (1, 0b1101),
        (2, 0b1111),
        (3, 0b0110),
        (4, 0b1111),
    ] {
        for subtype in (0..8).filter(|subtype| legal >> subtype & 1 == 0) {
            let words = [control(u64::from(kind), u64::from(subtype), 0, 0), 0, 0, 0];
            fails_with(all, words, Illegal::UnknownSubtype { kind, subtype });
        }
    }
}

#[test]
fn every_reserved_bit_of_quadwords_0_and_1() {
    for bit in (16..32).chain(43..64).map(|bit| 1 << bit) {
        let [word, zero, pcid, address] = invpcid_pages(0x1000, 1);
        let why = Illegal::ReservedBits { word: 0, bits: bit };
        fails([word | bit, zero, pcid, address], why);
    }
    for bit in (0..64).map(|bit| 1 << bit) {
        let [word, _, pcid, address] = invpcid_pages(0x1000, 1);
        let why = Illegal::ReservedBits { word: 1, bits: bit };
        fails([word, bit, pcid, address], why);
    }
}

#[test]
fn reserved_fields_of_wrmsr() {
    let all = Knobs {
        types: 0b11_1111,
        ..Knobs::DEFAULT
    };
    let why = |word, bits| Illegal::ReservedBits { word, bits };
    fails_with(all, [5 << 8 | 1 << 16, 0, 0, 0], why(0, 1 << 16));
    fails_with(all, [5 << 8, 1, 0, 0], why(1, 1));
    fails_with(all, [5 << 8, 0, 0, 1], why(3, 1));
}

#[test]
fn unused_fields() {
    let why = |word, bits| Illegal::UnusedField { word, bits };
    let [word, ..] = EVERYTHING;
    fails([word | 1 << 35, 0, 0, 0], why(0, 1 << 35));
    fails([word | 63 << 37, 0, 0, 0], why(0, 63 << 37));
    fails([word, 0, 5, 0], why(2, 5));
    fails([word, 0, 0, 0x1000], why(3, 0x1000));
    fails([control(2, 1, 0, 0), 0, 0x1000, 0], why(2, 0x1000));
    fails([control(1, 2, 0, 0), 0, 0x1000, 0], why(2, 0x1000));
}

#[test]
fn pages() {
    let pcid = u64::from(HERE);
    fails([control(2, 0, 3, 1), 0, pcid, 0], Illegal::PageSize);
    fails(invpcid_pages(0x1000, 0), Illegal::ZeroPages);
    for (size, address) in [(0, 0x1800), (1, 0x1000), (2, 0x20_0000)] {
        let words = [control(1, 0, size, 1), 0, 0, address];
        fails(words, Illegal::Misaligned(address));
    }
}

#[test]
fn canonical_addresses() {
    let why = |start, count| Illegal::NonCanonical { start, count };
    let low_end = 1 << 47;
    let high_start = 0xffff_8000_0000_0000;
    succeeds(Knobs::DEFAULT, invpg_pages(low_end - 0x1000, 1));
    succeeds(Knobs::DEFAULT, invpg_pages(high_start, 63));
    fails(invpg_pages(low_end - 0x1000, 2), why(low_end - 0x1000, 2));
    fails(invpg_pages(low_end, 1), why(low_end, 1));
    fails(
        invpg_pages(high_start - 0x1000, 2),
        why(high_start - 0x1000, 2),
    );
    let last = u64::MAX - 0xfff;
    fails(invpg_pages(last, 2), why(last, 2));
    let wide = Knobs {
        linear: LinearWidth::Bits57,
        ..Knobs::DEFAULT
    };
    succeeds(wide, invpg_pages(low_end, 1));
    fails_with(wide, invpg_pages(1 << 56, 1), why(1 << 56, 1));
}

/// A TLB of a CPU with five levels of paging.
struct Wide(RecordingTlb<1>);

impl Tlb for Wide {
    fn cr3(&self) -> u64 {
        self.0.cr3()
    }

    fn linear_width(&self) -> Option<LinearWidth> {
        Some(LinearWidth::Bits57)
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        self.0.invalidate(invalidation)
    }
}

#[test]
fn what_is_canonical_follows_the_mode_of_the_cpu() {
    // Where Linux keeps mapped pages if it runs with five levels.
    let address = 0xffa0_0000_0000_0000;
    fails(
        invpg_pages(address, 1),
        Illegal::NonCanonical {
            start: address,
            count: 1,
        },
    );
    let rig = Rig::enabled(Knobs::DEFAULT);
    rig.arm(7, invpg_pages(address, 1));
    rig.unit.signal();
    let mut tlb = Wide(RecordingTlb::new(0));
    let served = rig
        .unit
        .service(InterruptFlag::Clear, &rig.memory(), &mut &mut tlb);
    assert!(matches!(served, Serviced::Scanned(_)));
    assert_eq!((rig.byte(7), tlb.0.total()), (SUCCESS, 1));
}

#[test]
fn vpid_zero() {
    let all = Knobs {
        types: 0b1_0000,
        ..Knobs::DEFAULT
    };
    for subtype in [0, 1, 3] {
        let count = u64::from(subtype == 0);
        fails_with(
            all,
            [control(4, subtype, 0, count), 0, 0, 0],
            Illegal::VpidZero,
        );
    }
}

#[test]
fn knobs_that_ignore_offences() {
    let reserved = Knobs {
        reserved_bits: Offence::Ignore,
        ..Knobs::DEFAULT
    };
    let [word, ..] = EVERYTHING;
    succeeds(reserved, [word | 1 << 16 | 1 << 63, 1, 0, 0]);
    let unused = Knobs {
        unused_fields: Offence::Ignore,
        ..Knobs::DEFAULT
    };
    succeeds(unused, [word | 9 << 37, 0, u64::MAX, 0x1234]);
    let stale = [control(2, 1, 0, 9), 0, u64::MAX << 12 | 5, 0x1234];
    assert_eq!(
        Action::decode(stale, &unused),
        Action::decode([control(2, 1, 0, 0), 0, 5, 0], &Knobs::DEFAULT)
    );
}

#[test]
fn knob_misaligned_rounds_down() {
    let knobs = Knobs {
        misaligned: Offence::Ignore,
        ..Knobs::DEFAULT
    };
    let mut rig = Rig::enabled(knobs);
    rig.fill(Tag::Pcid(HERE), [0x1000, 0x2000]);
    assert_eq!(rig.run(invpcid_pages(0x1fff, 1)).0, SUCCESS);
    assert_eq!(rig.cached(), [(0x2000, Tag::Pcid(HERE))]);
}

#[test]
fn knob_zero_pages_succeeds_without_flush() {
    let knobs = Knobs {
        zero_pages: ZeroPages::Nothing,
        ..Knobs::DEFAULT
    };
    let mut rig = Rig::enabled(knobs);
    rig.fill(Tag::Pcid(HERE), [0x1000]);
    assert_eq!(rig.run(invpcid_pages(0x1000, 0)).0, SUCCESS);
    assert_eq!(rig.cached().len(), 1);
}

#[test]
fn decode_reads_every_field() {
    let words = [control(0, 0, 2, 41) | 0xa5, 0, 0xdead_beef, 0x4000_0000];
    let Ok(Action::Invpg {
        cr3: Some(0xdead_beef),
        scope: InvpgScope::Pages(pages),
    }) = Action::decode(words, &Knobs::DEFAULT)
    else {
        panic!("not decoded");
    };
    assert_eq!((pages.start, pages.count), (0x4000_0000, 41));
    assert_eq!(pages.size.bytes(), 1 << 30);
}
