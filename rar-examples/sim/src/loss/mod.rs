//! TLB entries lost needlessly: how many a change of page tables costs besides those that it names.
//!
//! Before a change every CPU caches the same: much of a space, some of its pages under the PCID of
//! the user half, some of another space, and global pages of the kernel. After the change and its
//! flush, every translation that is gone and was not named is lost. Structure caches are not
//! counted. The result is deterministic.

mod driver;
mod ground;
mod measure;
mod policies;
pub mod storm;
mod table;
mod workload;

pub use ground::CPUS;
pub use measure::{Loss, measure};
pub use policies::Policy;
pub use table::table;
pub use workload::{LastCpu, Memory, Workload};
