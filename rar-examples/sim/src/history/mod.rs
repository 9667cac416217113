//! Random histories of a kernel, and the oracle that judges every access of them.

mod actor;
mod campaign;
mod conditions;
mod episode;
mod layout;
mod op;
mod oracle;
mod paths;
mod try_lock;
mod world;

pub use actor::{SimShootdown, TLB};
pub use campaign::{Campaign, Finding, Problem, Summary, problem};
pub use conditions::Conditions;
pub use episode::{Ending, Episode, Fallbacks, Look, Scheduler};
pub use layout::Slot;
pub use op::{History, Op, Reset};
pub use oracle::{Deed, Tally, Violation};
pub use paths::Paths;
