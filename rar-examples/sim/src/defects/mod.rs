//! Broken units and broken drivers, and how the suite detects them.

mod catalogue;
mod driver;
mod json;
mod page;
mod report;
mod runs;
mod table;

pub use catalogue::{CPUS, Defect, Fate};
pub use driver::DriverDefect;
pub use report::{Report, Summary};
pub use runs::{Cell, Row, Test, Verdict, run};
