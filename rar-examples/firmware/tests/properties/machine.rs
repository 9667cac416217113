//! A machine with a firmware, as the kernel reads it.

use std::cell::Cell;

use rar_firmware::{Fadt, Firmware, FirmwareMemory, Madt, MadtEntry, Table};
use rar_kernel::{CpuList, FirmwareTables, HardwareFacts, PhysicalMemory, Rsdp};

/// Memory with a firmware in it, which counts the bytes that are read.
struct Memory<'m> {
    firmware: &'m FirmwareMemory,
    read: Cell<usize>,
}

impl PhysicalMemory for Memory<'_> {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.read.set(self.read.get() + length);
        self.firmware.bytes(address, length)
    }
}

/// What the hardware of the machine says.
pub(crate) const HARDWARE: HardwareFacts = HardwareFacts {
    local_apic: 0xfee0_0000,
    boot_id: 0,
    package_cpus: 1,
};

/// What the kernel read.
pub(crate) struct Seen {
    pub(crate) ids: Vec<u32>,
    pub(crate) dropped: usize,
    pub(crate) tables: FirmwareTables,
    /// How many bytes it asked for.
    pub(crate) bytes: usize,
}

impl Seen {
    /// Returns every note as a person sees it.
    pub(crate) fn notes(&self) -> Vec<String> {
        let reason = self.tables.no_list.map(|why| why.to_string());
        let notes = self.tables.notes.iter().map(ToString::to_string);
        reason.into_iter().chain(notes).collect()
    }
}

/// Reads a firmware as the kernel does at its start.
pub(crate) fn read(firmware: &FirmwareMemory) -> Seen {
    let memory = Memory {
        firmware,
        read: Cell::new(0),
    };
    let mut cpus = Box::new(CpuList::empty());
    let root = Rsdp::At(firmware.rsdp());
    let tables = FirmwareTables::read(Some(&root), &memory, &HARDWARE, &mut cpus);
    Seen {
        ids: cpus.ids().to_vec(),
        dropped: cpus.dropped(),
        tables,
        bytes: memory.read.get(),
    }
}

/// The tables of a usual machine: one that is not read, FADT, MADT.
pub(crate) fn tables(madt: Table) -> [Table; 3] {
    [
        Table::new(*b"SSDT", 2, vec![0x5b; 40]),
        Fadt::USUAL.table(),
        madt,
    ]
}

/// A usual machine with four CPUs and one empty socket.
pub(crate) fn usual() -> Firmware {
    let mut madt = Madt::of_cpus(0..4);
    madt.entries
        .push(MadtEntry::LocalX2apic { id: 9, flags: 2 });
    Firmware::new(tables(madt.table()))
}
