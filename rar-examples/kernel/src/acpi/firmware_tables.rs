//! All that the kernel takes from the tables, beside what hardware itself says.

use core::fmt;

use super::error::AcpiError;
use super::fadt::{
    PmTimer, ResetRegister, demands_physical_destinations, read_pm_timer, read_pm1_control,
    read_reset_register,
};
use super::hpet::read_hpet;
use super::madt::{CpuList, read_madt};
use super::notes::{TableNote, TableNotes};
use super::table::TableFault;
use super::tables::find_table;
use crate::{IoApicList, PhysicalMemory, Rsdp};

/// What hardware says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwareFacts {
    /// The physical address of the local APICs in IA32_APIC_BASE.
    pub local_apic: u64,
    /// The APIC id of the boot CPU.
    pub boot_id: u32,
    /// The most CPUs that a package has, by CPUID.
    pub package_cpus: usize,
}

/// Why the kernel finds no other CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCpuList {
    /// The boot loader did not name the ACPI tables, and no BIOS has left them where they are
    /// found.
    NoTables,
    /// The table that lists them cannot be used.
    Broken(AcpiError),
}

impl fmt::Display for NoCpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one CPU only: ")?;
        match self {
            Self::NoTables => f.write_str("the boot loader did not name the ACPI tables"),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

/// All that the kernel takes from the tables.
#[derive(Clone, Copy, Debug)]
pub struct FirmwareTables {
    /// Why there is no list of CPUs.
    pub no_list: Option<NoCpuList>,
    /// CPUs that may exist beside those of the list, at least.
    pub hidden_cpus: usize,
    /// The I/O APICs.
    pub io_apics: IoApicList,
    /// Whether interrupts must be sent to one CPU at a time.
    pub physical_destinations: bool,
    /// The power management timer.
    pub pm_timer: Option<PmTimer>,
    /// The physical address of the registers of the high precision event timer.
    pub hpet: Option<u64>,
    /// The reset register.
    pub reset: Option<ResetRegister>,
    /// The port of the register that turns the machine off.
    pub pm1_control: Option<u16>,
    /// What is wrong with the tables, or with what they say.
    pub notes: TableNotes,
}

impl FirmwareTables {
    /// Reads the tables. The CPUs go into `cpus`.
    #[must_use]
    pub fn read(
        rsdp: Option<&Rsdp>,
        memory: &impl PhysicalMemory,
        hardware: &HardwareFacts,
        cpus: &mut CpuList,
    ) -> Self {
        let mut tables = Self {
            no_list: Some(NoCpuList::NoTables),
            hidden_cpus: 0,
            io_apics: IoApicList::new(),
            physical_destinations: false,
            pm_timer: None,
            hpet: None,
            reset: None,
            pm1_control: None,
            notes: TableNotes::new(),
        };
        if let Some(rsdp) = rsdp {
            tables.read_cpus(rsdp, memory, hardware, cpus);
            tables.read_fadt(rsdp, memory);
            tables.read_hpet(rsdp, memory);
        }
        if tables.no_list.is_some() {
            // Nothing but CPUID counts them.
            tables.hidden_cpus = hardware.package_cpus.saturating_sub(1);
        }
        tables
    }

    fn read_cpus(
        &mut self,
        rsdp: &Rsdp,
        memory: &impl PhysicalMemory,
        hardware: &HardwareFacts,
        cpus: &mut CpuList,
    ) {
        let table = match find_table(rsdp, *b"APIC", memory, &mut self.notes) {
            Ok(table) => table,
            Err(error) => {
                self.no_list = Some(NoCpuList::Broken(error));
                return;
            }
        };
        self.no_list = None;
        let madt = read_madt(table.bytes, cpus, &mut self.notes);
        self.io_apics = madt.io_apics;
        let register = hardware.local_apic;
        if let Some(madt) = madt.local_apic.filter(|madt| *madt != register) {
            let note = TableNote::LocalApicAddress { madt, register };
            self.notes.push(note);
        }
        let listed = cpus.ids().len() + cpus.dropped();
        if !cpus.ids().contains(&hardware.boot_id) && cpus.dropped() == 0 {
            let id = hardware.boot_id;
            self.notes.push(TableNote::BootCpuNotListed { id });
        }
        self.hidden_cpus = madt.hidden;
        if listed < hardware.package_cpus {
            let doubtful = madt.hidden > 0 || listed == 0 || table.fault.is_some();
            if doubtful {
                let known = listed.max(1);
                self.hidden_cpus = madt.hidden.max(hardware.package_cpus - known);
            }
            self.notes.push(TableNote::FewerThanCpuid {
                madt: listed,
                cpuid: hardware.package_cpus,
            });
        }
    }

    /// A table with a wrong checksum is only read by: nothing is written where it says.
    fn read_fadt(&mut self, rsdp: &Rsdp, memory: &impl PhysicalMemory) {
        let table = match find_table(rsdp, *b"FACP", memory, &mut self.notes) {
            Ok(table) => table,
            // The list of CPUs is not found for the same reason, which is told there.
            Err(AcpiError::BadRsdp | AcpiError::NoList) => return,
            Err(error) => {
                self.notes.push(TableNote::NotFound(error));
                return;
            }
        };
        self.pm_timer = read_pm_timer(table.bytes);
        self.physical_destinations = demands_physical_destinations(table.bytes);
        if self.physical_destinations {
            self.notes.push(TableNote::PhysicalDestinations);
        }
        if table.fault.is_none() {
            self.reset = read_reset_register(table.bytes);
            self.pm1_control = read_pm1_control(table.bytes);
        }
    }

    /// Many machines have none. Reading the registers of a device may have effects: only a table
    /// with a right checksum says where they are.
    fn read_hpet(&mut self, rsdp: &Rsdp, memory: &impl PhysicalMemory) {
        match find_table(rsdp, *b"HPET", memory, &mut self.notes) {
            Ok(table) if table.fault.is_none() => self.hpet = read_hpet(table.bytes),
            // One that cannot be read at all may be a table of any signature.
            Err(AcpiError::BadTable {
                fault: TableFault::Unreadable,
                ..
            }) => {}
            Err(error @ AcpiError::BadTable { .. }) => {
                self.notes.push(TableNote::NotFound(error));
            }
            // Noted, or not there.
            Ok(_) | Err(_) => {}
        }
    }
}
