#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

mod access;
mod apic;
mod apic_page;
mod apic_registers;
mod bits;
mod code;
mod command;
mod config;
mod counter_leaf;
mod counts;
mod cpu;
mod cpu_memory;
mod cpuid;
mod cr8;
mod direct_map;
mod effect;
mod end_port;
mod ends;
mod entry;
mod error;
mod exit;
mod external;
mod fetch;
mod gdt;
mod guest_paging;
mod hide;
mod hide_error;
mod host_entry;
mod idt;
mod io_permissions;
mod launch;
mod level;
mod logical_address;
mod machine_pics;
mod mailbox;
mod msr;
mod native;
mod offence;
mod page;
mod permissions;
mod pic;
mod pics;
mod real_apic;
mod record;
mod register_effect;
mod reported;
mod send;
mod shared_pics;
mod shim;
mod signal_fate;
mod signalled_payloads;
mod spaces;
mod start;
mod tables;
mod trace;
mod trace_calls;
mod trace_counts;
mod trace_lines;
mod trace_lock;
mod tracer;
mod undecoded;
mod unit;
mod vcpu;
mod vectors;
mod vmcb;
mod world;

pub use code::{Code, CodeSize};
pub use config::{ApicPage, Config, Hypervisor, Image, Mwait, TripleFault};
pub use counts::Counts;
pub use cpu::{Cpu, Stray};
pub use cpu_memory::CpuMemory;
pub use ends::EndPorts;
pub use error::LaunchError;
pub use hide::HIDE;
pub use hide_error::HideError;
pub use offence::Offence;
pub use rar_model::{Defect, Knob, KnobError, Knobs, Preset, WordTaken};
pub use rar_vocabulary::{
    COUNTER_LEAF, COUNTER_VERSION, ENTRY_LEAF, EntryKind, EntryVerdict as Verdict, TraceLevel,
    UnitCounter, entry_subleaf,
};
pub use record::{Executed, Record};
pub use shim::Shim;
pub use trace::Trace;
