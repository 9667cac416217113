//! Root pointers and lists of tables. GRUB finds the first root pointer of a BIOS in its extended
//! data area, and hands it over if its own checksums are right.

use rar_firmware::{Fadt, Firmware, Root, Sum};

use super::row::{FirmwareRow, row};
use super::script::store_all;
use super::tables::{local, madt};
use crate::expected_report::Absent;

/// In the BIOS's extended data area, behind what the BIOS uses.
const FREE: u32 = 0x9_fe00;

fn firmware() -> Firmware {
    let fadt = Fadt {
        length: 132,
        ..Fadt::USUAL
    };
    Firmware::new([madt([local(0..4)]).table(), fadt.table()])
}

fn with(
    name: &'static str,
    about: &'static str,
    change: impl FnOnce(&mut Firmware),
) -> FirmwareRow {
    let mut firmware = firmware();
    change(&mut firmware);
    let memory = firmware.lay_out_at(FREE.into());
    row(name, about).after(store_all(FREE, memory.whole()))
}

/// An address where no memory is.
const NOWHERE: u64 = 0x7000_0000;
const BEYOND: u64 = 0x90_0000_0000;

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        with("xsdt-sum", "an XSDT with a wrong checksum", |firmware| {
            firmware.xsdt = Root::Listing(Sum::Off(1));
        })
        .notes(&["ACPI table XSDT at 0x9f", "wrong checksum"])
        .in_each_test(),
        with("xsdt-nowhere", "an XSDT where no memory is", |firmware| {
            firmware.xsdt = Root::Nowhere(NOWHERE);
        })
        .notes(&["ACPI table XSDT at 0x70000000: no memory there"]),
        with("xsdt-beyond", "an XSDT above 512 GiB", |firmware| {
            firmware.xsdt = Root::Nowhere(BEYOND);
        })
        .notes(&["ACPI table XSDT at 0x9000000000: no memory there"]),
        with("xsdt-empty", "an XSDT without tables", |firmware| {
            firmware.xsdt = Root::Empty;
        }),
        with("xsdt-absent", "no XSDT", |firmware| {
            firmware.xsdt = Root::Absent
        }),
        with("rsdt-absent", "no RSDT", |firmware| {
            firmware.rsdt = Root::Absent
        }),
        with("lists-sum", "both lists with wrong checksums", |firmware| {
            firmware.xsdt = Root::Listing(Sum::Off(1));
            firmware.rsdt = Root::Listing(Sum::Off(2));
        })
        .notes(&[
            "ACPI table XSDT at 0x9f",
            "ACPI table RSDT at 0x9f",
            "it is read all the same",
        ]),
        with("no-lists", "both lists where no memory is", |firmware| {
            firmware.xsdt = Root::Nowhere(NOWHERE);
            firmware.rsdt = Root::Nowhere(NOWHERE);
        })
        .only(
            1,
            Absent {
                listed: &[],
                hidden: 3,
            },
        )
        .notes(&[
            "one CPU only: neither the RSDT nor the XSDT can be read",
            "ACPI table XSDT at 0x70000000: no memory there",
            "ACPI table RSDT at 0x70000000: no memory there",
        ]),
        with(
            "revision-0",
            "the root pointer of ACPI 1.0, garbage behind it",
            |firmware| {
                firmware.revision = 0;
                firmware.xsdt = Root::Nowhere(BEYOND);
            },
        ),
        with("revision-1", "a root pointer of revision 1", |firmware| {
            firmware.revision = 1
        }),
    ]
}
