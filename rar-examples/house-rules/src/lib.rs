#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod circles;
mod contexts;
mod exceptions;
mod files;
mod findings;
mod imports;
pub mod layering;
mod links;
pub mod machine_code;
mod modules;
mod size;
pub mod standalone;
mod words;

pub use circles::circles;
pub use contexts::contexts;
pub use files::{SourceFile, SourceTree};
pub use findings::Findings;
pub use links::links;
pub use size::size;
pub use words::words;

use anyhow::Result;

/// Checks all rules on a tree of files.
///
/// # Errors
///
/// A source file that is not valid Rust.
pub fn check(tree: &SourceTree) -> Result<Findings> {
    let mut all = Findings::default();
    let mut summaries = Vec::new();
    for found in [
        size(tree),
        words(tree),
        links(tree),
        circles(tree)?,
        contexts(tree)?,
    ] {
        all.violations.extend(found.violations);
        summaries.push(found.summary);
    }
    all.summary = summaries.join("; ");
    Ok(all)
}
