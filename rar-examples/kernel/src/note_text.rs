//! One line of text of bounded length.

use core::fmt;

/// One line of text; what does not fit is cut.
#[derive(Clone, Copy)]
pub struct NoteText {
    bytes: [u8; Self::CAPACITY],
    length: usize,
}

impl NoteText {
    /// Longest text kept, in bytes.
    pub const CAPACITY: usize = 200;

    /// Returns the text, as far as there is room for it.
    #[must_use]
    pub fn of(text: fmt::Arguments<'_>) -> Self {
        let mut note = Self {
            bytes: [0; Self::CAPACITY],
            length: 0,
        };
        // It ends early where there is no more room.
        let _cut = fmt::write(&mut note, text);
        note
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Write for NoteText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let mut buffer = [0; 4];
            let encoded = character.encode_utf8(&mut buffer).as_bytes();
            let end = self.length + encoded.len();
            let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
            place.copy_from_slice(encoded);
            self.length = end;
        }
        Ok(())
    }
}

impl fmt::Debug for NoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_and_cut_between_characters() {
        let short = NoteText::of(format_args!("{} of {}", 3, 4));
        assert_eq!(short.as_str(), "3 of 4");
        let long = "é".repeat(150);
        let note = NoteText::of(format_args!("a{long}{}", "b"));
        assert_eq!(note.as_str(), format!("a{}", "é".repeat(99)));
    }
}
