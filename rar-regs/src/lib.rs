#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

#[expect(
    unsafe_code,
    reason = "an MSR access reaches past the type system, so the boundary is an unsafe trait"
)]
mod access;
#[cfg(all(feature = "fake", target_has_atomic = "64"))]
mod access_log;
mod apic_id;
mod cluster;
mod core_capabilities;
mod detection;
mod error;
#[cfg(all(feature = "fake", target_has_atomic = "64"))]
#[expect(unsafe_code, reason = "implements the unsafe trait `MsrAccess`")]
mod fake;
mod icr;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "CLI and STI")]
mod interrupts_off;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "declares the unsafe ways to send a message")]
mod local_apic;
#[cfg(target_arch = "x86_64")]
mod message;
#[expect(
    unsafe_code,
    reason = "the one place that turns a proof of detection into a register access"
)]
mod msr;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "RDMSR and WRMSR")]
mod native;
mod physical_address;
#[expect(unsafe_code, reason = "declares the unsafe register write")]
mod rar_action_vector_base;
#[expect(unsafe_code, reason = "declares the unsafe register write")]
mod rar_control;
mod rar_info;
#[expect(unsafe_code, reason = "declares the unsafe register write")]
mod rar_payload_table_base;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "WRMSR to the interrupt command register")]
mod send_x2apic;
mod signature;
mod support;
mod x2apic_icr;
mod xapic_icr;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the memory-mapped interrupt command register")]
mod xapic_mmio;

#[cfg(test)]
mod golden;

pub use access::{Cpuid, CpuidResult, MsrAccess, MsrFault, MsrOperation};
#[cfg(all(feature = "fake", target_has_atomic = "64"))]
pub use access_log::MsrRecord;
pub use apic_id::ApicId;
pub use cluster::ClusterMembers;
pub use core_capabilities::CoreCapabilities;
pub use detection::{Detection, ModelCheck};
pub use error::{CpuMismatch, ReadError, SupportError};
#[cfg(all(feature = "fake", target_has_atomic = "64"))]
pub use fake::FakeCpu;
pub use icr::{DeliveryMode, DestinationError, IcrBusy, IcrError};
#[cfg(target_arch = "x86_64")]
pub use local_apic::{ApicError, LocalApic};
#[cfg(target_arch = "x86_64")]
pub use message::{Addressing, Message, SendError};
#[cfg(target_arch = "x86_64")]
pub use native::NativeCpu;
pub use physical_address::{AddressError, PhysicalAddressWidth};
pub use rar_action_vector_base::RarActionVectorBase;
pub use rar_control::{InterruptPolicy, RarControl};
pub use rar_info::RarInfo;
pub use rar_payload_table_base::RarPayloadTableBase;
#[cfg(target_arch = "x86_64")]
pub use send_x2apic::send_x2apic;
pub use signature::{CpuSignature, ListedModel, Vendor};
pub use support::RarSupport;
pub use x2apic_icr::X2apicIcr;
pub use xapic_icr::XapicIcr;
#[cfg(target_arch = "x86_64")]
pub use xapic_mmio::XapicMmio;
