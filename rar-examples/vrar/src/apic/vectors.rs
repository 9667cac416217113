//! Sets of interrupt vectors.

/// A set of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vectors([u64; 4]);

impl From<[u64; 4]> for Vectors {
    fn from(words: [u64; 4]) -> Self {
        Self(words)
    }
}

impl Vectors {
    pub(crate) fn contains(&self, vector: u8) -> bool {
        self.0
            .get(usize::from(vector / 64))
            .is_some_and(|word| word >> (vector % 64) & 1 != 0)
    }

    pub(crate) fn insert(&mut self, vector: u8) {
        if let Some(word) = self.0.get_mut(usize::from(vector / 64)) {
            *word |= 1 << (vector % 64);
        }
    }

    pub(crate) fn remove(&mut self, vector: u8) {
        if let Some(word) = self.0.get_mut(usize::from(vector / 64)) {
            *word &= !(1 << (vector % 64));
        }
    }

    pub(crate) fn highest(&self) -> Option<u8> {
        let (number, word) = [0_u32, 1, 2, 3]
            .iter()
            .zip(&self.0)
            .rfind(|(_, word)| **word != 0)?;
        u8::try_from(number * 64 + 63 - word.leading_zeros()).ok()
    }

    pub(crate) fn add(&mut self, words: [u64; 4]) {
        for (word, more) in self.0.iter_mut().zip(words) {
            *word |= more;
        }
    }

    pub(crate) fn subtract(&mut self, words: [u64; 4]) {
        for (word, less) in self.0.iter_mut().zip(words) {
            *word &= !less;
        }
    }

    /// Returns 32 of them, as a register shows them.
    pub(crate) fn word(&self, number: u32) -> u32 {
        (0..32)
            .filter(|bit| u8::try_from(number * 32 + bit).is_ok_and(|vector| self.contains(vector)))
            .fold(0, |word, bit| word | 1 << bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_comes_first() {
        let mut set = Vectors::default();
        assert_eq!(set.highest(), None);
        for vector in [0x00, 0x3f, 0x40, 0xff] {
            set.insert(vector);
        }
        for vector in [0xff, 0x40, 0x3f, 0x00] {
            assert!(set.contains(vector));
            assert_eq!(set.highest(), Some(vector));
            set.remove(vector);
        }
        assert_eq!(set, Vectors::default());
        set.add([0, 1 << 63, 0, 0]);
        assert_eq!((set.word(3), set.word(2)), (1 << 31, 0));
        set.subtract([u64::MAX, 0, 0, 0]);
        assert!(set.contains(127));
        set.subtract([0, 1 << 63, 0, 0]);
        assert_eq!(set, Vectors::default());
    }
}
