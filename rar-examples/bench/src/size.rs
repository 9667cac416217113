//! The page that each case flushes, and the sizes of the cases.

use std::fmt;

/// The page that is flushed.
pub(crate) const ADDRESS: u64 = 0x7f00_0000_0000;

/// The entry that asks for it, as the driver and everything it is compared with must write it.
pub(crate) const fn golden() -> [u64; 8] {
    [0x20_0000_0200, 0, 5, ADDRESS, 0, 0, 0, 0]
}

/// How many targets there are, and for how many CPUs there is room.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) targets: u32,
    pub(crate) words: u32,
}

impl Size {
    /// Returns the mask of the initiator, which is CPU 0, and the targets.
    pub(crate) fn space(self) -> Vec<u64> {
        let mut space = vec![0_u64; self.words as usize];
        for cpu in 0..=self.targets {
            if let Some(word) = space.get_mut(cpu as usize / 64) {
                *word |= 1 << (cpu % 64);
            }
        }
        space
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.targets, 64 * self.words)
    }
}

pub(crate) fn sizes() -> impl Iterator<Item = Size> {
    [1, 4, 16].into_iter().flat_map(|words| {
        [1, 8, 63, 255, 1023]
            .into_iter()
            .filter(move |targets| *targets < 64 * words)
            .map(move |targets| Size { targets, words })
    })
}
