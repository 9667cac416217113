//! How often cache lines travel: a protocol of modified, shared and invalid lines, one cache per CPU.

use std::collections::HashMap;

/// What an access does to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
}

const LINE: usize = 64;
/// Caches that a set of sharers has room for.
const WORDS: usize = 16;

/// Counts the transfers of lines between CPUs, of what driver and microcode share.
#[derive(Debug, Default)]
pub struct Meter {
    lines: HashMap<usize, [u64; WORDS]>,
    transfers: u64,
    accesses: u64,
}

impl Meter {
    /// Notes an access of a CPU below 1,024.
    ///
    /// A read by a cache that has no copy, and a write by one that is not the only one with a copy, each move the line once. The
    /// first access of all comes from memory and counts too.
    pub fn touch(&mut self, cpu: u32, address: usize, access: Access) {
        self.accesses += 1;
        let holders = self.lines.entry(address / LINE).or_insert([0; WORDS]);
        let mut alone = [0; WORDS];
        if let Some(word) = alone.get_mut(cpu as usize / 64) {
            *word = 1 << (cpu % 64);
        }
        let has_copy = holders
            .iter()
            .zip(&alone)
            .any(|(held, own)| held & own != 0);
        match access {
            Access::Read if has_copy => return,
            Access::Read => holders
                .iter_mut()
                .zip(&alone)
                .for_each(|(held, own)| *held |= own),
            Access::Write if *holders == alone => return,
            Access::Write => *holders = alone,
        }
        self.transfers += 1;
    }

    /// Returns how often a line travelled.
    #[must_use]
    pub const fn transfers(&self) -> u64 {
        self.transfers
    }

    /// Returns how many accesses there were.
    #[must_use]
    pub const fn accesses(&self) -> u64 {
        self.accesses
    }

    /// Sets both counts back; who holds which line stays.
    pub const fn reset(&mut self) {
        self.transfers = 0;
        self.accesses = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Access::*, Meter};

    #[test]
    fn a_line_travels_when_somebody_else_has_the_last_word() {
        let mut meter = Meter::default();
        let mut moves = |cpu, address, access| {
            let before = meter.transfers();
            meter.touch(cpu, address, access);
            meter.transfers() - before
        };
        assert_eq!(moves(0, 0x1000, Read), 1, "from memory");
        assert_eq!(moves(0, 0x103f, Read), 0, "same line");
        assert_eq!(moves(0, 0x1000, Write), 0, "exclusive becomes modified");
        assert_eq!(moves(1023, 0x1008, Read), 1, "from the owner");
        assert_eq!(moves(0, 0x1000, Read), 0, "shared");
        assert_eq!(moves(0, 0x1000, Write), 1, "the other copy goes");
        assert_eq!(moves(1023, 0x1000, Write), 1);
        assert_eq!(moves(0, 0x1040, Write), 1, "next line");
    }
}
