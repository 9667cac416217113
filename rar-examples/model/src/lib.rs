#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod action;
mod cache;
mod cpu_state;
mod decode;
mod defect;
mod distort;
mod faults;
mod illegal;
mod invalidation;
mod knob;
mod knob_table;
mod knob_value;
mod knob_words;
mod knobs;
mod latch;
mod memory;
mod msr;
mod named_enum;
mod nth;
mod pages;
mod pcids;
mod policy;
mod preset;
mod record;
mod recording_tlb;
mod refused;
mod region;
mod resolve;
mod scan;
mod service;
mod serviced;
mod structure;
mod tlb;
mod tlb_model;
mod translation;
mod unit;
mod words;

pub use action::{Action, InvpcidScope, InvpgScope, InvvpidScope};
pub use cpu_state::{Activity, InterruptFlag};
pub use defect::{Defect, UnknownDefect};
pub use faults::{CountedPages, Faults, ServedEntries, UsedPcid};
pub use illegal::Illegal;
pub use invalidation::{Contexts, Globals, Invalidation, Structures, Vpids};
pub use knob::{Knob, KnobError};
pub use knob_words::WordTaken;
pub use knobs::Knobs;
pub use latch::Sender;
pub use memory::{PhysicalMemory, SharedBytes};
pub use msr::{
    ACTION_VECTOR_BASE, CONTROL, CORE_CAPABILITIES, GeneralProtection, INFO, MsrFault,
    MsrOperation, PAYLOAD_TABLE_BASE,
};
pub use pages::{PageSize, Pages};
pub use pcids::Pcids;
pub use policy::{
    Acked, Cr3Mismatch, LatchClear, LinearWidth, MsrsAtInit, Offence, PageReach, Rebase, Scan,
    ScanOrder, Signals, Sleep, TableSize, ZeroPages,
};
pub use preset::Preset;
pub use record::{Execution, NoRecord, Outcome, Recorder, Ring};
pub use recording_tlb::{Asked, RecordingTlb};
pub use refused::Refused;
pub use serviced::{HeldBy, Loss, Pass, Serviced, Signalled, Wake};
pub use structure::{Level, StructureEntry};
pub use tlb::{Leftovers, Tlb};
pub use tlb_model::TlbModel;
pub use translation::{Tag, Translation};
pub use unit::RarUnit;

/// Action byte: the entry is done; the unit writes it.
pub const SUCCESS: u8 = 0x00;
/// Action byte: the initiator wants the entry executed.
pub const PENDING: u8 = 0x01;
/// Action byte: the intermediate state of older Intel code; no longer in the public document.
pub const ACKED: u8 = 0x02;
/// Action byte: the entry was refused; the unit writes it.
pub const FAILURE: u8 = 0x80;
