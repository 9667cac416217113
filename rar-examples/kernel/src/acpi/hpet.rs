//! What a kernel reads in the HPET's table (IA-PC HPET Specification 1.0a, "The ACPI 2.0 HPET
//! Description Table").

use crate::little_endian::number;

/// The space of a generic address that is memory.
const SPACE_MEMORY: u8 = 0;

/// Returns the physical address of the registers of the high precision event timer by its table
/// (the whole table, header included), if they lie in memory.
#[must_use]
pub fn read_hpet(table: &[u8]) -> Option<u64> {
    let (space, address) = (*table.get(40)?, number(table, 44, 8)?);
    (space == SPACE_MEMORY && address != 0 && address.is_multiple_of(8)).then_some(address)
}

/// Returns the counts in a second by the period in femtoseconds in the upper half of the
/// capabilities register; `None` for a period that no such timer has: more than 100 ns, or 0 (IA-PC
/// HPET Specification 1.0a, "General Capabilities and ID Register").
#[must_use]
pub fn hpet_frequency(period: u32) -> Option<u64> {
    const SECOND: u64 = 1_000_000_000_000_000;
    const LONGEST: u32 = 100_000_000;
    /// Faster than any: what is below is garbage.
    const SHORTEST: u32 = 1_000_000;
    (SHORTEST..=LONGEST)
        .contains(&period)
        .then(|| SECOND / u64::from(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(space: u8, address: u64) -> Vec<u8> {
        let mut table = vec![0; 56];
        table[40] = space;
        table[44..52].copy_from_slice(&address.to_le_bytes());
        table
    }

    #[test]
    fn registers_lie_in_memory() {
        assert_eq!(read_hpet(&table(0, 0xfed0_0000)), Some(0xfed0_0000));
        assert_eq!(read_hpet(&table(1, 0xfed0_0000)), None);
        assert_eq!(read_hpet(&table(0, 0)), None);
        assert_eq!(read_hpet(&table(0, 0xfed0_0001)), None);
        assert_eq!(read_hpet(&table(0, 0xfed0_0000)[..51]), None);
    }

    #[test]
    fn a_period_is_one_of_such_a_timer() {
        // 14.318180 MHz, and QEMU's 100 MHz.
        assert_eq!(hpet_frequency(69_841_279), Some(14_318_179));
        assert_eq!(hpet_frequency(10_000_000), Some(100_000_000));
        for period in [0, 999_999, 100_000_001, u32::MAX] {
            assert_eq!(hpet_frequency(period), None, "{period}");
        }
    }
}
