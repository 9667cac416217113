#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(rar_loom, test)), no_std)]
#![deny(unsafe_code)]

mod action;
mod armed;
mod atomic_cpu_set;
mod claim;
mod claims;
mod clusters;
mod counters;
mod cpu_id;
mod cpu_out_of_range;
mod cpu_set;
mod cpu_table;
mod domain;
mod domain_counts;
mod domain_slots;
mod entries;
#[cfg(feature = "fake")]
pub mod fake;
#[cfg(any(target_arch = "x86_64", test))]
mod flush_plan;
mod flush_status;
mod generation;
mod lazy;
mod life_cycle_error;
mod local_tlb;
mod memory;
mod missed;
#[cfg(target_arch = "x86_64")]
mod native_tlb;
#[cfg(all(rar_observed, not(rar_loom)))]
pub mod observed;
mod online_cpu;
mod per_cpu;
mod physical_address_of;
mod quiet;
mod rar_cpu;
mod rar_cpu_registers;
mod refusal;
mod register_error;
mod registry;
mod responder;
mod slot_index;
mod slots;
mod software_cpu;
mod sync;
mod together;
mod vector_scan;

pub use action::{ActionByte, ActionState, UnknownAction};
pub use armed::Armed;
pub use atomic_cpu_set::AtomicCpuSet;
pub use counters::{Counter, Counts, OwnCounters};
pub use cpu_id::{CpuGuard, CpuId, NmiCpu, PinnedCpu};
pub use cpu_out_of_range::CpuOutOfRange;
pub use cpu_set::{CpuSet, DEFAULT_WORDS};
pub use domain::{Domain, JoinEpoch};
pub use entries::{Answer, Claimed, Posted, Progress, SlotSet};
pub use flush_status::FlushStatus;
pub use generation::{FlushGeneration, LeftLazy, Service, Skippable, Ticket};
pub use life_cycle_error::{LifeCycleError, SharedMemory, StepError};
pub use local_tlb::{LocalTlb, Unsupported};
pub use memory::{ActionVector, EntryWords, PayloadTable};
pub use missed::Missed;
#[cfg(target_arch = "x86_64")]
pub use native_tlb::NativeTlb;
pub use online_cpu::OnlineCpu;
pub use per_cpu::{PerCpu, Responder};
pub use physical_address_of::PhysicalAddressOf;
pub use quiet::NotQuiet;
pub use rar_cpu::{Configured, Detected, Enabled, RarCpu, Verified};
pub use rar_regs::ApicId;
pub use register_error::RegisterError;
pub use responder::{Asked, Served};
pub use slot_index::SlotIndex;
pub use slots::HomeSlot;
pub use software_cpu::SoftwareCpu;
