//! Tables in memory, behind both lists and the root pointer (ACPI 6.5, "Root System Description
//! Pointer").

use crate::table::{Sum, Table};

const BASE: u64 = 0xe_0000;
const ALIGN: usize = 16;
const OLD: usize = 20;
const WHOLE: usize = 36;

/// One of the two lists of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The root pointer has 0 for it.
    Absent,
    /// It lists all tables, and has this checksum.
    Listing(Sum),
    /// It lists nothing.
    Empty,
    /// The root pointer leads here, where none is.
    Nowhere(u64),
}

/// A firmware.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// Its tables, in the order of the lists.
    pub tables: Vec<Table>,
    /// The list of 64-bit addresses.
    pub xsdt: Root,
    /// The list of 32-bit addresses.
    pub rsdt: Root,
    /// The revision of the root pointer.
    pub revision: u8,
    /// The checksum over its first 20 bytes.
    pub sum: Sum,
    /// The checksum over all 36.
    pub extended_sum: Sum,
}

impl Firmware {
    /// Makes a firmware that is right.
    #[must_use]
    pub fn new(tables: impl IntoIterator<Item = Table>) -> Self {
        Self {
            tables: tables.into_iter().collect(),
            xsdt: Root::Listing(Sum::Right),
            rsdt: Root::Listing(Sum::Right),
            revision: 2,
            sum: Sum::Right,
            extended_sum: Sum::Right,
        }
    }

    /// Lays the tables out in memory, from 0xE0000 on.
    #[must_use]
    pub fn lay_out(&self) -> FirmwareMemory {
        self.lay_out_at(BASE)
    }

    /// Lays the tables out in memory from `base` on, a multiple of 16.
    #[must_use]
    pub fn lay_out_at(&self, base: u64) -> FirmwareMemory {
        let mut memory = FirmwareMemory {
            base,
            bytes: vec![0; WHOLE.next_multiple_of(ALIGN)],
            tables: Vec::new(),
        };
        let addresses: Vec<_> = self.tables.iter().map(|table| memory.put(table)).collect();
        let rsdt = memory.put_root(self.rsdt, *b"RSDT", &addresses, 4);
        let xsdt = memory.put_root(self.xsdt, *b"XSDT", &addresses, 8);
        let mut root = b"RSD PTR \0RARTES".to_vec();
        root.push(self.revision);
        root.extend(rsdt.to_le_bytes().iter().take(4));
        root.extend(36_u32.to_le_bytes());
        root.extend(xsdt.to_le_bytes());
        root.resize(WHOLE, 0);
        if let Some(old) = root.get_mut(..OLD) {
            self.sum.seal(old, 8);
        }
        self.extended_sum.seal(&mut root, 32);
        for (to, from) in memory.bytes.iter_mut().zip(root) {
            *to = from;
        }
        memory
    }
}

/// Memory with a firmware in it.
#[derive(Clone, Debug)]
pub struct FirmwareMemory {
    base: u64,
    pub(crate) bytes: Vec<u8>,
    /// Where each table lies, and its length.
    pub(crate) tables: Vec<(usize, usize)>,
}

impl FirmwareMemory {
    /// Returns the address of the root pointer.
    #[must_use]
    pub fn rsdp(&self) -> u64 {
        self.base
    }

    /// Returns all bytes from the root pointer on.
    #[must_use]
    pub fn whole(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns `length` bytes at `address`, if they are there.
    #[must_use]
    pub fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.base)?).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }

    fn put(&mut self, table: &Table) -> u64 {
        let at = self.bytes.len();
        let bytes = table.bytes();
        self.tables.push((at, bytes.len()));
        self.bytes.extend(bytes);
        let end = self.bytes.len().next_multiple_of(ALIGN);
        self.bytes.resize(end, 0);
        self.base + at as u64
    }

    fn put_root(&mut self, root: Root, name: [u8; 4], addresses: &[u64], width: usize) -> u64 {
        let (listed, sum) = match root {
            Root::Absent => return 0,
            Root::Nowhere(address) => return address,
            Root::Empty => (&[][..], Sum::Right),
            Root::Listing(sum) => (addresses, sum),
        };
        let bytes = listed.iter().map(|address| address.to_le_bytes());
        let body = bytes.flat_map(|bytes| bytes.into_iter().take(width));
        self.put(&Table::new(name, 1, body.collect()).with_sum(sum))
    }
}
