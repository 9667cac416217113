#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

mod caption;
mod collection;
mod image_options;
mod tally;
mod words;

pub use caption::Caption;
pub use collection::{Collection, Happening};
pub use image_options::{End, ImageOptions, Run};
pub use tally::{Counts, Finished, Name, Part, Tally, Verdict};
pub use words::Words;
