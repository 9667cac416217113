//! Page tables: of the host, and the nested ones of guests; memory that guests lose.

pub(crate) mod direct_map;
pub(crate) mod hide;
pub(crate) mod hide_error;
pub(crate) mod spaces;
pub(crate) mod tables;
