//! Text without an allocator.

use core::fmt::{self, Write};

use heapless::String;

/// Up to `BYTES` bytes of text; what does not fit is cut off between characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<const BYTES: usize>(String<BYTES>);

impl<const BYTES: usize> Text<BYTES> {
    /// Returns the empty text.
    #[must_use]
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Returns a text with what the arguments format to, as far as it fits.
    #[must_use]
    pub fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        // What does not fit is cut off.
        let _cut = text.write_fmt(arguments);
        text
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Removes the text.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An error says that the text was cut.
impl<const BYTES: usize> Write for Text<BYTES> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.0.push(character).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

impl<const BYTES: usize> fmt::Display for Text<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = Text::<5>::new();
        assert_eq!(write!(text, "abcé!"), Err(fmt::Error));
        assert_eq!(text.as_str(), "abcé");
        let text = Text::<5>::of(format_args!("abcd{}f", 'é'));
        assert_eq!(text.as_str(), "abcd");
        assert_eq!(
            Text::<4>::of(format_args!("{}-{}", 12, 345)).as_str(),
            "12-3"
        );
    }
}
