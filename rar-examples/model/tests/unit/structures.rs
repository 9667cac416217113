//! Paging-structure caches against the rules of the SDM, by instruction and by payload.

use rar_model::{
    Contexts, Globals, Invalidation, Level, PageReach, PageSize, Pages, Pcids, Structures, Tlb,
    TlbModel, Vpids,
};
use rar_model::{StructureEntry, Tag, Translation};

use crate::rig::{CR3, EVERYTHING, HERE, Rig, THERE, control, invpcid_pages, invpg_pages};

type Caches = TlbModel<8, 16>;

/// In the first 2 MiB of the second GiB of the first 512 GiB.
const NEAR: u64 = 0x4000_3000;
/// In another 512 GiB.
const FAR: u64 = 0x80_0000_0000;
const LEVELS: [Level; 3] = [Level::Pml4e, Level::Pdpte, Level::Pde];

fn entry(level: Level, address: u64, pcid: u16) -> StructureEntry {
    StructureEntry::new(level, address, pcid, 0x9000)
}

/// All three levels for both addresses and both PCIDs.
fn filled() -> Caches {
    let mut tlb = Caches::with_structures(CR3, Pcids::Enabled);
    for pcid in [HERE, THERE] {
        for address in [NEAR, FAR] {
            for level in LEVELS {
                assert_eq!(tlb.fill_structure(entry(level, address, pcid)), None);
            }
        }
    }
    tlb
}

/// Returns how many entries are left of [`NEAR`] and [`FAR`] of [`HERE`], then of [`THERE`].
fn left(tlb: &Caches) -> [usize; 4] {
    [(HERE, NEAR), (HERE, FAR), (THERE, NEAR), (THERE, FAR)].map(|(pcid, address)| {
        let of_address = LEVELS.map(|level| entry(level, address, pcid).linear());
        tlb.structures()
            .filter(|held| held.pcid() == pcid && of_address.contains(&held.linear()))
            .filter(|held| held.linear() >= FAR || address == NEAR)
            .count()
    })
}

fn after(flush: impl FnOnce(&mut Caches)) -> [usize; 4] {
    let mut tlb = filled();
    assert_eq!(left(&tlb), [3; 4]);
    flush(&mut tlb);
    left(&tlb)
}

#[test]
fn invlpg_takes_every_structure_of_the_current_pcid() {
    assert_eq!(after(|tlb| tlb.invlpg(NEAR)), [0, 0, 3, 3]);
    assert_eq!(after(|tlb| tlb.invlpg(0x1234_5678_9000)), [0, 0, 3, 3]);
}

#[test]
fn mov_to_cr3_and_cr4() {
    let there = u64::from(THERE);
    assert_eq!(after(|tlb| tlb.load_cr3(there)), [3, 3, 0, 0]);
    assert_eq!(after(|tlb| tlb.load_cr3(there | 1 << 63)), [3; 4]);
    assert_eq!(after(TlbModel::flush_all), [0; 4]);
    assert_eq!(after(|tlb| tlb.set_pcids(Pcids::Disabled)), [0; 4]);
}

/// Runs a payload on [`filled`].
fn by_rar(words: [u64; 4]) -> [usize; 4] {
    let rig = Rig::enabled(rar_model::Knobs::DEFAULT);
    rig.arm(0, words);
    rig.unit.signal();
    let mut tlb = filled();
    let served = rig
        .unit
        .service(rar_model::InterruptFlag::Clear, &rig.memory(), &mut tlb);
    assert!(matches!(served, rar_model::Serviced::Scanned(pass) if pass.succeeded == 1));
    left(&tlb)
}

#[test]
fn payloads_follow_the_instruction_they_imitate() {
    assert_eq!(by_rar(invpg_pages(NEAR, 1)), [0, 0, 3, 3]);
    assert_eq!(by_rar([control(1, 3, 0, 0), 0, 0, 0]), [0, 0, 3, 3]);
    assert_eq!(by_rar(invpcid_pages(NEAR, 1)), [0, 3, 3, 3]);
    let there = [control(2, 1, 0, 0), 0, u64::from(THERE), 0];
    assert_eq!(by_rar(there), [3, 3, 0, 0]);
    assert_eq!(by_rar(EVERYTHING), [0; 4]);
    assert_eq!(by_rar([control(2, 3, 0, 0), 0, 0, 0]), [0; 4]);
}

#[test]
fn invpcid_by_address_takes_each_level_on_the_way() {
    let block = 2 << 20;
    for (pages, expected) in [
        // The next 2 MiB: another page-directory entry, the same tables above.
        (Pages::one(NEAR + block, PageSize::Size4K), [1, 3, 3, 3]),
        // The next GiB: only the PML4 entry is shared.
        (Pages::one(0x8000_0000, PageSize::Size4K), [2, 3, 3, 3]),
        (Pages::one(FAR + (1 << 39), PageSize::Size4K), [3; 4]),
    ] {
        let flush = Invalidation::invpcid(HERE, pages);
        assert_eq!(after(|tlb| tlb.invalidate(flush).unwrap()), expected);
    }
}

#[test]
fn a_span_reaches_between_its_addresses() {
    let pages = Pages::one(NEAR, PageSize::Size1G);
    let with = |reach| Invalidation::Pages {
        pages,
        reach,
        contexts: Contexts::Pcid(HERE),
        globals: Globals::Exclude,
        structures: Structures::OfAddresses,
    };
    let hits = |reach| with(reach).hits_structure(&entry(Level::Pde, NEAR + (2 << 20), HERE), HERE);
    assert!(hits(PageReach::Span));
    assert!(!hits(PageReach::Covering) && !hits(PageReach::SameSize));
}

#[test]
fn kept_structures_stay() {
    let structures = Structures::Keep;
    let everything = Invalidation::Everything {
        contexts: Contexts::All,
        globals: Globals::Include,
        structures,
    };
    assert_eq!(after(|tlb| tlb.invalidate(everything).unwrap()), [3; 4]);
    let page = Invalidation::Pages {
        pages: Pages::one(NEAR, PageSize::Size4K),
        reach: PageReach::Covering,
        contexts: Contexts::Current,
        globals: Globals::Include,
        structures,
    };
    assert_eq!(after(|tlb| tlb.invalidate(page).unwrap()), [3; 4]);
}

#[test]
fn a_walk_starts_at_the_entry_nearest_to_the_page() {
    let mut tlb = Caches::with_structures(CR3, Pcids::Enabled);
    let at = |tlb: &Caches, address| tlb.lookup_structure(address).map(|e| e.level());
    assert_eq!(at(&tlb, NEAR), None);
    for level in [Level::Pde, Level::Pml4e, Level::Pdpte] {
        tlb.fill_structure(entry(level, NEAR, HERE));
    }
    assert_eq!(at(&tlb, NEAR + 0x1f_0000), Some(Level::Pde));
    assert_eq!(at(&tlb, NEAR + (2 << 20)), Some(Level::Pdpte));
    assert_eq!(at(&tlb, NEAR + (1 << 30)), Some(Level::Pml4e));
    assert_eq!(at(&tlb, FAR), None);
    tlb.load_cr3(u64::from(THERE) | 1 << 63);
    assert_eq!(at(&tlb, NEAR), None);
}

#[test]
fn an_entry_is_replaced_and_a_full_cache_evicts_in_turn() {
    let mut tlb = TlbModel::<0, 2>::with_structures(CR3, Pcids::Enabled);
    let old = entry(Level::Pde, NEAR, HERE);
    let new = StructureEntry::new(Level::Pde, NEAR, HERE, 0xa000);
    assert_eq!(tlb.fill_structure(old), None);
    assert_eq!(tlb.fill_structure(new), Some(old));
    assert_eq!(tlb.lookup_structure(NEAR).unwrap().next_table(), 0xa000);
    assert_eq!(tlb.fill_structure(entry(Level::Pde, FAR, HERE)), None);
    let third = entry(Level::Pml4e, NEAR, HERE);
    assert_eq!(tlb.fill_structure(third), Some(new));
}

/// Of the host and of guests 7 and 8: a page, a global page and a page-directory entry each.
fn with_guests() -> Caches {
    let mut tlb = Caches::with_structures(CR3, Pcids::Enabled);
    for vpid in [0, 7, 8] {
        for tag in [Tag::Pcid(HERE), Tag::Global] {
            let held = Translation::new(NEAR, u64::from(vpid) << 12, PageSize::Size4K, tag);
            tlb.fill(held.of_guest(vpid));
        }
        tlb.fill_structure(entry(Level::Pde, NEAR, HERE).of_guest(vpid));
    }
    tlb
}

#[test]
fn the_host_flushes_nothing_of_a_guest() {
    for tag in [7, 8] {
        let mut tlb = with_guests();
        tlb.enter_guest(tag, HERE);
        tlb.flush_all();
        assert_eq!((tlb.iter().count(), tlb.structures().count()), (4, 2));
        assert_eq!(tlb.lookup(NEAR).unwrap().physical(), u64::from(tag) << 12);
        assert_eq!(tlb.lookup_structure(NEAR).unwrap().vpid(), tag);
        tlb.leave_guest();
        assert_eq!((tlb.lookup(NEAR), tlb.lookup_structure(NEAR)), (None, None));
    }
}

#[test]
fn the_contexts_of_a_guest_are_its_own() {
    let mut tlb = with_guests();
    let guest = Invalidation::everything(Contexts::Guest(7), Globals::Exclude);
    assert_eq!(tlb.invalidate(guest), Ok(()));
    let left: Vec<_> = tlb.iter().map(|held| (held.vpid(), held.tag())).collect();
    assert_eq!(left.len(), 5);
    assert!(!left.contains(&(7, Tag::Pcid(HERE))));
    assert_eq!(tlb.structures().count(), 2);
}

#[test]
fn invept_and_invvpid_hit_guests_only() {
    let tlb = with_guests();
    let hits = |invalidation: Invalidation| {
        let translations = tlb.iter().filter(|held| invalidation.hits(held, HERE));
        let structures = tlb.structures();
        (
            translations.count(),
            structures
                .filter(|held| invalidation.hits_structure(held, HERE))
                .count(),
        )
    };
    let pages = |address| Vpids::Pages {
        vpid: 7,
        pages: Pages::one(address, PageSize::Size4K),
    };
    assert_eq!(hits(Invalidation::Ept(None)), (4, 2));
    assert_eq!(hits(Invalidation::Vpid(Vpids::All)), (4, 2));
    assert_eq!(hits(Invalidation::Vpid(Vpids::One(7))), (2, 1));
    assert_eq!(hits(Invalidation::Vpid(Vpids::OneExceptGlobals(7))), (1, 1));
    assert_eq!(hits(Invalidation::Vpid(pages(NEAR))), (2, 1));
    assert_eq!(hits(Invalidation::Vpid(pages(NEAR + 0x1000))), (0, 1));
    assert_eq!(hits(Invalidation::Vpid(pages(FAR))), (0, 0));
}

#[test]
fn a_pcid_is_checked_only_while_pcids_are_off() {
    let page = Pages::one(NEAR, PageSize::Size4K);
    let context = |pcid| Invalidation::everything(Contexts::Pcid(pcid), Globals::Exclude);
    for named in [Invalidation::invpcid(HERE, page), context(HERE)] {
        let refused = rar_model::Refused::PcidsDisabled { pcid: HERE };
        assert_eq!(named.check(Pcids::Disabled), Err(refused));
        assert_eq!(named.check(Pcids::Enabled), Ok(()));
    }
    for unnamed in [context(0), Invalidation::invlpg(page)] {
        assert_eq!(unnamed.check(Pcids::Disabled), Ok(()));
    }
}
