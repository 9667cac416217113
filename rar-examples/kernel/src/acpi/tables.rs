//! From the root pointer to a table by signature.

use super::error::AcpiError;
use super::lists::read_lists;
use super::notes::{Remedy, TableNote, TableNotes};
use super::table::{Signature, Table, TableFault, read_table};
use crate::{PhysicalMemory, Rsdp};

/// Returns the table with `signature`.
///
/// The first with a right checksum is taken: by the XSDT, else by the RSDT. A table whose checksum
/// is wrong is better than none: the kernel starts CPUs by it that answer, and reads. Tables of
/// other signatures are not checked, so that one broken table does not hide the others. What is
/// wrong on the way is noted.
///
/// # Errors
///
/// Fails on a broken root pointer, without a list of tables, and without a readable table of this
/// signature.
pub fn find_table<'m>(
    rsdp: &Rsdp,
    signature: [u8; 4],
    memory: &'m impl PhysicalMemory,
    notes: &mut TableNotes,
) -> Result<Table<'m>, AcpiError> {
    let lists = read_lists(rsdp, memory, notes)?;
    let found = || {
        let addresses = lists.iter().flatten();
        addresses
            .flat_map(|list| list.addresses(memory))
            .map(|address| (address, read_table(address, signature, memory)))
            .filter(|(_, table)| !matches!(table, Err(TableFault::Signature(_))))
    };
    let right = |table: Result<Table<'m>, _>| table.ok().filter(|table| table.fault.is_none());
    let chosen = found()
        .find_map(|(_, table)| right(table))
        .or_else(|| found().find_map(|(_, table)| table.ok()));
    let table = Signature(signature);
    let Some(chosen) = chosen else {
        let worst = found().find_map(|(address, read)| Some((address, read.err()?)));
        return Err(match worst {
            Some((address, fault)) => AcpiError::BadTable {
                table,
                address,
                fault,
            },
            None => AcpiError::Missing(table),
        });
    };
    // Two lists may have copies of their own.
    let first_list = lists.iter().flatten().next();
    let second = first_list.and_then(|list| {
        list.addresses(memory)
            .filter(|address| *address != chosen.address)
            .find_map(|address| right(read_table(address, signature, memory)))
    });
    if let Some(second) = second {
        notes.push(TableNote::Twice {
            table,
            first: chosen.address,
            second: second.address,
        });
    }
    for (address, read) in found() {
        let fault = match read {
            Ok(table) => table.fault,
            // It may be a table of any signature.
            Err(TableFault::Unreadable) => None,
            Err(fault) => Some(fault),
        };
        let Some(fault) = fault else { continue };
        let remedy = match address == chosen.address {
            false => Remedy::Other(chosen.address),
            true if signature == *b"FACP" => Remedy::ReadOnly,
            true if signature == *b"HPET" => Remedy::None,
            true => Remedy::Read,
        };
        notes.push(TableNote::Fault {
            table,
            address,
            fault,
            remedy,
        });
    }
    Ok(chosen)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::table::{HEADER_LENGTH, sum};
    use super::*;
    use crate::test_memory::TestMemory;

    /// Writes the byte that makes the sum of `length` bytes at `address` zero.
    pub(in crate::acpi) fn seal(
        memory: &mut TestMemory,
        address: u64,
        length: usize,
        checksum_at: u64,
    ) {
        memory.put(address + checksum_at, &[0]);
        let total = sum(memory.bytes(address, length).unwrap());
        memory.put(address + checksum_at, &[0_u8.wrapping_sub(total)]);
    }

    pub(in crate::acpi) fn put_table(
        memory: &mut TestMemory,
        address: u64,
        signature: &[u8; 4],
        body: &[u8],
    ) {
        let length = HEADER_LENGTH + body.len();
        memory.put(address, signature);
        memory.put(address + 4, &u32::try_from(length).unwrap().to_le_bytes());
        memory.put(address + 36, body);
        seal(memory, address, length, 9);
    }

    fn machine(revision: u8) -> TestMemory {
        let mut memory = TestMemory::new(0xe_0000, 0x4000);
        memory.put(0xe_0000, b"RSD PTR ");
        memory.put(0xe_000f, &[revision]);
        memory.put(0xe_0010, &0xe_1000_u32.to_le_bytes());
        memory.put(0xe_0014, &36_u32.to_le_bytes());
        memory.put(0xe_0018, &0xe_1800_u64.to_le_bytes());
        seal(&mut memory, 0xe_0000, 20, 8);
        seal(&mut memory, 0xe_0000, 36, 32);
        put_table(&mut memory, 0xe_2000, b"APIC", &[1; 8]);
        put_table(&mut memory, 0xe_2100, b"APIC", &[2; 8]);
        put_table(&mut memory, 0xe_1000, b"RSDT", &0xe_2000_u32.to_le_bytes());
        put_table(&mut memory, 0xe_1800, b"XSDT", &0xe_2100_u64.to_le_bytes());
        memory
    }

    type Spoil = fn(&mut TestMemory);

    fn find(memory: &TestMemory, signature: &[u8; 4]) -> (Result<u8, AcpiError>, Vec<String>) {
        let mut notes = TableNotes::new();
        let table = find_table(&Rsdp::At(0xe_0000), *signature, memory, &mut notes);
        let notes = notes.iter().map(|note| note.to_string()).collect();
        (table.map(|table| table.bytes[36]), notes)
    }

    /// Which MADT is found, and the one note.
    fn found_with(memory: &TestMemory) -> (u8, String) {
        let (table, notes) = find(memory, b"APIC");
        assert_eq!(notes.len(), 1, "{notes:?}");
        (table.unwrap(), notes[0].clone())
    }

    #[test]
    fn xsdt_from_revision_2_rsdt_before() {
        for (revision, expected) in [(0, 1), (2, 2)] {
            assert_eq!(find(&machine(revision), b"APIC"), (Ok(expected), vec![]));
        }
    }

    #[test]
    fn a_missing_table_and_a_broken_pointer_are_told_apart() {
        let mut memory = machine(2);
        let missing = AcpiError::Missing(Signature(*b"FACP"));
        assert_eq!(find(&memory, b"FACP"), (Err(missing), vec![]));
        memory.put(0xe_0000, b"X");
        assert_eq!(find(&memory, b"APIC"), (Err(AcpiError::BadRsdp), vec![]));
    }

    #[test]
    fn a_wrong_checksum_is_noted_with_both_sums_and_the_table_used() {
        let mut memory = machine(2);
        memory.put(0xe_0010, &0_u32.to_le_bytes());
        seal(&mut memory, 0xe_0000, 20, 8);
        let right = memory.bytes(0xe_2109, 1).unwrap()[0];
        memory.put(0xe_2109, &[right.wrapping_add(1)]);
        let (table, note) = found_with(&memory);
        assert_eq!(table, 2);
        let sums = format!("got {:#04x}, expected {right:#04x}", right.wrapping_add(1));
        assert!(
            note.contains("APIC at 0xe2100") && note.contains(&sums),
            "{note}"
        );
        let mut memory = machine(0);
        memory.put(0xe_0008, &[0x77]);
        assert!(found_with(&memory).1.contains("over 20 bytes"));
    }

    #[test]
    fn a_list_that_cannot_be_used_gives_way_to_the_other() {
        let spoils: [(&str, Spoil); 5] = [
            ("checksum", |memory| memory.put(0xe_1809, &[0x77])),
            ("signature", |memory| {
                memory.put(0xe_1800, b"RSDT");
                seal(memory, 0xe_1800, 44, 9);
            }),
            ("length", |memory| {
                memory.put(0xe_1804, &0xffff_ffff_u32.to_le_bytes());
            }),
            ("no memory", |memory| {
                memory.put(0xe_0018, &(1_u64 << 40).to_le_bytes());
                seal(memory, 0xe_0000, 36, 32);
            }),
            ("36 bytes", |memory| memory.put(0xe_0020, &[0x77])),
        ];
        for (word, spoil) in spoils {
            let mut memory = machine(2);
            spoil(&mut memory);
            let (table, note) = found_with(&memory);
            assert!(table == 1 && note.contains(word), "{word}: {table}, {note}");
            // Without the other one, what can be read is read.
            memory.put(0xe_0010, &0_u32.to_le_bytes());
            seal(&mut memory, 0xe_0000, 20, 8);
            let alone = find(&memory, b"APIC").0;
            let readable = ["checksum", "36 bytes"].contains(&word);
            assert_eq!(alone.ok(), readable.then_some(2), "{word}");
        }
    }

    #[test]
    fn an_empty_list_hides_nothing_that_the_other_has() {
        let mut memory = machine(2);
        put_table(&mut memory, 0xe_1800, b"XSDT", &[]);
        assert_eq!(find(&memory, b"APIC").0, Ok(1));
    }

    #[test]
    fn of_two_tables_the_first_with_a_right_checksum_is_used() {
        let mut memory = machine(2);
        let both = [0xe_2000_u64, 0xe_2100].map(u64::to_le_bytes);
        put_table(&mut memory, 0xe_1800, b"XSDT", both.as_flattened());
        let (table, note) = found_with(&memory);
        assert!(
            table == 1 && note.contains("stands at 0xe2000 and at 0xe2100"),
            "{note}"
        );
        memory.put(0xe_2009, &[0x77]);
        let (table, note) = found_with(&memory);
        assert!(
            table == 2 && note.ends_with("the one at 0xe2100 is read"),
            "{note}"
        );
    }

    #[test]
    fn a_wild_length_is_refused() {
        let mut memory = machine(2);
        memory.put(0xe_2104, &0xffff_ffff_u32.to_le_bytes());
        assert_eq!(find(&memory, b"APIC").0, Ok(1));
        memory.put(0xe_2004, &0xffff_ffff_u32.to_le_bytes());
        let error = find(&memory, b"APIC").0.unwrap_err().to_string();
        assert!(
            error.contains("got 4294967295, expected 36 to 1048576"),
            "{error}"
        );
    }

    #[test]
    fn entries_that_lead_nowhere_do_not_hide_others() {
        let mut memory = machine(2);
        let entries = [0, 1 << 40, 0xe_2100_u64].map(u64::to_le_bytes);
        put_table(&mut memory, 0xe_1800, b"XSDT", entries.as_flattened());
        assert_eq!(find(&memory, b"APIC"), (Ok(2), vec![]));
        let entries = [0, 1 << 40_u64].map(u64::to_le_bytes);
        put_table(&mut memory, 0xe_1800, b"XSDT", entries.as_flattened());
        memory.put(0xe_0010, &0_u32.to_le_bytes());
        seal(&mut memory, 0xe_0000, 20, 8);
        let error = find(&memory, b"APIC").0.unwrap_err().to_string();
        assert_eq!(error, "ACPI table APIC at 0x10000000000: no memory there");
    }
}
