//! The root pointer where a BIOS leaves it.

use proptest::collection::vec;
use proptest::prelude::*;
use rar_firmware::{Firmware, Madt};
use rar_kernel::{PhysicalMemory, Rsdp, search_rsdp};

/// The first mebibyte, except page 0 from its start to the BIOS data area.
struct FirstMebibyte(Vec<u8>);

const LENGTH: usize = 1 << 20;
const SEGMENT: usize = 0x40e;

impl PhysicalMemory for FirstMebibyte {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address).ok()?;
        self.0.get(start..start.checked_add(length)?)
    }
}

impl FirstMebibyte {
    fn new(segment: u16) -> Self {
        let mut bytes = vec![0; LENGTH];
        bytes[SEGMENT..SEGMENT + 2].copy_from_slice(&segment.to_le_bytes());
        Self(bytes)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let place = self.0.iter_mut().skip(at);
        place.zip(bytes).for_each(|(to, from)| *to = *from);
    }

    fn search(&self) -> Option<Rsdp> {
        search_rsdp(None, self)
    }
}

proptest! {
    #[test]
    fn a_root_pointer_is_found_where_one_may_lie_and_its_sum_is_right(
        segment in prop_oneof![Just(0x9fc0_u16), any::<u16>()],
        at in prop_oneof![
            0xe_0000_usize..0xf_ffec,
            0x9_fc00_usize..0xa_0000,
            0x500_usize..0xf_0000,
        ],
        is_aligned: bool,
        off in 0_u8..3,
    ) {
        let at = if is_aligned { at - at % 16 } else { at };
        let firmware = Firmware::new([Madt::of_cpus(0..4).table()]).lay_out();
        let mut root = firmware.bytes(firmware.rsdp(), 20).unwrap().to_vec();
        root[8] = root[8].wrapping_add(off);
        let mut memory = FirstMebibyte::new(segment);
        memory.put(at, &root);
        let extended = usize::from(segment) << 4;
        let is_in_extended = (0x500..0xa_0000).contains(&extended)
            && (extended..extended + 0x400).contains(&at);
        let may_lie = at % 16 == 0 && ((0xe_0000..LENGTH).contains(&at) || is_in_extended);
        let found = (may_lie && off == 0).then_some(Rsdp::At(at as u64));
        prop_assert_eq!(memory.search(), found);
    }

    #[test]
    fn no_bytes_panic(
        segment: u16,
        places in vec((0..LENGTH, vec(any::<u8>(), 0..40)), 0..20),
        length in 0..LENGTH,
    ) {
        let mut memory = FirstMebibyte::new(segment);
        for (at, bytes) in &places {
            memory.put(*at, b"RSD PTR ");
            memory.put(at + 8, bytes);
        }
        let _any = memory.search();
        memory.0.truncate(length);
        let _any = memory.search();
    }
}
