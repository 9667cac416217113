//! The table that lists CPUs (ACPI 6.5, "Multiple APIC Description Table").

use crate::table::Table;

const ENABLED: u32 = 1;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MadtEntry {
    /// Type 0.
    LocalApic {
        /// The APIC id.
        id: u8,
        /// Bit 0: enabled; bit 1: online capable.
        flags: u32,
    },
    /// Type 9.
    LocalX2apic {
        /// The APIC id.
        id: u32,
        /// As above.
        flags: u32,
    },
    /// Type 1.
    IoApic {
        /// The address of its registers.
        address: u32,
        /// The number of its first interrupt.
        first: u32,
    },
    /// Type 2: an interrupt of ISA that arrives at another input.
    SourceOverride {
        /// The interrupt.
        source: u8,
        /// The input.
        input: u32,
    },
    /// Type 5.
    LocalApicAddress(u64),
    /// Whatever this is.
    Raw(Vec<u8>),
}

impl MadtEntry {
    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let (mut bytes, rest) = match self {
            Self::LocalApic { id, flags } => (vec![0, 8, *id, *id], flags.to_le_bytes().to_vec()),
            Self::LocalX2apic { id, flags } => {
                let words = [*id, *flags, *id].map(u32::to_le_bytes);
                (vec![9, 16, 0, 0], words.as_flattened().to_vec())
            }
            Self::IoApic { address, first } => {
                let words = [*address, *first].map(u32::to_le_bytes);
                (vec![1, 12, 0, 0], words.as_flattened().to_vec())
            }
            Self::SourceOverride { source, input } => {
                let [a, b, c, d] = input.to_le_bytes();
                (vec![2, 10, 0, *source], vec![a, b, c, d, 0, 0])
            }
            Self::LocalApicAddress(address) => (vec![5, 12, 0, 0], address.to_le_bytes().to_vec()),
            Self::Raw(bytes) => (bytes.clone(), vec![]),
        };
        bytes.extend(rest);
        bytes
    }
}

/// A MADT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Madt {
    /// The physical address of the local APICs.
    pub local_apic: u32,
    /// Bit 0: there is a PIC.
    pub flags: u32,
    /// The entries.
    pub entries: Vec<MadtEntry>,
}

impl Madt {
    /// Makes a table without entries.
    #[must_use]
    pub fn new() -> Self {
        Self {
            local_apic: 0xfee0_0000,
            flags: 1,
            entries: Vec::new(),
        }
    }

    /// Makes a table of enabled CPUs with these ids, each by the type that can hold it, and of the
    /// usual I/O APIC.
    #[must_use]
    pub fn of_cpus(ids: impl IntoIterator<Item = u32>) -> Self {
        let flags = ENABLED;
        let cpus = ids.into_iter().map(|id| match u8::try_from(id) {
            Ok(id) if id != u8::MAX => MadtEntry::LocalApic { id, flags },
            _ => MadtEntry::LocalX2apic { id, flags },
        });
        let usual = [
            MadtEntry::IoApic {
                address: 0xfec0_0000,
                first: 0,
            },
            MadtEntry::SourceOverride {
                source: 0,
                input: 2,
            },
        ];
        Self {
            entries: cpus.chain(usual).collect(),
            ..Self::new()
        }
    }

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut body = [self.local_apic, self.flags]
            .map(u32::to_le_bytes)
            .as_flattened()
            .to_vec();
        body.extend(self.entries.iter().flat_map(MadtEntry::bytes));
        Table::new(*b"APIC", 3, body)
    }
}

impl Default for Madt {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_say_their_own_lengths() {
        let madt = Madt::of_cpus([0, 254, 255, 300]);
        let kinds: Vec<_> = madt.entries.iter().map(|entry| entry.bytes()[0]).collect();
        assert_eq!(kinds, [0, 0, 9, 9, 1, 2]);
        let more = [MadtEntry::LocalApicAddress(1 << 40)];
        for entry in madt.entries.iter().chain(&more) {
            let bytes = entry.bytes();
            assert_eq!(usize::from(bytes[1]), bytes.len(), "{entry:?}");
        }
        assert_eq!(madt.table().body.len(), 8 + 8 + 8 + 16 + 16 + 12 + 10);
    }
}
