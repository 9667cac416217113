//! Whether global translations go too.

/// Whether a flush reaches global translations, those of page-table entries with the G bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Globals {
    /// Global translations are flushed too.
    Include,
    /// Global translations may stay.
    Exclude,
}

impl Globals {
    /// Returns `Include` if either includes.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exclude, Self::Exclude) => Self::Exclude,
            _ => Self::Include,
        }
    }
}
