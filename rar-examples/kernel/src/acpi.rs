//! The few ACPI tables a kernel needs to find its CPUs: RSDP, RSDT or XSDT, MADT, and FADT for
//! timer and reset.

mod fadt;
mod madt;
mod tables;

pub use fadt::{
    Place, PmTimer, ResetRegister, read_pm_timer, read_pm1_control, read_reset_register,
};
pub use madt::{CpuList, LOCAL_APIC_DEFAULT, read_madt};
pub use tables::{AcpiError, find_table};
