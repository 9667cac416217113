//! The laboratory: everything that needs the machine to itself.

pub mod abort;
mod cpu_notes;
pub mod fault_injection;
pub mod guest_counters;
mod handlers;
pub mod hidden_memory;
mod instructions;
mod lab;
mod lab_machine;
pub mod late_launch;
mod members;
mod membership;
mod mwait;
mod neighbours;
pub mod new_owner;
mod nmi_work;
mod other_modes;
mod platform;
pub mod rar_provider;
mod rar_units;
mod run;
pub mod shim;
mod start;
mod test_frames;
mod test_space;
mod transcript;
mod user_pages;
mod vector;
mod vmx;
mod warm_up;
pub mod watchdog;

pub use lab::{KernelLab, current};
pub use lab_machine::LabMachine;
pub use run::{Consequence, RunError, prepare, run_backend};
pub use start::{StartError, start};
pub use transcript::{Listener, listen};
