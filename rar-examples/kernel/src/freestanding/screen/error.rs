//! Why there is no screen.

use core::fmt;

use crate::freestanding::paging::MapError;
use crate::{Display, UnknownDisplay};

/// Why the kernel cannot use the screen that the loader left on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScreenError {
    /// Its memory cannot be mapped.
    Map(MapError),
    /// The kernel does not know its kind.
    Unknown(UnknownDisplay),
    /// Its pixels number the colours of a palette, and no VGA takes one.
    NoPalette(Display),
}

impl From<MapError> for ScreenError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}

impl fmt::Display for ScreenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map(error) => write!(f, "{error}")?,
            Self::Unknown(unknown) => write!(f, "{unknown}")?,
            Self::NoPalette(display) => write!(f, "{display}: no VGA takes their palette")?,
        }
        f.write_str("; take another mode (GRUB: set gfxpayload=1024x768x32, after multiboot2)")
    }
}

impl core::error::Error for ScreenError {}
