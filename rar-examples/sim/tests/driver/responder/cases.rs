//! The inputs of both sides: entries of every kind, vector bytes, translations that the entries
//! hit, and units.

use proptest::prelude::*;
use rar_model::{
    Acked, Contexts, Cr3Mismatch, Globals, Knobs, LinearWidth, Offence, PENDING, PageReach,
    PageSize, Scan, ScanOrder, TableSize, Tag, Translation, ZeroPages,
};

use crate::rig::PCID;

/// How many translations a CPU holds.
pub(crate) const PLACES: usize = 32;
/// CR3 of the CPU.
pub(crate) const CR3: u64 = 1 << 20 | PCID as u64;

/// Addresses of few pages of every size, near every boundary, so that entries hit cached
/// translations.
fn addresses() -> impl Strategy<Value = u64> {
    let page = prop_oneof![
        3 => (0..6u64).prop_map(|page| page << 12),
        // Pages that only a long range reaches.
        1 => (24..64u64).prop_map(|page| page << 12),
        2 => (0..4u64).prop_map(|page| page << 21),
        2 => (0..3u64).prop_map(|page| page << 30),
    ];
    let edges = prop::sample::select(vec![0, 1 << 47, 1 << 56]);
    let ends = prop::sample::select(vec![0u64, 1 << 47, 1 << 56, 1 << 63]);
    prop_oneof![
        6 => page.clone(),
        1 => (page.clone(), edges)
            .prop_map(|(page, edge): (u64, u64)| edge.wrapping_neg().wrapping_add(page)),
        1 => (page, ends).prop_map(|(page, end)| end.wrapping_sub(page)),
    ]
}

fn pcids() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![u64::from(PCID), u64::from(PCID), 0, 6])
}

/// Entries of every type, most of them legal; some have a wrong bit, or set an unused field.
pub(crate) fn entry() -> impl Strategy<Value = [u64; 8]> {
    let kind = prop::sample::select(vec![0u64, 0, 0, 1, 2, 2, 2, 3, 4, 5, 6]);
    let subtype = prop_oneof![8 => Just(0), 6 => 1..4u64, 1 => 4..8u64];
    let size = prop_oneof![3 => Just(0u64), 2 => 1..3u64, 1 => Just(3)];
    let count = prop_oneof![6 => 1..5u64, 1 => Just(0), 2 => 60..64u64];
    let cr3 = prop_oneof![
        3 => Just(CR3),
        3 => prop::sample::select(vec![
            CR3 ^ 1,
            CR3 ^ 1 << 12,
            CR3 ^ 1 << 51,
            CR3 | 1 << 52,
            CR3 | 1 << 63,
        ]),
        1 => any::<u64>(),
    ];
    let operand = (cr3, pcids(), any::<u64>());
    let word = prop::sample::select(vec![0usize, 0, 0, 1, 2, 3]);
    let spoilt = prop::option::weighted(0.3, (word, 0..64u32));
    let unused = prop::bool::weighted(0.1);
    let fields = (kind, subtype, size, count, operand, addresses());
    (fields, any::<u8>(), spoilt, unused).prop_map(|(fields, software, spoilt, keep_unused)| {
        let (kind, subtype, size, count, (cr3, pcid, any), address) = fields;
        let operand = match (kind, subtype) {
            (0, _) => cr3,
            (2, 0 | 1) | (4, _) => pcid,
            (5, _) => any,
            (3, 1) => cr3,
            _ => 0,
        };
        let pages = (subtype == 0 && kind < 5) || keep_unused;
        let (size, count, address) = if pages {
            (size, count, address)
        } else {
            (0, 0, 0)
        };
        let control = kind << 8 | subtype << 32 | size << 35 | count << 37 | u64::from(software);
        let control = if kind == 5 {
            kind << 8 | any << 32
        } else {
            control
        };
        let mut words = [control, 0, operand, address, any, 0, 0, any];
        if let Some((word, bit)) = spoilt {
            words[word] ^= 1 << bit;
        }
        words
    })
}

/// A byte of the vector: mostly armed, sometimes in a state that must not change.
pub(crate) fn armed() -> impl Strategy<Value = u8> {
    prop_oneof![
        6 => Just(PENDING),
        1 => Just(0),
        1 => Just(0x02),
        1 => Just(0x80),
        1 => any::<u8>(),
    ]
}

/// What a CPU caches.
pub(crate) fn cached() -> impl Strategy<Value = Vec<Translation>> {
    let tag = prop_oneof![
        pcids().prop_map(|pcid| Tag::Pcid(u16::try_from(pcid).unwrap())),
        Just(Tag::Global)
    ];
    let size = prop::sample::select(vec![PageSize::Size4K, PageSize::Size2M, PageSize::Size1G]);
    let one = (tag, size, addresses())
        .prop_map(|(tag, size, address)| Translation::new(address, 7 << 30, size, tag));
    prop::collection::vec(one, 1..PLACES)
}

/// Every honest unit: each open question of the sources is answered either way.
pub(crate) fn honest_units() -> impl Strategy<Value = Knobs> {
    let offence = || prop::sample::select(vec![Offence::Fail, Offence::Fail, Offence::Ignore]);
    let reading = (
        prop::sample::select(vec![LinearWidth::Bits48, LinearWidth::Bits57]),
        prop::sample::select(vec![0b111, 0b11_1111, 0b100]),
        [offence(), offence(), offence()],
        prop::sample::select(vec![ZeroPages::Fail, ZeroPages::Nothing]),
        prop::sample::select(vec![(1 << 52) - 1, u64::MAX, 0xf_ffff_ffff_f000]),
        prop::sample::select(vec![Cr3Mismatch::Success, Cr3Mismatch::Failure]),
    );
    let flushing = (
        prop::sample::select(vec![
            PageReach::Covering,
            PageReach::SameSize,
            PageReach::Span,
        ]),
        prop::sample::select(vec![Globals::Include, Globals::Exclude]),
        prop::sample::select(vec![Contexts::Current, Contexts::All]),
    );
    let order = prop_oneof![
        Just(ScanOrder::Ascending),
        Just(ScanOrder::Descending),
        (0..64u8).prop_map(ScanOrder::From)
    ];
    let scanning = (
        order,
        prop::sample::select(vec![Scan::Live, Scan::Snapshot, Scan::Twice]),
        prop::sample::select(vec![Acked::Never, Acked::WhileExecuting]),
        prop_oneof![2 => Just(64), 1 => 1..=64u8].prop_filter_map("table", TableSize::new),
    );
    (reading, flushing, scanning).prop_map(|(reading, flushing, scanning)| {
        let (linear, types, offences, zero_pages, cr3_mask, cr3_mismatch) = reading;
        let [reserved_bits, unused_fields, misaligned] = offences;
        let (reach, invpg_globals, invpg_contexts) = flushing;
        let (order, scan, acked, table) = scanning;
        Knobs {
            linear,
            types,
            reserved_bits,
            unused_fields,
            misaligned,
            zero_pages,
            cr3_mask,
            cr3_mismatch,
            reach,
            invpg_globals,
            invpg_contexts,
            order,
            scan,
            acked,
            table,
            ..Knobs::DEFAULT
        }
    })
}
