//! Memory maps, screens, modules and command lines of loaders.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rar_firmware::{BootTag, multiboot2};
use rar_kernel::{
    CommandLine, Display, KernelOptions, MULTIBOOT2_MAGIC, MemoryKind, MemoryMap, Region,
    read_framebuffer,
};

use crate::boot_info::read;

const PAGE: u64 = 4096;

fn map(regions: &[(u64, u64, u32)]) -> MemoryMap {
    let mut map = MemoryMap::empty();
    for &(start, length, kind) in regions {
        let (end, kind) = (start.saturating_add(length), MemoryKind::from_e820(kind));
        map.push(Region { start, end, kind });
    }
    map
}

/// Bits, kind, and shift and size of red, green and blue, as firmware has them.
const USUAL_FORMATS: [(u8, u8, [u8; 6]); 4] = [
    (15, 1, [10, 5, 5, 5, 0, 5]),
    (16, 1, [11, 5, 5, 6, 0, 5]),
    (24, 1, [16, 8, 8, 8, 0, 8]),
    (32, 1, [16, 8, 8, 8, 0, 8]),
];

/// Ranges that overlap each other, at any place.
fn regions() -> impl Strategy<Value = Vec<(u64, u64, u32)>> {
    let start = prop_oneof![0..0x20_0000_u64, any::<u64>(), u64::MAX - 2 * PAGE..];
    let length = prop_oneof![0..0x20_0000_u64, any::<u64>()];
    vec((start, length, 0_u32..6), 0..20)
}

/// Addresses where something begins or ends, and their neighbours.
fn borders(regions: &[(u64, u64, u32)]) -> Vec<u64> {
    let ends = regions
        .iter()
        .flat_map(|(start, length, _)| [*start, start.saturating_add(*length)]);
    ends.flat_map(|at| [at.saturating_sub(1), at, at.saturating_add(1)])
        .collect()
}

proptest! {
    #[test]
    fn what_is_free_is_usable_and_nothing_else(
        regions in regions(),
        in_use in any::<(u64, u64)>(),
    ) {
        let (map, taken) = (map(&regions), (in_use.0.min(in_use.1), in_use.0.max(in_use.1)));
        let free = map.free(&[taken]);
        for (start, end) in free.ranges() {
            prop_assert!(start < end && start % PAGE == 0 && end % PAGE == 0);
        }
        for at in borders(&regions) {
            let is_in = |region: &&Region| (region.start..region.end).contains(&at);
            let mut kinds = map.regions().iter().filter(is_in).map(|region| region.kind);
            let is_free = free.ranges().iter().any(|(start, end)| (*start..*end).contains(&at));
            let usable = kinds.clone().any(|kind| kind == MemoryKind::Usable)
                && kinds.all(|kind| kind == MemoryKind::Usable)
                && !(taken.0..taken.1).contains(&at);
            prop_assert!(usable || !is_free, "{at:#x}");
            let page = at - at % PAGE;
            let Some(end) = page.checked_add(PAGE) else { continue };
            let is_whole = |(from, to): (u64, u64)| from <= page && end <= to;
            let touches = |(from, to): (u64, u64)| from < end && page < to;
            let (usable, other): (Vec<&Region>, Vec<&Region>) =
                map.regions().iter().partition(|region| region.kind == MemoryKind::Usable);
            let must_be_free = usable.iter().any(|region| is_whole((region.start, region.end)))
                && !other.iter().any(|region| touches((region.start, region.end)))
                && !touches(taken);
            let is_free = free.ranges().iter().copied().any(is_whole);
            prop_assert!(is_free || !must_be_free, "{page:#x}");
        }
    }

    #[test]
    fn a_map_knows_where_its_regions_are(regions in regions(), length in 1_u64..0x1_0000) {
        let map = map(&regions);
        for at in borders(&regions) {
            prop_assert_eq!(map.has_ram(at, at.saturating_add(1)), at < u64::MAX && map.is_ram(at));
            let there = map.may_have_tables(at, length);
            let mut inside = map.regions().iter();
            let known = inside.any(|region| (region.start..region.end).contains(&at));
            prop_assert!(!there || known || at < 1 << 20);
        }
    }

    #[test]
    fn a_screen_is_read_as_it_was_written_or_refused(
        address: u64,
        sizes in any::<[u32; 3]>(),
        small in any::<bool>(),
        format in prop_oneof![
            select(&USUAL_FORMATS[..]),
            (any::<u8>(), 0_u8..4, any::<[u8; 6]>()),
        ],
    ) {
        let [pitch, width, height] = match (small, sizes) {
            (false, sizes) => sizes,
            (true, [more, width, height]) => {
                let width = 1 + width % 5_000;
                [4 * width + more % 100, width, 1 + height % 5_000]
            }
        };
        let (bits, kind, channels) = format;
        let mut body = address.to_le_bytes().to_vec();
        body.extend([pitch, width, height].map(u32::to_le_bytes).as_flattened());
        body.extend([bits, kind, 0, 0]);
        body.extend(channels);
        let display = read_framebuffer(&body);
        let is_usual = small && address > 0 && USUAL_FORMATS.contains(&format);
        prop_assert!(display.is_ok() || !is_usual);
        let Ok(display) = display else { return Ok(()) };
        let (start, end) = display.range();
        prop_assert!(start == address && start < end || end == u64::MAX);
        match display {
            Display::Pixels(screen) => {
                let read = (screen.pitch, screen.width, screen.height);
                prop_assert_eq!(read, (pitch, width, height));
                let last = screen.offset(width - 1, height - 1).unwrap();
                let (format, bytes) = (screen.format, screen.format.bytes());
                prop_assert!(last + u64::from(bytes) <= screen.length());
                let pixel = u64::from(format.pixel([0xff; 3]));
                prop_assert!(pixel < 1 << (8 * bytes));
            }
            Display::Text { columns, rows, .. } => {
                prop_assert_eq!((columns, rows), (width, height));
            }
        }
    }

    #[test]
    fn modules_come_in_their_order(
        modules in vec((any::<u32>(), any::<u32>(), "[a-z ]{0,30}"), 0..20),
    ) {
        let mut tags = vec![BootTag::memory_map(&[(0x10_0000, 0x1000_0000, 1)])];
        for (start, end, line) in &modules {
            let mut body = [*start, *end].map(u32::to_le_bytes).as_flattened().to_vec();
            body.extend(line.as_bytes());
            body.push(0);
            tags.push(BootTag::new(3, body));
        }
        let info = read(MULTIBOOT2_MAGIC, multiboot2(&tags)).unwrap();
        let right: Vec<_> = modules
            .iter()
            .filter(|(start, end, _)| start <= end)
            .map(|(start, end, _)| (u64::from(*start), u64::from(*end)))
            .collect();
        let found: Vec<_> = info.modules.all().iter().map(|one| (one.start, one.end)).collect();
        prop_assert_eq!(&found[..], &right[..found.len()]);
        prop_assert_eq!(found.len() + info.modules.dropped(), right.len());
        prop_assert_eq!(info.faults.count(), modules.len() - right.len());
    }

    #[test]
    fn any_line_is_taken(bytes in vec(any::<u8>(), 0..3_000)) {
        let mut line = CommandLine::empty();
        line.copy_from_bytes(&bytes);
        prop_assert!(line.as_str().len() <= CommandLine::CAPACITY);
        let _any = (KernelOptions::read(&line), line.words().count(), line.behind());
    }
}
