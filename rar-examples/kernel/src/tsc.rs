//! How fast the time stamp counter counts: what each source says, and what they agree on.

mod agreement;
mod cpuid;
mod measurement;
mod rate;

pub use agreement::{Clock, agree};
pub use cpuid::{rate_of_leaf_15, rate_of_leaf_16};
pub use measurement::{Look, NoRate, Timer, measure};
pub use rate::{ClockSource, ClockSources, Rate};
