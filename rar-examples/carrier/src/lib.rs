#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod archive;
mod bytes;
pub mod chain;
mod elf_file;
mod entry;
mod error;
mod files;
mod guest_ram;
mod handover;
mod linux;
mod machine;
mod multiboot2;
mod options;
mod payload;
mod plan;
mod protocol;
mod pvh;
mod steps;

pub use archive::{ArchiveError, Member, members};
pub use entry::Entry;
pub use error::PayloadError;
pub use files::{File, Files};
pub use guest_ram::{GuestRam, HANDOVER_BYTES};
pub use handover::Handover;
pub use machine::Machine;
pub use options::{ApicMode, OptionError, Options, Start};
pub use payload::Payload;
pub use plan::Plan;
pub use protocol::Protocol;
pub use steps::{Step, Steps};
