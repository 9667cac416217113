//! What firmware left in the local APIC of the boot CPU.

use rar_report::Backend;

use super::row::{FirmwareRow, row};
use super::script::{in_service, local_apic, register};
use crate::expected_report::Absent;

const SPURIOUS: u32 = 0xf0;
const TASK_PRIORITY: u32 = 0x80;
const LVT_CORRECTED: u32 = 0x2f0;
const LVT_TIMER: u32 = 0x320;
const LVT_THERMAL: u32 = 0x330;
const LVT_PERFORMANCE: u32 = 0x340;
const LVT_ERROR: u32 = 0x370;
const TIMER_INITIAL: u32 = 0x380;
const TIMER_DIVIDE: u32 = 0x3e0;
const BY_1: u32 = 0b1011;
const PERIODIC: u32 = 1 << 17;
const SMI: u32 = 0x200;

/// The timer counts from here, with this entry.
fn timer(entry: u32, from: u32) -> [String; 3] {
    [
        local_apic(TIMER_DIVIDE, BY_1),
        local_apic(LVT_TIMER, entry),
        local_apic(TIMER_INITIAL, from),
    ]
}

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        row(
            "in-service",
            "three interrupts in service, in classes 5, E and F",
        )
        .before([0x51, 0xe5, 0xf0].into_iter().flat_map(in_service))
        .notes(&["left interrupts in service, which are ended: 0x51, 0xe5, 0xf0"])
        .with_shim()
        .in_each_test(),
        row(
            "in-service-e5-f0",
            "two interrupts in service, in the highest classes",
        )
        .before([0xe5, 0xf0].into_iter().flat_map(in_service))
        .notes(&["left interrupts in service, which are ended: 0xe5, 0xf0"])
        .with_shim(),
        row("in-service-ff", "the vector of strays in service")
            .before(in_service(0xff))
            .notes(&["left interrupts in service, which are ended: 0xff"]),
        row(
            "in-service-21",
            "a vector of the legacy controllers in service",
        )
        .before(in_service(0x21))
        .notes(&["left interrupts in service, which are ended: 0x21"]),
        row("timer-31", "a timer that has counted down to a free vector")
            .before(timer(0x31, 0x1000))
            .interrupting()
            .notes(&["0x31"]),
        row(
            "timer-12",
            "a timer that has counted down to the vector of a machine check",
        )
        .before(timer(0x12, 0x1000))
        .interrupting()
        .notes(&["0x12"]),
        row(
            "timer-e5",
            "a timer that has counted down to a vector of the kernel",
        )
        .before(timer(0xe5, 0x1000))
        .interrupting()
        .notes(&["0xe5"]),
        row("timer-periodic", "a timer that counts down again and again")
            .before(timer(PERIODIC | 0x31, 0x10_0000))
            .interrupting()
            .notes(&["0x31"]),
        row(
            "local-live",
            "entries of the local vector table, a blocked priority, and no spurious vector",
        )
        .before([
            local_apic(LVT_PERFORMANCE, 0xe5),
            local_apic(LVT_THERMAL, 0xff),
            local_apic(LVT_CORRECTED, 0x34),
            local_apic(LVT_ERROR, 0x35),
            local_apic(TASK_PRIORITY, 0xff),
            local_apic(SPURIOUS, 0),
        ]),
        row(
            "local-smi",
            "an entry of the local vector table calls firmware",
        )
        .after([local_apic(LVT_PERFORMANCE, SMI)])
        .notes(&["firmware is called by the entry for performance; it is left as it is"]),
        row("apic-off", "the local APIC is turned off")
            .after([register(0x1b, 0xfee0_0100)])
            .runs(&[Backend::Software], &["one-page", "pages-64", "storm"])
            .only(
                1,
                Absent {
                    listed: &[(1, 3)],
                    hidden: 0,
                },
            )
            .notes(&["no local APIC: one CPU, no watchdog"]),
    ]
}
