//! The few ACPI tables a kernel needs to find its CPUs: RSDP, RSDT or XSDT, MADT, and FADT for its timer.

mod fadt;
mod madt;
mod tables;

pub use fadt::{PmTimer, read_pm_timer};
pub use madt::{CpuList, LOCAL_APIC_DEFAULT, read_madt};
pub use tables::{AcpiError, find_table};
