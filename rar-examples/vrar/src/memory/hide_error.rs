//! Why memory cannot be hidden.

use core::fmt;

/// Why memory cannot be hidden. Guests keep it, except as [`OutOfTables`](Self::OutOfTables)
/// says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HideError {
    /// The configuration has no nested paging: [`ApicPage::Open`](crate::ApicPage::Open).
    NoNestedPaging,
    /// No CPU was launched yet.
    NotLaunched,
    /// [`HIDE`](crate::HIDE) is in force: nothing can be added.
    Hidden,
    /// The ranges have too many borders inside of large pages for the shim's tables. Guests lose
    /// the beginning of this range.
    OutOfTables,
    /// Another CPU changes the tables.
    TablesBusy,
}

impl fmt::Display for HideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNestedPaging => "nested paging is off; configure ApicPage::Trapped",
            Self::NotLaunched => "no CPU was launched; launch first",
            Self::Hidden => "memory is hidden already; name all of it before",
            Self::OutOfTables => "too many pieces; hide whole pages of 2 MiB",
            Self::TablesBusy => "another CPU changes the tables; let one CPU do it",
        })
    }
}

impl core::error::Error for HideError {}
