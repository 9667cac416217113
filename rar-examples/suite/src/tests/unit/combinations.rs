//! Entries of every shape that a driver can write.

use core::sync::atomic::Ordering::{Acquire, Release};

use rar_payload::{Cr3, Globals, InvpcidScope, InvpgScope, Operation, PageChunk, PageSize};
use rar_vocabulary::payload_hash;

use crate::failure::Assertion::{Named, Once};
use crate::failure::Place;
use crate::platform::Platform;
use crate::test_run::{Participants, TestRun};
use crate::tests::unit::bench::{Bench, FIRST, without_driver};
use crate::tests::unit::steps::prepare;

/// The first page of all entries: nothing is mapped there, and 63 pages of 1 GiB fit above it.
const START: u64 = 0x1234_4000_0000;
/// No CPU has this CR3.
const CR3: u64 = 0xf_ffff_f000;
/// The highest count of pages.
const MOST: u8 = 63;

const TYPE: u32 = 8;
const SUBTYPE: u32 = 32;
const SIZE: u32 = 35;
const COUNT: u32 = 37;

/// The types that drivers use.
#[derive(Clone, Copy)]
enum Kind {
    /// 0: INVPG where CR3 matches.
    Matching,
    /// 1: INVPG.
    Current,
    /// 2: INVPCID.
    Invpcid,
}

/// What an entry flushes.
#[derive(Clone, Copy)]
enum Shape {
    /// This many pages of the size with this code.
    Pages { size: u8, count: u8 },
    /// Everything that this subtype names.
    Whole { subtype: u8 },
}

/// Each type with every size and count of pages, and with every other subtype: the units execute
/// each entry as its layout says, once.
///
/// The expected words are built here from the bit positions of the layout. *Observed*: that an
/// entry whose CR3 does not match ends in SUCCESS is inferred.
pub(crate) fn all<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::Others, || {
            t.published(t.me)
                .store(bench.units.executed().entries, Release);
        });
        for (number, (kind, shape)) in (1..).zip(cases()) {
            t.step(Participants::Initiator, || {
                match operation(bench, kind, shape) {
                    Some(operation) => bench.flush_others(FIRST, operation),
                    None => t.fail(Named, Place::Number(number), 1, 0),
                }
            });
            t.step(Participants::Others, || {
                let executed = bench.units.executed();
                let before = t.published(t.me).load(Acquire);
                let expected = payload_hash(words(bench, kind, shape));
                let (entries, place) = (executed.entries - before, Place::Number(number));
                t.assert(Once, place, u64::from(number), entries);
                t.assert(Once, place, expected, executed.last);
            });
        }
    });
}

fn cases() -> impl Iterator<Item = (Kind, Shape)> {
    let kinds = [
        (Kind::Matching, 2..4),
        (Kind::Current, 2..4),
        (Kind::Invpcid, 1..4),
    ];
    kinds.into_iter().flat_map(|(kind, subtypes)| {
        let sizes = 0..3;
        let pages =
            sizes.flat_map(|size| (1..=MOST).map(move |count| Shape::Pages { size, count }));
        let wholes = subtypes.map(|subtype| Shape::Whole { subtype });
        pages.chain(wholes).map(move |shape| (kind, shape))
    })
}

/// Quadwords 0 to 3, by the layout.
fn words<L: Platform>(bench: &Bench<'_, '_, L>, kind: Kind, shape: Shape) -> [u64; 4] {
    let pcid = u64::from(bench.pcid().get());
    let (kind, operand) = match (kind, shape) {
        (Kind::Matching, _) => (0, CR3),
        (Kind::Current, _) => (1, 0),
        (Kind::Invpcid, Shape::Pages { .. } | Shape::Whole { subtype: 1 }) => (2, pcid),
        (Kind::Invpcid, Shape::Whole { .. }) => (2, 0),
    };
    let (what, address) = match shape {
        Shape::Pages { size, count } => {
            (u64::from(size) << SIZE | u64::from(count) << COUNT, START)
        }
        Shape::Whole { subtype } => (u64::from(subtype) << SUBTYPE, 0),
    };
    [kind << TYPE | what, 0, operand, address]
}

/// The same as an operation of the driver.
fn operation<L: Platform>(bench: &Bench<'_, '_, L>, kind: Kind, shape: Shape) -> Option<Operation> {
    let cr3 = match kind {
        Kind::Matching => Some(Cr3::new(CR3).ok()?),
        Kind::Current | Kind::Invpcid => None,
    };
    let pcid = bench.pcid();
    Some(match (kind, shape) {
        (Kind::Invpcid, Shape::Pages { size, count }) => {
            let pages = chunk(bench, size, count)?;
            Operation::Invpcid(InvpcidScope::Pages { pcid, pages })
        }
        (Kind::Invpcid, Shape::Whole { subtype: 1 }) => {
            Operation::Invpcid(InvpcidScope::Context { pcid })
        }
        (Kind::Invpcid, Shape::Whole { subtype }) => {
            Operation::Invpcid(InvpcidScope::AllContexts(globals(subtype)))
        }
        (_, Shape::Pages { size, count }) => {
            let scope = InvpgScope::Pages(chunk(bench, size, count)?);
            Operation::Invpg { cr3, scope }
        }
        (_, Shape::Whole { subtype }) => {
            let scope = InvpgScope::All(globals(subtype));
            Operation::Invpg { cr3, scope }
        }
    })
}

fn chunk<L: Platform>(bench: &Bench<'_, '_, L>, size: u8, count: u8) -> Option<PageChunk> {
    let size = match size {
        0 => PageSize::Size4K,
        1 => PageSize::Size2M,
        _ => PageSize::Size1G,
    };
    bench.chunk(START, u16::from(count), size)
}

fn globals(subtype: u8) -> Globals {
    if subtype == 2 {
        Globals::Include
    } else {
        Globals::Exclude
    }
}
