//! The time stamp counter as a clock in nanoseconds.

use core::num::NonZero;

use rar_regs::Cpuid;

/// How fast the time stamp counter runs.
///
/// # Examples
///
/// ```
/// use core::num::NonZero;
/// use rar_shootdown::TscClock;
///
/// let clock = TscClock::from_khz(NonZero::new(2_000_000).unwrap());
/// assert_eq!(clock.nanoseconds(3_000), 1_500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TscClock {
    /// Nanoseconds for each tick, in units of 2^-32.
    scale: u64,
}

impl TscClock {
    /// Returns the clock of a counter of that frequency, as the kernel has measured it.
    #[must_use]
    pub const fn from_khz(khz: NonZero<u64>) -> Self {
        Self {
            scale: (1_000_000 << 32) / khz.get(),
        }
    }

    /// Returns the clock of a counter whose frequency the CPU tells, or `None` if it does not: then
    /// measure it.
    ///
    /// CPUID leaf 0x15 gives the frequency as a ratio to the crystal's; where the crystal's is
    /// missing, leaf 0x16 gives the base frequency in MHz, at which the counter runs on those parts
    /// (SDM vol. 3, "Determining the Processor Base Frequency"; from memory, to be checked).
    /// Hypervisors and emulators often tell neither.
    #[must_use]
    pub fn from_cpuid(cpu: &impl Cpuid) -> Option<Self> {
        let leaves = cpu.cpuid(0, 0).eax;
        if leaves < 0x15 {
            return None;
        }
        let ratio = cpu.cpuid(0x15, 0);
        let (denominator, numerator) = (u64::from(ratio.eax), u64::from(ratio.ebx));
        if denominator == 0 || numerator == 0 {
            return None;
        }
        let crystal_khz = u64::from(ratio.ecx) / 1_000;
        let khz = if crystal_khz > 0 {
            crystal_khz * numerator / denominator
        } else if leaves >= 0x16 {
            u64::from(cpu.cpuid(0x16, 0).eax & 0xffff) * 1_000
        } else {
            0
        };
        NonZero::new(khz).map(Self::from_khz)
    }

    /// Returns the time that this many ticks take.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "2^64 nanoseconds are 584 years"
    )]
    pub const fn nanoseconds(self, ticks: u64) -> u64 {
        ((ticks as u128 * self.scale as u128) >> 32) as u64
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use rar_regs::CpuidResult;

    use super::*;

    struct Leaves(u32, [u32; 3], u32);

    impl Cpuid for Leaves {
        fn cpuid(&self, leaf: u32, _: u32) -> CpuidResult {
            let [eax, ebx, ecx] = match leaf {
                0 => [self.0, 0, 0],
                0x15 => self.1,
                0x16 => [self.2, 0, 0],
                _ => [0; 3],
            };
            CpuidResult {
                eax,
                ebx,
                ecx,
                edx: 0,
            }
        }
    }

    fn khz(cpu: &Leaves) -> Option<u64> {
        TscClock::from_cpuid(cpu)
            .map(|clock| 1_000_000_000_000_000 / clock.nanoseconds(1_000_000_000))
    }

    #[test]
    fn the_crystal_comes_first_then_the_base_frequency() {
        // Sapphire Rapids: 25 MHz crystal, ratio 80. No crystal: the base frequency of leaf 0x16.
        assert_eq!(khz(&Leaves(0x20, [1, 80, 25_000_000], 9)), Some(2_000_000));
        assert_eq!(khz(&Leaves(0x16, [2, 284, 0], 4_000)), Some(4_000_000));
        assert_eq!(khz(&Leaves(0x15, [1, 80, 25_000_000], 0)), Some(2_000_000));
    }

    #[test]
    fn a_cpu_that_does_not_tell_has_no_clock() {
        for cpu in [
            Leaves(0x14, [1, 80, 25_000_000], 2_000),
            Leaves(0x20, [0, 80, 25_000_000], 2_000),
            Leaves(0x20, [1, 0, 25_000_000], 2_000),
            Leaves(0x15, [1, 80, 0], 2_000),
            Leaves(0x20, [1, 80, 0], 0),
        ] {
            assert_eq!(khz(&cpu), None);
        }
    }

    #[test]
    fn a_year_of_a_fast_counter_does_not_wrap() {
        let clock = TscClock::from_khz(NonZero::new(5_000_000).unwrap());
        let year = 365 * 24 * 3600;
        let nanoseconds = clock.nanoseconds(year * 5_000_000_000);
        assert!(nanoseconds.abs_diff(year * 1_000_000_000) < year * 10);
    }
}
