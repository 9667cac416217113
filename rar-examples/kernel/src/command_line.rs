//! The kernel command line: `key=value` words, and behind a word `--` a line for a program that the
//! kernel starts.

use crate::PhysicalMemory;

/// The command line, copied out of the loader's memory.
#[derive(Clone, Debug)]
pub struct CommandLine {
    bytes: [u8; Self::CAPACITY],
    length: usize,
    cut: bool,
}

impl CommandLine {
    /// Longest command line kept, in bytes.
    pub const CAPACITY: usize = 2048;

    /// An empty command line.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            bytes: [0; Self::CAPACITY],
            length: 0,
            cut: false,
        }
    }

    /// Replaces the text by the bytes up to the first zero; what does not fit is cut.
    pub fn copy_from_bytes(&mut self, bytes: &[u8]) {
        *self = Self::empty();
        for &byte in bytes.iter().take_while(|byte| **byte != 0) {
            self.push(byte);
        }
    }

    /// Replaces the text by the zero-terminated string at a physical address.
    pub fn copy_from(&mut self, address: u64, memory: &impl PhysicalMemory) {
        *self = Self::empty();
        for offset in 0..=Self::CAPACITY as u64 {
            match memory.bytes(address.saturating_add(offset), 1) {
                Some(&[byte]) if byte != 0 => self.push(byte),
                _ => break,
            }
        }
    }

    /// Removes the first word.
    pub(crate) fn drop_first_word(&mut self) {
        let old = self.clone();
        let text = old.as_str().trim_ascii_start();
        let rest = text.split_once(|letter: char| letter.is_ascii_whitespace());
        self.copy_from_bytes(rest.map_or("", |(_, rest)| rest).as_bytes());
        self.cut = old.cut;
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        } else {
            self.cut = true;
        }
    }

    /// Returns whether the text was longer than [`CAPACITY`](Self::CAPACITY).
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
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

    /// Returns the text behind the first word `--`, without the space around it; `None` without
    /// that word.
    #[must_use]
    pub fn behind(&self) -> Option<&str> {
        let text = self.as_str();
        let mut from = 0;
        while let Some(found) = text.get(from..)?.find("--") {
            let (before, after) = (text.get(..from + found)?, text.get(from + found + 2..)?);
            let is_space = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_whitespace());
            if is_space(before.bytes().next_back()) && is_space(after.bytes().next()) {
                return Some(after.trim_ascii());
            }
            from += found + 2;
        }
        None
    }

    /// Returns the words in order, up to a word `--`, each split at its first `=`; a word without
    /// one has an empty value.
    pub fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_str()
            .split_ascii_whitespace()
            .take_while(|word| *word != "--")
            .map(|word| word.split_once('=').unwrap_or((word, "")))
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

    fn words(line: &CommandLine) -> Vec<(&str, &str)> {
        line.words().collect()
    }

    #[test]
    fn words_end_at_blanks_and_the_line_at_a_zero() {
        let line = line(b"  test=one-page flag a=b=c \0junk=1");
        let expected = [("test", "one-page"), ("flag", ""), ("a", "b=c")];
        assert_eq!(words(&line), expected);
    }

    #[test]
    fn a_line_behind_two_dashes_is_another_programs() {
        let line = line(b"apic=xapic a--b --c=1 --  apic=verbose -- quiet ");
        assert_eq!(
            words(&line),
            [("apic", "xapic"), ("a--b", ""), ("--c", "1")]
        );
        assert_eq!(line.behind(), Some("apic=verbose -- quiet"));
    }

    #[test]
    fn dashes_are_a_word_at_either_end_too() {
        assert_eq!(line(b"-- x").behind(), Some("x"));
        assert_eq!(line(b"x --").behind(), Some(""));
        assert_eq!(line(b"--").behind(), Some(""));
        for without in [&b""[..], b"---", b"x --y", b"a-- b", b"- -"] {
            assert_eq!(line(without).behind(), None, "{without:?}");
        }
    }

    #[test]
    fn the_first_word_can_be_removed() {
        for (text, rest) in [
            ("/boot/kernel run=quick  test=a", "run=quick  test=a"),
            ("  kernel", ""),
            ("kernel ", ""),
            ("", ""),
        ] {
            let mut line = line(text.as_bytes());
            line.drop_first_word();
            assert_eq!(line.as_str(), rest);
        }
    }

    #[test]
    fn a_long_or_broken_line_is_cut() {
        let long = line(&[b'a'; 3000]);
        assert_eq!(long.as_str().len(), CommandLine::CAPACITY);
        assert!(long.is_cut() && !line(&[b'a'; 2048]).is_cut());
        assert_eq!(line(b"ok=1 \xFF x=2").as_str(), "ok=1 ");
    }
}
