#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

mod access;
mod apic;
mod apic_page;
mod apic_registers;
mod command;
mod config;
mod cpu;
mod cpuid;
mod direct_map;
mod effect;
mod entry;
mod error;
mod exit;
mod idt;
mod launch;
mod mailbox;
mod msr;
mod native;
mod nested;
mod page;
mod permissions;
mod real_apic;
mod record;
mod send;
mod shim;
mod start;
mod unit;
mod vcpu;
mod vectors;
mod vmcb;
mod world;

pub use config::{ApicPage, Config};
pub use cpu::{Cpu, CpuMemory};
pub use error::LaunchError;
pub use rar_model::{Defect, Knobs};
pub use record::{Executed, Offence, Record, Verdict};
pub use shim::Shim;
