//! From the root pointer to a table by signature (ACPI 6.5, "Root System Description Pointer" and
//! "System Description Table Header").

use crate::little_endian::{number, number32};
use crate::{PhysicalMemory, Rsdp};

/// Why a table was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcpiError {
    /// The root pointer cannot be read, has a wrong signature or a wrong checksum.
    BadRsdp,
    /// A table cannot be read, says an impossible length, or has a wrong checksum.
    BadTable {
        /// Its physical address.
        address: u64,
    },
    /// No table has this signature.
    Missing([u8; 4]),
}

impl core::fmt::Display for AcpiError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BadRsdp => f.write_str("the ACPI root pointer has a wrong signature or checksum"),
            Self::BadTable { address } => write!(f, "the ACPI table at {address:#x} is malformed"),
            Self::Missing(signature) => {
                write!(f, "there is no ACPI table {}", signature.escape_ascii())
            }
        }
    }
}

impl core::error::Error for AcpiError {}

const HEADER_LENGTH: usize = 36;
/// Larger than any table of interest here; a bound on what garbage can make us read.
const MAXIMUM_LENGTH: usize = 1 << 20;

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Reads a whole table after checking its length and checksum.
fn table(address: u64, memory: &impl PhysicalMemory) -> Result<&[u8], AcpiError> {
    let bad = AcpiError::BadTable { address };
    let length = memory
        .bytes(address, HEADER_LENGTH)
        .and_then(|header| number32(header, 4))
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| (HEADER_LENGTH..=MAXIMUM_LENGTH).contains(length))
        .ok_or(bad)?;
    memory
        .bytes(address, length)
        .filter(|bytes| sum(bytes) == 0)
        .ok_or(bad)
}

impl Rsdp {
    /// Returns the root pointer's bytes, unchecked, or `None` where it cannot be read; bytes that
    /// an old one does not have are zero.
    #[must_use]
    pub fn bytes(&self, memory: &impl PhysicalMemory) -> Option<[u8; 36]> {
        let address = match *self {
            Self::Copy(bytes) => return Some(bytes),
            Self::At(address) => address,
        };
        // Version 0 of the structure has 20 bytes, and nothing says that more can be read.
        let old = memory.bytes(address, 20)?;
        let new = memory.bytes(address, 36).filter(|_| old.get(15) > Some(&0));
        let mut root = [0; 36];
        for (to, from) in root.iter_mut().zip(new.unwrap_or(old)) {
            *to = *from;
        }
        Some(root)
    }
}

/// Returns the table with `signature`, header included.
///
/// The XSDT is used where there is one, else the RSDT. Tables of other signatures are not checked,
/// so that one broken table does not hide the others.
///
/// # Errors
///
/// Fails on a broken root pointer, a broken table list, a broken or missing table with this
/// signature.
pub fn find_table<'m>(
    rsdp: &Rsdp,
    signature: [u8; 4],
    memory: &'m impl PhysicalMemory,
) -> Result<&'m [u8], AcpiError> {
    let root = rsdp.bytes(memory).ok_or(AcpiError::BadRsdp)?;
    let old = root.get(..20).ok_or(AcpiError::BadRsdp)?;
    if !old.starts_with(b"RSD PTR ") || sum(old) != 0 {
        return Err(AcpiError::BadRsdp);
    }
    let rsdt = number(&root, 16, 4).unwrap_or(0);
    let extended = root.get(15) > Some(&0) && sum(&root) == 0;
    let xsdt = number(&root, 24, 8).filter(|_| extended).unwrap_or(0);
    let (list, width) = if xsdt != 0 { (xsdt, 8) } else { (rsdt, 4) };

    for entry in table(list, memory)?
        .get(HEADER_LENGTH..)
        .unwrap_or(&[])
        .chunks_exact(width)
    {
        let address = number(entry, 0, width).unwrap_or(0);
        let matches = memory
            .bytes(address, HEADER_LENGTH)
            .is_some_and(|header| header.starts_with(&signature));
        if matches {
            return table(address, memory);
        }
    }
    Err(AcpiError::Missing(signature))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::test_memory::TestMemory;

    /// Writes the byte that makes the sum of `length` bytes at `address` zero.
    pub(in crate::acpi) fn seal(
        memory: &mut TestMemory,
        address: u64,
        length: usize,
        checksum_at: u64,
    ) {
        memory.put(address + checksum_at, &[0]);
        let total = sum(memory.bytes(address, length).unwrap());
        memory.put(address + checksum_at, &[0_u8.wrapping_sub(total)]);
    }

    pub(in crate::acpi) fn put_table(
        memory: &mut TestMemory,
        address: u64,
        signature: &[u8; 4],
        body: &[u8],
    ) {
        let length = HEADER_LENGTH + body.len();
        memory.put(address, signature);
        memory.put(address + 4, &u32::try_from(length).unwrap().to_le_bytes());
        memory.put(address + 36, body);
        seal(memory, address, length, 9);
    }

    fn machine(revision: u8) -> TestMemory {
        let mut memory = TestMemory::new(0xe_0000, 0x4000);
        memory.put(0xe_0000, b"RSD PTR ");
        memory.put(0xe_000f, &[revision]);
        memory.put(0xe_0010, &0xe_1000_u32.to_le_bytes());
        memory.put(0xe_0014, &36_u32.to_le_bytes());
        memory.put(0xe_0018, &0xe_1800_u64.to_le_bytes());
        seal(&mut memory, 0xe_0000, 20, 8);
        seal(&mut memory, 0xe_0000, 36, 32);
        put_table(&mut memory, 0xe_2000, b"APIC", &[1; 8]);
        put_table(&mut memory, 0xe_2100, b"APIC", &[2; 8]);
        put_table(&mut memory, 0xe_1000, b"RSDT", &0xe_2000_u32.to_le_bytes());
        put_table(&mut memory, 0xe_1800, b"XSDT", &0xe_2100_u64.to_le_bytes());
        memory
    }

    #[test]
    fn xsdt_from_revision_2_rsdt_before() {
        for (revision, expected) in [(0, 1), (2, 2)] {
            let memory = machine(revision);
            let table = find_table(&Rsdp::At(0xe_0000), *b"APIC", &memory).unwrap();
            assert_eq!(table[36..], [expected; 8]);
        }
    }

    #[test]
    fn a_missing_table_and_a_broken_checksum_are_told_apart() {
        let mut memory = machine(2);
        assert_eq!(
            find_table(&Rsdp::At(0xe_0000), *b"FACP", &memory),
            Err(AcpiError::Missing(*b"FACP"))
        );
        memory.put(0xe_2124, &[9]);
        assert_eq!(
            find_table(&Rsdp::At(0xe_0000), *b"APIC", &memory),
            Err(AcpiError::BadTable { address: 0xe_2100 })
        );
        memory.put(0xe_0000, b"X");
        assert_eq!(
            find_table(&Rsdp::At(0xe_0000), *b"APIC", &memory),
            Err(AcpiError::BadRsdp)
        );
    }

    #[test]
    fn a_wild_length_is_refused() {
        let mut memory = machine(2);
        memory.put(0xe_2104, &0xffff_ffff_u32.to_le_bytes());
        assert!(find_table(&Rsdp::At(0xe_0000), *b"APIC", &memory).is_err());
    }
}
