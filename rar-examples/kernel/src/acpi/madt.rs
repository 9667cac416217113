//! The CPUs of the machine (ACPI 6.5, "Multiple APIC Description Table").

use super::madt_entries::{MadtEntries, MadtEntry};
use super::notes::{TableNote, TableNotes};
use crate::IoApicList;
use crate::little_endian::number;

/// The physical address of the local APIC after reset (SDM vol. 3, "Local APIC Status and
/// Location").
pub const LOCAL_APIC_DEFAULT: u64 = 0xfee0_0000;

const HEADER_LENGTH: usize = 44;
const ENABLED: u32 = 1;

/// The hardware ids of the CPUs that firmware enabled, in its order, without repetition.
#[derive(Clone, Debug)]
pub struct CpuList {
    ids: [u32; Self::CAPACITY],
    count: usize,
    dropped: usize,
}

impl CpuList {
    /// Most CPUs kept.
    pub const CAPACITY: usize = 1024;

    /// A list without CPUs.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            ids: [0; Self::CAPACITY],
            count: 0,
            dropped: 0,
        }
    }

    /// Returns the APIC ids.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        self.ids.get(..self.count).unwrap_or(&[])
    }

    /// Returns how many CPUs did not fit.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    /// Adds a CPU unless it is there already: firmware may list one by both entry types.
    pub fn push(&mut self, id: u32) {
        if self.ids().contains(&id) {
            return;
        }
        if let Some(place) = self.ids.get_mut(self.count) {
            *place = id;
            self.count += 1;
        } else {
            self.dropped += 1;
        }
    }

    /// Puts the CPU with this id first, adding it when firmware forgot it.
    pub fn put_first(&mut self, id: u32) {
        let at = self.ids().iter().position(|known| *known == id);
        match at {
            Some(at) => {
                if let Some(head) = self.ids.get_mut(..=at) {
                    head.rotate_right(1);
                }
            }
            None => {
                if self.count == Self::CAPACITY {
                    // The last one makes room.
                    self.dropped += 1;
                } else {
                    self.count += 1;
                }
                if let Some(all) = self.ids.get_mut(..self.count) {
                    all.rotate_right(1);
                }
                if let Some(first) = self.ids.first_mut() {
                    *first = id;
                }
            }
        }
    }
}

/// What a MADT says beside the CPUs that it lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MadtSummary {
    /// How many well-formed entries it has.
    pub entries: usize,
    /// The physical address of the local APICs, if it names one.
    pub local_apic: Option<u64>,
    /// CPUs that may exist behind malformed entries, at least.
    pub hidden: usize,
    /// The I/O APICs that it lists.
    pub io_apics: IoApicList,
}

/// Reads the CPUs out of a MADT (the whole table, header included).
///
/// Malformed entries are noted and counted. CPUs that are only "online capable" are empty sockets
/// and left out.
pub fn read_madt(table: &[u8], cpus: &mut CpuList, notes: &mut TableNotes) -> MadtSummary {
    let mut madt = MadtSummary {
        local_apic: number(table, 36, 4).filter(|address| *address != 0),
        ..MadtSummary::default()
    };
    let (mut malformed, mut broadcasts) = (0, 0);
    let mut first = None;
    let mut cpu_found = false;
    let mut entries = MadtEntries::new(table.get(HEADER_LENGTH..).unwrap_or(&[]));
    for entry in entries.by_ref() {
        match entry {
            Ok(MadtEntry::Cpu { id, flags }) if flags & ENABLED != 0 => match id {
                Some(id) => {
                    cpu_found = true;
                    cpus.push(id);
                }
                None => broadcasts += 1,
            },
            Ok(MadtEntry::IoApic { address, .. }) => madt.io_apics.push(address),
            Ok(MadtEntry::LocalApicAddress(address)) => madt.local_apic = Some(address),
            Ok(_) => {}
            Err(entry) => {
                malformed += 1;
                madt.hidden += usize::from(entry.may_be_cpu());
                let (_, first) = first.get_or_insert((madt.entries, entry));
                // Only the last one can end the reading.
                first.behind = entry.behind;
                continue;
            }
        }
        madt.entries += 1;
    }
    if entries.odd() > 0 {
        madt.hidden += entries.swallowed();
        notes.push(TableNote::MadtOddLengths {
            entries: entries.odd(),
            swallowed: entries.swallowed(),
        });
    }
    if let Some((after, entry)) = first {
        notes.push(TableNote::MadtMalformed {
            after,
            kind: entry.kind,
            length: entry.length,
            behind: entry.behind,
            malformed,
        });
    }
    if broadcasts > 0 {
        notes.push(TableNote::BroadcastIds {
            entries: broadcasts,
        });
    }
    if !cpu_found {
        let entries = madt.entries;
        notes.push(TableNote::MadtEmpty { entries });
    }
    madt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn madt(entries: &[&[u8]]) -> Vec<u8> {
        let mut table = vec![0; HEADER_LENGTH];
        table[36..40].copy_from_slice(&0xfee0_0000_u32.to_le_bytes());
        for entry in entries {
            table.extend_from_slice(entry);
        }
        table
    }

    fn read(entries: &[&[u8]]) -> CpuList {
        read_all(entries).0
    }

    fn read_all(entries: &[&[u8]]) -> (CpuList, MadtSummary, Vec<String>) {
        let (mut cpus, mut notes) = (CpuList::empty(), TableNotes::new());
        let summary = read_madt(&madt(entries), &mut cpus, &mut notes);
        (
            cpus,
            summary,
            notes.iter().map(|note| note.to_string()).collect(),
        )
    }

    const X2_300: &[u8] = &[9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0];

    #[test]
    fn both_entry_types_without_repetition() {
        let cpus = read(&[
            &[0, 8, 0, 4, 1, 0, 0, 0],
            &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            X2_300,
            &[9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ]);
        assert_eq!(cpus.ids(), [4, 300]);
    }

    #[test]
    fn io_apics_are_listed() {
        let at = |page| [1, 12, 2, 0, 0, page, 0xc0, 0xfe, 24, 0, 0, 0];
        let (_, summary, _) = read_all(&[&at(0), CPU_0, &at(0x10), &at(0)]);
        assert_eq!(summary.io_apics.addresses(), [0xfec0_0000, 0xfec0_1000]);
    }

    #[test]
    fn empty_sockets_and_broadcast_ids_are_left_out() {
        let cpus = read(&[
            &[0, 8, 0, 1, 2, 0, 0, 0],
            &[0, 8, 0, 0xff, 1, 0, 0, 0],
            &[9, 16, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0],
        ]);
        assert!(cpus.ids().is_empty());
    }

    const CPU_0: &[u8] = &[0, 8, 0, 0, 1, 0, 0, 0];

    #[test]
    fn what_a_wrong_length_hides_is_counted_and_noted() {
        for length in [0, 1, 255] {
            let bad = [0, length, 2, 2, 1, 0, 0, 0];
            let (cpus, summary, notes) =
                read_all(&[CPU_0, X2_300, &bad, &[0, 8, 3, 3, 1, 0, 0, 0]]);
            assert_eq!((cpus.ids(), summary.hidden), ([0, 300, 3].as_slice(), 1));
            let note = format!("MADT malformed after 2 entries (type 0, length {length}); ");
            assert!(notes[0].starts_with(&note), "{notes:?}");
        }
        let (cpus, summary, notes) = read_all(&[CPU_0, &[0, 6, 2, 2, 1, 0], X2_300]);
        assert_eq!((cpus.ids(), summary.hidden), ([0, 300].as_slice(), 1));
        assert!(notes[0].starts_with("MADT malformed after 1 entries (type 0, length 6)"));
        let (cpus, summary, notes) = read_all(&[CPU_0, &[0; 12], X2_300]);
        assert_eq!((cpus.ids(), summary.hidden), ([0].as_slice(), 1));
        assert!(notes[0].ends_with("28 bytes are not read"), "{notes:?}");
    }

    #[test]
    fn a_table_without_cpus_is_named() {
        for entries in [&[][..], &[&[0, 8, 0, 1, 2, 0, 0, 0][..]]] {
            let (_, _, notes) = read_all(entries);
            assert_eq!(
                notes,
                [format!("MADT: it lists no CPU ({} entries)", entries.len())]
            );
        }
        assert!(read_all(&[CPU_0]).2.is_empty());
        assert!(read_all(&[CPU_0, &[0, 8, 0, 0xff, 1, 0, 0, 0]]).2[0].contains("broadcast"));
    }

    #[test]
    fn a_large_machine_is_cut_and_says_so() {
        let mut cpus = CpuList::empty();
        let entries: Vec<_> = (0..1_030_u32)
            .map(|number| {
                let [a, b, c, d] = (number * 3).to_le_bytes();
                [9, 16, 0, 0, a, b, c, d, 1, 0, 0, 0, 0, 0, 0, 0]
            })
            .collect();
        let entries: Vec<_> = entries.iter().map(<[u8; 16]>::as_slice).collect();
        read_madt(&madt(&entries), &mut cpus, &mut TableNotes::new());
        assert_eq!((cpus.ids().len(), cpus.dropped()), (1_024, 6));
        assert_eq!(cpus.ids().last(), Some(&(1_023 * 3)));
        // The boot CPU is one that did not fit.
        cpus.put_first(1_029 * 3);
        assert_eq!((cpus.ids().len(), cpus.dropped()), (1_024, 7));
        assert_eq!(cpus.ids().first(), Some(&(1_029 * 3)));
    }

    #[test]
    fn the_address_override_wins() {
        let (_, summary, _) = read_all(&[&[5, 12, 0, 0, 0, 0, 0, 0xfd, 0, 0, 0, 0]]);
        assert_eq!(summary.local_apic, Some(0xfd00_0000));
        assert_eq!(read_all(&[]).1.local_apic, Some(LOCAL_APIC_DEFAULT));
    }

    #[test]
    fn the_boot_cpu_moves_to_the_front() {
        let mut cpus = read(&[&[0, 8, 0, 1, 1, 0, 0, 0], &[0, 8, 0, 2, 1, 0, 0, 0], X2_300]);
        cpus.put_first(300);
        assert_eq!(cpus.ids(), [300, 1, 2]);
        cpus.put_first(9);
        assert_eq!(cpus.ids(), [9, 300, 1, 2]);
    }
}
