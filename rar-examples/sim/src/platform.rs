//! The machine boundary of the test suite, on a simulated machine.

mod boundary;
mod crash;
mod layout;
mod methods;
mod run;
mod setup;
mod state;
mod trouble;
mod units;
mod user;

pub use boundary::Boundary;
pub(crate) use run::reason_of;
pub use run::{Ended, SuiteRun, Transcript};
pub use setup::{BY_NMI, GivenUp, STEPS, TLB, config};
pub use state::{SimPlatform, SimShootdown};
pub use trouble::Trouble;
