//! Decoding is strict and names what it dislikes.

use rar_payload::{
    Cr3, DecodeError, Field, Globals, InvpcidScope, InvpgScope, LinearAddressWidth, Operation,
    PageChunk, PageRange, PageSize, Payload, Pcid, RangeError,
};

type Error = Box<dyn std::error::Error>;

/// Returns the entry of these fields.
fn entry(fields: &[(Field, u64)]) -> Payload {
    let mut words = [0u64; 8];
    for &(field, value) in fields {
        if let Some(word) = words.get_mut(field.word()) {
            *word |= value << field.bits().start;
        }
    }
    Payload::from_words(words)
}

fn decode(fields: &[(Field, u64)]) -> Result<Operation, DecodeError> {
    Operation::decode(&entry(fields))
}

/// Returns one entry of each type and subtype.
fn samples() -> Result<Vec<Operation>, Error> {
    let pages = PageChunk::new(PageRange::new(0x20_0000, 5, PageSize::Size2M)?)?;
    let cr3 = Cr3::new(0x1234_5000)?;
    let pcid = Pcid::new(0x123)?;
    let scopes = [
        InvpgScope::Pages(pages),
        InvpgScope::All(Globals::Include),
        InvpgScope::All(Globals::Exclude),
    ];
    let mut samples = Vec::new();
    for scope in scopes {
        samples.push(Operation::Invpg {
            cr3: Some(cr3),
            scope,
        });
        samples.push(Operation::Invpg { cr3: None, scope });
    }
    samples.push(Operation::Invpcid(InvpcidScope::Pages { pcid, pages }));
    samples.push(Operation::Invpcid(InvpcidScope::Context { pcid }));
    samples.push(Operation::Invpcid(InvpcidScope::AllContexts(
        Globals::Include,
    )));
    samples.push(Operation::Invpcid(InvpcidScope::AllContexts(
        Globals::Exclude,
    )));
    Ok(samples)
}

#[test]
fn every_sample_comes_back() -> Result<(), Error> {
    for operation in samples()? {
        assert_eq!(Operation::decode(&operation.encode()), Ok(operation));
        assert_eq!(operation.encode().payload_type(), operation.payload_type());
    }
    Ok(())
}

#[test]
fn every_pcid_and_count_comes_back() -> Result<(), Error> {
    for number in 0..4096 {
        let operation = Operation::Invpcid(InvpcidScope::Context {
            pcid: Pcid::new(number)?,
        });
        assert_eq!(Operation::decode(&operation.encode()), Ok(operation));
    }
    for size in PageSize::ALL {
        for count in 1..=63 {
            let pages = PageChunk::new(PageRange::new(size.bytes(), count, size)?)?;
            let operation = Operation::Invpcid(InvpcidScope::Pages {
                pcid: Pcid::MAX,
                pages,
            });
            assert_eq!(Operation::decode(&operation.encode()), Ok(operation));
        }
    }
    Ok(())
}

/// Each bit that hardware reads matters: flipped, the entry is refused or means something else.
#[test]
fn no_bit_is_overlooked() -> Result<(), Error> {
    for operation in samples()? {
        for bit in 0..512usize {
            let mut words = operation.encode().words();
            words[bit / 64] ^= 1 << (bit % 64);
            let decoded = Operation::decode(&words.into());
            let software = !(8..256).contains(&bit);
            assert_eq!(
                decoded == Ok(operation),
                software,
                "{operation:?} bit {bit}: {decoded:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn software_byte_and_area_are_ignored() -> Result<(), Error> {
    for operation in samples()? {
        let mut words = operation.encode().words();
        words[0] |= 0xff;
        words[4..].fill(u64::MAX);
        assert_eq!(Operation::decode(&words.into()), Ok(operation));
    }
    Ok(())
}

/// All of types 0 to 2, subtype, page size and count, against the table of legal combinations.
#[test]
fn exactly_the_legal_control_words_are_accepted() {
    for payload_type in 0..=2u64 {
        for subtype in 0..8u64 {
            for size in 0..4u64 {
                for count in 0..64u64 {
                    let fields = [
                        (Field::PayloadType, payload_type),
                        (Field::Subtype, subtype),
                        (Field::PageSize, size),
                        (Field::PageCount, count),
                    ];
                    let named = size < 3 && count > 0;
                    let none = size == 0 && count == 0;
                    let legal = match (payload_type, subtype) {
                        (_, 0) => named,
                        (2, 1) | (_, 2 | 3) => none,
                        _ => false,
                    };
                    assert_eq!(decode(&fields).is_ok(), legal, "{fields:?}");
                }
            }
        }
    }
}

#[test]
fn other_types_are_unknown() {
    let first = if cfg!(feature = "unverified") { 6 } else { 3 };
    for payload_type in first..=u8::MAX {
        let error = DecodeError::UnknownType { payload_type };
        assert_eq!(
            decode(&[(Field::PayloadType, payload_type.into())]),
            Err(error)
        );
        assert_eq!(
            (error.field(), error.value()),
            (Field::PayloadType, payload_type.into())
        );
    }
}

#[test]
fn reserved_bits_are_named() -> Result<(), Error> {
    for operation in samples()? {
        for field in [Field::ReservedLow, Field::ReservedHigh, Field::ReservedWord] {
            for bit in field.bits() {
                let mut words = operation.encode().words();
                words[field.word()] |= 1 << bit;
                let value = 1 << (bit - field.bits().start);
                let error = DecodeError::ReservedBits { field, value };
                assert_eq!(Operation::decode(&words.into()), Err(error));
                assert_eq!((error.field(), error.value()), (field, value));
            }
        }
    }
    Ok(())
}

#[test]
fn unused_fields_are_named() {
    const TYPE: Field = Field::PayloadType;
    const SUBTYPE: Field = Field::Subtype;
    for (payload_type, subtype, field, value) in [
        (0, 2, Field::PageSize, 3),
        (0, 3, Field::PageCount, 63),
        (1, 3, Field::Operand, 1),
        (1, 2, Field::Operand, 1 << 63),
        (1, 3, Field::Address, 1),
        (2, 1, Field::Address, 0x1000),
        (2, 1, Field::PageCount, 1),
        (2, 2, Field::Operand, 1),
        (2, 3, Field::Operand, 0x1000),
        (2, 2, Field::PageSize, 1),
    ] {
        let error = DecodeError::IrrelevantField { field, value };
        assert_eq!(
            decode(&[(TYPE, payload_type), (SUBTYPE, subtype), (field, value)]),
            Err(error)
        );
        assert_eq!((error.field(), error.value()), (field, value));
    }
}

#[test]
fn the_fields_of_a_page_range_are_judged() {
    let judge = |size, count, operand, address| {
        decode(&[
            (Field::PayloadType, 2),
            (Field::PageSize, size),
            (Field::PageCount, count),
            (Field::Operand, operand),
            (Field::Address, address),
        ])
    };
    assert!(
        judge(0, 1, 4095, 0x00ff_ffff_ffff_f000).is_ok(),
        "canonical with 57 bits"
    );
    let width = LinearAddressWidth::Bits57;
    let range = DecodeError::InvalidRange;
    for (decoded, error, field, value) in [
        (
            judge(3, 1, 0, 0),
            DecodeError::UndefinedPageSize { code: 3 },
            Field::PageSize,
            3,
        ),
        (
            judge(0, 0, 0, 0x1000),
            DecodeError::NoPages,
            Field::PageCount,
            0,
        ),
        (
            judge(0, 1, 4096, 0),
            DecodeError::InvalidOperand {
                payload_type: 2,
                operand: 4096,
            },
            Field::Operand,
            4096,
        ),
        (
            judge(0, 1, 0x1_0000_0001, 0),
            DecodeError::InvalidOperand {
                payload_type: 2,
                operand: 0x1_0000_0001,
            },
            Field::Operand,
            0x1_0000_0001,
        ),
        (
            judge(1, 1, 0, 0x1000),
            range(RangeError::Misaligned {
                address: 0x1000,
                size: PageSize::Size2M,
            }),
            Field::Address,
            0x1000,
        ),
        (
            judge(0, 1, 0, 1 << 56),
            range(RangeError::NonCanonical {
                address: 1 << 56,
                width,
            }),
            Field::Address,
            1 << 56,
        ),
        (
            judge(0, 2, 0, 0x00ff_ffff_ffff_f000),
            range(RangeError::CrossesHole {
                start: 0x00ff_ffff_ffff_f000,
                last: 1 << 56,
            }),
            Field::Address,
            0x00ff_ffff_ffff_f000,
        ),
        (
            judge(0, 2, 0, 0xffff_ffff_ffff_f000),
            range(RangeError::Wraps {
                start: 0xffff_ffff_ffff_f000,
                pages: 2,
                size: PageSize::Size4K,
            }),
            Field::Address,
            0xffff_ffff_ffff_f000,
        ),
    ] {
        assert_eq!(decoded, Err(error));
        assert_eq!((error.field(), error.value()), (field, value));
    }
}

#[test]
fn undefined_subtypes_and_wide_cr3_are_named() {
    for (payload_type, subtype) in [(0, 1), (1, 1), (0, 4), (1, 7), (2, 4), (2, 7)] {
        let error = DecodeError::UnknownSubtype {
            payload_type,
            subtype,
        };
        let fields = [
            (Field::PayloadType, payload_type.into()),
            (Field::Subtype, subtype.into()),
        ];
        assert_eq!(decode(&fields), Err(error));
        assert_eq!(
            (error.field(), error.value()),
            (Field::Subtype, subtype.into())
        );
    }
    let error = DecodeError::InvalidOperand {
        payload_type: 0,
        operand: 1 << 52,
    };
    assert_eq!(
        decode(&[(Field::Subtype, 2), (Field::Operand, 1 << 52)]),
        Err(error)
    );
}

#[test]
fn the_empty_entry_asks_for_nothing() {
    assert_eq!(
        Operation::decode(&Payload::EMPTY),
        Err(DecodeError::NoPages)
    );
}

#[test]
fn an_invalid_range_is_the_source_of_its_error() {
    let error = DecodeError::InvalidRange(RangeError::Empty { start: 0 });
    assert!(std::error::Error::source(&error).is_some());
}

#[cfg(feature = "unverified")]
#[test]
fn exactly_the_legal_unverified_entries_are_accepted() {
    for payload_type in 3..=4u64 {
        for subtype in 0..8u64 {
            for (operand, address, count) in [
                (0, 0, 0),
                (1, 0, 0),
                (0, 0x1000, 0),
                (0, 0, 1),
                (1, 0x1000, 1),
                (1 << 16, 0, 0),
                (1 << 52, 0, 0),
                (0x701e, 0, 0),
                (0x7018, 0, 0),
                (0x7010, 0, 0),
                (0x7019, 0, 0),
                (0x7e1e, 0, 0),
            ] {
                let fields = [
                    (Field::PayloadType, payload_type),
                    (Field::Subtype, subtype),
                    (Field::Operand, operand),
                    (Field::Address, address),
                    (Field::PageCount, count),
                ];
                let none = address == 0 && count == 0;
                let legal = match (payload_type, subtype) {
                    (3, 1) => none && [0x701e, 0x7018].contains(&operand),
                    (3, 2) | (4, 2) => none && operand == 0,
                    (4, 0) => operand == 1 && count == 1,
                    (4, 1 | 3) => none && (1..1 << 16).contains(&operand),
                    _ => false,
                };
                assert_eq!(decode(&fields).is_ok(), legal, "{fields:?}");
            }
        }
    }
}
