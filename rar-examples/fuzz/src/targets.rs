//! The functions, one a file.

pub(crate) mod decode;
pub(crate) mod gather;
pub(crate) mod ranges;
pub(crate) mod report;
pub(crate) mod responder;
pub(crate) mod tables;
