#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(rar_loom, test)), no_std)]
#![deny(unsafe_code)]

mod counting;
mod error;
mod event;
#[cfg(feature = "fake")]
pub mod fake;
mod global_flush;
mod machine;
mod ordinary;
mod pending;
mod policy;
mod serve;
mod shootdown;
mod slot_wait;
mod statistics;
mod stuck;
mod targets;
mod timer;
mod tsc_clock;
#[cfg(target_arch = "x86_64")]
mod x86_machine;

pub use counting::Counting;
pub use error::{FlushError, WaitError};
pub use event::Event;
pub use global_flush::{GlobalFlush, InvpgDropsGlobals};
pub use machine::{Instant, Machine, Message, NotSent};
pub use pending::Pending;
pub use policy::{LazySkip, Policy};
pub use shootdown::Shootdown;
pub use statistics::{Statistics, WaitTimes};
pub use stuck::{Attempt, LateCpu, Stuck};
pub use targets::{AllOnline, TargetFn, TargetSet};
pub use tsc_clock::TscClock;
#[cfg(target_arch = "x86_64")]
pub use x86_machine::{NmiHandler, X86Machine};

// A caller of this crate needs no second dependency line.
pub use {rar_payload, rar_percpu, rar_regs};
