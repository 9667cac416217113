//! Something that happened beside the tests.

use rar_report::EventKind;
use rar_vocabulary::{Backend, Text};

/// The name of a test or a backend.
pub type Name = Text<40>;
/// A reason, or the longest observation that the suite writes.
pub(crate) type Why = Text<480>;

/// Something that happened beside the tests.
#[derive(Clone, Debug)]
pub struct Event {
    /// What kind of thing.
    pub kind: EventKind,
    /// The CPU that it is about.
    pub cpu: Option<u32>,
    /// In which test; empty for none.
    pub test: Name,
    /// What happened, in words.
    pub text: Text<480>,
}

impl Event {
    /// Returns the event in the words of reports.
    pub(super) fn of(&self, backend: Option<Backend>) -> rar_report::Event<'_> {
        rar_report::Event {
            kind: self.kind,
            cpu: self.cpu,
            backend,
            test: self.test.as_str(),
            text: self.text.as_str(),
        }
    }
}
