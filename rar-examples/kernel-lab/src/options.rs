//! What the command line asks for: one language for every kernel of the laboratory.

mod backend;
mod guest_apic;
mod language;
mod run_options;

pub use backend::RUN_ORDER;
pub use guest_apic::GuestApic;
pub use language::{OptionError, Word, Words, not_empty, positive, read, switch};
pub use run_options::{Amount, Models, RunOptions, Stop, UsualAmounts};
