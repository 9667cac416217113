//! Random choices that depend on a seed only.

use rar_suite::Space;

/// A source of random choices: the same for a seed on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Returns a source of its own for these numbers.
    pub(crate) fn new(seed: u64, scene: u64, cpu: u64) -> Self {
        let mut random = Self(seed);
        for number in [scene, cpu] {
            random.0 = random.next() ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        random
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// Returns a number below `limit`; 0 if that is 0.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        let word = self.next() & u64::from(u32::MAX);
        u32::try_from((word * u64::from(limit)) >> 32).unwrap_or(0)
    }

    /// Returns `true` once in `number` times; never if that is 0.
    pub(crate) fn one_in(&mut self, number: u32) -> bool {
        number > 0 && self.below(number) == 0
    }

    /// Returns the number of a random bit that is set.
    pub(crate) fn bit_of(&mut self, mask: u64) -> Option<u16> {
        let skipped = self.below(mask.count_ones());
        let mut rest = mask;
        for _ in 0..skipped {
            rest &= rest.wrapping_sub(1);
        }
        (rest != 0).then(|| u16::try_from(rest.trailing_zeros()).unwrap_or(0))
    }

    /// Returns a random space of a mask of spaces.
    pub(crate) fn space_of(&mut self, mask: u32) -> Option<Space> {
        let number = self.bit_of(u64::from(mask))?;
        Space::nth(usize::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_depend_on_all_numbers_and_on_nothing_else() {
        let first = |seed, scene, cpu| Random::new(seed, scene, cpu).next();
        assert_eq!(first(1, 2, 3), first(1, 2, 3));
        let others = [first(2, 2, 3), first(1, 3, 3), first(1, 2, 4)];
        assert!(!others.contains(&first(1, 2, 3)), "{others:?}");
    }

    #[test]
    fn choices_are_within_their_bounds_and_reach_them() {
        let mut random = Random::new(1, 1, 1);
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            if let Some(count) = seen.get_mut(random.below(5) as usize) {
                *count += 1;
            }
        }
        assert_eq!(seen.iter().sum::<u32>(), 1000);
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
        assert!(!random.one_in(0) && random.one_in(1));
        let mut bits = 0_u64;
        for _ in 0..200 {
            bits |= 1 << random.bit_of(0x8000_0000_0000_0105).unwrap();
        }
        assert_eq!(bits, 0x8000_0000_0000_0105);
        assert_eq!(random.bit_of(0), None);
    }
}
