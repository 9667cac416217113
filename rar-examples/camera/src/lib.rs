#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod codes;
mod ink;
mod lens;
mod numbers;
mod panel;
mod picture;
mod projection;
mod shot;
mod view;

pub use codes::read_codes;
pub use lens::{blurred, lit, stored};
pub use panel::on_panel;
pub use picture::{NotPpm, Picture};
pub use shot::{SHOTS, Shot};
pub use view::View;
