//! Random histories of a kernel, and the oracle that judges every access of them.

mod campaign;
mod conditions;
mod counts;
mod cpu_task;
mod episode;
mod layout;
mod op;
mod oracle;
mod paths;
mod remap;
mod stage;
mod try_lock;
mod use_bits;
mod world;

pub use campaign::{Campaign, Finding, Problem, Summary, problem};
pub use conditions::Conditions;
pub use episode::{Ending, Episode, Fallbacks, Observer, Scheduler};
pub use layout::Slot;
pub use op::{History, Op, Reset};
pub use oracle::{Tally, Use, Violation};
pub use paths::Paths;
pub use stage::{SimShootdown, TLB};
