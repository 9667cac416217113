#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

mod answers;
mod caption;
mod codes;
mod collection;
mod coverage;
mod fold;
mod image_options;
mod summary;
mod tally;
mod wording;

pub use answers::{Answer, Answers};
pub use caption::Caption;
pub use codes::fitting_symbol;
pub use collection::{Collection, Event, Name};
pub use coverage::Coverage;
pub use fold::{Fold, Folded, ProgressBar};
pub use image_options::{End, ImageOptions, Run};
pub use summary::Summary;
pub use tally::{Finished, Part, Tally};
pub use wording::{Full, Short, ink_of, mark_of, worded};
