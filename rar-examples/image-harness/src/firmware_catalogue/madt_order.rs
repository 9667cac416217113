//! MADTs that are right, in orders and of kinds that a reader may not expect.

use rar_firmware::Madt;

use super::row::{FirmwareRow, row};
use super::tables::{
    IO_APIC, ONLINE_CAPABLE, io_apic, local, local_with, madt, raw, x2apic, x2apic_with,
};
use crate::machine::Boot;

fn with(name: &'static str, about: &'static str, madt: &Madt) -> FirmwareRow {
    row(name, about).tables("APIC", [madt.table()])
}

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        with(
            "both-types",
            "all CPUs twice: of type 0, then of type 9",
            &madt([local(0..4), x2apic(0..4)]),
        ),
        with(
            "both-types-x2apic-first",
            "all CPUs twice: of type 9, then of type 0",
            &madt([x2apic(0..4), local(0..4)]),
        ),
        with(
            "both-types-backwards",
            "all CPUs twice, of type 9 from the last to the first",
            &madt([x2apic((0..4).rev()), local(0..4)]),
        ),
        with(
            "x2apic-disabled",
            "enabled by type 0, disabled by type 9",
            &madt([local(0..4), x2apic_with(0..4, 0)]),
        ),
        with(
            "local-disabled",
            "disabled by type 0, enabled by type 9",
            &madt([local_with(0..4, 0), x2apic(0..4)]),
        ),
        with(
            "only-x2apic",
            "small ids of type 9 only",
            &madt([x2apic(0..4)]),
        ),
        with(
            "backwards",
            "the boot CPU last",
            &madt([local((0..4).rev())]),
        ),
        with(
            "repeated",
            "each CPU three times",
            &madt([local(0..4), local(0..4), local((0..4).rev())]),
        ),
        with(
            "empty-sockets",
            "200 sockets that may get a CPU",
            &madt([local(0..4), local_with(4..204, ONLINE_CAPABLE)]),
        ),
        with(
            "between",
            "CPUs between entries of unknown types",
            &madt([
                local(0..1),
                raw(&[0x80, 6, 1, 2, 3, 4]),
                local(1..3),
                raw(&[&[0x0b, 80][..], &[0; 78]].concat()),
                local(3..4),
            ]),
        ),
        with(
            "io-apic-first",
            "the I/O APIC before the CPUs",
            &Madt {
                entries: [vec![io_apic(IO_APIC, 0)], local(0..4)].concat(),
                ..Madt::new()
            },
        ),
        with(
            "no-pic",
            "no legacy controllers by the flag",
            &Madt {
                flags: 0,
                ..madt([local(0..4)])
            },
        ),
        with(
            "uefi-x2apic-first",
            "all CPUs twice, UEFI",
            &madt([x2apic(0..4), local(0..4)]),
        )
        .on(|machine| machine.boot = Boot::Uefi),
    ]
}
