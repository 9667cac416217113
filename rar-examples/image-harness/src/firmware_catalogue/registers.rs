//! Model-specific registers that firmware set on the boot CPU only.

use super::row::{FirmwareRow, row};
use super::script::register;

const PAT: u32 = 0x277;
const MTRR_DEFAULT: u32 = 0x2ff;

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        row("pat-zero", "another PAT on the boot CPU")
            .before([register(PAT, 0)])
            .notes(&["CPU 0: MTRR default 0xc06, PAT 0x0"]),
        row(
            "mtrr-uncached",
            "memory is uncached by default on the boot CPU",
        )
        .before([register(MTRR_DEFAULT, 0xc00)])
        .notes(&["CPU 0: MTRR default 0xc00, PAT 0x7040600070406"]),
        row("machine-check", "a machine check that was not cleared")
            .before([register(0x17a, 0x4), register(0x401, 0xbe00_0000_0000_0000)]),
        row(
            "calls",
            "addresses of system calls, and their instruction turned on",
        )
        .before([
            register(0xc000_0080, 0x801),
            register(0x174, 0x8),
            register(0x176, 0xdead_beef),
            register(0xc000_0082, 0xdead_beef),
            register(0xc000_0102, 0xdead_beef),
        ]),
        row("misc-enable", "CPUID is to be cut short").before([register(0x1a0, 0x40_0001)]),
    ]
}
