#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod codes;
mod picture;

pub use codes::read_codes;
pub use picture::{NotPpm, Picture};
