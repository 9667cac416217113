//! Every knob by its name, for command lines and reports.

use core::fmt;

use crate::{Defect, Knobs, Preset};

/// What a row of the table of knobs does.
#[derive(Debug)]
pub(crate) struct KnobRow {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) allowed: &'static [&'static str],
    pub(crate) set: fn(&mut Knobs, &str) -> Option<()>,
    pub(crate) write: fn(&Knobs, &mut fmt::Formatter<'_>) -> fmt::Result,
    pub(crate) is_same: fn(&Knobs, &Knobs) -> bool,
}

/// One field of [`Knobs`], by its name: `unused_fields`, or `faults.delay` for a field of
/// [`Faults`](crate::Faults).
#[derive(Clone, Copy)]
pub struct Knob(pub(crate) &'static KnobRow);

impl Knob {
    /// Returns every knob, in the order of the fields.
    pub fn all() -> impl Iterator<Item = Self> {
        crate::knob_table::ROWS.iter().map(Self)
    }

    /// Returns the knob of this name, with `-` for any `_` if the writer likes.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let asked = || {
            name.bytes()
                .map(|byte| if byte == b'-' { b'_' } else { byte })
        };
        Self::all().find(|knob| knob.name().bytes().eq(asked()))
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// Returns what it decides, in one sentence.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        self.0.description
    }

    /// Returns the values that it takes: words, or the least and the greatest number.
    #[must_use]
    pub const fn allowed(self) -> &'static [&'static str] {
        self.0.allowed
    }

    /// Sets this knob to a value given as text; the others stay.
    ///
    /// # Errors
    ///
    /// [`KnobError::Value`] if it does not take the value; nothing has changed then.
    pub fn set<'a>(self, knobs: &mut Knobs, value: &'a str) -> Result<(), KnobError<'a>> {
        (self.0.set)(knobs, value).ok_or(KnobError::Value { knob: self, value })
    }

    /// Returns its value, which displays as the text that [`set`](Self::set) takes.
    pub fn value(self, knobs: &Knobs) -> impl fmt::Display {
        Value(self, *knobs)
    }

    /// Returns whether it has the same value in both.
    #[must_use]
    pub fn is_same(self, one: &Knobs, other: &Knobs) -> bool {
        (self.0.is_same)(one, other)
    }
}

impl fmt::Debug for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Knob({})", self.name())
    }
}

impl PartialEq for Knob {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Knob {}

struct Value(Knob, Knobs);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(knob, knobs) = self;
        (knob.0.write)(knobs, f)
    }
}

impl Knobs {
    /// Sets the knob of this name to a value given as text; the others stay.
    ///
    /// # Errors
    ///
    /// [`KnobError`]: no knob has the name, or it does not take the value. Nothing has changed
    /// then.
    pub fn set<'a>(&mut self, name: &'a str, value: &'a str) -> Result<(), KnobError<'a>> {
        let knob = Knob::by_name(name).ok_or(KnobError::Name { name })?;
        knob.set(self, value)
    }
}

/// Why a knob was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KnobError<'a> {
    /// No knob has this name.
    Name {
        /// The name.
        name: &'a str,
    },
    /// The knob does not take this value.
    Value {
        /// The knob.
        knob: Knob,
        /// The value.
        value: &'a str,
    },
    /// No preset has this name.
    Preset {
        /// The name.
        name: &'a str,
    },
    /// No defect has this name.
    Defect {
        /// The name.
        name: &'a str,
    },
}

impl fmt::Display for KnobError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name { name } => {
                write!(f, "knob {name}: unknown name (expected ")?;
                write_list(f, Knob::all().map(Knob::name))?;
                f.write_str("); docs/rar-machine.md says what each decides")
            }
            Self::Value { knob, value } => {
                write!(
                    f,
                    "knob {}: unknown value (got {value}, expected ",
                    knob.name()
                )?;
                write_list(f, knob.allowed().iter().copied())?;
                f.write_str("); docs/rar-machine.md says what it decides")
            }
            Self::Preset { name } => {
                write!(f, "knobs: unknown preset (got {name}, expected ")?;
                write_list(f, Preset::ALL.iter().map(|preset| preset.name()))?;
                f.write_str("); docs/rar-machine.md says what each means")
            }
            Self::Defect { name } => {
                write!(f, "defect: unknown name (got {name}, expected ")?;
                write_list(f, Defect::ALL.iter().map(|defect| defect.name()))?;
                f.write_str("); docs/defects.md says what each breaks")
            }
        }
    }
}

impl core::error::Error for KnobError<'_> {}

/// Writes "a, b or c".
fn write_list(
    f: &mut fmt::Formatter<'_>,
    words: impl Iterator<Item = &'static str>,
) -> fmt::Result {
    let mut words = words.peekable();
    let mut before = "";
    while let Some(word) = words.next() {
        write!(f, "{before}{word}")?;
        let is_next_last = words.peek().is_some() && words.size_hint().1 == Some(1);
        before = if is_next_last { " or " } else { ", " };
    }
    Ok(())
}
