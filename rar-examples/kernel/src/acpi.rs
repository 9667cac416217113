//! The few ACPI tables a kernel needs to find its CPUs: RSDP, RSDT or XSDT, MADT, FADT for timer
//! and reset, and HPET.

mod error;
mod fadt;
mod firmware_tables;
mod hpet;
mod lists;
mod madt;
mod madt_entries;
mod notes;
mod root_search;
mod table;
mod tables;

pub use error::AcpiError;
pub use fadt::{
    Place, PmTimer, ResetRegister, demands_physical_destinations, read_pm_timer, read_pm1_control,
    read_reset_register,
};
pub use firmware_tables::{FirmwareTables, HardwareFacts, NoCpuList};
pub use hpet::{hpet_frequency, read_hpet};
pub use madt::{CpuList, LOCAL_APIC_DEFAULT, MadtSummary, read_madt};
pub use madt_entries::{MadtEntries, MadtEntry, MalformedEntry};
pub use notes::{Behind, Remedy, TableNote, TableNotes};
pub use root_search::search_rsdp;
pub use table::{Signature, Table, TableFault};
pub use tables::find_table;
