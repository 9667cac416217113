#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

#[expect(
    unsafe_code,
    reason = "an MSR access reaches past the type system, so the boundary is an unsafe trait"
)]
mod access;
#[cfg(target_has_atomic = "64")]
mod access_log;
mod apic_id;
mod cluster;
mod core_capabilities;
mod detection;
mod error;
#[cfg(target_has_atomic = "64")]
#[expect(unsafe_code, reason = "implements the unsafe trait `MsrAccess`")]
mod fake;
mod icr;
#[expect(
    unsafe_code,
    reason = "the one place that turns a proof of detection into a register access"
)]
mod msr;
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "RDMSR, WRMSR and the two ways to write the interrupt command register"
)]
mod native;
mod physical_address;
#[expect(unsafe_code, reason = "declares the unsafe register write")]
mod rar_action_vector_base;
#[expect(unsafe_code, reason = "declares the unsafe register write")]
mod rar_control;
mod rar_info;
#[expect(unsafe_code, reason = "declares the unsafe register write")]
mod rar_payload_table_base;
mod signature;
mod support;
mod x2apic_icr;
mod xapic_icr;

#[cfg(test)]
mod golden;

pub use access::{Cpuid, CpuidResult, MsrAccess, MsrFault, MsrOperation};
#[cfg(target_has_atomic = "64")]
pub use access_log::MsrRecord;
pub use apic_id::ApicId;
pub use cluster::ClusterMembers;
pub use core_capabilities::CoreCapabilities;
pub use detection::{Detection, ModelCheck};
pub use error::{CpuMismatch, ReadError, SupportError};
#[cfg(target_has_atomic = "64")]
pub use fake::FakeCpu;
pub use icr::{DeliveryMode, DestinationError, IcrBusy, IcrError};
#[cfg(target_arch = "x86_64")]
pub use native::{NativeCpu, XapicMmio, send_x2apic};
pub use physical_address::{AddressError, PhysicalAddressWidth};
pub use rar_action_vector_base::RarActionVectorBase;
pub use rar_control::{InterruptPolicy, RarControl};
pub use rar_info::RarInfo;
pub use rar_payload_table_base::RarPayloadTableBase;
pub use signature::{CpuSignature, ListedModel, Vendor};
pub use support::RarSupport;
pub use x2apic_icr::X2apicIcr;
pub use xapic_icr::XapicIcr;
