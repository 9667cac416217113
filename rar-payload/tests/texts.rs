//! What each error says: the value, what was expected, and the remedy.

use std::error::Error;

use rar_payload::{
    Cr3, DecodeError, Field, LinearAddressWidth, PageChunk, PageRange, PageSize, Pcid, RangeError,
};

#[track_caller]
fn assert_says<T>(result: Result<T, impl Error>, text: &str) {
    assert_eq!(
        result.err().map(|error| error.to_string()),
        Some(text.to_owned())
    );
}

#[test]
fn a_number_that_is_no_pcid_and_a_cr3_with_other_bits() {
    assert_says(
        Pcid::new(4096),
        "PCID: number too large (got 4096, expected at most 4095); mask it with 0xfff",
    );
    assert_says(
        Cr3::new(1 << 63 | 0x1000),
        "CR3 0x8000000000001000: bits 63:52 are set (expected 0); clear the no-flush bit and the \
         LAM bits",
    );
}

#[test]
fn a_range_that_is_none() -> Result<(), RangeError> {
    let small = |start, pages| PageRange::new(start, pages, PageSize::Size4K);
    assert_says(
        small(0x1000, 0),
        "page range at 0x1000: empty (got 0 pages, expected at least 1)",
    );
    assert_says(
        PageRange::from_bounds(0x3000, 0x1000, PageSize::Size4K),
        "page range: end below start (got 0x3000 to 0x1000); swap the bounds, or count the pages \
         with `new` if the range ends with the address space",
    );
    assert_says(
        PageRange::new(0x1000, 1, PageSize::Size2M),
        "address 0x1000: not aligned (expected a multiple of 2M); round the range outward with \
         `covering`",
    );
    assert_says(
        PageRange::new(1 << 47, 1, PageSize::Size1G),
        "address 0x800000000000: not canonical (expected 48 bits); pass the width the kernel runs \
         with",
    );
    assert_says(
        PageRange::with_width(1 << 56, 1, PageSize::Size1G, LinearAddressWidth::Bits57),
        "address 0x100000000000000: not canonical (expected 57 bits); pass the width the kernel \
         runs with",
    );
    assert_says(
        small(u64::MAX << 12, 2),
        "page range at 0xfffffffffffff000: passes the end of the address space (got 2 pages of 4K)",
    );
    assert_says(
        small(0x7fff_ffff_f000, 2),
        "page range at 0x7ffffffff000: leaves its half of the address space (got last page \
         0x800000000000); make one range for each half",
    );
    assert_says(
        PageChunk::new(small(0x1000, 64)?),
        "page range: too long for one entry (got 64 pages, expected at most 63); cut it with \
         `PageRange::chunks`",
    );
    Ok(())
}

#[test]
fn a_chunk_shows_its_pages() -> Result<(), RangeError> {
    let chunk = PageChunk::page(0x7000, PageSize::Size4K)?;
    assert_eq!(
        format!("{chunk:?}"),
        "PageChunk { start: 28672, pages: 1, size: Size4K }"
    );
    Ok(())
}

#[test]
fn an_entry_that_does_not_decode() {
    let says = |error: DecodeError, text: &str| assert_says::<()>(Err(error), text);
    says(
        DecodeError::UnknownType { payload_type: 9 },
        "payload type (quadword 0, bits 15:8) is 0x9: unknown type",
    );
    says(
        DecodeError::UnknownSubtype {
            payload_type: 1,
            subtype: 1,
        },
        "subtype (quadword 0, bits 34:32) is 0x1: type 1 has no such subtype",
    );
    says(
        DecodeError::ReservedBits {
            field: Field::ReservedWord,
            value: 1,
        },
        "reserved field (quadword 1, bits 63:0) is 0x1: reserved bits have to be zero",
    );
    says(
        DecodeError::IrrelevantField {
            field: Field::Address,
            value: 0x1000,
        },
        "linear address (quadword 3, bits 63:0) is 0x1000: this type and subtype do not use the \
         field, it has to be zero",
    );
    says(
        DecodeError::InvalidOperand {
            payload_type: 2,
            operand: 4096,
        },
        "operand (quadword 2, bits 63:0) is 0x1000: not a legal operand of type 2",
    );
    says(
        DecodeError::UndefinedPageSize { code: 3 },
        "page size (quadword 0, bits 36:35) is 0x3: undefined code",
    );
    says(
        DecodeError::NoPages,
        "number of pages (quadword 0, bits 42:37) is 0x0: an address range needs at least one page",
    );
    says(
        DecodeError::InvalidRange(RangeError::Empty { start: 0 }),
        "linear address (quadword 3, bits 63:0) is 0x0: page range at 0x0: empty (got 0 pages, \
         expected at least 1)",
    );
}

#[cfg(feature = "unverified")]
#[test]
fn a_number_that_is_no_eptp_or_vpid() {
    use rar_payload::{Eptp, Vpid};
    assert_says(
        Eptp::new(1 << 52 | 0x1e),
        "EPTP 0x1000000000001e: reserved bits set (got 0x10000000000000, expected 0); clear bits \
         63:52 and 11:8",
    );
    assert_says(
        Eptp::new(0x1f),
        "EPTP 0x1f: unknown memory type (got 7, expected 0 or 6); set bits 2:0 to 6 for write-back \
         tables",
    );
    for (value, levels) in [(0x06, "1 level"), (0x0e, "2 levels")] {
        let text = format!(
            "EPTP {value:#x}: page walk of the wrong length (got {levels}, expected 4 or 5); set \
             bits 5:3 to 3 or 4"
        );
        assert_says(Eptp::new(value), &text);
    }
    assert_says(
        Vpid::new(0),
        "VPID: number too small (got 0, expected 1 to 65535)",
    );
}
