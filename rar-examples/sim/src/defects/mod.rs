//! Broken units and broken drivers, and what the suite makes of them.

mod catalogue;
mod driver;
mod matrix;
mod report;

pub use catalogue::{CPUS, Defect, Fate};
pub use driver::DriverDefect;
pub use matrix::{Cell, Row, Test, Verdict, run};
pub use report::{Report, Summary};
