//! What the record of a RAR unit says.

/// Whether the record of a unit names a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No entry named it.
    No,
    /// An entry named it.
    Yes,
    /// The record has lost entries, and the rest does not name the page: it proves neither.
    Forgotten,
}

/// Protocol violations by drivers, which a RAR unit need not tolerate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtocolViolations {
    /// How often.
    pub count: u64,
    /// One of them, in words.
    pub what: &'static str,
}
