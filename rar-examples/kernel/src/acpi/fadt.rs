//! The power management timer (ACPI 6.5, "Fixed ACPI Description Table" and "Power Management Timer").

use crate::boot_info::number32;

/// The power management timer: a counter of at least 24 bits at 3.579545 MHz behind an I/O port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmTimer {
    /// The I/O port of the counter.
    pub port: u16,
}

impl PmTimer {
    /// Ticks in a second.
    pub const FREQUENCY: u64 = 3_579_545;
    /// The bits every implementation has.
    pub const MASK: u32 = 0x00FF_FFFF;
}

/// Returns the timer that a FADT (the whole table, header included) names, if it has one in I/O space.
#[must_use]
pub fn read_pm_timer(table: &[u8]) -> Option<PmTimer> {
    let port = u16::try_from(number32(table, 76)?).ok()?;
    let length = *table.get(91)?;
    (port != 0 && length == 4).then_some(PmTimer { port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_needs_a_port_and_four_bytes() {
        let mut table = vec![0; 116];
        assert_eq!(read_pm_timer(&table), None);
        table[76..80].copy_from_slice(&0x608_u32.to_le_bytes());
        assert_eq!(read_pm_timer(&table), None);
        table[91] = 4;
        assert_eq!(read_pm_timer(&table), Some(PmTimer { port: 0x608 }));
        assert_eq!(read_pm_timer(&table[..80]), None);
    }
}
