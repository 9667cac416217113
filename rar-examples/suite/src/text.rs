//! A short text without an allocator.

use core::fmt;

/// Up to `BYTES` bytes of text; what does not fit is cut off.
#[derive(Debug)]
pub(crate) struct Text<const BYTES: usize> {
    bytes: [u8; BYTES],
    len: usize,
}

impl<const BYTES: usize> Text<BYTES> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; BYTES],
            len: 0,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.bytes
            .get(..self.len)
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

impl<const BYTES: usize> fmt::Write for Text<BYTES> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let mut encoded = [0; 4];
            let encoded = character.encode_utf8(&mut encoded).as_bytes();
            let Some(room) = self.bytes.get_mut(self.len..self.len + encoded.len()) else {
                return Err(fmt::Error);
            };
            room.copy_from_slice(encoded);
            self.len += encoded.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::Text;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = Text::<5>::new();
        assert!(write!(text, "abcé!").is_err() || text.as_str() == "abcé");
        assert_eq!(text.as_str(), "abcé");
    }
}
