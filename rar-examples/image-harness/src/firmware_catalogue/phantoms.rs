//! MADTs with CPUs that do not exist, and without CPUs that do.

use rar_firmware::MadtEntry;

use super::row::{FirmwareRow, row};
use super::tables::{local, madt, x2apic};
use crate::expected_report::Absent;

fn with<const N: usize>(
    name: &'static str,
    about: &'static str,
    cpus: [Vec<MadtEntry>; N],
) -> FirmwareRow {
    row(name, about).tables("APIC", [madt(cpus).table()])
}

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        with(
            "2-phantoms",
            "two CPUs more, of type 9",
            [local(0..4), x2apic(200..202)],
        )
        .phantoms(&[(200, 201)]),
        with(
            "phantom-between",
            "CPUs that do not exist between those that do",
            [local(0..2), local([77]), local(2..4), local([99])],
        )
        .phantoms(&[(77, 77), (99, 99)]),
        with(
            "64-phantoms",
            "64 CPUs more: they cost the time of one",
            [local(0..4), x2apic(64..128)],
        )
        .phantoms(&[(64, 127)])
        // One after the other they cost more than this.
        .on(|machine| machine.limit = 100)
        .in_each_test(),
        with(
            "unreachable",
            "four CPUs with ids that an xAPIC cannot address",
            [local(0..4), x2apic(300..304)],
        )
        .phantoms(&[(300, 303)]),
        with(
            "broadcast",
            "two CPUs with the ids of a broadcast",
            [local(0..4), local([0xff]), x2apic([u32::MAX])],
        )
        .notes(&["MADT: 2 enabled CPUs have the id of a broadcast; they are left out"]),
        with("boot-cpu-unlisted", "not the boot CPU", [local(1..4)]).notes(&[
            "MADT: the boot CPU (APIC id 0) is not listed; it is added",
            "CPUs: the MADT lists 3, CPUID counts up to 4 in a package",
        ]),
        with("two-unlisted", "only the first two CPUs", [local(0..2)])
            .only(2, Absent::NONE)
            .notes(&["CPUs: the MADT lists 2, CPUID counts up to 4 in a package"]),
        with("only-the-boot-cpu", "only the boot CPU", [local(0..1)])
            .only(1, Absent::NONE)
            .notes(&["CPUs: the MADT lists 1, CPUID counts up to 4 in a package"]),
    ]
}
