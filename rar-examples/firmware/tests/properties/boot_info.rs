//! What loaders hand over.

use proptest::collection::vec;
use proptest::prelude::*;
use rar_firmware::{BootTag, multiboot2, pvh};
use rar_kernel::{
    BootInfo, MULTIBOOT2_MAGIC, PVH_MAGIC, PhysicalMemory, read_boot_info, read_framebuffer,
};

use crate::mutated::mutation;

const AT: u64 = 0x9000;

struct Bytes(Vec<u8>);

impl PhysicalMemory for Bytes {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(AT)?).ok()?;
        self.0.get(start..start.checked_add(length)?)
    }
}

pub(crate) fn read(magic: u32, bytes: Vec<u8>) -> Option<Box<BootInfo>> {
    let mut info = Box::new(BootInfo::empty());
    read_boot_info(magic, AT, &Bytes(bytes), &mut info).ok()?;
    Some(info)
}

fn range() -> impl Strategy<Value = (u64, u64, u32)> {
    (0..1_u64 << 45, 1..1_u64 << 40, 1_u32..6)
}

proptest! {
    #[test]
    fn the_map_and_the_line_come_through_both_protocols(
        ranges in vec(range(), 1..60),
        line in "[a-z=0-9 ]{0,80}",
    ) {
        let mut text = line.clone().into_bytes();
        text.push(0);
        let tags = [BootTag::new(1, text), BootTag::memory_map(&ranges)];
        for (magic, bytes) in [
            (MULTIBOOT2_MAGIC, multiboot2(&tags)),
            (PVH_MAGIC, pvh(AT, &line, &ranges)),
        ] {
            let info = read(magic, bytes).unwrap();
            prop_assert_eq!(info.command_line.as_str(), line.as_str());
            let found: Vec<_> = info.memory.regions().iter().map(|at| (at.start, at.end)).collect();
            let expected: Vec<_> = ranges.iter().map(|at| (at.0, at.0 + at.1)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_tag_of_a_wrong_size_hides_nothing_behind_it(
        body in vec(any::<u8>(), 0..100),
        size in prop_oneof![0_u32..8, 0x1000_u32..],
        before in 0_usize..3,
    ) {
        let mut tags = vec![
            BootTag::command_line("test=storm"),
            BootTag::memory_map(&[(0x10_0000, 0x1000_0000, 1)]),
            BootTag::new(2, *b"a loader\0"),
        ];
        tags.insert(before, BootTag { size: Some(size), ..BootTag::new(9, body) });
        let info = read(MULTIBOOT2_MAGIC, multiboot2(&tags)).unwrap();
        prop_assert_eq!(info.command_line.as_str(), "test=storm");
        prop_assert_eq!((info.memory.regions().len(), info.loader.as_str()), (1, "a loader"));
        prop_assert_eq!(info.faults.count(), 1);
    }

    #[test]
    fn changes_do_not_panic(
        ranges in vec(range(), 0..8),
        changes in vec(mutation(), 1..4),
        bodies in vec((0_u32..24, vec(any::<u8>(), 0..60), any::<Option<u32>>()), 0..6),
    ) {
        let mut tags = vec![BootTag::memory_map(&ranges)];
        tags.extend(bodies.into_iter().map(|(kind, body, size)| {
            BootTag { size, ..BootTag::new(kind, body) }
        }));
        for (magic, bytes) in [
            (MULTIBOOT2_MAGIC, multiboot2(&tags)),
            (PVH_MAGIC, pvh(AT, "test=one-page", &ranges)),
        ] {
            let mut bytes = bytes;
            for change in &changes {
                change.apply(&mut bytes);
            }
            if let Some(info) = read(magic, bytes) {
                // What was read can be used.
                let free = info.memory.free(&[(0, 0x1000)]);
                prop_assert!(free.ranges().iter().all(|(start, end)| start < end));
                let _ = info.command_line.as_str();
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200), magic: u32) {
        for magic in [MULTIBOOT2_MAGIC, PVH_MAGIC, magic] {
            let _ = read(magic, bytes.clone());
        }
        let _ = read_framebuffer(&bytes);
    }
}
