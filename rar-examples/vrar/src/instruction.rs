//! The guest's instructions: found by its own paging, and read.

pub(crate) mod access;
pub(crate) mod code;
pub(crate) mod fetch;
pub(crate) mod guest_paging;
pub(crate) mod length;
pub(crate) mod undecoded;
