//! Names that come up again and again are written once.

use serde::{Deserialize, Serialize};

use crate::wire::{Frame, Frames, MeasurementBody, ResultBody, kind};

/// A name in a record. Names are numbered by the order in which they first come up, those of tests
/// and of target states together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Name<'a> {
    /// A name that came up before: its number, less that of the name which follows the last one
    /// that was used.
    ///
    /// A list of tests that comes up in the same order a second time is then all zeros, which
    /// compress to nothing.
    Known(i32),
    /// A name that has the next number.
    New(&'a str),
}

/// Where the next name is counted from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    expected: i32,
    names: i32,
}

impl Cursor {
    /// Returns how to write `name` after the records that lie in `written`.
    pub(crate) fn name<'a>(self, written: &[u8], name: &'a str) -> Name<'a> {
        match (0..).zip(names(written)).find(|(_, known)| *known == name) {
            Some((number, _)) => Name::Known(i32::wrapping_sub(number, self.expected)),
            None => Name::New(name),
        }
    }

    /// Returns the text of a name of a record that lies in `bytes`; `None` if nothing there has its
    /// number.
    pub(crate) fn text<'a>(self, bytes: &'a [u8], name: Name<'a>) -> Option<&'a str> {
        match name {
            Name::New(text) => Some(text),
            Name::Known(step) => {
                let number = self.expected.wrapping_add(step);
                if number >= self.names {
                    return None;
                }
                names(bytes).nth(usize::try_from(number).ok()?)
            }
        }
    }

    /// Goes past a name.
    pub(crate) fn pass(&mut self, name: Name<'_>) {
        let number = match name {
            Name::New(_) => {
                self.names = self.names.wrapping_add(1);
                self.names.wrapping_sub(1)
            }
            Name::Known(step) => self.expected.wrapping_add(step),
        };
        self.expected = number.wrapping_add(1);
    }
}

/// Returns the names in the order of their numbers.
fn names(bytes: &[u8]) -> impl Iterator<Item = &str> {
    Frames { rest: bytes }.filter_map(|frame| match name_of(&frame)? {
        Name::New(text) => Some(text),
        Name::Known(_) => None,
    })
}

/// Returns the name in a record of a kind that has one.
pub(crate) fn name_of<'a>(frame: &Frame<'a>) -> Option<Name<'a>> {
    match frame.kind {
        kind::RESULT => postcard::from_bytes::<ResultBody<'_>>(frame.body)
            .ok()
            .map(|body| body.name),
        kind::MEASUREMENT => postcard::from_bytes::<MeasurementBody<'_>>(frame.body)
            .ok()
            .map(|body| body.state),
        _ => None,
    }
}
