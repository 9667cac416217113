#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod boot_info;
mod change;
mod fadt;
mod firmware;
mod hand_over;
mod hpet;
mod madt;
mod mutation;
mod table;

pub use boot_info::{BootTag, multiboot2, pvh};
pub use change::{Change, EntryChange};
pub use fadt::Fadt;
pub use firmware::{Firmware, FirmwareMemory, Root};
pub use hand_over::{HandOver, HandedOver};
pub use hpet::Hpet;
pub use madt::{Madt, MadtEntry};
pub use mutation::{Mutation, Seal};
pub use table::{Sum, Table};
