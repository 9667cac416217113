//! The root pointer where a BIOS leaves it, for a boot loader that does not name it (ACPI 6.5,
//! "Finding the RSDP on IA-PC Systems").

use super::lists::OLD_LENGTH;
use super::table::sum;
use crate::little_endian::number;
use crate::{PhysicalMemory, Rsdp};

/// Where the BIOS data area has the segment of the extended one (0040:000e).
const EXTENDED_AREA: u64 = 0x40e;
/// The pointer lies in the first KiB of the extended area, or in the BIOS's own memory.
const EXTENDED_LENGTH: u64 = 0x400;
/// RAM ends here, and the memory of the screen begins.
const EXTENDED_END: u64 = 0xa_0000;
const BIOS: (u64, u64) = (0xe_0000, 0x2_0000);
/// It begins on such a boundary.
const STEP: usize = 16;

/// Returns the root pointer that the command line names, or that a BIOS has left in the first
/// mebibyte.
#[must_use]
pub fn search_rsdp(named: Option<u64>, memory: &impl PhysicalMemory) -> Option<Rsdp> {
    named.map(Rsdp::At).or_else(|| search(memory))
}

fn search(memory: &impl PhysicalMemory) -> Option<Rsdp> {
    let segment = memory.bytes(EXTENDED_AREA, 2);
    let extended = segment
        .and_then(|bytes| number(bytes, 0, 2))
        .map(|segment| segment << 4)
        .filter(|start| (0x500..EXTENDED_END).contains(start));
    let extended = extended.map(|start| (start, EXTENDED_LENGTH.min(EXTENDED_END - start)));
    let areas = [extended, Some(BIOS)];
    let places = areas.into_iter().flatten();
    places
        .flat_map(|(start, length)| (start..start + length).step_by(STEP))
        .find(|place| is_root(*place, memory))
        .map(Rsdp::At)
}

fn is_root(place: u64, memory: &impl PhysicalMemory) -> bool {
    let root = memory.bytes(place, OLD_LENGTH);
    root.is_some_and(|root| root.starts_with(b"RSD PTR ") && sum(root) == 0)
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::seal;
    use super::*;
    use crate::test_memory::TestMemory;

    fn with_root_at(places: &[u64]) -> TestMemory {
        let mut memory = TestMemory::new(0, 0x10_0000);
        memory.put(EXTENDED_AREA, &0x9fc0_u16.to_le_bytes());
        for place in places {
            memory.put(*place, b"RSD PTR ");
            seal(&mut memory, *place, OLD_LENGTH, 8);
        }
        memory
    }

    #[test]
    fn it_is_found_on_its_boundaries_in_both_areas() {
        for (places, found) in [
            (&[0xe_0000][..], Some(0xe_0000)),
            (&[0xf_fff0 - 16], Some(0xf_fff0 - 16)),
            (&[0x9_fc00], Some(0x9_fc00)),
            (&[0x9_fff0], Some(0x9_fff0)),
            (&[0xf_5a40, 0x9_fc10], Some(0x9_fc10)),
            (&[0xf_5a48], None),
            (&[0xd_fff0], None),
            (&[], None),
        ] {
            let memory = with_root_at(places);
            assert_eq!(search(&memory), found.map(Rsdp::At), "{places:x?}");
        }
    }

    #[test]
    fn the_command_line_comes_first() {
        let memory = with_root_at(&[0xe_0000]);
        assert_eq!(search_rsdp(None, &memory), Some(Rsdp::At(0xe_0000)));
        let named = Some(0x7f5f_e014);
        assert_eq!(search_rsdp(named, &memory), named.map(Rsdp::At));
    }

    #[test]
    fn a_wrong_sum_is_passed_over() {
        let mut memory = with_root_at(&[0xe_0010, 0xf_0000]);
        memory.put(0xe_0018, &[0x77]);
        assert_eq!(search(&memory), Some(Rsdp::At(0xf_0000)));
    }

    #[test]
    fn the_memory_of_a_screen_is_not_read() {
        let mut memory = with_root_at(&[0xa_0010]);
        memory.put(EXTENDED_AREA, &0x9ff0_u16.to_le_bytes());
        assert_eq!(search(&memory), None);
    }

    #[test]
    fn an_extended_area_that_cannot_be_is_not_read() {
        for segment in [0_u16, 0x40, 0xffff] {
            let mut memory = with_root_at(&[0x9_fc00]);
            memory.put(EXTENDED_AREA, &segment.to_le_bytes());
            assert_eq!(search(&memory), None, "{segment:#x}");
        }
    }
}
