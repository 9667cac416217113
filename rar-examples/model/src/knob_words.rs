//! Words of a command line that set knobs.

use crate::{Defect, KnobError, Knobs, Preset};

/// Whether a word was about knobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordTaken {
    /// It was, and the knobs are set.
    Yes,
    /// It was not; nothing has changed.
    No,
}

impl Knobs {
    /// Takes the word `key=value` of a command line: `knobs=PRESET` sets all knobs, `defect=NAME`
    /// breaks the unit, `knob.NAME=VALUE` sets one knob. Each works on the result of those before.
    ///
    /// # Errors
    ///
    /// [`KnobError`]: the word is about knobs, and there is no such preset, defect, knob or value.
    /// Nothing has changed then.
    pub fn take_word<'a>(
        &mut self,
        key: &'a str,
        value: &'a str,
    ) -> Result<WordTaken, KnobError<'a>> {
        match (key, key.strip_prefix("knob.")) {
            ("knobs", _) => {
                let preset = Preset::by_name(value).ok_or(KnobError::Preset { name: value })?;
                *self = preset.knobs();
            }
            ("defect", _) => {
                let defect = Defect::by_name(value).ok_or(KnobError::Defect { name: value })?;
                defect.apply(self);
            }
            (_, Some(name)) => self.set(name, value)?,
            (_, None) => return Ok(WordTaken::No),
        }
        Ok(WordTaken::Yes)
    }
}
