//! Firmwares with one to three changes: nothing panics, and nothing is silent.

use proptest::collection::vec;
use proptest::prelude::*;
use rar_firmware::{Firmware, FirmwareMemory, Madt, MadtEntry, Mutation, Root, Seal, Sum, Table};
use rar_kernel::{CpuList, MadtEntries, TableNotes, read_madt};

use crate::machine::{read, tables, usual};

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        any::<(usize, u8)>().prop_map(|(at, value)| Mutation::Byte(at, value)),
        any::<(usize, u8)>().prop_map(|(at, bit)| Mutation::Bit(at, bit)),
        (any::<usize>(), prop_oneof![Just(0), Just(0xff)])
            .prop_map(|(at, value)| Mutation::Word(at, value)),
        any::<(u16, u16)>()
            .prop_map(|(one, other)| Mutation::Swap(usize::from(one), usize::from(other))),
        any::<usize>().prop_map(Mutation::Cut),
    ]
}

/// A table by its bytes: whether a reader that trusts signature, length and sum takes it.
fn is_right(memory: &FirmwareMemory, at: u64, signature: &[u8; 4]) -> bool {
    let length = |header: &[u8]| {
        let bytes = header.get(4..8)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let whole = memory
        .bytes(at, 36)
        .filter(|header| header.starts_with(signature))
        .and_then(length)
        .filter(|length| (36..=1 << 20).contains(length))
        .and_then(|length| memory.bytes(at, length));
    whole.is_some_and(|bytes| {
        bytes
            .iter()
            .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
            == 0
    })
}

/// Where the tables of [`usual`] lie that the kernel reads, lists included.
fn read_by_the_kernel(memory: &FirmwareMemory) -> Vec<(u64, [u8; 4])> {
    let names = [*b"FACP", *b"APIC", *b"RSDT", *b"XSDT"];
    let places = (memory.rsdp()..).step_by(16).take(512);
    let name = |at| {
        names
            .into_iter()
            .find(|name| memory.bytes(at, 4) == Some(name))
    };
    places.filter_map(|at| Some((at, name(at)?))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_thousand_firmwares_that_were_changed_are_read_and_each_fault_noted(
        changes in vec((any::<usize>(), mutation()), 1..4),
    ) {
        let mut memory = usual().lay_out();
        let wanted = read_by_the_kernel(&memory);
        prop_assert_eq!(wanted.len(), 4);
        let madt = |memory: &FirmwareMemory| {
            let (at, _) = wanted.iter().find(|(_, name)| name == b"APIC")?;
            Some(memory.bytes(*at, Madt::of_cpus(0..4).table().bytes().len())?.to_vec())
        };
        let right = madt(&memory);
        for (table, change) in changes {
            memory.mutate(table, change, Seal::Leave);
        }
        let seen = read(&memory);
        let wrong: Vec<_> = wanted
            .iter()
            .filter(|(at, name)| !is_right(&memory, *at, name))
            .collect();
        prop_assert!(wrong.is_empty() || !seen.notes().is_empty(), "{:?}", wrong);
        // A change that the sums do not show may change what is read, but not lose the list.
        let told = !seen.notes().is_empty();
        prop_assert!(told || seen.tables.no_list.is_none());
        // CPUs of the right table that are lost are told, unless two changes keep the sum right:
        // then it is a right table of other CPUs.
        let lost = (0..4).any(|id| !seen.ids.contains(&id));
        let is_another = wrong.is_empty() && madt(&memory) != right;
        prop_assert!(!lost || told || is_another, "{:?}", seen.ids);
    }

    #[test]
    fn changes_with_a_right_sum_do_not_panic(
        changes in vec((any::<usize>(), mutation()), 1..4),
        anywhere in vec(mutation(), 0..2),
    ) {
        let mut memory = usual().lay_out();
        for (table, change) in changes {
            memory.mutate(table, change, Seal::Again);
        }
        for change in anywhere {
            memory.mutate_anywhere(change);
        }
        let seen = read(&memory);
        let notes = seen.notes();
        prop_assert!(notes.iter().all(|note| note.len() < 200), "{notes:?}");
    }

    #[test]
    fn a_wrong_length_of_an_entry_is_noted_and_no_cpu_vanishes(
        cpus in 2_u32..12,
        which: usize,
        length: u8,
    ) {
        let mut madt = Madt::of_cpus((0..cpus).map(|number| number * 200));
        let count = madt.entries.len();
        let entry = &mut madt.entries[which % count];
        let mut bytes = entry.bytes();
        prop_assume!(bytes[1] != length);
        bytes[1] = length;
        *entry = MadtEntry::Raw(bytes);
        let seen = read(&Firmware::new(tables(madt.table())).lay_out());
        prop_assert!(!seen.notes().is_empty());
        let found = seen.ids.len() + seen.tables.hidden_cpus;
        prop_assert!(found >= cpus as usize, "{:?}, {:?}", seen.ids, seen.notes());
    }

    #[test]
    fn no_bytes_of_a_madt_panic(bytes in vec(any::<u8>(), 0..300)) {
        let (mut cpus, mut notes) = (Box::new(CpuList::empty()), TableNotes::new());
        let summary = read_madt(&bytes, &mut cpus, &mut notes);
        let walked = MadtEntries::new(bytes.get(44..).unwrap_or(&[])).count();
        prop_assert!(summary.entries <= walked);
    }

    #[test]
    fn no_memory_panics(bytes in vec(any::<u8>(), 0..200), lists in vec(any::<u8>(), 8)) {
        // Behind a root pointer that can be read.
        let mut firmware = usual();
        firmware.xsdt = Root::Nowhere(0xe_0040 + u64::from(lists[0]));
        firmware.rsdt = Root::Nowhere(0xe_0040 + u64::from(lists[1]));
        let mut memory = firmware.lay_out();
        for (at, byte) in bytes.into_iter().enumerate() {
            memory.mutate_anywhere(Mutation::Byte(0x40 + at, byte));
        }
        let seen = read(&memory);
        prop_assert!(seen.tables.no_list.is_some() || !seen.ids.is_empty());
    }
}

/// Garbage may make a reader look at much, but not for long.
#[test]
fn a_long_list_of_a_long_table_is_read_soon() {
    let long = Table::new(*b"APIC", 3, vec![0; 1 << 15]).with_sum(Sum::Off(1));
    let mut firmware = Firmware::new([long]);
    firmware.rsdt = Root::Absent;
    let table = firmware.tables[0].clone();
    // The same table, listed as often as a list can be long.
    let entries = [0xe_0030_u64.to_le_bytes(); 60_000];
    let list = Table::new(*b"XSDT", 1, entries.as_flattened().to_vec());
    firmware.tables = vec![table, list];
    let at = firmware.lay_out();
    let place = (at.rsdp()..)
        .step_by(16)
        .find(|place| at.bytes(*place, 4) == Some(b"XSDT"));
    firmware.xsdt = Root::Nowhere(place.unwrap());
    let seen = read(&firmware.lay_out());
    assert!(seen.bytes < 1 << 28, "{} bytes", seen.bytes);
    let notes = seen.notes();
    assert!(
        notes.iter().any(|note| note.contains("60000 entries")),
        "{notes:?}"
    );
}

#[test]
fn the_oracle_sees_a_wrong_sum() {
    let mut firmware = usual();
    firmware.tables[2] = firmware.tables[2].clone().with_sum(Sum::Off(1));
    let memory = firmware.lay_out();
    let wrong: Vec<_> = read_by_the_kernel(&memory)
        .into_iter()
        .filter(|(at, name)| !is_right(&memory, *at, name))
        .map(|(_, name)| name)
        .collect();
    assert_eq!(wrong, [*b"APIC"]);
}
