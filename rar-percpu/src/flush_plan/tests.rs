mod model;

use std::vec::Vec;

use rar_payload::{Cr3, PageRange, PageSize, Pcid};

use super::*;
use model::{CURRENT, Done, Entry, Model, OTHER, PGE, models};

/// The full flush of a CPU: one instruction, or `CR4.PGE` changed and changed back.
fn everything(model: &Model) -> Vec<Done> {
    let are_on = model.cr4.get() & PGE != 0;
    if model.has_invpcid {
        [Done::Invpcid(InvpcidType::AllWithGlobals, 0, 0)].into()
    } else {
        [!are_on, are_on].map(Done::SetGlobalPages).into()
    }
}

fn chunk(start: u64, pages: u64, size: PageSize) -> PageChunk {
    let range = PageRange::with_width(start, pages, size, LinearAddressWidth::Bits57);
    PageChunk::new(range.unwrap()).unwrap()
}

fn chunks() -> Vec<PageChunk> {
    let mut chunks: Vec<_> = PageSize::ALL
        .into_iter()
        .flat_map(|size| [1, 2, 63].map(|pages| chunk(0x40_0000_0000, pages, size)))
        .collect();
    // The first and the last page, and both sides of both holes.
    for start in [
        0,
        0x7fff_ffff_f000,
        0x8000_0000_0000,
        0xff_ffff_ffff_f000,
        0xff00_0000_0000_0000,
        0xffff_7fff_ffff_f000,
        0xffff_8000_0000_0000,
        0xffff_ffff_ffff_f000,
    ] {
        chunks.push(chunk(start, 1, PageSize::Size4K));
    }
    // Across the edge of the lower half of 48 bits.
    chunks.push(chunk(0x7fff_ffff_f000, 2, PageSize::Size4K));
    chunks
}

fn pcid(number: u64) -> Pcid {
    Pcid::new(u16::try_from(number).unwrap()).unwrap()
}

fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for pages in chunks() {
        for number in [0, CURRENT, OTHER] {
            let pcid = pcid(number);
            operations.push(Operation::Invpcid(InvpcidScope::Pages { pcid, pages }));
        }
        for cr3 in [None, Cr3::new(0x1234_5000).ok()] {
            let scope = InvpgScope::Pages(pages);
            operations.push(Operation::Invpg { cr3, scope });
        }
    }
    for number in [0, CURRENT, OTHER] {
        let pcid = pcid(number);
        operations.push(Operation::Invpcid(InvpcidScope::Context { pcid }));
    }
    for globals in [Globals::Include, Globals::Exclude] {
        operations.push(Operation::Invpcid(InvpcidScope::AllContexts(globals)));
        let scope = InvpgScope::All(globals);
        operations.push(Operation::Invpg { cr3: None, scope });
    }
    operations
}

/// Entries of every PCID, global and not, at every address that the operation names and at some
/// that it does not.
fn fill(model: &Model, operation: &Operation) {
    let mut places: Vec<_> = [0x1000, 0x40_0000_1000, 0xffff_ffff_ffff_e000].into();
    if let Some(pages) = named(operation) {
        places.extend(addresses(pages));
    }
    places.sort_unstable();
    places.dedup();
    let pcids: &[u64] = if model.pcids() {
        &[0, CURRENT, OTHER]
    } else {
        &[0]
    };
    // Where no page can be mapped no entry can be cached.
    for address in places
        .into_iter()
        .filter(|place| model.is_canonical(*place))
    {
        for pcid in pcids {
            for is_global in [false, true] {
                // Without CR4.PGE no entry is global.
                if !is_global || model.cr4.get() & PGE != 0 {
                    let entry = Entry {
                        pcid: *pcid,
                        address,
                        is_global,
                    };
                    model.entries.borrow_mut().push(entry);
                }
            }
        }
    }
}

fn named(operation: &Operation) -> Option<PageChunk> {
    match *operation {
        Operation::Invpcid(InvpcidScope::Pages { pages, .. })
        | Operation::Invpg {
            scope: InvpgScope::Pages(pages),
            ..
        } => Some(pages),
        _ => None,
    }
}

/// Whether the operation promises that no such entry is left.
fn is_named(operation: &Operation, model: &Model, entry: &Entry) -> bool {
    // Without PCIDs whatever names one acts on the one space there is.
    let of = |pcid: Pcid| !model.pcids() || entry.pcid == u64::from(pcid.get());
    let within = |pages| addresses(pages).any(|address| address == entry.address);
    match *operation {
        Operation::Invpcid(InvpcidScope::Pages { pcid, pages }) => {
            !entry.is_global && of(pcid) && within(pages)
        }
        Operation::Invpcid(InvpcidScope::Context { pcid }) => !entry.is_global && of(pcid),
        // As INVLPG: the current space, and global entries.
        Operation::Invpg {
            scope: InvpgScope::Pages(pages),
            ..
        } => (entry.is_global || of(pcid(CURRENT))) && within(pages),
        Operation::Invpcid(InvpcidScope::AllContexts(globals))
        | Operation::Invpg {
            scope: InvpgScope::All(globals),
            ..
        } => globals == Globals::Include || !entry.is_global,
        _ => true,
    }
}

#[test]
fn on_every_cpu_no_translation_is_left_that_an_operation_names_and_no_instruction_faults() {
    let mut seen = 0;
    for operation in operations() {
        for model in models() {
            fill(&model, &operation);
            seen += model.entries.borrow().len();
            let before = model.cr4.get();
            assert_eq!(flush(&model, &operation), Ok(()));
            assert_eq!(model.cr4.get(), before, "CR4 is as it was");
            let left = model.entries.borrow();
            let stale = left
                .iter()
                .find(|entry| is_named(&operation, &model, entry));
            assert_eq!(
                stale,
                None,
                "{operation:?} with CR4 {:#x}, INVPCID {}: {:?}",
                model.cr4.get(),
                model.has_invpcid,
                model.done.borrow()
            );
            assert_eq!(
                model.faults.get(),
                0,
                "{operation:?}: {:?}",
                model.done.borrow()
            );
        }
    }
    assert!(seen > 10_000, "the model cached nothing");
}

#[test]
fn on_every_cpu_a_full_flush_leaves_nothing() {
    for model in models() {
        fill(
            &model,
            &Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include)),
        );
        let before = model.cr4.get();
        flush_everything(&model);
        assert_eq!(*model.entries.borrow(), []);
        assert_eq!(model.faults.get(), 0);
        assert_eq!(*model.done.borrow(), everything(&model));
        assert_eq!(model.cr4.get(), before, "CR4 is as it was");
    }
}

/// What is executed, and that it is the least that will do: one instruction for each page, by
/// its own stride.
#[test]
fn each_cpu_executes_the_most_exact_instruction_that_it_has() {
    for pages in chunks() {
        for model in models() {
            for number in [CURRENT, OTHER] {
                let scope = InvpcidScope::Pages {
                    pcid: pcid(number),
                    pages,
                };
                model.done.borrow_mut().clear();
                flush(&model, &Operation::Invpcid(scope)).unwrap();
                let size = pages.size().bytes();
                let each =
                    (0..u64::from(pages.page_count())).map(|page| pages.start() + page * size);
                let (invpcid, pcids) = (model.has_invpcid, model.pcids());
                let canonical =
                    model.is_canonical(pages.start()) && model.is_canonical(pages.last());
                let expected: Vec<_> = match (pcids, invpcid) {
                    (false, _) => each.map(Done::Invlpg).collect(),
                    (true, true) if canonical => each
                        .map(|address| Done::Invpcid(InvpcidType::Address, number, address))
                        .collect(),
                    (true, false) if canonical && number == CURRENT => {
                        each.map(Done::Invlpg).collect()
                    }
                    _ => everything(&model),
                };
                assert_eq!(*model.done.borrow(), expected, "{pages:?}, PCID {number}");
            }
        }
    }
    for model in models() {
        let (invpcid, pcids) = (model.has_invpcid, model.pcids());
        let done = |operation: InvpcidScope| {
            model.done.borrow_mut().clear();
            flush(&model, &Operation::Invpcid(operation)).unwrap();
            model.done.borrow().clone()
        };
        for number in [CURRENT, OTHER] {
            let expected = match (pcids, invpcid) {
                (true, true) => [Done::Invpcid(InvpcidType::Context, number, 0)].into(),
                (true, false) if number != CURRENT => everything(&model),
                _ => [Done::ReloadCr3].into(),
            };
            let pcid = pcid(number);
            assert_eq!(done(InvpcidScope::Context { pcid }), expected);
        }
        let without_globals = match (pcids, invpcid) {
            (false, _) => [Done::ReloadCr3].into(),
            (true, true) => [Done::Invpcid(InvpcidType::AllWithoutGlobals, 0, 0)].into(),
            (true, false) => everything(&model),
        };
        assert_eq!(
            done(InvpcidScope::AllContexts(Globals::Exclude)),
            without_globals
        );
        assert_eq!(
            done(InvpcidScope::AllContexts(Globals::Include)),
            everything(&model)
        );
    }
}

/// INVPG without a CR3, or with one: the comparison is skipped.
#[test]
fn invpg_of_pages_is_one_invlpg_for_each_where_that_drops_globals() {
    for pages in chunks() {
        for model in models() {
            let scope = InvpgScope::Pages(pages);
            let cr3 = Cr3::new(0x1234_5000).ok();
            for operation in [None, cr3].map(|cr3| Operation::Invpg { cr3, scope }) {
                model.done.borrow_mut().clear();
                flush(&model, &operation).unwrap();
                let expected = if model.pcids() && !model.is_known_to_drop_globals {
                    everything(&model)
                } else {
                    addresses(pages).map(Done::Invlpg).collect()
                };
                assert_eq!(*model.done.borrow(), expected, "{operation:?}");
            }
        }
    }
}
