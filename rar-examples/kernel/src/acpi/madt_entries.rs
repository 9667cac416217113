//! The entries of a MADT, one after the other (ACPI 6.5, "Multiple APIC Description Table").

use super::notes::Behind;
use crate::little_endian::{number, number32};

const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const SOURCE_OVERRIDE: u8 = 2;
const NMI_SOURCE: u8 = 3;
const LOCAL_APIC_NMI: u8 = 4;
const LOCAL_APIC_ADDRESS: u8 = 5;
const LOCAL_X2APIC: u8 = 9;
const LOCAL_X2APIC_NMI: u8 = 10;

/// An entry, as far as a kernel needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MadtEntry {
    /// A CPU, of either type.
    Cpu {
        /// Its APIC id; `None` is the id of a broadcast, which no CPU has.
        id: Option<u32>,
        /// Bit 0: enabled.
        flags: u32,
    },
    /// An I/O APIC.
    IoApic {
        /// The physical address of its registers, by the word of the table alone.
        address: u32,
        /// The number of its first interrupt.
        first: u32,
    },
    /// The address of the local APICs, in 64 bits.
    LocalApicAddress(u64),
    /// Any other type.
    Other(u8),
}

/// An entry that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedEntry {
    /// Its type.
    pub kind: u8,
    /// What it says of its length.
    pub length: u8,
    /// What is behind it.
    pub behind: Behind,
}

impl MalformedEntry {
    /// Returns whether it may stand for a CPU, or hide one.
    #[must_use]
    pub fn may_be_cpu(&self) -> bool {
        matches!(self.kind, LOCAL_APIC | LOCAL_X2APIC) || self.behind != Behind::Read
    }
}

/// Walks over the entries of a MADT.
///
/// An entry that is shorter than its type needs is skipped. A length that is less than 2 or leads
/// out of the table says nothing: the walk goes on at the length that the type has, if all that
/// follows there is well-formed, and ends otherwise.
#[derive(Clone, Debug)]
pub struct MadtEntries<'t> {
    rest: &'t [u8],
}

impl<'t> MadtEntries<'t> {
    /// Starts behind the header of a MADT.
    #[must_use]
    pub fn new(entries: &'t [u8]) -> Self {
        Self { rest: entries }
    }

    fn malformed(&mut self, kind: u8, length: u8) -> MalformedEntry {
        let next = usual_length(kind)
            .and_then(|usual| self.rest.get(usual..))
            .filter(|rest| is_well_formed(rest));
        let behind = match next {
            Some(_) => Behind::Read,
            None => Behind::Unread(self.rest.len()),
        };
        self.rest = next.unwrap_or(&[]);
        MalformedEntry {
            kind,
            length,
            behind,
        }
    }
}

impl Iterator for MadtEntries<'_> {
    type Item = Result<MadtEntry, MalformedEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, behind) = self.rest.split_first()?;
        let length = behind.first().copied().unwrap_or(0);
        let Some((entry, next)) = split(self.rest) else {
            return Some(Err(self.malformed(kind, length)));
        };
        self.rest = next;
        Some(read(kind, entry).ok_or(MalformedEntry {
            kind,
            length,
            behind: Behind::Read,
        }))
    }
}

/// Splits the first entry off by the length that it says.
fn split(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*entries.get(1)?);
    entries.split_at_checked(length).filter(|_| length >= 2)
}

fn is_well_formed(mut entries: &[u8]) -> bool {
    while let Some(kind) = entries.first() {
        match split(entries) {
            Some((entry, next)) if read(*kind, entry).is_some() => entries = next,
            _ => return false,
        }
    }
    true
}

/// The length of entries whose type has one.
fn usual_length(kind: u8) -> Option<usize> {
    Some(match kind {
        LOCAL_APIC | NMI_SOURCE => 8,
        SOURCE_OVERRIDE => 10,
        LOCAL_APIC_NMI => 6,
        IO_APIC | LOCAL_APIC_ADDRESS | LOCAL_X2APIC_NMI => 12,
        LOCAL_X2APIC => 16,
        _ => return None,
    })
}

/// Reads an entry; `None` where it is too short for its type.
fn read(kind: u8, entry: &[u8]) -> Option<MadtEntry> {
    Some(match kind {
        LOCAL_APIC => MadtEntry::Cpu {
            id: Some(u32::from(*entry.get(3)?)).filter(|id| *id != u32::from(u8::MAX)),
            flags: number32(entry, 4)?,
        },
        LOCAL_X2APIC => MadtEntry::Cpu {
            id: Some(number32(entry, 4)?).filter(|id| *id != u32::MAX),
            flags: number32(entry, 8)?,
        },
        IO_APIC => MadtEntry::IoApic {
            address: number32(entry, 4)?,
            first: number32(entry, 8)?,
        },
        LOCAL_APIC_ADDRESS => MadtEntry::LocalApicAddress(number(entry, 4, 8)?),
        other => MadtEntry::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU_7: &[u8] = &[0, 8, 7, 7, 1, 0, 0, 0];

    fn walk(parts: &[&[u8]]) -> Vec<Result<MadtEntry, MalformedEntry>> {
        MadtEntries::new(&parts.concat()).collect()
    }

    #[test]
    fn types_are_read_by_their_fields() {
        let found = walk(&[
            CPU_7,
            &[9, 12, 0, 0, 0x2c, 1, 0, 0, 3, 0, 0, 0],
            &[1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0],
            &[5, 12, 0, 0, 0, 0, 0, 0xfd, 1, 0, 0, 0],
            &[0x7f, 2],
        ]);
        assert_eq!(
            found,
            [
                Ok(MadtEntry::Cpu {
                    id: Some(7),
                    flags: 1
                }),
                Ok(MadtEntry::Cpu {
                    id: Some(300),
                    flags: 3
                }),
                Ok(MadtEntry::IoApic {
                    address: 0xfec0_0000,
                    first: 24
                }),
                Ok(MadtEntry::LocalApicAddress(0x1_fd00_0000)),
                Ok(MadtEntry::Other(0x7f)),
            ]
        );
    }

    #[test]
    fn a_length_that_cannot_be_is_replaced_by_the_usual_one() {
        for length in [0, 1, 255] {
            let bad = [0, length, 2, 2, 1, 0, 0, 0];
            let found = walk(&[CPU_7, &bad, CPU_7]);
            assert_eq!(found.len(), 3, "{length}");
            let malformed = found[1].unwrap_err();
            assert_eq!(malformed.behind, Behind::Read);
            assert!(malformed.may_be_cpu() && found[2].is_ok());
        }
    }

    #[test]
    fn garbage_behind_a_bad_length_ends_the_walk() {
        let found = walk(&[CPU_7, &[0; 8], &[0; 8]]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].unwrap_err().behind, Behind::Unread(16));
        // A type without a usual length.
        let found = walk(&[&[0x7f, 0], CPU_7]);
        let malformed = found[0].unwrap_err();
        assert_eq!((found.len(), malformed.behind), (1, Behind::Unread(10)));
        assert!(malformed.may_be_cpu());
        // A single byte.
        assert_eq!(walk(&[CPU_7, &[9]])[1].unwrap_err().length, 0);
    }

    #[test]
    fn an_entry_too_short_for_its_type_is_skipped() {
        let found = walk(&[&[0, 6, 2, 2, 1, 0], CPU_7, &[9, 8, 0, 0, 1, 0, 0, 0], CPU_7]);
        let malformed: Vec<_> = found.iter().filter_map(|entry| entry.err()).collect();
        assert_eq!((found.len(), malformed.len()), (4, 2));
        assert!(malformed.iter().all(|entry| entry.behind == Behind::Read));
        assert!(!walk(&[&[1, 4, 0, 0]])[0].unwrap_err().may_be_cpu());
    }
}
