#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod assemble;
pub mod command;
mod compare;
mod figures;
mod findings;
mod groups;
pub mod html;
mod output;
mod plot;
mod questions;
mod report;
mod scan;
mod text;

pub use assemble::{Assembled, Broken, PartCollector, Problem, assemble};
pub use compare::{Change, Comparison, Latency};
pub use output::write_whole;
pub use questions::{Answer, AnswerKind, Asked, Question};
pub use report::{Counts, End, Report, Verdict};
pub use scan::{Found, Scan, scan};
