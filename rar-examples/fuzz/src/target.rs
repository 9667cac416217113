//! The targets.

use crate::targets::{decode, gather, ranges, report, responder, tables};

/// A function that must not panic, whatever bytes it gets.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// What it checks.
    pub about: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "decode",
        about: "an entry is read as the model reads it, and what is read is encoded to the same",
        run: decode::run,
    },
    Target {
        name: "ranges",
        about: "a range is refused, or its chunks are its pages: each once, in order, 63 at most",
        run: ranges::run,
    },
    Target {
        name: "gather",
        about: "what was gathered is covered by the requests, and by the operations they become",
        run: gather::run,
    },
    Target {
        name: "responder",
        about: "a responder answers what a unit answers, and leaves nothing that the unit drops",
        run: responder::run,
    },
    Target {
        name: "tables",
        about: "the readers of ACPI tables and boot information come to an end, within bounds",
        run: tables::run,
    },
    Target {
        name: "report",
        about: "the reader of reports comes to an end, and takes no changed seal",
        run: report::run,
    },
];

/// Returns the target of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
