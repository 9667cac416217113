//! Parts of MADTs of a machine with 4 CPUs.

use rar_firmware::{Madt, MadtEntry};

/// In an entry of a CPU: it is there.
const ENABLED: u32 = 1;
/// It is an empty socket, which may get one.
pub(super) const ONLINE_CAPABLE: u32 = 2;

/// The I/O APIC of QEMU's machines.
pub(super) const IO_APIC: u32 = 0xfec0_0000;

/// Returns enabled CPUs by entries of type 0.
pub(super) fn local(ids: impl IntoIterator<Item = u8>) -> Vec<MadtEntry> {
    local_with(ids, ENABLED)
}

/// Returns CPUs by entries of type 0.
pub(super) fn local_with(ids: impl IntoIterator<Item = u8>, flags: u32) -> Vec<MadtEntry> {
    let entry = |id| MadtEntry::LocalApic { id, flags };
    ids.into_iter().map(entry).collect()
}

/// Returns enabled CPUs by entries of type 9.
pub(super) fn x2apic(ids: impl IntoIterator<Item = u32>) -> Vec<MadtEntry> {
    x2apic_with(ids, ENABLED)
}

/// Returns CPUs by entries of type 9.
pub(super) fn x2apic_with(ids: impl IntoIterator<Item = u32>, flags: u32) -> Vec<MadtEntry> {
    let entry = |id| MadtEntry::LocalX2apic { id, flags };
    ids.into_iter().map(entry).collect()
}

/// Returns an entry of these bytes.
pub(super) fn raw(bytes: &[u8]) -> Vec<MadtEntry> {
    vec![MadtEntry::Raw(bytes.to_vec())]
}

/// Returns an I/O APIC.
pub(super) fn io_apic(address: u32, first: u32) -> MadtEntry {
    MadtEntry::IoApic { address, first }
}

/// Returns a MADT of these entries, and what follows the CPUs of QEMU's machines.
pub(super) fn madt<const N: usize>(parts: [Vec<MadtEntry>; N]) -> Madt {
    let behind = [
        io_apic(IO_APIC, 0),
        MadtEntry::SourceOverride {
            source: 0,
            input: 2,
        },
    ];
    Madt {
        entries: parts.into_iter().flatten().chain(behind).collect(),
        ..Madt::new()
    }
}
