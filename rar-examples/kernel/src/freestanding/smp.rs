//! All CPUs: starting them, and giving them work.

pub(crate) mod cpu_table;
pub(crate) mod jobs;
pub(crate) mod reset;
mod slots;
pub(crate) mod starter;
mod trampoline;

pub use cpu_table::{Cpus, all, apic_id, cpu, cpus};
pub use jobs::{done, everyone_done, run_on_all};
pub use reset::{crash, has_crashed, help, reset, start_crashed};
pub use starter::{restart, trampoline_page};
