//! The kernel command line: `key=value` words.

use crate::PhysicalMemory;

/// The command line, copied out of the loader's memory.
#[derive(Clone, Debug)]
pub struct CommandLine {
    bytes: [u8; Self::CAPACITY],
    length: usize,
}

impl CommandLine {
    /// Longest command line kept, in bytes.
    pub const CAPACITY: usize = 1024;

    /// An empty command line.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            bytes: [0; Self::CAPACITY],
            length: 0,
        }
    }

    /// Replaces the text by the bytes up to the first zero; what does not fit is cut.
    pub fn copy_from_bytes(&mut self, bytes: &[u8]) {
        self.length = 0;
        for &byte in bytes.iter().take_while(|byte| **byte != 0) {
            self.push(byte);
        }
    }

    /// Replaces the text by the zero-terminated string at a physical address.
    pub fn copy_from(&mut self, address: u64, memory: &impl PhysicalMemory) {
        self.length = 0;
        for offset in 0..Self::CAPACITY as u64 {
            match memory.bytes(address.saturating_add(offset), 1) {
                Some(&[byte]) if byte != 0 => self.push(byte),
                _ => break,
            }
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Returns the text, up to the first byte that is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or(&[]);
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => bytes
                .get(..error.valid_up_to())
                .and_then(|valid| core::str::from_utf8(valid).ok())
                .unwrap_or(""),
        }
    }

    /// Returns the words in order, each split at its first `=`; a word without one has an empty
    /// value.
    pub fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_str()
            .split_ascii_whitespace()
            .map(|word| word.split_once('=').unwrap_or((word, "")))
    }

    /// Returns the last value given for `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.words()
            .filter_map(|(name, value)| (name == key).then_some(value))
            .last()
    }

    /// Returns the last value given for `key` as a number, decimal or with `0x`; `None` when absent
    /// or not a number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => value.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8]) -> CommandLine {
        let mut line = CommandLine::empty();
        line.copy_from_bytes(text);
        line
    }

    #[test]
    fn the_last_value_wins() {
        let line = line(b"  test=one-page flag flushes=20000 test=storm\0junk=1");
        assert_eq!(line.get("test"), Some("storm"));
        assert_eq!(line.get("flag"), Some(""));
        assert_eq!(line.number("flushes"), Some(20_000));
        assert_eq!(line.get("junk"), None);
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(line(b"seed=0xff").number("seed"), Some(255));
        assert_eq!(line(b"seed=-1").number("seed"), None);
        assert_eq!(line(b"seed=").number("seed"), None);
    }

    #[test]
    fn a_long_or_broken_line_is_cut() {
        assert_eq!(line(&[b'a'; 2000]).as_str().len(), CommandLine::CAPACITY);
        assert_eq!(line(b"ok=1 \xFF x=2").as_str(), "ok=1 ");
    }
}
