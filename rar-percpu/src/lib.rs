#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(rar_loom, test)), no_std)]
#![deny(unsafe_code)]

mod action;
mod claim;
mod cpu_id;
mod cpu_set;
mod domain;
pub mod fake;
mod generation;
mod life_cycle_error;
mod local_tlb;
mod memory;
#[cfg(target_arch = "x86_64")]
mod native_tlb;
#[cfg(all(rar_observed, not(rar_loom)))]
mod observed;
mod per_cpu;
mod phys_addr;
mod rar_cpu;
mod rar_cpu_registers;
mod register_error;
mod slot_index;
mod software_cpu;
#[doc(hidden)]
pub mod sync;

pub use action::{ActionByte, ActionState, UnknownAction};
pub use cpu_id::{CpuId, PinnedCpu};
pub use cpu_set::{AtomicCpuSet, CpuOutOfRange, CpuSet, DEFAULT_WORDS};
pub use domain::{Domain, Epoch, Served};
pub use generation::{FlushGeneration, Ticket};
pub use life_cycle_error::{LifeCycleError, NotTaken, SharedMemory};
pub use local_tlb::{LocalTlb, Unsupported};
pub use memory::{ActionVector, PayloadTable};
#[cfg(target_arch = "x86_64")]
pub use native_tlb::NativeTlb;
pub use per_cpu::{PerCpu, Responder};
pub use phys_addr::PhysAddrOf;
pub use rar_cpu::{Configured, Detected, Enabled, RarCpu};
pub use rar_regs::ApicId;
pub use register_error::RegisterError;
pub use slot_index::SlotIndex;
pub use software_cpu::SoftwareCpu;
