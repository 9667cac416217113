//! The table of fixed hardware (ACPI 6.5, "Fixed ACPI Description Table").

use crate::table::{HEADER, Table};

/// A FADT; the fields that kernels here read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fadt {
    /// Bytes of the whole table: 84 to 276; fields behind the end are left out.
    pub length: usize,
    /// The port of the first power management control register.
    pub pm1_control: u32,
    /// The port of the power management timer, and its length.
    pub pm_timer: (u32, u8),
    /// Bit 10: there is a reset register; bit 19: physical destinations.
    pub flags: u32,
    /// The reset register: space and address.
    pub reset: (u8, u64),
    /// The byte that resets.
    pub reset_value: u8,
}

impl Fadt {
    /// The bit of [`flags`](Self::flags) for the reset register.
    pub const RESET: u32 = 1 << 10;
    /// The bit that demands physical destinations.
    pub const PHYSICAL: u32 = 1 << 19;

    /// What a usual PC says.
    pub const USUAL: Self = Self {
        length: 276,
        pm1_control: 0x604,
        pm_timer: (0x608, 4),
        flags: 0x84a5,
        reset: (1, 0xcf9),
        reset_value: 0x0f,
    };

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut whole = vec![0; self.length.max(276)];
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = whole.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        let (timer, timer_length) = self.pm_timer;
        let (space, address) = self.reset;
        put(64, &self.pm1_control.to_le_bytes());
        put(76, &timer.to_le_bytes());
        put(89, &[2]);
        put(91, &[timer_length]);
        put(112, &self.flags.to_le_bytes());
        put(116, &[space, 8, 0, 1]);
        put(120, &address.to_le_bytes());
        put(128, &[self.reset_value]);
        whole.truncate(self.length);
        let body = whole.get(HEADER..).unwrap_or(&[]).to_vec();
        Table::new(*b"FACP", 5, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_the_text_says() {
        let bytes = Fadt::USUAL.table().bytes();
        assert_eq!((bytes.len(), &bytes[76..80]), (276, &[8, 6, 0, 0][..]));
        assert_eq!(
            (bytes[91], bytes[113], bytes[116], bytes[128]),
            (4, 0x84, 1, 0x0f)
        );
        assert_eq!(bytes[120..124], [0xf9, 0x0c, 0, 0]);
        let short = Fadt {
            length: 84,
            ..Fadt::USUAL
        };
        assert_eq!(short.table().bytes().len(), 84);
    }
}
