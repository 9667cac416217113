//! How units treat entries without a documented meaning, or with a partly documented one.
//!
//! The letters are those of [`Tried`].

use rar_percpu::ActionState;

use crate::failure::Assertion::Answered;
use crate::failure::Place;
use crate::platform::{Page, Platform};
use crate::test_run::TestRun;
use crate::tests::unit::bench::{Bench, without_driver};
use crate::tests::unit::probe::{Fields, Tried, attempt};
use crate::why::Why;

const INVPG: u8 = 0;
const INVPG_ANY_CR3: u8 = 1;
const INVPCID: u8 = 2;
const SUBTYPES: u8 = 8;
/// Pages that an entry without a count might reach, and some more.
const MANY: u16 = 68;

/// *Observed*: every subtype of the types that drivers use, and every type that no document lists.
pub(crate) fn types<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        for kind in [INVPG, INVPG_ANY_CR3, INVPCID] {
            observe_subtypes(bench, kind);
        }
        let mut answers = Why::new();
        for kind in 6..16 {
            let tried = attempt(bench, u16::from(kind), 1, of_kind(bench, kind, 0));
            // There is room for ten letters.
            let _ = core::fmt::Write::write_fmt(&mut answers, format_args!("{tried}"));
        }
        t.observe(format_args!("types 6 to 15 {}", answers.as_str()));
    });
}

/// *Observed*: the types for guests and the type that writes a register. No public source gives
/// their full encodings.
pub(crate) fn risky_types<L: Platform>(t: &TestRun<'_, L>) {
    const TSC_AUX: u64 = 0xc000_0103;
    without_driver(t, |bench| {
        observe_subtypes(bench, 3);
        observe_subtypes(bench, 4);
        let write = Fields {
            kind: 5,
            control: TSC_AUX << 32,
            ..Fields::default()
        };
        let tried = attempt(bench, 0, 1, write);
        t.observe(format_args!("type 5 {tried}"));
    });
}

fn observe_subtypes<L: Platform>(bench: &Bench<'_, '_, L>, kind: u8) {
    let mut answers = Why::new();
    for subtype in 0..SUBTYPES {
        let tried = attempt(bench, u16::from(subtype), 1, of_kind(bench, kind, subtype));
        // There is room for eight letters.
        let _ = core::fmt::Write::write_fmt(&mut answers, format_args!("{tried}"));
    }
    bench
        .t
        .observe(format_args!("type {kind} {}", answers.as_str()));
}

/// An entry of a type: one page for subtype 0, everything that it names otherwise.
fn of_kind<L: Platform>(bench: &Bench<'_, '_, L>, kind: u8, subtype: u8) -> Fields {
    let page = u16::from(if kind >= 6 { kind } else { subtype });
    let operand = match (kind, subtype) {
        (INVPG, _) => bench.units.cr3(),
        (INVPCID, 0 | 1) => u64::from(bench.pcid().get()),
        _ => 0,
    };
    let whole = Fields {
        kind,
        subtype,
        operand,
        ..Fields::default()
    };
    match subtype {
        0 => Fields {
            count: 1,
            address: bench.t.platform.address(Page::Small(page)),
            ..whole
        },
        _ => whole,
    }
}

/// *Observed*: a count of 0 pages, and the count that would be 64 if its field were a bit wider.
pub(crate) fn counts<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        for (name, control) in [("0 pages", 0), ("64 pages by bit 43", 1 << 43)] {
            let fields = Fields {
                count: 0,
                control,
                ..one_page(bench, 0)
            };
            let tried = attempt(bench, 0, MANY, fields);
            t.observe(format_args!(
                "{name} {tried}, {} of {MANY} flushed",
                tried.flushed
            ));
        }
    });
}

/// *Observed*: entries with one invalid field, next to a valid one, which must work.
pub(crate) fn causes<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let tried = attempt(bench, 1, 1, one_page(bench, 1));
        if t.is_initiator() && !works(tried) {
            let byte = tried.byte.map_or(u64::MAX, u64::from);
            t.fail(Answered, Place::At(Page::Small(1)), 0, byte);
        }
        for ((name, change), page) in CAUSES.into_iter().zip(2..) {
            let mut fields = one_page(bench, page);
            change(&mut fields);
            let tried = attempt(bench, page, 1, fields);
            t.observe(format_args!("{name} {tried}"));
        }
    });
}

fn works(tried: Tried) -> bool {
    tried.is(ActionState::Success) && tried.flushed == 1
}

type Change = fn(&mut Fields);

const CAUSES: [(&str, Change); 17] = [
    ("software byte", |entry| entry.control = 0xa5),
    ("software qwords", |entry| entry.software = u64::MAX),
    ("bit 16", |entry| entry.control = 1 << 16),
    ("bit 31", |entry| entry.control = 1 << 31),
    ("bit 44", |entry| entry.control = 1 << 44),
    ("bit 63", |entry| entry.control = 1 << 63),
    ("qword 1", |entry| entry.zero = 1),
    ("size 3", |entry| entry.size = 3),
    ("PCID 4096 more", |entry| entry.operand |= 1 << 12),
    ("operand bit 63", |entry| entry.operand |= 1 << 63),
    ("address off by 1", |entry| entry.address += 1),
    ("2M at 4K", |entry| entry.size = 1),
    ("1G at 4K", |entry| entry.size = 2),
    ("noncanonical", |entry| entry.address ^= 1 << 63),
    ("into the hole", |entry| {
        entry.address = 0x7fff_ffff_f000;
        entry.count = 2;
    }),
    ("one PCID with count", |entry| {
        entry.subtype = 1;
        entry.address = 0;
    }),
    ("one PCID with address", |entry| {
        entry.subtype = 1;
        entry.count = 0;
    }),
];

/// *Observed*: which bits of CR3 type 0 compares, and its answer where they differ.
pub(crate) fn cr3_bits<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let with_cr3 = |page, flipped| Fields {
            kind: INVPG,
            operand: bench.units.cr3() ^ flipped,
            ..one_page(bench, page)
        };
        let same = attempt(bench, 64, 1, with_cr3(64, 0));
        let (mut compared, mut ignored, mut refused) = (0, 0, 0);
        for (bit, page) in (0..64).map(|bit| 1_u64 << bit).zip(0..) {
            let tried = attempt(bench, page, 1, with_cr3(page, bit));
            match tried.flushed {
                0 => compared |= bit,
                _ => ignored |= bit,
            }
            if !tried.is(ActionState::Success) {
                refused |= bit;
            }
        }
        t.observe(format_args!(
            "own CR3 {same}; bits compared {compared:#x}, ignored {ignored:#x}, \
             no SUCCESS {refused:#x}"
        ));
    });
}

/// INVPCID of one page, as drivers write it.
fn one_page<L: Platform>(bench: &Bench<'_, '_, L>, page: u16) -> Fields {
    Fields {
        kind: INVPCID,
        count: 1,
        operand: u64::from(bench.pcid().get()),
        address: bench.t.platform.address(Page::Small(page)),
        ..Fields::default()
    }
}
