//! The bytes of every kind of request, written out by hand and stored over a slot full of rubbish.

use rar_payload::{
    Cr3, Globals, InvpcidScope, InvpgScope, Operation, PageChunk, PageRange, PageSize, Payload,
    Pcid, Request, TableOwner,
};

type Error = Box<dyn std::error::Error>;

/// Returns the bytes of a slot after `operation` was stored over 0xa5, quadword by quadword, as a
/// driver does.
fn stored(operation: Operation) -> [u8; 64] {
    let mut slot = Payload::from_bytes(&[0xa5; 64]).words();
    for (old, new) in slot.iter_mut().zip(operation.encode().words()) {
        *old = new;
    }
    Payload::from_words(slot).bytes()
}

/// Returns the bytes after each operation of `request`.
fn precise(request: Request) -> Vec<[u8; 64]> {
    request.operations().map(stored).collect()
}

/// Returns the entry whose first half, which hardware reads, has these four rows.
fn entry(rows: [[u8; 8]; 4]) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (byte, golden) in bytes.iter_mut().zip(rows.as_flattened()) {
        *byte = *golden;
    }
    bytes
}

const NONE: [u8; 8] = [0; 8];

#[test]
fn one_page_of_4k() -> Result<(), Error> {
    let range = PageRange::page(0x0000_7f12_3456_7abc, PageSize::Size4K)?;
    let golden = entry([
        [0x00, 0x02, 0, 0, 0x20, 0, 0, 0],
        NONE,
        [0xbc, 0x0a, 0, 0, 0, 0, 0, 0],
        [0x00, 0x70, 0x56, 0x34, 0x12, 0x7f, 0, 0],
    ]);
    assert_eq!(
        precise(Request::Pages {
            pcid: Pcid::new(0xabc)?,
            range
        }),
        [golden]
    );
    Ok(())
}

#[test]
fn sixty_three_pages_of_2m_for_pcid_zero() -> Result<(), Error> {
    let range = PageRange::new(0xffff_8000_0020_0000, 63, PageSize::Size2M)?;
    let golden = entry([
        [0x00, 0x02, 0, 0, 0xe8, 0x07, 0, 0],
        NONE,
        NONE,
        [0x00, 0x00, 0x20, 0x00, 0x00, 0x80, 0xff, 0xff],
    ]);
    assert_eq!(
        precise(Request::Pages {
            pcid: Pcid::ZERO,
            range
        }),
        [golden]
    );
    Ok(())
}

#[test]
fn sixty_five_pages_of_1g_take_two_entries() -> Result<(), Error> {
    let range = PageRange::new(0x4000_0000, 65, PageSize::Size1G)?;
    let first = entry([
        [0x00, 0x02, 0, 0, 0xf0, 0x07, 0, 0],
        NONE,
        [0x01, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0x40, 0, 0, 0, 0],
    ]);
    let second = entry([
        [0x00, 0x02, 0, 0, 0x50, 0x00, 0, 0],
        NONE,
        [0x01, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0x00, 0x10, 0, 0, 0],
    ]);
    assert_eq!(
        precise(Request::Pages {
            pcid: Pcid::new(1)?,
            range
        }),
        [first, second]
    );
    Ok(())
}

#[test]
fn an_address_space() -> Result<(), Error> {
    let pcid = Pcid::new(0xfff)?;
    let golden = entry([
        [0x00, 0x02, 0, 0, 0x01, 0, 0, 0],
        NONE,
        [0xff, 0x0f, 0, 0, 0, 0, 0, 0],
        NONE,
    ]);
    assert_eq!(precise(Request::AddressSpace { pcid }), [golden]);
    assert_eq!(
        precise(Request::TablesFreed(TableOwner::AddressSpace(pcid))),
        [golden]
    );
    Ok(())
}

#[test]
fn everything_with_globals() -> Result<(), Error> {
    let range = PageRange::page(0xffff_ffff_ffff_f000, PageSize::Size4K)?;
    let golden = entry([[0x00, 0x02, 0, 0, 0x02, 0, 0, 0], NONE, NONE, NONE]);
    assert_eq!(precise(Request::GlobalPages { range }), [golden]);
    assert_eq!(precise(Request::TablesFreed(TableOwner::Kernel)), [golden]);
    assert_eq!(
        precise(Request::Everything {
            globals: Globals::Include
        }),
        [golden]
    );
    Ok(())
}

#[test]
fn everything_without_globals() {
    let golden = entry([[0x00, 0x02, 0, 0, 0x03, 0, 0, 0], NONE, NONE, NONE]);
    assert_eq!(
        precise(Request::Everything {
            globals: Globals::Exclude
        }),
        [golden]
    );
}

#[test]
fn invpg_with_cr3() -> Result<(), Error> {
    let cr3 = Some(Cr3::new(0x000f_edcb_a987_6018)?);
    let row = [0x18, 0x60, 0x87, 0xa9, 0xcb, 0xed, 0x0f, 0];
    let pages = PageChunk::new(PageRange::new(0x1000, 2, PageSize::Size4K)?)?;
    assert_eq!(
        stored(Operation::Invpg {
            cr3,
            scope: InvpgScope::Pages(pages)
        }),
        entry([
            [0x00, 0x00, 0, 0, 0x40, 0, 0, 0],
            NONE,
            row,
            [0x00, 0x10, 0, 0, 0, 0, 0, 0]
        ])
    );
    assert_eq!(
        stored(Operation::Invpg {
            cr3,
            scope: InvpgScope::All(Globals::Include)
        }),
        entry([[0x00, 0x00, 0, 0, 0x02, 0, 0, 0], NONE, row, NONE])
    );
    assert_eq!(
        stored(Operation::Invpg {
            cr3,
            scope: InvpgScope::All(Globals::Exclude)
        }),
        entry([[0x00, 0x00, 0, 0, 0x03, 0, 0, 0], NONE, row, NONE])
    );
    Ok(())
}

#[test]
fn invpg_without_cr3() -> Result<(), Error> {
    let pages = PageChunk::page(0xffff_ffff_ffff_ffff, PageSize::Size2M)?;
    assert_eq!(
        stored(Operation::Invpg {
            cr3: None,
            scope: InvpgScope::Pages(pages)
        }),
        entry([
            [0x00, 0x01, 0, 0, 0x28, 0, 0, 0],
            NONE,
            NONE,
            [0, 0, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff]
        ])
    );
    assert_eq!(
        stored(Operation::Invpg {
            cr3: None,
            scope: InvpgScope::All(Globals::Include)
        }),
        entry([[0x00, 0x01, 0, 0, 0x02, 0, 0, 0], NONE, NONE, NONE])
    );
    assert_eq!(
        stored(Operation::Invpg {
            cr3: None,
            scope: InvpgScope::All(Globals::Exclude)
        }),
        entry([[0x00, 0x01, 0, 0, 0x03, 0, 0, 0], NONE, NONE, NONE])
    );
    Ok(())
}

#[cfg(feature = "unverified")]
#[test]
fn invept_and_invvpid() -> Result<(), Error> {
    use rar_payload::{Eptp, InveptScope, InvvpidScope, Vpid};
    let eptp = Eptp::new(0x0000_0012_3456_701e)?;
    let vpid = Vpid::new(0xbeef)?;
    let row = [0xef, 0xbe, 0, 0, 0, 0, 0, 0];
    let pages = PageChunk::page(0x2000, PageSize::Size4K)?;
    for (operation, golden) in [
        (
            Operation::Invept(InveptScope::Context { eptp }),
            [
                [0x00, 0x03, 0, 0, 0x01, 0, 0, 0],
                NONE,
                [0x1e, 0x70, 0x56, 0x34, 0x12, 0, 0, 0],
                NONE,
            ],
        ),
        (
            Operation::Invept(InveptScope::Global),
            [[0x00, 0x03, 0, 0, 0x02, 0, 0, 0], NONE, NONE, NONE],
        ),
        (
            Operation::Invvpid(InvvpidScope::Pages { vpid, pages }),
            [
                [0x00, 0x04, 0, 0, 0x20, 0, 0, 0],
                NONE,
                row,
                [0x00, 0x20, 0, 0, 0, 0, 0, 0],
            ],
        ),
        (
            Operation::Invvpid(InvvpidScope::Context { vpid }),
            [[0x00, 0x04, 0, 0, 0x01, 0, 0, 0], NONE, row, NONE],
        ),
        (
            Operation::Invvpid(InvvpidScope::AllContexts),
            [[0x00, 0x04, 0, 0, 0x02, 0, 0, 0], NONE, NONE, NONE],
        ),
        (
            Operation::Invvpid(InvvpidScope::ContextKeepingGlobals { vpid }),
            [[0x00, 0x04, 0, 0, 0x03, 0, 0, 0], NONE, row, NONE],
        ),
    ] {
        assert_eq!(stored(operation), entry(golden), "{operation:?}");
        assert_eq!(Operation::decode(&operation.encode()), Ok(operation));
    }
    Ok(())
}

/// The whole way from numbers to words is open to constants.
const AT_COMPILE_TIME: [u64; 8] = {
    let Ok(pcid) = Pcid::new(7) else {
        unreachable!()
    };
    let Ok(range) = PageRange::from_bounds(0x1000, 0x4000, PageSize::Size4K) else {
        unreachable!()
    };
    let Ok(pages) = PageChunk::new(range) else {
        unreachable!()
    };
    Operation::Invpcid(InvpcidScope::Pages { pcid, pages })
        .encode()
        .words()
};

const _: () = {
    let [control, reserved, operand, address, software @ ..] = AT_COMPILE_TIME;
    assert!(control == 0x0000_0060_0000_0200);
    assert!(reserved == 0 && operand == 7 && address == 0x1000);
    assert!(matches!(software, [0, 0, 0, 0]));
};
