//! What is wrong with the tables, or with what they say: for the console and the report.

use core::fmt;

use super::error::AcpiError;
use super::lists::MOST_TABLES;
use super::table::{Signature, TableFault};

/// What the kernel does about a table with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It reads the table all the same: no other one is better.
    Read,
    /// As [`Remedy::Read`], but nothing is written where the table says.
    ReadOnly,
    /// It reads another one.
    Other(u64),
    /// It goes without.
    None,
}

/// What is behind a malformed entry of the MADT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Entries, which were read.
    Read,
    /// As many bytes, which cannot be read.
    Unread(usize),
    /// As many zeroes up to the end, the entry itself included.
    Zeroes(usize),
}

/// Something in the tables that cannot be right, or that hardware contradicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableNote {
    /// One of the two checksums of the root pointer is wrong.
    RootSum {
        /// Which: over 20 bytes, or over 36.
        bytes: usize,
        /// The sum, which must be 0.
        sum: u8,
    },
    /// A table has a fault.
    Fault {
        /// Its signature.
        table: Signature,
        /// Its physical address.
        address: u64,
        /// The fault.
        fault: TableFault,
        /// What is done about it.
        remedy: Remedy,
    },
    /// Two tables have the same signature; the first is used.
    Twice {
        /// The signature.
        table: Signature,
        /// The physical address of the first.
        first: u64,
        /// The physical address of the second.
        second: u64,
    },
    /// A list of tables ends inside an entry, or has more entries than are looked at.
    ListLength {
        /// Its signature.
        table: Signature,
        /// Its physical address.
        address: u64,
        /// How many whole entries it has.
        entries: usize,
        /// How many bytes are behind them.
        rest: usize,
    },
    /// An entry of the MADT cannot be.
    MadtMalformed {
        /// How many entries before it are well-formed.
        after: usize,
        /// Its type.
        kind: u8,
        /// What it says of its length.
        length: u8,
        /// What is behind it.
        behind: Behind,
        /// How many malformed entries there are in all.
        malformed: usize,
    },
    /// Entries of the MADT that can be read, and are longer or shorter than others of their type.
    MadtOddLengths {
        /// How many.
        entries: usize,
        /// How many CPUs lie inside the longer ones.
        swallowed: usize,
    },
    /// A table that the kernel can do without is not found.
    NotFound(AcpiError),
    /// The MADT lists no CPU.
    MadtEmpty {
        /// How many entries it has.
        entries: usize,
    },
    /// Entries that are enabled and have the id that no CPU can have.
    BroadcastIds {
        /// How many.
        entries: usize,
    },
    /// The boot CPU is not in the MADT.
    BootCpuNotListed {
        /// Its APIC id.
        id: u32,
    },
    /// MADT and IA32_APIC_BASE disagree about the local APIC.
    LocalApicAddress {
        /// The MADT's address.
        madt: u64,
        /// The register's, which is used.
        register: u64,
    },
    /// CPUID counts more CPUs in a package than the MADT lists in all.
    FewerThanCpuid {
        /// How many CPUs the MADT lists.
        madt: usize,
        /// How many CPUID counts.
        cpuid: usize,
    },
    /// The FADT demands physical destinations.
    PhysicalDestinations,
}

impl fmt::Display for TableNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::RootSum { bytes, sum } => write!(
                f,
                "ACPI root pointer: wrong checksum over {bytes} bytes (got {sum:#04x}, expected \
                 0x00); tables are judged by their own"
            ),
            Self::Fault {
                table,
                address,
                fault,
                remedy,
            } => {
                write!(f, "ACPI table {table} at {address:#x}: {fault}; ")?;
                match remedy {
                    Remedy::Read => f.write_str("it is read all the same"),
                    Remedy::ReadOnly => {
                        f.write_str("it is read, and nothing is written where it says")
                    }
                    Remedy::Other(other) => write!(f, "the one at {other:#x} is read"),
                    Remedy::None => f.write_str("it is left out"),
                }
            }
            Self::Twice {
                table,
                first,
                second,
            } => write!(
                f,
                "ACPI table {table} stands at {first:#x} and at {second:#x}; the first is read"
            ),
            Self::ListLength {
                table,
                address,
                entries,
                rest,
            } => write!(
                f,
                "ACPI table {table} at {address:#x}: {entries} entries, and {rest} bytes that are \
                 none; at most {MOST_TABLES} entries are read"
            ),
            Self::MadtMalformed {
                after,
                kind,
                length,
                behind,
                malformed,
            } => {
                write!(
                    f,
                    "MADT malformed after {after} entries (type {kind}, length {length}"
                )?;
                match malformed {
                    1 => f.write_str(")")?,
                    _ => write!(f, "; {malformed} such entries)")?,
                }
                match behind {
                    Behind::Read => f.write_str("; the entries behind it are read"),
                    Behind::Unread(bytes) => write!(f, "; {bytes} bytes are not read"),
                    Behind::Zeroes(bytes) => write!(f, "; the last {bytes} bytes are zeroes"),
                }
            }
            Self::MadtOddLengths { entries, swallowed } => write!(
                f,
                "MADT: {entries} entries have another length than their type; {swallowed} CPUs lie \
                 inside them"
            ),
            Self::NotFound(error) => write!(f, "{error}; the kernel does without it"),
            Self::MadtEmpty { entries } => {
                write!(f, "MADT: it lists no CPU ({entries} entries)")
            }
            Self::BroadcastIds { entries } => write!(
                f,
                "MADT: {entries} enabled CPUs have the id of a broadcast; they are left out"
            ),
            Self::BootCpuNotListed { id } => write!(
                f,
                "MADT: the boot CPU (APIC id {id}) is not listed; it is added"
            ),
            Self::LocalApicAddress { madt, register } => write!(
                f,
                "local APIC: MADT and IA32_APIC_BASE disagree (MADT {madt:#x}, register \
                 {register:#x}); the register is right"
            ),
            Self::FewerThanCpuid { madt, cpuid } => write!(
                f,
                "CPUs: the MADT lists {madt}, CPUID counts up to {cpuid} in a package; some may be \
                 turned off"
            ),
            Self::PhysicalDestinations => f.write_str(
                "FADT: it demands physical destinations (flag 19); the driver sends to one CPU at \
                 a time",
            ),
        }
    }
}

/// The notes of one look at the tables, without repetition.
#[derive(Clone, Copy, Debug)]
pub struct TableNotes {
    notes: [Option<TableNote>; Self::CAPACITY],
    count: usize,
    dropped: usize,
}

impl TableNotes {
    /// Most notes kept.
    pub const CAPACITY: usize = 16;

    /// No note.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            notes: [None; Self::CAPACITY],
            count: 0,
            dropped: 0,
        }
    }

    /// Adds a note that is not there yet; one beyond the capacity is counted.
    pub fn push(&mut self, note: TableNote) {
        if self.iter().any(|known| *known == note) {
            return;
        }
        match self.notes.get_mut(self.count) {
            Some(place) => {
                *place = Some(note);
                self.count += 1;
            }
            None => self.dropped += 1,
        }
    }

    /// Returns the notes in their order.
    pub fn iter(&self) -> impl Iterator<Item = &TableNote> {
        self.notes.iter().flatten()
    }

    /// Returns how many notes did not fit.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }
}

impl Default for TableNotes {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_kept_once_and_what_has_no_room_is_counted() {
        let mut notes = TableNotes::new();
        for id in 0..20 {
            notes.push(TableNote::BootCpuNotListed { id });
            notes.push(TableNote::BootCpuNotListed { id });
        }
        assert_eq!(notes.iter().count(), TableNotes::CAPACITY);
        // A note without room is not known, and counts each time.
        assert_eq!(notes.dropped(), 8);
    }

    #[test]
    fn a_note_names_both_values() {
        let text = TableNote::LocalApicAddress {
            madt: 0xfed0_0000,
            register: 0xfee0_0000,
        };
        let text = text.to_string();
        assert!(text.contains("0xfed00000") && text.contains("0xfee00000"));
        let malformed = TableNote::MadtMalformed {
            after: 2,
            kind: 0,
            length: 0,
            behind: Behind::Read,
            malformed: 1,
        };
        assert_eq!(
            malformed.to_string(),
            "MADT malformed after 2 entries (type 0, length 0); the entries behind it are read"
        );
    }
}
