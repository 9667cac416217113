//! A short text, copied.

use core::fmt::{self, Write};

/// Up to `BYTES` bytes of text; what does not fit is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<const BYTES: usize> {
    bytes: [u8; BYTES],
    length: usize,
}

impl<const BYTES: usize> Words<BYTES> {
    /// No text.
    pub const EMPTY: Self = Self {
        bytes: [0; BYTES],
        length: 0,
    };

    /// Copies a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::of(format_args!("{text}"))
    }

    /// Writes a text.
    #[must_use]
    pub fn of(text: fmt::Arguments<'_>) -> Self {
        let mut words = Self::EMPTY;
        // The text ends where the room does.
        let _cut = words.write_fmt(text);
        words
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl<const BYTES: usize> Write for Words<BYTES> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let mut encoded = [0; 4];
            let encoded = character.encode_utf8(&mut encoded).as_bytes();
            let end = self.length + encoded.len();
            let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
            room.copy_from_slice(encoded);
            self.length = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(Words::<5>::new("ab").as_str(), "ab");
        assert_eq!(Words::<5>::new("abcd\u{e9}f").as_str(), "abcd");
        assert_eq!(
            Words::<4>::of(format_args!("{}-{}", 12, 345)).as_str(),
            "12-3"
        );
    }
}
