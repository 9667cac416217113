//! What is well-formed is read as it was written, without a note.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use rar_firmware::{Fadt, Firmware, Hpet, Madt, MadtEntry, Root, Sum};
use rar_kernel::{Place, PmTimer, ResetRegister};

use crate::machine::{read, tables, usual};

fn entry() -> impl Strategy<Value = MadtEntry> {
    prop_oneof![
        4 => (0_u8..255, 0_u32..4).prop_map(|(id, flags)| MadtEntry::LocalApic { id, flags }),
        4 => (0..u32::MAX, 0_u32..4).prop_map(|(id, flags)| MadtEntry::LocalX2apic { id, flags }),
        1 => any::<(u32, u32)>()
            .prop_map(|(address, first)| MadtEntry::IoApic { address, first }),
        1 => any::<(u8, u32)>()
            .prop_map(|(source, input)| MadtEntry::SourceOverride { source, input }),
        1 => (0x80_u8.., 2_u8..40).prop_map(|(kind, length)| {
            let mut bytes = vec![0xa5; usize::from(length)];
            bytes[..2].copy_from_slice(&[kind, length]);
            MadtEntry::Raw(bytes)
        }),
    ]
}

/// The enabled CPUs, in their order, each once.
fn enabled(entries: &[MadtEntry]) -> Vec<u32> {
    let mut seen = BTreeSet::new();
    let ids = entries.iter().filter_map(|entry| match *entry {
        MadtEntry::LocalApic { id, flags } if flags & 1 != 0 => Some(u32::from(id)),
        MadtEntry::LocalX2apic { id, flags } if flags & 1 != 0 => Some(id),
        _ => None,
    });
    ids.filter(|id| seen.insert(*id)).collect()
}

proptest! {
    #[test]
    fn every_enabled_cpu_is_found_once_and_in_order(
        mut entries in vec(entry(), 0..80),
        revision in 0_u8..3,
        lists in 0..3,
    ) {
        entries.push(MadtEntry::LocalApic { id: 0, flags: 1 });
        let expected = enabled(&entries);
        let madt = Madt { entries, ..Madt::new() };
        let mut firmware = Firmware::new(tables(madt.table()));
        firmware.revision = revision;
        match lists {
            1 if revision > 0 => firmware.rsdt = Root::Absent,
            2 => firmware.xsdt = Root::Absent,
            _ => {}
        }
        let seen = read(&firmware.lay_out());
        prop_assert_eq!(&seen.ids, &expected);
        prop_assert_eq!(seen.notes(), Vec::<String>::new());
        prop_assert_eq!(seen.tables.hidden_cpus, 0);
    }

    #[test]
    fn a_large_machine_is_counted(count in 1_u32..1_500) {
        let madt = Madt::of_cpus((0..count).map(|number| number * 2));
        let seen = read(&Firmware::new(tables(madt.table())).lay_out());
        prop_assert_eq!(seen.ids.len() + seen.dropped, count as usize);
        prop_assert_eq!(seen.ids.len(), (count as usize).min(1_024));
    }

    #[test]
    fn the_fadt_is_read_as_far_as_it_goes(
        length in 36_usize..300,
        pm_timer in (any::<u32>(), 0_u8..6),
        flags: u32,
        port: u16,
        reset_value: u8,
    ) {
        let reset = (1, u64::from(port));
        let fadt = Fadt { length, pm_timer, flags, reset, reset_value, ..Fadt::USUAL };
        let mut firmware = usual();
        firmware.tables[1] = fadt.table();
        let seen = read(&firmware.lay_out()).tables;
        let timer = u16::try_from(pm_timer.0).ok().filter(|port| *port != 0 && pm_timer.1 == 4);
        let there = |end: usize| length >= end;
        prop_assert_eq!(seen.pm_timer, timer.filter(|_| there(92)).map(|port| PmTimer { port }));
        prop_assert_eq!(
            seen.physical_destinations,
            there(116) && flags & Fadt::PHYSICAL != 0
        );
        let reset = (there(129) && flags & Fadt::RESET != 0 && port != 0)
            .then_some(ResetRegister { place: Place::Port(port), value: reset_value });
        prop_assert_eq!(seen.reset, reset);
        let noted = seen.notes.iter().count();
        prop_assert_eq!(noted, usize::from(seen.physical_destinations));
    }

    #[test]
    fn an_hpet_is_found_by_a_table_with_a_right_sum_only(
        space in 0_u8..2,
        address in prop_oneof![any::<u64>(), Just(0xfed0_0000)],
        off in 0_u8..3,
    ) {
        let mut firmware = usual();
        let table = Hpet { space, address }.table();
        firmware.tables.push(table.with_sum(if off == 0 { Sum::Right } else { Sum::Off(off) }));
        let seen = read(&firmware.lay_out());
        let found = off == 0 && space == 0 && address != 0 && address % 8 == 0;
        prop_assert_eq!(seen.tables.hpet, found.then_some(address));
        let notes = seen.notes();
        prop_assert_eq!(notes.len(), usize::from(off != 0));
        prop_assert!(notes.iter().all(|note| note.ends_with("; it is left out")));
    }

    #[test]
    fn an_hpet_of_an_impossible_length_is_noted(length in prop_oneof![0_u32..36, 1_u32 << 21..]) {
        let mut firmware = usual();
        firmware.tables.push(Hpet::USUAL.table().with_length(length));
        let seen = read(&firmware.lay_out());
        prop_assert_eq!(seen.tables.hpet, None);
        let notes = seen.notes();
        prop_assert!(notes.len() == 1 && notes[0].contains("HPET"), "{notes:?}");
    }

    #[test]
    fn a_fadt_with_a_wrong_sum_is_only_read_by(off in 1_u8..) {
        let mut firmware = usual();
        firmware.tables[1] = Fadt::USUAL.table().with_sum(Sum::Off(off));
        let seen = read(&firmware.lay_out());
        prop_assert_eq!(seen.tables.pm_timer, Some(PmTimer { port: 0x608 }));
        prop_assert_eq!((seen.tables.reset, seen.tables.pm1_control), (None, None));
        prop_assert!(seen.notes()[0].contains("nothing is written where it says"));
    }
}
