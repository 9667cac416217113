//! What a page must show.

use rar_suite::Access;

/// What a page must show: unmapped, or the tag in the first word of its frame and whether it may be
/// written. A tag is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(u64);

const READ: u64 = 1;
const WRITE: u64 = 2;
const ACCESS_BITS: u32 = 2;

impl State {
    pub(crate) const UNMAPPED: Self = Self(0);
    /// What no page ever shows.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) const fn mapped(tag: u64, access: Access) -> Self {
        let access = match access {
            Access::Read => READ,
            Access::Write | Access::User => WRITE,
        };
        Self(tag << ACCESS_BITS | access)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn is_mapped(self) -> bool {
        self.0 != 0
    }

    pub(crate) const fn is_writable(self) -> bool {
        self.0 & WRITE != 0
    }

    pub(crate) const fn access(self) -> Access {
        if self.is_writable() {
            Access::Write
        } else {
            Access::Read
        }
    }

    pub(crate) const fn tag(self) -> u64 {
        self.0 >> ACCESS_BITS
    }

    /// The value that a load finds, or [`FAULT`].
    pub(crate) const fn shows(self) -> u64 {
        if self.is_mapped() { self.tag() } else { FAULT }
    }
}

/// Stands for a fault where a value is expected.
pub(crate) const FAULT: u64 = u64::MAX;
