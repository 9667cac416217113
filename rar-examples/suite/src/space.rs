//! The address spaces under test.

/// One of two address spaces. Both have the test region at the same addresses and share everything
/// else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The space that every CPU runs in between tests.
    First,
    /// The other one.
    Second,
}
