//! Interrupt vectors of one local APIC, as its request and service registers have them.

use core::fmt;

/// A set of interrupt vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VectorSet {
    words: [u32; 8],
}

impl VectorSet {
    /// Returns the set that eight registers of an APIC hold: bit 0 of the first one is vector 0.
    #[must_use]
    pub const fn new(words: [u32; 8]) -> Self {
        Self { words }
    }

    /// Returns whether no vector is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == [0; 8]
    }

    /// Returns the vectors, from the lowest one on.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        let words = self.words;
        (0..=u8::MAX).filter(move |vector| {
            let word = words.get(usize::from(vector / 32)).copied().unwrap_or(0);
            word >> (vector % 32) & 1 != 0
        })
    }

    /// Adds the vectors of another set.
    pub fn add(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(other.words) {
            *word |= more;
        }
    }
}

impl fmt::Display for VectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        self.iter().try_for_each(|vector| {
            write!(f, "{before}{vector:#x}")?;
            before = ", ";
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_vectors() {
        let mut set = VectorSet::new([0, 1 << 31, 0, 0, 0, 0, 0, 1 << 5]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0x3f, 0xe5]);
        set.add(&VectorSet::new([0, 0, 1 << 17, 0, 0, 0, 0, 0]));
        assert_eq!(set.to_string(), "0x3f, 0x51, 0xe5");
        assert!(!set.is_empty() && VectorSet::default().is_empty());
    }
}
