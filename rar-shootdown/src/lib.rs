#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(rar_loom, test)), no_std)]
#![forbid(unsafe_code)]

mod batch;
mod error;
mod events;
pub mod fake;
mod machine;
mod pending;
mod policy;
mod shootdown;
mod slot;
mod statistics;
mod targets;

pub use error::{FlushError, WaitError};
pub use machine::{Machine, Ticks};
pub use pending::Pending;
pub use policy::Policy;
pub use shootdown::Shootdown;
pub use statistics::Statistics;
pub use targets::{Everyone, TargetSet};
