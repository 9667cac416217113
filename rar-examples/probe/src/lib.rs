#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a system call whose mask has any length")]
mod affinity;
mod answer;
mod cpu_facts;
#[expect(unsafe_code, reason = "implements the unsafe trait `MsrAccess`")]
mod cpu_of_linux;
mod cpu_ranges;
mod hypervisor;
mod json;
mod linux;
mod obstacle;
mod probe;
mod registers;
mod system;
mod text;
mod verdict;

pub use answer::Answer;
pub use linux::Linux;
pub use probe::probe;
pub use system::{CpuNumber, NotRead, System};
pub use verdict::Verdict;
pub use {json::json, text::text};
pub use {obstacle::Lockdown, obstacle::Obstacle, obstacle::User};

#[cfg(test)]
mod fake_system;
#[cfg(test)]
mod tests;
