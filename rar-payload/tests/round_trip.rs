//! Decoding undoes encoding, and encoding undoes decoding, for any 64 bytes and any operation.
#![expect(clippy::indexing_slicing, reason = "helpers of tests")]

use proptest::prelude::*;
use rar_payload::{
    Cr3, DecodeError, Field, Globals, InvpcidScope, InvpgScope, LinearAddressWidth, Operation,
    PageChunk, PageRange, PageSize, Payload, Pcid,
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

/// Returns entries, a good part of them legal: few types, small fields, round addresses.
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
        let word = (word as i64 >> high) as u64;
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

/// Returns entries whose fields hold their smallest value, their largest, or the one next to it.
fn extremes() -> impl Strategy<Value = [u64; 8]> {
    let extreme = |field: Field| {
        let largest = u64::MAX >> (64 - field.bits().len());
        let value = match field {
            Field::PayloadType => prop::sample::select(vec![0, 1, 2, 3, 4, 5, 6, largest]),
            // Or hardly an entry would get as far as its other fields.
            Field::ReservedLow | Field::ReservedHigh | Field::ReservedWord => {
                let zeros = std::iter::repeat_n(0, 60);
                prop::sample::select(zeros.chain([1, largest]).collect::<Vec<_>>())
            }
            _ => prop::sample::select(vec![0, 0, 0, 1, 2, 3, largest / 2, largest - 1, largest]),
        };
        value.prop_map(move |value| (field, value))
    };
    // The edges of every operand and of every page size.
    let operand = (0..64u32, 0..2u64).prop_map(|(bit, below)| (Field::Operand, (1 << bit) - below));
    let address = (11..64u32, 0..64u64)
        .prop_map(|(bit, back)| (Field::Address, (1u64 << bit).wrapping_sub(back << 12)));
    let edges = prop::option::of(prop_oneof![operand, address]);
    (Field::ALL.map(extreme), edges, any::<[u64; 4]>()).prop_map(|(fields, edge, [a, b, c, d])| {
        let mut words = [0, 0, 0, 0, a, b, c, d];
        for (field, value) in fields.into_iter().chain(edge) {
            words[field.word()] &= !field.mask();
            words[field.word()] |= value << field.bits().start;
        }
        words
    })
}

/// Returns the field that has to be named first: the type, then the reserved bits, then the
/// subtype. `None` if it has to be one of the others.
fn first_offence(payload: &Payload) -> Option<Field> {
    let subtypes: &[u8] = match payload.payload_type() {
        0 | 1 => &[0, 2, 3],
        2 => &[0, 1, 2, 3],
        #[cfg(feature = "unverified")]
        3 => &[1, 2],
        #[cfg(feature = "unverified")]
        4 => &[0, 1, 2, 3],
        _ => return Some(Field::PayloadType),
    };
    let reserved = [Field::ReservedLow, Field::ReservedHigh, Field::ReservedWord];
    let set = reserved
        .into_iter()
        .find(|field| payload.field(*field) != 0);
    let unknown = !subtypes.contains(&payload.subtype());
    set.or_else(|| unknown.then_some(Field::Subtype))
}

/// Judges one entry: what is accepted means all of it, what is refused is refused for a reason that
/// is there.
fn judge(words: [u64; 8]) -> Result<(), TestCaseError> {
    let payload = Payload::from_words(words);
    match Operation::decode(&payload) {
        Ok(operation) => {
            prop_assert!(legal(&payload), "{:?}", operation);
            prop_assert_eq!(operation.encode(), without_software(words));
            prop_assert_eq!(operation.payload_type(), payload.payload_type());
        }
        Err(error) => {
            prop_assert!(!legal(&payload), "{}", error);
            prop_assert_eq!(error.value(), payload.field(error.field()), "{}", error);
            match first_offence(&payload) {
                Some(field) => prop_assert_eq!(error.field(), field, "{}", error),
                None => prop_assert!(names_a_value(error), "{}", error),
            }
        }
    }
    Ok(())
}

/// Whether the fields are legal together: each type and subtype with its operand, then pages or
/// none.
fn legal(payload: &Payload) -> bool {
    let operands = match (payload.payload_type(), payload.subtype()) {
        (0, _) => 0..1 << 52,
        (2, 0 | 1) => 0..4096,
        (1 | 2, _) => 0..1,
        (3, 1) => 0..1 << 52,
        (4, 0 | 1 | 3) => 1..1 << 16,
        (3 | 4, _) => 0..1,
        _ => return false,
    };
    let (code, count) = (payload.page_size_code(), payload.page_count());
    let ranged = payload.subtype() == 0;
    let pages = if ranged {
        let bytes = 1u128 << (12 + 9 * code);
        let start = u128::from(payload.address());
        let end = start + u128::from(count) * bytes;
        let in_a_half = end <= 1 << 56 || start >= (1 << 64) - (1 << 56) && end <= 1 << 64;
        code < 3 && count > 0 && start & (bytes - 1) == 0 && in_a_half
    } else {
        (code, count, payload.address()) == (0, 0, 0)
    };
    let operand = operands.contains(&payload.operand())
        && ((payload.payload_type(), payload.subtype()) != (3, 1) || eptp(payload.operand()));
    first_offence(payload).is_none() && operand && pages
}

/// Whether a VM entry would accept the extended-page-table pointer: memory type, levels, reserved
/// bits.
fn eptp(value: u64) -> bool {
    [0, 6].contains(&(value & 7)) && [3, 4].contains(&(value >> 3 & 7)) && value & 0xf00 == 0
}

fn names_a_value(error: DecodeError) -> bool {
    let values = [
        Field::PageSize,
        Field::PageCount,
        Field::Operand,
        Field::Address,
    ];
    values.contains(&error.field())
}

#[cfg(not(feature = "unverified"))]
fn any_operation() -> impl Strategy<Value = Operation> {
    verified()
}

#[cfg(feature = "unverified")]
fn any_operation() -> impl Strategy<Value = Operation> {
    use rar_payload::{Eptp, InveptScope, InvvpidScope, Vpid};

    let low = prop::sample::select(vec![0x18, 0x1e, 0x20, 0x26, 0x5e, 0xe6]);
    let eptp = (0u64..1 << 40, low)
        .prop_filter_map("no EPTP", |(page, low)| Eptp::new(page << 12 | low).ok());
    let vpid = (1..=u16::MAX).prop_filter_map("no VPID", |value| Vpid::new(value).ok());
    prop_oneof![
        4 => verified(),
        1 => eptp.prop_map(|eptp| Operation::Invept(InveptScope::Context { eptp })),
        1 => Just(Operation::Invept(InveptScope::Global)),
        1 => (vpid.clone(), any_pages())
            .prop_map(|(vpid, pages)| Operation::Invvpid(InvvpidScope::Pages { vpid, pages })),
        1 => vpid.clone().prop_map(|vpid| Operation::Invvpid(InvvpidScope::Context { vpid })),
        1 => Just(Operation::Invvpid(InvvpidScope::AllContexts)),
        1 => vpid.prop_map(|vpid| Operation::Invvpid(InvvpidScope::ContextKeepingGlobals { vpid })),
    ]
}

fn any_pages() -> impl Strategy<Value = PageChunk> + Clone {
    let size = prop::sample::select(PageSize::ALL.to_vec());
    (any::<u64>(), 1u64..=63, size).prop_filter_map("no range", |(address, pages, size)| {
        let start = (address as i64 >> 7) as u64 & !(size.bytes() - 1);
        let range = PageRange::with_width(start, pages, size, LinearAddressWidth::Bits57).ok()?;
        PageChunk::new(range).ok()
    })
}

/// Returns operations of the types that need no feature.
fn verified() -> impl Strategy<Value = Operation> {
    let pages = any_pages();
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
    fn any_words_are_judged_by_all_their_fields(words: [u64; 8]) {
        judge(words)?;
    }

    #[test]
    fn nearly_legal_words_are_judged_by_all_their_fields(words in nearly_legal()) {
        judge(words)?;
    }

    #[test]
    fn extreme_fields_are_judged_by_all_their_fields(words in extremes()) {
        judge(words)?;
    }

    #[test]
    fn any_operation_comes_back(operation in any_operation()) {
        let payload = operation.encode();
        prop_assert_eq!(Payload::from(operation), payload);
        prop_assert_eq!(Operation::decode(&payload), Ok(operation));
    }

    #[test]
    fn bytes_words_and_fields_hold_the_same(words: [u64; 8]) {
        let payload = Payload::from_words(words);
        prop_assert_eq!(Payload::from_bytes(&payload.bytes()), payload);
        let mut from_fields = [0; 4];
        for field in Field::ALL {
            from_fields[field.word()] |= payload.field(field) << field.bits().start;
        }
        let [a, b, c, d] = from_fields;
        let [e, f, g, h] = payload.software_area();
        prop_assert_eq!([a, b, c, d, e, f, g, h], words);
        prop_assert_eq!(<[u64; 8]>::from(payload), words);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// One bit away from a legal entry: software's bits change nothing, any other changes the
    /// meaning or is refused.
    #[test]
    fn each_bit_of_any_entry_counts(operation in any_operation()) {
        for bit in 0..512 {
            let mut words = operation.encode().words();
            words[bit / 64] ^= 1 << (bit % 64);
            judge(words)?;
            let same = Operation::decode(&words.into()) == Ok(operation);
            prop_assert_eq!(same, !(8..256).contains(&bit), "bit {}", bit);
        }
    }
}

#[cfg(feature = "unverified")]
proptest! {
    #[test]
    fn any_words_are_an_msr_write_that_encodes_to_them_or_none(
        words: [u64; 8], payload_type in 4u64..=6, clear in prop::bool::weighted(0.8),
            spoilt in prop::option::of((0..4usize, 0..64u32)),
    ) {
        let mut words = words;
        if clear {
            words[0] &= !(Field::ReservedLow.mask() | Field::PayloadType.mask());
            words[0] |= payload_type << 8;
            (words[1], words[3]) = (0, 0);
        }
        if let Some((word, bit)) = spoilt {
            words[word] ^= 1 << bit;
        }
        let reserved = words[0] >> 16 & 0xffff | words[1] | words[3];
        let legal = words[0] >> 8 & 0xff == 5 && reserved == 0;
        // SAFETY: 1 to 3: nothing is sent by this test.
        let decoded = unsafe { rar_payload::MsrWrite::decode(&words.into()) };
        prop_assert_eq!(decoded.is_ok(), legal);
        if let Ok(write) = decoded {
            prop_assert_eq!((u64::from(write.msr()), write.value()), (words[0] >> 32, words[2]));
            prop_assert_eq!(Operation::MsrWrite(write).encode(), without_software(words));
        }
        prop_assert!(Operation::decode(&words.into()).is_err() || words[0] >> 8 & 0xff != 5);
    }
}
