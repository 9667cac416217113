//! The table of the high precision event timer (IA-PC HPET Specification 1.0a, "The ACPI 2.0 HPET
//! Description Table").

use crate::table::Table;

/// A table that says where the timer's registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpet {
    /// The space of the address: 0 is memory.
    pub space: u8,
    /// The address of the registers.
    pub address: u64,
}

impl Hpet {
    /// What a usual PC says.
    pub const USUAL: Self = Self {
        space: 0,
        address: 0xfed0_0000,
    };

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> Table {
        let block = 0x8086_a201_u32.to_le_bytes();
        let mut body = [&block[..], &[self.space, 64, 0, 0]].concat();
        body.extend(self.address.to_le_bytes());
        // The number of the block, its shortest period, and its protection.
        body.extend([0, 0x80, 0x00, 0]);
        Table::new(*b"HPET", 1, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_the_text_says() {
        let bytes = Hpet::USUAL.table().bytes();
        assert_eq!((bytes.len(), bytes[40]), (56, 0));
        assert_eq!(bytes[44..52], [0, 0, 0xd0, 0xfe, 0, 0, 0, 0]);
    }
}
