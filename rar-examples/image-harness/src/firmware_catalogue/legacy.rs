//! Devices of the first PCs as firmware left them: interrupt controllers, serial port, clock chip.

use super::row::{FirmwareRow, row};
use super::script::{io_apic_entry, output, store};

/// Command and data of the first and the second interrupt controller.
const PIC: [[u16; 2]; 2] = [[0x20, 0x21], [0xa0, 0xa1]];
const SERIAL: u16 = 0x3f8;
const CMOS: [u16; 2] = [0x70, 0x71];

/// Both controllers live, with these first vectors and this mode.
fn controllers(first: [u8; 2], mode: u8) -> Vec<String> {
    let wiring = [4, 2];
    let both = PIC.into_iter().zip(first).zip(wiring);
    both.flat_map(|(([command, data], vector), wiring)| {
        [
            output(command, 0x11),
            output(data, vector),
            output(data, wiring),
            output(data, mode),
            output(data, 0),
        ]
    })
    .collect()
}

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        row("pic-live", "no line of the legacy controllers is masked")
            .after(PIC.map(|[_, data]| output(data, 0))),
        row(
            "pic-moved",
            "the legacy controllers are live upon vectors of the kernel",
        )
        .after(controllers([0xe0, 0xe8], 1)),
        row(
            "pic-on-exceptions",
            "the legacy controllers are live upon exceptions",
        )
        .after(controllers([0x08, 0x10], 1)),
        row(
            "pic-ends-itself",
            "the legacy controllers end interrupts by themselves",
        )
        .after(controllers([0x08, 0x70], 3)),
        row(
            "pic-in-service",
            "the timer is in service in the legacy controller",
        )
        .after(controllers([0x08, 0x70], 1))
        // A poll acknowledges.
        .after([output(0x20, 0x0c), "inb 0x20".to_owned()]),
        row("serial-loop", "the serial port is in loopback mode").after([output(SERIAL + 4, 0x1f)]),
        row(
            "serial-latch",
            "the serial port shows its divisor, that of 300 baud",
        )
        .after([
            output(SERIAL + 3, 0x80),
            output(SERIAL, 0x80),
            output(SERIAL + 1, 0x01),
        ]),
        row("serial-interrupts", "the serial port interrupts")
            .after([output(SERIAL + 1, 0x0f), output(SERIAL + 4, 0x0b)])
            .after(io_apic_entry(4, 0, 0x34))
            .notes(&["are masked: 4 to vector 0x34 (edge)"]),
        row(
            "warm-start",
            "a reset is to go to an address that has nothing",
        )
        .after([
            store(0x467, 0xdead_beef),
            output(CMOS[0], 0x0f),
            output(CMOS[1], 0x0a),
        ]),
        row(
            "no-ebda",
            "the BIOS data area does not say where the other one is",
        )
        .after([store(0x40c, 0)]),
    ]
}
