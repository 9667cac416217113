#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

mod apic;
mod bits;
mod config;
mod cpu;
mod cpu_memory;
mod error;
mod guest;
mod instruction;
mod launch;
mod legacy;
mod memory;
mod processor;
mod shim;
mod trace;
mod unit;

pub use config::{ApicPage, Config, Hypervisor, Image, Mwait, OddUnit, TripleFault};
pub use cpu::{Cpu, Stray};
pub use cpu_memory::CpuMemory;
pub use error::LaunchError;
pub use instruction::code::{Code, CodeSize};
pub use memory::hide::HIDE;
pub use memory::hide_error::HideError;
pub use rar_model::{Defect, Knob, KnobError, Knobs, Preset, TableSize, WordTaken};
pub use rar_vocabulary::{
    COUNTER_LEAF, COUNTER_VERSION, ENTRY_LEAF, EntryKind, EntryVerdict as Verdict, TraceLevel,
    UnitCounter, entry_subleaf,
};
pub use shim::Shim;
pub use trace::Trace;
pub use trace::ends::EndPorts;
pub use unit::counts::Counts;
pub use unit::offence::Offence;
pub use unit::record::{Executed, Record};
