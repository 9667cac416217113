//! The address spaces under test.

/// One of the address spaces. All have the test region at the same addresses and share everything
/// else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The space that every CPU runs in between tests.
    First,
    /// The other one of tests.
    Second,
    /// One of those that only a soak uses, by number from 0.
    Further(u8),
}

/// How many spaces are [`Space::Further`].
const FURTHER: u8 = 14;

impl Space {
    /// How many there are.
    pub const COUNT: usize = 2 + FURTHER as usize;

    /// Returns all of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let further = (0..FURTHER).map(Self::Further);
        [Self::First, Self::Second].into_iter().chain(further)
    }

    /// Returns its number, below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
            Self::Further(number) => 2 + (number % FURTHER) as usize,
        }
    }

    /// Returns the space with a number.
    #[must_use]
    pub fn nth(index: usize) -> Option<Self> {
        Self::all().nth(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_space_has_a_number_of_its_own() {
        assert_eq!(Space::all().count(), Space::COUNT);
        for (number, space) in Space::all().enumerate() {
            assert_eq!((space.index(), Space::nth(number)), (number, Some(space)));
        }
        assert_eq!(Space::nth(Space::COUNT), None);
    }
}
