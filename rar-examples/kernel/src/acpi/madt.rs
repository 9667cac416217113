//! The CPUs of the machine (ACPI 6.5, "Multiple APIC Description Table").

use crate::little_endian::{number, number32};

/// The physical address of the local APIC after reset (SDM vol. 3, "Local APIC Status and
/// Location").
pub const LOCAL_APIC_DEFAULT: u64 = 0xfee0_0000;

const HEADER_LENGTH: usize = 44;
const LOCAL_APIC: u8 = 0;
const LOCAL_APIC_ADDRESS_OVERRIDE: u8 = 5;
const LOCAL_X2APIC: u8 = 9;
const ENABLED: u32 = 1;

/// The hardware ids of the CPUs that firmware enabled, in its order, without repetition.
#[derive(Clone, Debug)]
pub struct CpuList {
    ids: [u32; Self::CAPACITY],
    count: usize,
    dropped: usize,
    local_apic: u64,
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
            local_apic: LOCAL_APIC_DEFAULT,
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

    /// Returns the physical address of the local APIC's registers in xAPIC mode.
    #[must_use]
    pub const fn local_apic(&self) -> u64 {
        self.local_apic
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

/// Reads the CPUs out of a MADT (the whole table, header included).
///
/// Entries with a wrong length end the reading: nothing behind them can be trusted. CPUs that are
/// only "online capable" are empty sockets and left out.
pub fn read_madt(table: &[u8], cpus: &mut CpuList) {
    if let Some(address) = number(table, 36, 4).filter(|address| *address != 0) {
        cpus.local_apic = address;
    }
    let mut rest = table.get(HEADER_LENGTH..).unwrap_or(&[]);
    while let [kind, length, ..] = *rest {
        let Some((entry, next)) = rest
            .split_at_checked(usize::from(length))
            .filter(|_| length >= 2)
        else {
            return;
        };
        match kind {
            LOCAL_APIC => {
                if let (Some(&id), Some(flags)) = (entry.get(3), number32(entry, 4))
                    && flags & ENABLED != 0
                    && id != u8::MAX
                {
                    cpus.push(u32::from(id));
                }
            }
            LOCAL_X2APIC => {
                if let (Some(id), Some(flags)) = (number32(entry, 4), number32(entry, 8))
                    && flags & ENABLED != 0
                    && id != u32::MAX
                {
                    cpus.push(id);
                }
            }
            LOCAL_APIC_ADDRESS_OVERRIDE => {
                if let Some(address) = number(entry, 4, 8) {
                    cpus.local_apic = address;
                }
            }
            _ => {}
        }
        rest = next;
    }
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
        let mut cpus = CpuList::empty();
        read_madt(&madt(entries), &mut cpus);
        cpus
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
    fn empty_sockets_and_broadcast_ids_are_left_out() {
        let cpus = read(&[
            &[0, 8, 0, 1, 2, 0, 0, 0],
            &[0, 8, 0, 0xff, 1, 0, 0, 0],
            &[9, 16, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0],
        ]);
        assert!(cpus.ids().is_empty());
    }

    #[test]
    fn a_wrong_length_ends_the_reading() {
        assert_eq!(read(&[X2_300, &[0, 0, 0, 1, 1, 0, 0, 0]]).ids(), [300]);
        assert_eq!(read(&[X2_300, &[0, 40, 0, 1, 1, 0, 0, 0]]).ids(), [300]);
        assert_eq!(read(&[X2_300, &[9]]).ids(), [300]);
        assert!(read(&[&[0, 3, 0]]).ids().is_empty());
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
        read_madt(&madt(&entries), &mut cpus);
        assert_eq!((cpus.ids().len(), cpus.dropped()), (1_024, 6));
        assert_eq!(cpus.ids().last(), Some(&(1_023 * 3)));
        // The boot CPU is one that did not fit.
        cpus.put_first(1_029 * 3);
        assert_eq!((cpus.ids().len(), cpus.dropped()), (1_024, 7));
        assert_eq!(cpus.ids().first(), Some(&(1_029 * 3)));
    }

    #[test]
    fn the_address_override_wins() {
        let cpus = read(&[&[5, 12, 0, 0, 0, 0, 0, 0xfd, 0, 0, 0, 0]]);
        assert_eq!(cpus.local_apic(), 0xfd00_0000);
        assert_eq!(read(&[]).local_apic(), LOCAL_APIC_DEFAULT);
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
