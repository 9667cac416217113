//! Machines whose tables and boot information were changed at random: each is read on the host by
//! the kernel's readers, then booted, and its report must say what the readers said.
//!
//! The kernel gets the bytes without a loader: GRUB's command `acpi` builds the root pointer and
//! the lists anew and seals the FADT, so that it hands over few of the changes.

mod guest_memory;
mod host_check;
mod judge;
mod prediction;
mod run;
mod start_file;

pub use run::{MOST, command};
