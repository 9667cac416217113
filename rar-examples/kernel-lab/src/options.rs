//! What the command line asks for: one language for every kernel of the laboratory.

mod backend;
mod run_options;
mod soak_run;

pub use backend::RUN_ORDER;
pub use run_options::{Amount, Joins, Models, OddTable, RunOptions, Stop, UsualAmounts};
pub use soak_run::SoakRun;
