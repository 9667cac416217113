//! MADTs that have the local APICs elsewhere than IA32_APIC_BASE.

use rar_firmware::{Madt, MadtEntry};

use super::row::{FirmwareRow, row};
use super::tables::{local, madt};

/// The MADT has this address, in its header or in an entry of type 5.
fn at(name: &'static str, about: &'static str, header: u32, entry: Option<u64>) -> FirmwareRow {
    let entry = entry.map(MadtEntry::LocalApicAddress);
    let madt = Madt {
        local_apic: header,
        ..madt([local(0..4), entry.into_iter().collect()])
    };
    row(name, about).tables("APIC", [madt.table()])
}

const RIGHT: u32 = 0xfee0_0000;
const HPET: u32 = 0xfed0_0000;

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        at("local-apic-hpet", "the address of the HPET", HPET, None)
            .notes(&["disagree (MADT 0xfed00000, register 0xfee00000); the register is right"])
            .in_each_test(),
        at(
            "local-apic-hpet-64",
            "the address of the HPET, in 64 bits",
            RIGHT,
            Some(HPET.into()),
        )
        .notes(&["disagree (MADT 0xfed00000, register 0xfee00000); the register is right"]),
        at("local-apic-ram", "an address in RAM", 0x100_0000, None)
            .notes(&["disagree (MADT 0x1000000, register 0xfee00000); the register is right"]),
        at(
            "local-apic-high",
            "an address above all memory",
            RIGHT,
            Some(0x80_0000_0000),
        )
        .notes(&["disagree (MADT 0x8000000000, register 0xfee00000); the register is right"]),
        at("local-apic-zero", "no address", 0, None),
        at(
            "local-apic-odd",
            "an address within the page",
            RIGHT + 8,
            None,
        )
        .notes(&["disagree (MADT 0xfee00008, register 0xfee00000); the register is right"]),
        at(
            "local-apic-repaired",
            "a wrong address in 32 bits, the right one in 64",
            HPET,
            Some(RIGHT.into()),
        ),
    ]
}
