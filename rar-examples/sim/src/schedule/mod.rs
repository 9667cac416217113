//! The scheduler: CPUs as coroutines in a seeded order, or as threads.

mod current;
mod deterministic;
#[cfg(rar_observed)]
mod observer;
mod threads;

pub(crate) use current::{Boundary, alone, cpu, step, yield_now};
pub use deterministic::End;
pub(crate) use deterministic::run;
#[cfg(rar_observed)]
pub(crate) use observer::install;
pub(crate) use threads::run_threads;
