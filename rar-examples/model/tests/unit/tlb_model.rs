//! The TLB model against the rules of the SDM, by instruction.

use rar_model::{PageSize, Pcids, Tag, Tlb, TlbModel, Translation};

use crate::rig::{CR3, HERE, THERE};

const PAGE: u64 = 0x40_3000;

fn small(tag: Tag, physical: u64) -> Translation {
    Translation::new(PAGE, physical, PageSize::Size4K, tag)
}

fn filled(pcids: Pcids) -> TlbModel<8> {
    let mut tlb = TlbModel::new(CR3, pcids);
    let current = tlb.pcid();
    for tag in [Tag::Pcid(current), Tag::Pcid(THERE), Tag::Global] {
        tlb.fill(small(tag, 0x1000));
    }
    tlb
}

fn tags(tlb: &TlbModel<8>) -> Vec<Tag> {
    tlb.iter().map(|held| held.tag()).collect()
}

#[test]
fn lookup_sees_the_current_pcid_and_globals() {
    let mut tlb = TlbModel::<8>::new(CR3, Pcids::Enabled);
    tlb.fill(small(Tag::Pcid(THERE), 0x6000));
    assert_eq!(tlb.lookup(PAGE), None);
    tlb.fill(small(Tag::Pcid(HERE), 0x5000).read_only());
    let found = tlb.lookup(PAGE + 0x123).unwrap();
    assert_eq!(found.physical_of(PAGE + 0x123), 0x5123);
    assert!(!found.is_writable());
    tlb.load_cr3(u64::from(THERE) | 1 << 63);
    assert_eq!(tlb.cr3(), u64::from(THERE), "bit 63 is not stored");
    assert_eq!(tlb.lookup(PAGE).unwrap().physical(), 0x6000);
    assert_eq!(tlb.lookup(PAGE + 0x1000), None);
}

#[test]
fn mov_to_cr3() {
    let mut tlb = filled(Pcids::Enabled);
    tlb.load_cr3(u64::from(THERE) | 1 << 63);
    assert_eq!(tags(&tlb).len(), 3);
    tlb.load_cr3(u64::from(THERE));
    assert_eq!(tags(&tlb), [Tag::Pcid(HERE), Tag::Global]);
    let mut tlb = filled(Pcids::Disabled);
    tlb.load_cr3(1 << 63);
    assert_eq!(tags(&tlb), [Tag::Pcid(THERE), Tag::Global]);
}

#[test]
fn turning_pcids_off_empties_the_tlb() {
    let mut tlb = filled(Pcids::Enabled);
    tlb.set_pcids(Pcids::Enabled);
    assert_eq!(tags(&tlb).len(), 3);
    tlb.set_pcids(Pcids::Disabled);
    assert_eq!((tags(&tlb), tlb.pcid()), (vec![], 0));
}

#[test]
fn invlpg_takes_any_size_and_globals() {
    let mut tlb = filled(Pcids::Enabled);
    tlb.fill(Translation::new(PAGE, 0, PageSize::Size2M, Tag::Pcid(HERE)));
    tlb.invlpg(PAGE + 0xfff);
    assert_eq!(tags(&tlb), [Tag::Pcid(THERE)]);
    tlb.flush_all();
    assert_eq!(tags(&tlb), []);
}

#[test]
fn a_second_fill_replaces_the_first() {
    let mut tlb = TlbModel::<2>::new(CR3, Pcids::Enabled);
    let old = small(Tag::Pcid(HERE), 0x1000);
    let new = small(Tag::Pcid(HERE), 0x2000);
    assert_eq!(tlb.fill(old), None);
    assert_eq!(tlb.fill(new), Some(old));
    assert_eq!(tlb.lookup(PAGE), Some(new));
}

#[test]
fn a_full_tlb_evicts_in_turn() {
    let page = |n: u64| Translation::new(n << 12, 0, PageSize::Size4K, Tag::Pcid(HERE));
    let mut tlb = TlbModel::<2>::new(CR3, Pcids::Enabled);
    let evicted = [0, 1, 2, 3, 4].map(|n| tlb.fill(page(n)));
    assert_eq!(
        evicted,
        [None, None, Some(page(0)), Some(page(1)), Some(page(2))]
    );
    assert_eq!(TlbModel::<0>::new(0, Pcids::Disabled).fill(page(0)), None);
}
