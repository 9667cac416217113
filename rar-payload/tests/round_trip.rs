//! Decoding undoes encoding, and encoding undoes decoding, for random entries and operations.

use proptest::prelude::*;
use rar_payload::{
    AddressWidth, Cr3, Field, Globals, InvpcidScope, InvpgScope, Operation, PageChunk, PageRange,
    PageSize, Payload, Pcid,
};

/// Returns what must remain of an accepted entry: all but the software byte and the software area.
fn without_software(words: [u64; 8]) -> Payload {
    let [control, reserved, operand, address, ..] = words;
    Payload::from_words([
        control & !Field::ForSoftware.mask(),
        reserved,
        operand,
        address,
        0,
        0,
        0,
        0,
    ])
}

/// Returns entries of which a good part is legal: few types, small fields, round addresses.
fn nearly_legal() -> impl Strategy<Value = [u64; 8]> {
    let control = (
        any::<u8>(),
        0u64..6,
        0u64..5,
        0u64..4,
        0u64..64,
        prop::bool::weighted(0.3),
    );
    let operand = prop_oneof![
        Just(0),
        0u64..4200,
        any::<u64>().prop_map(|word| word >> 12),
        any::<u64>()
    ];
    let address = (any::<u64>(), 0u32..64, 0u32..31).prop_map(|(word, high, low)| {
        let word = (word.cast_signed() >> high).cast_unsigned();
        word >> low << low
    });
    let address = prop_oneof![Just(0), address];
    let reserved = prop_oneof![9 => Just(0), 1 => any::<u64>()];
    (control, reserved, operand, address, any::<[u64; 4]>()).prop_map(
        |((byte, kind, subtype, size, count, plain), reserved, operand, address, [a, b, c, d])| {
            let (size, count) = if plain { (0, 0) } else { (size, count) };
            let control = u64::from(byte) | kind << 8 | subtype << 32 | size << 35 | count << 37;
            [control, reserved, operand, address, a, b, c, d]
        },
    )
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let size = prop::sample::select(PageSize::ALL.to_vec());
    let pages =
        (any::<u64>(), 1u64..=63, size).prop_filter_map("no range", |(address, pages, size)| {
            let start = (address.cast_signed() >> 7).cast_unsigned() & !(size.bytes() - 1);
            let range = PageRange::with_width(start, pages, size, AddressWidth::Bits57).ok()?;
            PageChunk::new(range).ok()
        });
    let pcid = (0u16..4096).prop_filter_map("no PCID", |number| Pcid::new(number).ok());
    let cr3 =
        prop::option::of((0u64..1 << 52).prop_filter_map("no CR3", |value| Cr3::new(value).ok()));
    let globals = prop::sample::select(vec![Globals::Include, Globals::Exclude]);
    prop_oneof![
        (cr3.clone(), pages.clone()).prop_map(|(cr3, pages)| Operation::Invpg {
            cr3,
            scope: InvpgScope::Pages(pages)
        }),
        (cr3, globals.clone()).prop_map(|(cr3, globals)| Operation::Invpg {
            cr3,
            scope: InvpgScope::All(globals)
        }),
        (pcid.clone(), pages)
            .prop_map(|(pcid, pages)| Operation::Invpcid(InvpcidScope::Pages { pcid, pages })),
        pcid.prop_map(|pcid| Operation::Invpcid(InvpcidScope::Context { pcid })),
        globals.prop_map(|globals| Operation::Invpcid(InvpcidScope::AllContexts(globals))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_words_decode_to_themselves_or_not_at_all(words: [u64; 8]) {
        if let Ok(operation) = Operation::decode(&words.into()) {
            prop_assert_eq!(operation.encode(), without_software(words));
        }
    }

    #[test]
    fn nearly_legal_words_decode_to_themselves_or_not_at_all(words in nearly_legal()) {
        match Operation::decode(&words.into()) {
            Ok(operation) => prop_assert_eq!(operation.encode(), without_software(words)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_operation_comes_back(operation in any_operation()) {
        prop_assert_eq!(Operation::decode(&operation.encode()), Ok(operation));
    }
}
