#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(rar_loom, test)), no_std)]
#![forbid(unsafe_code)]

mod error;
mod event;
#[cfg(feature = "fake")]
pub mod fake;
mod machine;
mod pending;
mod policy;
mod shootdown;
mod statistics;
mod targets;
mod timer;

pub use error::{FlushError, WaitError};
pub use event::Event;
pub use machine::{Instant, Machine, Message, NotSent};
pub use pending::Pending;
pub use policy::{LazySkip, Policy};
pub use shootdown::Shootdown;
pub use statistics::Statistics;
pub use targets::{AllOnline, TargetFn, TargetSet};

pub use {rar_payload, rar_percpu};
