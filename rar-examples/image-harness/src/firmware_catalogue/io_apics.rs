//! MADTs with I/O APICs where none is: what is there must stay as it is.

use rar_firmware::Madt;

use super::row::{FirmwareRow, row};
use super::script::io_apic_entry;
use super::tables::{IO_APIC, io_apic, local, madt};

/// An I/O APIC more at this address. An input of the right one is live: it must be masked all the
/// same.
fn another(name: &'static str, about: &'static str, address: u32) -> FirmwareRow {
    let madt = madt([local(0..4), vec![io_apic(address, 24)]]);
    row(name, about)
        .tables("APIC", [madt.table()])
        .before(io_apic_entry(2, 0, 0x8030))
        .interrupting()
}

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        another("io-apic-hpet", "an I/O APIC where the HPET is", 0xfed0_0000).notes(&[
            "I/O APIC at 0xfed00000 by the MADT: left alone",
            "are masked: 2 to vector 0x30 (level)",
        ]),
        another("io-apic-ram", "an I/O APIC where RAM is", 0x100_0000).notes(&[
            "I/O APIC at 0x1000000 by the MADT: left alone, RAM is there",
            "are masked: 2 to vector 0x30 (level)",
        ]),
        another(
            "io-apic-upon-local",
            "an I/O APIC where the local APIC is",
            0xfee0_0000,
        )
        .notes(&[
            "I/O APIC at 0xfee00000 by the MADT: left alone, the local APICs are there",
            "are masked: 2 to vector 0x30 (level)",
        ]),
        another("io-apic-zero", "an I/O APIC at address 0", 0).notes(&[
            "I/O APIC at 0x0 by the MADT: left alone, no device has that address",
            "are masked: 2 to vector 0x30 (level)",
        ]),
        another(
            "io-apic-nowhere",
            "an I/O APIC where nothing answers",
            0xf000_0000,
        )
        .notes(&[
            "I/O APIC at 0xf0000000 by the MADT: left alone",
            "are masked: 2 to vector 0x30 (level)",
        ]),
        another("io-apic-rom", "an I/O APIC where the BIOS is", 0xffff_0000).notes(&[
            "I/O APIC at 0xffff0000 by the MADT: left alone",
            "are masked: 2 to vector 0x30 (level)",
        ]),
        another("io-apic-twice", "the I/O APIC twice", IO_APIC)
            .notes(&["are masked: 2 to vector 0x30 (level)"]),
        row("no-io-apic", "no I/O APIC").tables(
            "APIC",
            [Madt {
                entries: local(0..4),
                ..Madt::new()
            }
            .table()],
        ),
    ]
}
