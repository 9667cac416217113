//! Machines that are disturbed while the tests run: by stores from outside to the addresses of
//! message-signalled interrupts, and by a peer of the serial port.

use std::time::Duration;

use super::row::{FirmwareRow, row};
use crate::bus_writes::{BusWrites, Store};
use crate::deaf_peer::Deaf;
use crate::test_machine::ReportChannel;

/// These stores are made again and again, from the first record on. Every test runs, on the shim,
/// too.
fn stores(
    name: &'static str,
    about: &'static str,
    stores: &'static [Store],
    every: Duration,
) -> FirmwareRow {
    let writes = BusWrites { stores, every };
    row(name, about)
        .on(|machine| machine.bus_writes = Some(writes))
        .every_test()
        .interrupting()
}

/// The peer of the serial port does not read: the report is read from the screen.
fn deaf(name: &'static str, about: &'static str, from: Deaf) -> FirmwareRow {
    row(name, about)
        .on(|machine| {
            machine.deaf_serial = Some(from);
            machine.told = ReportChannel::Screen;
        })
        .every_test()
        .notes(&["serial: given up, the peer of the port did not read"])
}

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        stores(
            "nmi-storm",
            "an NMI to each CPU each second",
            const { &[Store::nmi(0), Store::nmi(1), Store::nmi(2), Store::nmi(3)] },
            Duration::from_secs(1),
        )
        .notes(&["NMIs that no code asked for"]),
        stores(
            "level-storm",
            "a hundred level-triggered interrupts in a second",
            const {
                &[
                    Store::level(0, 0x30),
                    Store::level(1, 0x30),
                    Store::level(2, 0x30),
                    Store::level(3, 0x30),
                ]
            },
            Duration::from_millis(40),
        )
        // Each interrupt leaves the guest, and so empties the TLB of QEMU.
        .on(|machine| machine.cannot = &["target-in-user-mode"])
        .notes(&["interrupts 0x30 that no code asked for"]),
        deaf(
            "serial-deaf",
            "a serial port whose peer never reads",
            Deaf::Later,
        ),
        deaf(
            "serial-full",
            "a serial port that is full before the kernel starts",
            Deaf::Start,
        ),
    ]
}
