//! A whole machine as a loader hands it over: boot information, and tables that it leads to.

use fastrand::Rng;

use crate::boot_info::{BootTag, multiboot2};
use crate::change::{Change, change_tags};
use crate::fadt::Fadt;
use crate::firmware::{Firmware, FirmwareMemory};
use crate::hpet::Hpet;
use crate::madt::{Madt, MadtEntry};
use crate::table::Table;

/// Most changes of one machine.
const MOST_CHANGES: usize = 3;

/// What a loader hands over on a machine without faults.
#[derive(Clone, Debug)]
pub struct HandOver {
    /// The command line. No change touches it.
    pub line: String,
    /// The memory map: start, length, type.
    pub ranges: Vec<(u64, u64, u32)>,
    /// CPUs, with the APIC ids from 0 on.
    pub cpus: u32,
    /// Where the tables lie: a multiple of 16.
    pub tables: u64,
}

/// What is handed over: bytes, right or wrong.
#[derive(Clone, Debug)]
pub struct HandedOver {
    /// The information of multiboot2, which has a copy of the root pointer.
    pub information: Vec<u8>,
    /// The tables. Their root pointer is not the one that the kernel reads.
    pub tables: FirmwareMemory,
}

impl HandOver {
    /// Draws one to three changes.
    #[must_use]
    pub fn changes(rng: &mut Rng) -> Vec<Change> {
        let count = rng.usize(1..=MOST_CHANGES);
        (0..count).map(|_| Change::any(rng)).collect()
    }

    /// Makes the bytes, with these changes.
    #[must_use]
    pub fn with(&self, changes: &[Change]) -> HandedOver {
        let tables = self.tables_with(changes);
        let mut tags = self.tags(&tables);
        for change in changes {
            change_tags(&mut tags, change);
        }
        let mut information = multiboot2(&tags);
        // Total, reserved, command line.
        let kept = 16
            + tags
                .first()
                .map_or(0, |tag| tag.body.len())
                .next_multiple_of(8);
        for change in changes {
            match change {
                Change::Total(total) => {
                    let bytes = total.to_le_bytes();
                    information
                        .iter_mut()
                        .zip(bytes)
                        .for_each(|(to, from)| *to = from);
                }
                Change::Information(mutation) => {
                    let mut behind = information.split_off(kept.min(information.len()));
                    mutation.apply(&mut behind);
                    information.append(&mut behind);
                }
                _ => {}
            }
        }
        HandedOver {
            information,
            tables,
        }
    }

    fn tables_with(&self, changes: &[Change]) -> FirmwareMemory {
        let (mut fadt, mut hpet) = (Fadt::USUAL, Hpet::USUAL);
        let mut madt = Madt::of_cpus(0..self.cpus);
        // An empty socket.
        madt.entries
            .push(MadtEntry::LocalX2apic { id: 9, flags: 2 });
        for change in changes {
            match *change {
                Change::Entry(number, change) => change.apply(&mut madt, number),
                Change::Phantoms(first, count) => {
                    let ids = first..first.saturating_add(count);
                    madt.entries.extend(Madt::of_cpus(ids).entries);
                }
                Change::FadtFlags(flags) => fadt.flags = flags,
                Change::FadtLength(length) => fadt.length = length,
                Change::PmTimer(port) => fadt.pm_timer = (port, 4),
                Change::Hpet(space, address) => hpet = Hpet { space, address },
                _ => {}
            }
        }
        let other = Table::new(*b"SSDT", 2, vec![0x5b; 40]);
        let mut firmware = Firmware::new([other, fadt.table(), madt.table(), hpet.table()]);
        for change in changes {
            let table = |number: usize| number % firmware.tables.len();
            match *change {
                Change::TableSum(number, sum) => {
                    let at = table(number);
                    firmware
                        .tables
                        .iter_mut()
                        .skip(at)
                        .take(1)
                        .for_each(|table| table.sum = sum);
                }
                Change::TableLength(number, length) => {
                    let at = table(number);
                    let tables = firmware.tables.iter_mut().skip(at).take(1);
                    tables.for_each(|table| table.length = Some(length));
                }
                Change::Xsdt(root) => firmware.xsdt = root,
                Change::Rsdt(root) => firmware.rsdt = root,
                Change::Revision(revision) => firmware.revision = revision,
                Change::RootSum(sum) => firmware.sum = sum,
                Change::RootExtendedSum(sum) => firmware.extended_sum = sum,
                _ => {}
            }
        }
        let mut memory = firmware.lay_out_at(self.tables);
        for change in changes {
            if let Change::Table(number, mutation, seal) = *change {
                memory.mutate(number, mutation, seal);
            }
        }
        memory
    }

    /// Returns the tags as GRUB orders them, except the command line, which is the first anyway.
    fn tags(&self, tables: &FirmwareMemory) -> Vec<BootTag> {
        let root = |length| tables.whole().get(..length).unwrap_or(&[]).to_vec();
        let lower_and_upper = [639_u32, 127 << 10].map(u32::to_le_bytes);
        vec![
            BootTag::command_line(&self.line),
            BootTag::new(2, *b"rar-firmware\0"),
            BootTag::new(4, lower_and_upper.as_flattened()),
            BootTag::memory_map(&self.ranges),
            BootTag::vga_text(),
            BootTag::new(14, root(20)),
            BootTag::new(15, root(36)),
            BootTag::new(21, [0, 0, 0x20, 0]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> HandOver {
        HandOver {
            line: "test=one-page".to_owned(),
            ranges: vec![(0, 0x9_fc00, 1), (0x10_0000, 0x7f0_0000, 1)],
            cpus: 4,
            tables: 0xe_0000,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_machine_and_each_change_changes_something() {
        let right = usual().with(&[]);
        let mut same = 0;
        for seed in 0..500 {
            let changes = || HandOver::changes(&mut Rng::with_seed(seed));
            let (one, other) = (usual().with(&changes()), usual().with(&changes()));
            assert_eq!(one.information, other.information);
            assert_eq!(one.tables.whole(), other.tables.whole());
            let is_right =
                one.information == right.information && one.tables.whole() == right.tables.whole();
            same += usize::from(is_right);
        }
        // A byte may get the value that it has.
        assert!(same < 100, "{same}");
    }

    #[test]
    fn the_command_line_survives_every_change() {
        let line = usual().with(&[]).information;
        for seed in 0..500 {
            let changes = HandOver::changes(&mut Rng::with_seed(seed));
            let bytes = usual().with(&changes).information;
            assert_eq!(bytes.get(8..30), line.get(8..30), "{changes:?}");
        }
    }
}
