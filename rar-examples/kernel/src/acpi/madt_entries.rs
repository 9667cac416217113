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
        match self.behind {
            Behind::Read => matches!(self.kind, LOCAL_APIC | LOCAL_X2APIC),
            Behind::Unread(_) => true,
            Behind::Zeroes(_) => false,
        }
    }
}

/// Walks over the entries of a MADT.
///
/// An entry whose length is not that of its type may say the wrong one: the walk goes on at the
/// shorter of the two, or at the longer, wherever all that follows is well-formed. Where neither is
/// so, it goes on at its own length, or ends if that is less than 2 or leads out of the table.
#[derive(Clone, Debug)]
pub struct MadtEntries<'t> {
    rest: &'t [u8],
    judged: usize,
    odd: usize,
    swallowed: usize,
}

/// Most entries that are judged by what follows them: each takes a walk to the end.
const MOST_JUDGED: usize = 64;

impl<'t> MadtEntries<'t> {
    /// Starts behind the header of a MADT.
    #[must_use]
    pub fn new(entries: &'t [u8]) -> Self {
        Self {
            rest: entries,
            judged: 0,
            odd: 0,
            swallowed: 0,
        }
    }

    /// Returns how many entries so far were read though they have another length than their type.
    #[must_use]
    pub fn odd(&self) -> usize {
        self.odd
    }

    /// Returns how many CPUs so far may lie inside entries that are too long.
    #[must_use]
    pub fn swallowed(&self) -> usize {
        self.swallowed
    }

    /// Returns the bytes of an entry with an odd length, and what follows it.
    fn judge(&mut self, kind: u8) -> Option<(&'t [u8], &'t [u8])> {
        let own = split(self.rest);
        let usual = usual_length(kind).and_then(|length| self.rest.split_at_checked(length));
        self.judged += 1;
        if self.judged > MOST_JUDGED {
            return own;
        }
        let fits = |(_, next): &(&[u8], &[u8])| is_well_formed(next);
        let mut both = [own, usual];
        // The shorter one hides nothing.
        both.sort_unstable_by_key(|split| split.map(|(entry, _)| entry.len()));
        both.into_iter().flatten().find(fits).or(own)
    }

    /// Counts what lies behind the usual length of an entry, inside it.
    fn count_swallowed(&mut self, kind: u8, entry: &[u8]) {
        let excess = usual_length(kind).and_then(|usual| entry.get(usual..));
        let excess = excess.unwrap_or(&[]);
        self.swallowed += match is_well_formed(excess) {
            true => MadtEntries::new(excess)
                .filter(|entry| matches!(entry, Ok(MadtEntry::Cpu { .. })))
                .count(),
            // Its length may be that of two entries, or one and a half.
            false => usize::from(!is_zero(excess)),
        };
    }
}

impl Iterator for MadtEntries<'_> {
    type Item = Result<MadtEntry, MalformedEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, behind) = self.rest.split_first()?;
        let length = behind.first().copied().unwrap_or(0);
        let usual = usual_length(kind).is_none_or(|usual| usual == usize::from(length));
        let own = split(self.rest);
        let found = own.filter(|_| usual).or_else(|| self.judge(kind));
        let malformed = |behind| {
            Err(MalformedEntry {
                kind,
                length,
                behind,
            })
        };
        let Some((entry, next)) = found else {
            let rest = core::mem::take(&mut self.rest);
            return Some(malformed(match is_zero(rest) {
                true => Behind::Zeroes(rest.len()),
                false => Behind::Unread(rest.len()),
            }));
        };
        self.rest = next;
        // What it says must lie in its own length, wherever the next one begins.
        let read = own.and_then(|(own, _)| read(kind, own));
        if read.is_some() && !usual {
            self.odd += 1;
            self.count_swallowed(kind, entry);
        }
        Some(read.map_or_else(|| malformed(Behind::Read), Ok))
    }
}

/// Splits the first entry off by the length that it says.
fn split(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*entries.get(1)?);
    entries.split_at_checked(length).filter(|_| length >= 2)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
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
        let found = walk(&[CPU_7, &[0; 8], &[0, 0, 0, 0, 0, 0, 0, 1]]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].unwrap_err().behind, Behind::Unread(16));
        // Zeroes are padding.
        let zeroes = walk(&[CPU_7, &[0; 16]])[1].unwrap_err();
        assert_eq!(zeroes.behind, Behind::Zeroes(16));
        assert!(!zeroes.may_be_cpu());
        // A type without a usual length.
        let found = walk(&[&[0x7f, 0], CPU_7]);
        let malformed = found[0].unwrap_err();
        assert_eq!((found.len(), malformed.behind), (1, Behind::Unread(10)));
        assert!(malformed.may_be_cpu());
        // A single byte.
        assert_eq!(walk(&[CPU_7, &[9]])[1].unwrap_err().length, 0);
    }

    #[test]
    fn cpus_inside_a_long_entry_are_read_or_counted() {
        let long = [&[0, 24, 1, 1, 1, 0, 0, 0], CPU_7, CPU_7].concat();
        let walk = |behind: &[u8]| {
            let bytes = [&long, CPU_7, behind].concat();
            let mut entries = MadtEntries::new(&bytes);
            let right = entries.by_ref().filter(Result::is_ok).count();
            (right, entries.odd(), entries.swallowed())
        };
        // All that follows its usual length is well-formed.
        assert_eq!(walk(&[]), (4, 1, 0));
        // Something behind is not, and its length must be believed.
        assert_eq!(walk(&[0, 3, 0]), (2, 1, 2));
        // Zeroes inside an entry are no CPUs.
        let padded = [&[0, 16, 1, 1, 1, 0, 0, 0][..], &[0; 8]].concat();
        let mut entries = MadtEntries::new(&padded);
        assert_eq!(entries.by_ref().count(), 1);
        assert_eq!((entries.odd(), entries.swallowed()), (1, 0));
    }

    #[test]
    fn many_odd_entries_do_not_take_long() {
        let bytes = [0, 9, 1, 1, 1, 0, 0, 0, 0].repeat(100_000);
        assert_eq!(MadtEntries::new(&bytes).count(), 100_000);
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
