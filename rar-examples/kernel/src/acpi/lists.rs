//! The two lists of tables, RSDT and XSDT, and which of them can be used (ACPI 6.5, "Root System
//! Description Pointer").

use super::error::AcpiError;
use super::notes::{Remedy, TableNote, TableNotes};
use super::table::{HEADER_LENGTH, Signature, TableFault, read_table, sum};
use crate::little_endian::number;
use crate::{PhysicalMemory, Rsdp};

/// The root pointer's length in ACPI 1.0, which the first checksum is over.
pub(super) const OLD_LENGTH: usize = 20;
const LENGTH: usize = 36;

/// Most tables of a list that are looked at: more than any firmware has, and a bound on what
/// garbage can make us read.
pub(super) const MOST_TABLES: usize = 1024;

/// A list of tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    signature: [u8; 4],
    address: u64,
    /// Bytes of an entry.
    width: usize,
}

impl List {
    /// Returns what is wrong with it.
    fn fault(&self, memory: &impl PhysicalMemory) -> Option<TableFault> {
        match read_table(self.address, self.signature, memory) {
            Ok(table) => table.fault,
            Err(fault) => Some(fault),
        }
    }

    /// Returns its entries, as bytes.
    fn entries<'m>(&self, memory: &'m impl PhysicalMemory) -> &'m [u8] {
        let table = read_table(self.address, self.signature, memory).ok();
        table
            .and_then(|table| table.bytes.get(HEADER_LENGTH..))
            .unwrap_or(&[])
    }

    /// Returns what is odd about the number of its entries.
    fn odd_length(&self, memory: &impl PhysicalMemory) -> Option<TableNote> {
        let length = self.entries(memory).len();
        let (entries, rest) = (length / self.width, length % self.width);
        (entries > MOST_TABLES || rest > 0).then_some(TableNote::ListLength {
            table: Signature(self.signature),
            address: self.address,
            entries,
            rest,
        })
    }

    /// Returns where its tables are.
    pub(super) fn addresses(&self, memory: &impl PhysicalMemory) -> impl Iterator<Item = u64> {
        self.entries(memory)
            .chunks_exact(self.width)
            .take(MOST_TABLES)
            .filter_map(|entry| number(entry, 0, entry.len()))
            .filter(|address| *address != 0)
    }
}

/// Returns the lists that can be read, the better one first: one without a fault before one with a
/// wrong checksum, and the XSDT before the RSDT. What is wrong with them is noted.
pub(super) fn read_lists(
    rsdp: &Rsdp,
    memory: &impl PhysicalMemory,
    notes: &mut TableNotes,
) -> Result<[Option<List>; 2], AcpiError> {
    let root = rsdp
        .bytes(memory)
        .filter(|root| root.starts_with(b"RSD PTR "))
        .ok_or(AcpiError::BadRsdp)?;
    let extended = root.get(15) > Some(&0);
    let mut trusted = true;
    for part in [root.get(..OLD_LENGTH), root.get(..).filter(|_| extended)] {
        let part = part.unwrap_or(&[]);
        let sum = sum(part);
        if sum != 0 {
            trusted = part.len() == OLD_LENGTH;
            let bytes = part.len();
            notes.push(TableNote::RootSum { bytes, sum });
        }
    }
    let list = |signature: &[u8; 4], at, width| {
        let address = number(&root, at, width).filter(|address| *address != 0)?;
        let list = List {
            signature: *signature,
            address,
            width,
        };
        Some((list, list.fault(memory)))
    };
    let xsdt = list(b"XSDT", 24, 8).filter(|_| extended);
    let rsdt = list(b"RSDT", 16, 4);
    let all = match trusted {
        true => [xsdt, rsdt],
        // The pointer to the XSDT is what the wrong sum is over.
        false => [rsdt, xsdt],
    };
    let of = |grade: fn(&Option<TableFault>) -> bool| {
        let graded = all.into_iter().flatten();
        graded.filter_map(move |(list, fault)| grade(&fault).then_some(list))
    };
    let mut usable =
        of(Option::is_none).chain(of(|fault| matches!(fault, Some(TableFault::Sum { .. }))));
    let lists = [usable.next(), usable.next()];
    for (list, fault) in all.into_iter().flatten() {
        let Some(fault) = fault else { continue };
        let remedy = match lists[0] {
            None => Remedy::None,
            Some(best) if best.address == list.address => Remedy::Read,
            Some(best) => Remedy::Other(best.address),
        };
        notes.push(TableNote::Fault {
            table: Signature(list.signature),
            address: list.address,
            fault,
            remedy,
        });
    }
    for list in lists.iter().flatten() {
        if let Some(note) = list.odd_length(memory) {
            notes.push(note);
        }
    }
    match lists {
        [None, _] => Err(AcpiError::NoList),
        lists => Ok(lists),
    }
}

impl Rsdp {
    /// Returns the root pointer's bytes, unchecked, or `None` where it cannot be read; bytes that
    /// an old one does not have are zero.
    #[must_use]
    pub fn bytes(&self, memory: &impl PhysicalMemory) -> Option<[u8; LENGTH]> {
        let address = match *self {
            Self::Copy(bytes) => return Some(bytes),
            Self::At(address) => address,
        };
        // Version 0 of the structure has 20 bytes, and nothing says that more can be read.
        let old = memory.bytes(address, OLD_LENGTH)?;
        let new = memory
            .bytes(address, LENGTH)
            .filter(|_| old.get(15) > Some(&0));
        let mut root = [0; LENGTH];
        for (to, from) in root.iter_mut().zip(new.unwrap_or(old)) {
            *to = *from;
        }
        Some(root)
    }
}
