//! One table: header, body, length, checksum (ACPI 6.5, "System Description Table Header").

use std::io::{self, Write as _};
use std::path::Path;

/// Bytes of the header.
pub(crate) const HEADER: usize = 36;
const LENGTH_AT: usize = 4;
const SUM_AT: usize = 9;

/// A checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// All bytes add up to 0.
    Right,
    /// They add up to this.
    Off(u8),
}

impl Sum {
    /// Sets the byte at `at` so that `bytes` have this sum.
    pub(crate) fn seal(self, bytes: &mut [u8], at: usize) {
        let off = match self {
            Self::Right => 0,
            Self::Off(off) => off,
        };
        let total = bytes
            .iter()
            .fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = byte.wrapping_sub(total).wrapping_add(off);
        }
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its signature.
    pub signature: [u8; 4],
    /// Its revision.
    pub revision: u8,
    /// What follows the header.
    pub body: Vec<u8>,
    /// The length that it says, if that is not its own.
    pub length: Option<u32>,
    /// Its checksum.
    pub sum: Sum,
}

impl Table {
    /// Makes a table that is right.
    #[must_use]
    pub fn new(signature: [u8; 4], revision: u8, body: Vec<u8>) -> Self {
        Self {
            signature,
            revision,
            body,
            length: None,
            sum: Sum::Right,
        }
    }

    /// Returns the table with this checksum.
    #[must_use]
    pub fn with_sum(mut self, sum: Sum) -> Self {
        self.sum = sum;
        self
    }

    /// Returns the table with this length in its header.
    #[must_use]
    pub fn with_length(mut self, length: u32) -> Self {
        self.length = Some(length);
        self
    }

    /// Returns the bytes. The checksum is over all of them, whatever length the header says.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let whole = HEADER + self.body.len();
        let length = self
            .length
            .unwrap_or_else(|| u32::try_from(whole).unwrap_or(u32::MAX));
        let mut bytes = Vec::with_capacity(whole);
        bytes.extend(self.signature);
        bytes.extend(length.to_le_bytes());
        bytes.extend([self.revision, 0]);
        bytes.extend(b"RARTESRARTESTS");
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(b"RAR ");
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(&self.body);
        debug_assert_eq!((bytes.len(), LENGTH_AT), (whole, 4));
        self.sum.seal(&mut bytes, SUM_AT);
        bytes
    }

    /// Writes the table as a file for GRUB's command `acpi` or QEMU's `-acpitable file=`.
    ///
    /// # Errors
    ///
    /// The file cannot be written; then there is no part of it.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&self.bytes())?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(table: &Table) -> u8 {
        let bytes = table.bytes();
        bytes
            .iter()
            .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
    }

    #[test]
    fn a_table_has_the_sum_and_the_length_that_were_asked_for() {
        let table = Table::new(*b"TEST", 2, vec![1, 2, 3]);
        let bytes = table.bytes();
        assert_eq!(
            (&bytes[..4], &bytes[4..9]),
            (&b"TEST"[..], &[39, 0, 0, 0, 2][..])
        );
        assert_eq!(&bytes[HEADER..], [1, 2, 3]);
        assert_eq!(total(&table), 0);
        assert_eq!(total(&table.clone().with_sum(Sum::Off(7))), 7);
        assert_eq!(table.with_length(0x1234).bytes()[4..8], [0x34, 0x12, 0, 0]);
    }

    #[test]
    fn a_file_has_the_bytes_of_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("madt.aml");
        let table = Table::new(*b"APIC", 3, vec![7; 44]);
        table.write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), table.bytes());
        assert!(table.write(&folder.path().join("no/such/folder")).is_err());
    }
}
