//! MADTs that cannot be right.

use rar_firmware::{Madt, MadtEntry, Sum, Table};

use super::row::{FirmwareRow, row};
use super::tables::{local, madt, raw};
use crate::expected_report::Absent;

/// CPU 2 has an entry of these bytes.
fn third(name: &'static str, about: &'static str, bytes: &[u8]) -> FirmwareRow {
    let madt = madt([local(0..2), raw(bytes), local(3..4)]);
    row(name, about).tables("APIC", [madt.table()])
}

/// One of the 4 CPUs cannot be read.
fn one_hidden(row: FirmwareRow) -> FirmwareRow {
    row.only(
        3,
        Absent {
            listed: &[],
            hidden: 1,
        },
    )
    .on(|machine| machine.greatest_id = 3)
}

/// A MADT of these entries, and nothing else.
fn whole(entries: Vec<MadtEntry>, behind: Vec<MadtEntry>) -> Table {
    let entries = [entries, behind].concat();
    Madt {
        entries,
        ..Madt::new()
    }
    .table()
}

/// Only the boot CPU runs.
const REST_HIDDEN: Absent = Absent {
    listed: &[],
    hidden: 3,
};

/// More than any table has.
const LONG: u32 = 2 << 20;
/// Two CPUs and a half.
const SHORT: u32 = 36 + 8 + 20;

pub(super) fn rows() -> Vec<FirmwareRow> {
    let usual = || madt([local(0..4)]).table();
    vec![
        one_hidden(third(
            "length-0",
            "an entry of length 0",
            &[0, 0, 2, 2, 1, 0, 0, 0],
        ))
        .notes(&[
            "MADT malformed after 2 entries (type 0, length 0); the entries behind it are read",
            "CPUs: the MADT lists 3, CPUID counts up to 4",
        ])
        .in_each_test(),
        one_hidden(third(
            "length-1",
            "an entry of length 1",
            &[0, 1, 2, 2, 1, 0, 0, 0],
        ))
        .notes(&[
            "MADT malformed after 2 entries (type 0, length 1); the entries behind it are read",
            "CPUs: the MADT lists 3, CPUID counts up to 4",
        ]),
        one_hidden(third(
            "length-255",
            "an entry that is longer than the table",
            &[0, 255, 2, 2, 1, 0, 0, 0],
        ))
        .notes(&[
            "MADT malformed after 2 entries (type 0, length 255); the entries behind it are read",
            "CPUs: the MADT lists 3, CPUID counts up to 4",
        ]),
        one_hidden(third(
            "local-of-6",
            "a CPU of type 0 in 6 bytes",
            &[0, 6, 2, 2, 1, 0],
        ))
        .notes(&[
            "MADT malformed after 2 entries (type 0, length 6); the entries behind it are read",
            "CPUs: the MADT lists 3, CPUID counts up to 4",
        ]),
        third(
            "x2apic-of-12",
            "a CPU of type 9 in 12 bytes",
            &[9, 12, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0],
        )
        .notes(&["MADT: 1 entries have another length than their type"]),
        third(
            "local-of-16",
            "a CPU of type 0 in 16 bytes",
            &[0, 16, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        )
        .notes(&["MADT: 1 entries have another length than their type"]),
        one_hidden(
            row("garbage-behind", "entries end in garbage, with a CPU in it").tables(
                "APIC",
                [whole(
                    local(0..3),
                    raw(&[0, 0, 3, 3, 1, 0, 0, 0, 0xa5, 0x01, 0xa5, 0xa5]),
                )],
            ),
        )
        .on(|machine| machine.greatest_id = 2)
        .notes(&[
            "MADT malformed after 3 entries (type 0, length 0); 12 bytes are not read",
            "CPUs: the MADT lists 3, CPUID counts up to 4",
        ]),
        row("zeroes-behind", "entries end in zeroes")
            .tables("APIC", [whole(madt([local(0..4)]).entries, raw(&[0; 16]))])
            .notes(&[
                "MADT malformed after 6 entries (type 0, length 0); the last 16 bytes are zeroes",
            ]),
        row("madt-sum", "a wrong checksum")
            .tables("APIC", [usual().with_sum(Sum::Off(0x55))])
            .notes(&["wrong checksum", "it is read all the same"]),
        row("madt-long", "an impossible length")
            .tables("APIC", [usual().with_length(LONG)])
            .only(1, REST_HIDDEN)
            .notes(&[
                "one CPU only: ACPI table APIC at",
                "impossible length (got 2097152",
            ]),
        row("madt-short", "a length that ends in the middle of the CPUs")
            .tables("APIC", [usual().with_length(SHORT)])
            .only(
                2,
                Absent {
                    listed: &[],
                    hidden: 2,
                },
            )
            .notes(&[
                "wrong checksum",
                "MADT malformed after 2 entries (type 0, length 8); 4 bytes are not read",
                "CPUs: the MADT lists 2, CPUID counts up to 4",
            ]),
        row("madt-empty", "no entry")
            .tables("APIC", [Madt::new().table()])
            .only(1, REST_HIDDEN)
            .notes(&[
                "MADT: it lists no CPU (0 entries)",
                "MADT: the boot CPU (APIC id 0) is not listed; it is added",
                "CPUs: the MADT lists 0, CPUID counts up to 4",
            ]),
        row("no-madt", "no MADT")
            .tables("APIC", [])
            .only(1, REST_HIDDEN)
            .notes(&["one CPU only: there is no ACPI table APIC"]),
        row("madt-twice", "two MADTs; the second one lists two CPUs")
            .tables("APIC", [usual(), madt([local(0..2)]).table()])
            .notes(&["ACPI table APIC stands at", "the first is read"]),
        row(
            "madt-sum-twice",
            "two MADTs; the first has a wrong checksum, and lists no CPU",
        )
        .tables("APIC", [Madt::new().table().with_sum(Sum::Off(1)), usual()])
        .notes(&["ACPI table APIC at", "wrong checksum"]),
    ]
}
