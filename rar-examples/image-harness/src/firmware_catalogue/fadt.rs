//! FADTs that are short, wrong, or demand something.

use rar_firmware::Fadt;
use rar_report::Backend;

use super::row::{FirmwareRow, row};

fn with(name: &'static str, about: &'static str, fadt: &Fadt) -> FirmwareRow {
    row(name, about).tables("FACP", [fadt.table()])
}

const fn of(length: usize) -> Fadt {
    Fadt {
        length,
        ..Fadt::USUAL
    }
}

const fn timer_at(port: u32) -> Fadt {
    Fadt {
        pm_timer: (port, 4),
        ..Fadt::USUAL
    }
}

const fn reset_by(space: u8, address: u64) -> Fadt {
    Fadt {
        reset: (space, address),
        ..Fadt::USUAL
    }
}

const MEMORY: u8 = 0;
const PORTS: u8 = 1;
const NO_SPACE: u8 = 0x7f;

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        with("fadt-84", "84 bytes: no timer", &of(84)),
        with("fadt-92", "92 bytes: no flags", &of(92)),
        with("fadt-116", "116 bytes: no reset register", &of(116)),
        with(
            "fadt-129",
            "129 bytes: the end of the reset register",
            &of(129),
        ),
        row("no-fadt", "no FADT")
            .tables("FACP", [])
            .notes(&["there is no ACPI table FACP; the kernel does without it"]),
        row("fadt-twice", "two FADTs; the second one has no timer")
            .tables("FACP", [Fadt::USUAL.table(), of(84).table()])
            .notes(&["ACPI table FACP stands at", "the first is read"]),
        with(
            "physical",
            "interrupts must go to physical destinations",
            &Fadt {
                flags: Fadt::USUAL.flags | Fadt::PHYSICAL,
                ..Fadt::USUAL
            },
        )
        .runs(
            &[Backend::Software, Backend::Vrar],
            &["one-page", "storm", "unit-cluster", "unit-physical"],
        )
        .notes(&["FADT: it demands physical destinations (flag 19)"])
        .in_each_test(),
        with(
            "timer-dead",
            "a timer at a port that nothing has",
            &timer_at(0x9a0),
        ),
        with(
            "timer-stands",
            "a timer that does not count: the serial port",
            &timer_at(0x3f8),
        ),
        with("timer-zero", "a timer at port 0", &timer_at(0)),
        with("timer-high", "a timer above all ports", &timer_at(0x1_0608)),
        with(
            "reset-in-ram",
            "a reset register in RAM",
            &reset_by(MEMORY, 0x100_0000),
        )
        .notes(&["FADT: the reset register at 0x1000000 lies in RAM; it is not written"]),
        with(
            "reset-deaf",
            "a reset register that does nothing",
            &reset_by(PORTS, 0x80),
        ),
        with(
            "reset-space",
            "a reset register in no space",
            &reset_by(NO_SPACE, 0xcf9),
        ),
    ]
}
