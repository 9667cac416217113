//! Memory that the boot loader's map does not have.

use super::row::{FirmwareRow, row};

fn cut(from: u32, to: u32) -> String {
    format!("cutmem {from:#x} {to:#x}")
}

const MIB: u32 = 1 << 20;

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        row("low-128-kib", "below 1 MiB only 512 to 636 KiB")
            .before([cut(0, 0x8_0000)])
            .in_each_test(),
        row("load-address", "not the memory where the kernel is loaded")
            .before([cut(2 * MIB, 4 * MIB)]),
        row("image-hole", "a hole behind the kernel").before([cut(3 * MIB, 3 * MIB + 0x1000)]),
        row("holes", "90 holes of a page each").before((0..90).map(|number| {
            let at = (16 + 2 * number) * MIB;
            cut(at, at + 0x1000)
        })),
        row("bad-ram", "two bad pages and a bad one in each 16 MiB")
            .before(["badram 0x01000000,0xffffe000,0x00005000,0x00fff000".to_owned()]),
        row("35-mib", "35 MiB are left")
            .before([cut(20 * MIB, 496 * MIB)])
            .on(|machine| machine.cut = 476),
        row("25-mib", "25 MiB are left")
            .before([cut(10 * MIB, 496 * MIB)])
            .on(|machine| machine.cut = 486),
        row("39-mib-16-cpus", "39 MiB are left for 16 CPUs")
            .before([cut(24 * MIB, 496 * MIB)])
            .on(|machine| {
                machine.cpus = 16;
                machine.greatest_id = 15;
                machine.cut = 472;
            }),
    ]
}
