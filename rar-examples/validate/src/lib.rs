#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

mod answers;
mod caption;
mod collection;
mod fold;
mod image_options;
mod summary;
mod tally;
mod wording;
mod words;

pub use answers::{Answer, Answers};
pub use caption::Caption;
pub use collection::{Collection, Happening};
pub use fold::{Fold, Folded, ProgressBar};
pub use image_options::{End, ImageOptions, Run};
pub use summary::Summary;
pub use tally::{Finished, Name, Part, Tally, Verdict};
pub use wording::{Full, Short, ink_of, mark_of};
pub use words::Words;
