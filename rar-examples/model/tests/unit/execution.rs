//! Every type and subtype against the TLB model: the named translations go, the neighbours stay.

use rar_model::{
    Asked, Contexts, FAILURE, Globals, InterruptFlag, Invalidation, Knobs, Outcome, PageReach,
    PageSize, Pages, Pcids, RecordingTlb, Refused, SUCCESS, Serviced, Tag, TlbModel, Translation,
    Vpids, ZeroPages,
};

use crate::rig::{CR3, EVERYTHING, HERE, Rig, THERE, control, invpcid_pages, invpg_pages};

const A: u64 = 0x7000_0000_0000;
const B: u64 = A + 0x1000;
const C: u64 = A + 0x2000;

/// Pages A, B and C, each cached for the current PCID, for another PCID and as a global page.
fn filled(knobs: Knobs) -> Rig {
    let mut rig = Rig::enabled(knobs);
    for tag in [Tag::Pcid(HERE), Tag::Global, Tag::Pcid(THERE)] {
        rig.fill(tag, [A, B, C]);
    }
    assert_eq!(rig.cached().len(), 9);
    rig
}

/// Runs `words` and returns what is gone.
fn gone(knobs: Knobs, words: [u64; 4]) -> Vec<(u64, Tag)> {
    let mut rig = filled(knobs);
    let before = rig.cached();
    let (byte, outcome) = rig.run(words);
    assert_eq!((byte, outcome), (SUCCESS, Some(Outcome::Performed)));
    let after = rig.cached();
    before
        .into_iter()
        .filter(|entry| !after.contains(entry))
        .collect()
}

fn all_of(tags: &[Tag]) -> Vec<(u64, Tag)> {
    [A, B, C]
        .into_iter()
        .flat_map(|page| tags.iter().map(move |&tag| (page, tag)))
        .collect()
}

#[test]
fn invpg_pages_drop_current_and_global() {
    assert_eq!(
        gone(Knobs::DEFAULT, invpg_pages(B, 1)),
        [(B, Tag::Pcid(HERE)), (B, Tag::Global)]
    );
}

#[test]
fn invpg_with_matching_cr3_acts_like_without() {
    let [mut word, zero, _, address] = invpg_pages(B, 1);
    word &= !0xff00;
    assert_eq!(
        gone(Knobs::DEFAULT, [word, zero, CR3, address]),
        [(B, Tag::Pcid(HERE)), (B, Tag::Global)]
    );
}

#[test]
fn invpg_with_another_cr3_does_nothing_and_succeeds() {
    let mut rig = filled(Knobs::DEFAULT);
    let cr3 = CR3 ^ 0x1000;
    let (byte, outcome) = rig.run([control(0, 2, 0, 0), 0, cr3, 0]);
    assert_eq!(byte, SUCCESS);
    assert!(matches!(outcome, Some(Outcome::Cr3Differs(_))));
    assert_eq!(rig.cached().len(), 9);
}

#[test]
fn invpg_all() {
    for kind in [0, 1] {
        let operand = if kind == 0 { CR3 } else { 0 };
        assert_eq!(
            gone(Knobs::DEFAULT, [control(kind, 2, 0, 0), 0, operand, 0]),
            all_of(&[Tag::Pcid(HERE), Tag::Global])
        );
        assert_eq!(
            gone(Knobs::DEFAULT, [control(kind, 3, 0, 0), 0, operand, 0]),
            all_of(&[Tag::Pcid(HERE)])
        );
    }
}

#[test]
fn invpcid_pages_spare_globals_and_other_contexts() {
    assert_eq!(
        gone(Knobs::DEFAULT, invpcid_pages(A, 2)),
        [(A, Tag::Pcid(HERE)), (B, Tag::Pcid(HERE))]
    );
    let there = [control(2, 0, 0, 1), 0, u64::from(THERE), C];
    assert_eq!(gone(Knobs::DEFAULT, there), [(C, Tag::Pcid(THERE))]);
}

#[test]
fn invpcid_context() {
    let there = [control(2, 1, 0, 0), 0, u64::from(THERE), 0];
    assert_eq!(gone(Knobs::DEFAULT, there), all_of(&[Tag::Pcid(THERE)]));
}

#[test]
fn invpcid_all_contexts() {
    let everything = [Tag::Pcid(HERE), Tag::Pcid(THERE), Tag::Global];
    assert_eq!(gone(Knobs::DEFAULT, EVERYTHING), all_of(&everything));
    assert_eq!(
        gone(Knobs::DEFAULT, [control(2, 3, 0, 0), 0, 0, 0]),
        all_of(&[Tag::Pcid(HERE), Tag::Pcid(THERE)])
    );
}

#[test]
fn the_software_byte_is_ignored() {
    let [word, zero, pcid, address] = invpcid_pages(B, 1);
    assert_eq!(
        gone(Knobs::DEFAULT, [word | 0xff, zero, pcid, address]),
        [(B, Tag::Pcid(HERE))]
    );
}

#[test]
fn a_range_of_every_length_is_exact() {
    for count in 1..=63 {
        let mut rig = Rig::enabled(Knobs::DEFAULT);
        let before = A - 0x1000;
        let pages: Vec<u64> = (0..count).map(|i| A + 0x1000 * i).collect();
        let after = A + 0x1000 * count;
        // The TLB has 64 places: the pages in between and the two neighbours would be 65.
        rig.fill(Tag::Pcid(HERE), pages.iter().copied().skip(1));
        rig.fill(Tag::Pcid(HERE), [before, after]);
        assert_eq!(rig.run(invpcid_pages(A, count)).0, SUCCESS);
        assert_eq!(
            rig.cached(),
            [(before, Tag::Pcid(HERE)), (after, Tag::Pcid(HERE))]
        );
    }
}

#[test]
fn the_last_page_of_the_address_space() {
    let last = u64::MAX - 0xfff;
    let mut rig = Rig::enabled(Knobs::DEFAULT);
    rig.fill(Tag::Pcid(HERE), [last - 0x1000, last]);
    assert_eq!(rig.run(invpcid_pages(last, 1)).0, SUCCESS);
    assert_eq!(rig.cached(), [(last - 0x1000, Tag::Pcid(HERE))]);
}

/// Small page at the start of a 2M block, one in its middle, and a 2M page in the next block.
fn mixed(knobs: Knobs, words: [u64; 4]) -> Vec<u64> {
    let block = 0x4000_0000;
    let mut rig = Rig::enabled(knobs);
    rig.fill(Tag::Pcid(HERE), [block, block + 0x5000]);
    rig.tlb.fill(Translation::new(
        block + 0x20_0000,
        0,
        PageSize::Size2M,
        Tag::Pcid(HERE),
    ));
    assert_eq!(rig.run(words).0, SUCCESS);
    rig.cached()
        .into_iter()
        .map(|(page, _)| page - block)
        .collect()
}

#[test]
fn knob_reach() {
    let with = |reach| Knobs {
        reach,
        ..Knobs::DEFAULT
    };
    let two_large = [control(2, 0, 1, 2), 0, u64::from(HERE), 0x4000_0000];
    assert_eq!(mixed(with(PageReach::Covering), two_large), [0x5000]);
    assert_eq!(mixed(with(PageReach::SameSize), two_large), [0, 0x5000]);
    assert_eq!(mixed(with(PageReach::Span), two_large), []);
    let none = Knobs {
        zero_pages: ZeroPages::Nothing,
        ..with(PageReach::Span)
    };
    let no_pages = [control(2, 0, 1, 0), 0, u64::from(HERE), 0x4000_0000];
    assert_eq!(mixed(none, no_pages), [0, 0x5000, 0x20_0000]);
    let one_small = invpcid_pages(0x4020_3000, 1);
    assert_eq!(mixed(with(PageReach::Covering), one_small), [0, 0x5000]);
    assert_eq!(
        mixed(with(PageReach::SameSize), one_small),
        [0, 0x5000, 0x20_0000]
    );
    assert_eq!(mixed(with(PageReach::Span), one_small), [0, 0x5000]);
}

#[test]
fn a_gigabyte_page() {
    let mut rig = Rig::enabled(Knobs::DEFAULT);
    for start in [0x4000_0000, 0x8000_0000] {
        let tag = Tag::Pcid(HERE);
        rig.tlb
            .fill(Translation::new(start, 0, PageSize::Size1G, tag));
    }
    let words = [control(2, 0, 2, 1), 0, u64::from(HERE), 0x8000_0000];
    assert_eq!(rig.run(words).0, SUCCESS);
    assert_eq!(rig.cached(), [(0x4000_0000, Tag::Pcid(HERE))]);
}

#[test]
fn without_pcids_only_pcid_zero_is_accepted() {
    let mut rig = Rig::enabled(Knobs::DEFAULT);
    rig.tlb = TlbModel::new(0x5000, Pcids::Disabled);
    rig.fill(Tag::Pcid(0), [A, B]);
    let refused = Some(Outcome::Refused(Refused::PcidsDisabled { pcid: HERE }));
    assert_eq!(rig.run(invpcid_pages(A, 1)), (FAILURE, refused));
    let context = [control(2, 1, 0, 0), 0, u64::from(HERE), 0];
    assert_eq!(rig.run(context), (FAILURE, refused));
    assert_eq!(rig.cached().len(), 2);
    let zero = [control(2, 0, 0, 1), 0, 0, A];
    assert_eq!(rig.run(zero).0, SUCCESS);
    assert_eq!(rig.cached(), [(B, Tag::Pcid(0))]);
}

const ALL_TYPES: Knobs = Knobs {
    types: 0b11_1111,
    ..Knobs::DEFAULT
};

/// Runs one payload on a CPU that permits everything.
fn asked(words: [u64; 4]) -> (u8, Vec<Asked>) {
    let rig = Rig::enabled(ALL_TYPES);
    let mut tlb = RecordingTlb::<4>::new(0);
    rig.arm(0, words);
    rig.unit.signal();
    let served = rig
        .unit
        .service(InterruptFlag::Clear, &rig.memory(), &mut tlb);
    assert!(matches!(served, Serviced::Scanned(_)));
    (rig.byte(0), tlb.asked().collect())
}

#[test]
fn invept_and_invvpid_reach_the_boundary() {
    let pages = Pages::one(A, PageSize::Size4K);
    for (words, expected) in [
        (
            [control(3, 1, 0, 0), 0, 0x5_001e, 0],
            Invalidation::Ept(Some(0x5_001e)),
        ),
        ([control(3, 2, 0, 0), 0, 0, 0], Invalidation::Ept(None)),
        (
            [control(4, 0, 0, 1), 0, 9, A],
            Invalidation::Vpid(Vpids::Pages { vpid: 9, pages }),
        ),
        (
            [control(4, 1, 0, 0), 0, 9, 0],
            Invalidation::Vpid(Vpids::One(9)),
        ),
        (
            [control(4, 2, 0, 0), 0, 0, 0],
            Invalidation::Vpid(Vpids::All),
        ),
        (
            [control(4, 3, 0, 0), 0, 0xffff, 0],
            Invalidation::Vpid(Vpids::OneExceptGlobals(0xffff)),
        ),
    ] {
        assert_eq!(asked(words), (SUCCESS, vec![Asked::Invalidate(expected)]));
        let mut rig = Rig::enabled(ALL_TYPES);
        let refused = Some(Outcome::Refused(Refused::NotInVmxRoot));
        assert_eq!(rig.run(words), (FAILURE, refused));
    }
}

#[test]
fn wrmsr_reaches_the_boundary() {
    let wrmsr = |msr: u64| [5 << 8 | msr << 32, 0, 0x1122_3344_5566_7788, 0];
    let (msr, value) = (0xc000_0101, 0x1122_3344_5566_7788);
    assert_eq!(
        asked(wrmsr(0xc000_0101)),
        (SUCCESS, vec![Asked::WriteMsr { msr, value }])
    );
    for own in [0xcf, 0xed, 0xee, 0xef, 0xf0] {
        assert_eq!(asked(wrmsr(own)), (FAILURE, vec![]));
    }
    let mut rig = Rig::enabled(ALL_TYPES);
    let refused = Some(Outcome::Refused(Refused::MsrWrite { msr }));
    assert_eq!(rig.run(wrmsr(0xc000_0101)), (FAILURE, refused));
}

#[test]
fn knobs_invpg_globals_and_contexts() {
    let spare = Knobs {
        invpg_globals: Globals::Exclude,
        ..Knobs::DEFAULT
    };
    assert_eq!(gone(spare, invpg_pages(B, 1)), [(B, Tag::Pcid(HERE))]);
    let wide = Knobs {
        invpg_contexts: Contexts::All,
        ..Knobs::DEFAULT
    };
    assert_eq!(
        gone(wide, [control(1, 3, 0, 0), 0, 0, 0]),
        all_of(&[Tag::Pcid(HERE), Tag::Pcid(THERE)])
    );
}
