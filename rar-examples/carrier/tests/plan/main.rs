//! Whole payloads, planned: what a kernel of each protocol finds when it begins.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by a panic"
)]

mod ground;
mod kernels;

use ground::{Ground, KEPT, MIB, boot, boot_on, machine_map};
use kernels::{bzimage, elf, pack};
use proptest::prelude::*;
use rar_carrier::{Entry, PayloadError, Protocol};
use rar_kernel::{
    BootInfo, MULTIBOOT2_MAGIC, MemoryKind, PVH_MAGIC, PhysicalMemory as _, Region, read_boot_info,
};

const INITRD: &[u8] = b"an initial file system";

fn bytes(ground: &Ground, address: u64, length: usize) -> &[u8] {
    ground.bytes(address, length).unwrap()
}

fn is_all(ground: &Ground, address: u64, length: usize, byte: u8) -> bool {
    bytes(ground, address, length)
        .iter()
        .all(|found| *found == byte)
}

fn word(ground: &Ground, address: u64) -> u64 {
    u64::from(u32::from_le_bytes(
        bytes(ground, address, 4).try_into().unwrap(),
    ))
}

/// Returns what our own kernel reads of the information that it gets.
fn information(ground: &Ground) -> BootInfo {
    let Entry::Protected { eax, ebx, .. } = ground.entry else {
        panic!("{:?}", ground.entry)
    };
    let magic = if eax == MULTIBOOT2_MAGIC {
        eax
    } else {
        PVH_MAGIC
    };
    let mut info = BootInfo::empty();
    read_boot_info(magic, u64::from(ebx), ground, &mut info).unwrap();
    info
}

fn in_usable_ram(ground: &Ground, start: u64, end: u64) -> bool {
    let usable = |kind| kind == MemoryKind::Usable;
    let mut regions = ground.map.regions().iter();
    regions.any(|region| usable(region.kind) && region.start <= start && end <= region.end)
}

#[test]
fn linux_finds_its_parameters_its_initrd_and_itself() {
    let files = [(80 * MIB, &bzimage()[..], ""), (90 * MIB, INITRD, "")];
    let ground = boot(&files, "console=ttyS0", None).unwrap();
    let Entry::Long { rip, rsi } = ground.entry else {
        panic!("{:?}", ground.entry)
    };
    assert_eq!(rip, 16 * MIB + 0x200);
    assert!(is_all(&ground, 16 * MIB, 4096, 0xcc));
    assert_eq!(bytes(&ground, rsi + 0x202, 4), b"HdrS");
    assert_eq!(
        bytes(&ground, word(&ground, rsi + 0x228), 14),
        b"console=ttyS0\0"
    );
    assert_eq!(word(&ground, rsi + 0x218), 90 * MIB);
    assert_eq!(word(&ground, rsi + 0x21c), INITRD.len() as u64);
    assert_eq!(bytes(&ground, word(&ground, rsi + 0x70), 15), [7; 15]);
    assert_eq!(
        usize::from(bytes(&ground, rsi + 0x1e8, 1)[0]),
        ground.map.regions().len()
    );
    assert!(
        !in_usable_ram(&ground, rsi, rsi + 4096),
        "reserved in the guest's map"
    );
}

#[test]
fn a_pack_stands_for_the_files_in_it() {
    let kernel = bzimage();
    let pack = pack(&[("kernel", &kernel), ("initrd", INITRD)]);
    let ground = boot(&[(80 * MIB, &pack, "")], "", None).unwrap();
    let Entry::Long { rsi, .. } = ground.entry else {
        panic!("{:?}", ground.entry)
    };
    let initrd = word(&ground, rsi + 0x218);
    assert_eq!(initrd % 4096, 0);
    assert_eq!(bytes(&ground, initrd, INITRD.len()), INITRD);
    assert!(
        pack.len() > kernel.len() && initrd > 80 * MIB,
        "it was not moved"
    );
}

#[test]
fn a_kernel_is_moved_up_where_its_own_place_is_taken() {
    let ground = boot(&[(16 * MIB + 0x1000, &bzimage(), "")], "", None).unwrap();
    assert!(matches!(ground.entry, Entry::Long { rip, .. } if rip == 18 * MIB + 0x200));
}

#[test]
fn a_kernel_that_cannot_be_moved_is_at_its_place_or_refused() {
    let mut kernel = bzimage();
    kernels::put(&mut kernel, 0x234, &[0]);
    let boot_with = |at| boot(&[(80 * MIB, &kernel, ""), (at, INITRD, "")], "", None);
    let ground = boot_with(90 * MIB).unwrap();
    assert!(matches!(ground.entry, Entry::Long { rip, .. } if rip == 16 * MIB + 0x200));
    // A file in its first page: the next page would do for one that can be moved.
    let refused = boot_with(16 * MIB).err();
    assert!(
        matches!(refused, Some(PayloadError::NoRoom { .. })),
        "{refused:?}"
    );
    let odd = (16_u64 * MIB + 0x800).to_le_bytes();
    kernels::put(&mut kernel, 0x258, &odd);
    let refused = boot(&[(80 * MIB, &kernel, "")], "", None).err();
    assert!(
        matches!(refused, Some(PayloadError::NoRoom { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_kernel_without_room_at_its_place_and_above_is_refused() {
    // There would be room below, but from there it moves itself up.
    let mut kernel = bzimage();
    kernels::put(&mut kernel, 0x260, &(60_u32 << 20).to_le_bytes());
    let refused = boot(&[(80 * MIB, &kernel, "")], "", None).err().unwrap();
    assert!(matches!(
        refused,
        PayloadError::NoRoom { bytes, .. } if bytes == 60 * MIB
    ));
}

#[test]
fn an_initrd_off_a_page_border_is_moved_to_one() {
    let files = [(80 * MIB, &bzimage()[..], ""), (90 * MIB + 5, INITRD, "")];
    let ground = boot(&files, "", None).unwrap();
    let Entry::Long { rsi, .. } = ground.entry else {
        panic!("{:?}", ground.entry)
    };
    let initrd = word(&ground, rsi + 0x218);
    assert_eq!(initrd % 4096, 0);
    assert_eq!(bytes(&ground, initrd, INITRD.len()), INITRD);
}

#[test]
fn an_elf_file_is_started_by_multiboot2_or_by_pvh() {
    let kernel = elf(2 * MIB);
    let files = [
        (80 * MIB, &kernel[..], ""),
        (90 * MIB, INITRD, "initrd quiet"),
    ];
    for (protocol, entry, magic) in [
        (None, 2 * MIB + 0x20, MULTIBOOT2_MAGIC),
        (Some(Protocol::Multiboot2), 2 * MIB + 0x20, MULTIBOOT2_MAGIC),
        (Some(Protocol::Pvh), 2 * MIB + 0x40, 0),
    ] {
        let ground = boot(&files, "test=one-page", protocol).unwrap();
        let Entry::Protected { eip, eax, .. } = ground.entry else {
            panic!("{:?}", ground.entry)
        };
        assert_eq!((u64::from(eip), eax), (entry, magic));
        assert!(is_all(&ground, 2 * MIB, 4096, 0xcc));
        assert!(is_all(&ground, 2 * MIB + 4096, 4096, 0));
        assert!(is_all(&ground, 2 * MIB + 0x1_0000, 100, 0xdd));
        let info = information(&ground);
        assert_eq!(info.command_line.as_str(), "test=one-page");
        assert_eq!(info.memory.regions(), ground.map.regions());
        let [module] = info.modules.all() else {
            panic!("{:?}", info.modules)
        };
        assert_eq!(
            (module.start, module.end),
            (90 * MIB, 90 * MIB + INITRD.len() as u64)
        );
        assert_eq!(module.command_line(&ground), "initrd quiet");
        assert_eq!(info.rsdp.unwrap().bytes(&ground).unwrap()[..15], [7; 15]);
    }
}

#[test]
fn files_in_the_way_of_a_kernel_are_moved_first() {
    // The kernel's file lies where its first segment goes, the module where the second does.
    let kernel = elf(80 * MIB);
    let files = [
        (80 * MIB - 0x800, &kernel[..], ""),
        (80 * MIB + 0x1_0000, INITRD, ""),
    ];
    let ground = boot(&files, "", None).unwrap();
    assert!(is_all(&ground, 80 * MIB, 4096, 0xcc));
    assert!(is_all(&ground, 80 * MIB + 0x1_0000, 100, 0xdd));
    let module = information(&ground).modules.all()[0];
    assert_eq!(bytes(&ground, module.start, INITRD.len()), INITRD);
}

#[test]
fn a_memory_map_that_does_not_fit_is_refused() {
    let (linux, elf) = (bzimage(), elf(2 * MIB));
    for (regions, refused) in [(100, false), (250, false), (252, true)] {
        let mut map = machine_map();
        for number in 0..regions {
            let start = 1 << 40 | number << 12;
            map.push(Region {
                start,
                end: start + 0x800,
                kind: MemoryKind::Reserved,
            });
        }
        for (kernel, protocol) in [
            (&linux, None),
            (&elf, Some(Protocol::Multiboot2)),
            (&elf, Some(Protocol::Pvh)),
        ] {
            let booted = boot_on(&map, &[(80 * MIB, kernel, "")], "", protocol);
            let found = matches!(booted.err(), Some(PayloadError::TooManyRegions { .. }));
            assert_eq!(found, refused, "{regions} {protocol:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let refused = |files: &[(u64, &[u8], &str)], line: &str, protocol| {
        boot(files, line, protocol).err().unwrap()
    };
    let (linux, low) = (bzimage(), elf(2 * MIB));
    let linux = [(80 * MIB, &linux[..], "")];
    let low = [(80 * MIB, &low[..], "")];
    assert_eq!(refused(&[], "", None), PayloadError::Missing);
    let long = "a".repeat(2048);
    assert!(matches!(
        refused(&linux, &long, None),
        PayloadError::LongLine {
            got: 2048,
            most: 2047
        }
    ));
    assert_eq!(
        refused(&linux, "", Some(Protocol::Pvh)),
        PayloadError::NotOffered(Protocol::Pvh)
    );
    assert_eq!(
        refused(&low, "", Some(Protocol::Linux)),
        PayloadError::NotOffered(Protocol::Linux)
    );
    for place in [KEPT.0, 0xa_0000, 96 * MIB, 3 << 32] {
        let kernel = elf(place.min(0xf000_0000));
        assert!(matches!(
            refused(&[(80 * MIB, &kernel, "")], "", None),
            PayloadError::NotRam { .. }
        ));
    }
    let two = [linux[0], (90 * MIB, INITRD, ""), (91 * MIB, INITRD, "")];
    assert!(matches!(
        refused(&two, "", None),
        PayloadError::Unsupported { .. }
    ));
    let many = [("module", INITRD); 17];
    for (length, fits) in [(17, true), (18, false)] {
        let files: Vec<_> = [("kernel", low[0].1)]
            .into_iter()
            .chain(many)
            .take(length)
            .collect();
        let found = boot(&[(68 * MIB, &pack(&files), "")], "", None);
        match found {
            Ok(ground) => {
                assert!(fits, "{length} files, and one is lost");
                assert_eq!(information(&ground).modules.all().len(), length - 1);
            }
            Err(error) => assert!(!fits && error == PayloadError::TooManyParts, "{error}"),
        }
    }
    assert!(matches!(
        refused(&[(80 * MIB, b"#!/bin/sh\n", "")], "", None),
        PayloadError::Unknown { first } if first == *b"#!/b"
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Wherever the loader has put the files: each arrives whole, in RAM of the guest.
    #[test]
    fn files_arrive_whole_from_any_place(
        kernel_at in 0x400_u64..0x5e00,
        module_at in 0x400_u64..0x5e00,
        odd in 0_u64..2,
        length in 1_usize..200_000,
    ) {
        let kernel = elf(8 * MIB);
        let module: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
        let (kernel_at, module_at) = (kernel_at * 0x1000, module_at * 0x1000 + odd);
        let inside = |at: u64, length: usize| {
            let end = at + length as u64;
            end <= 96 * MIB && (end <= KEPT.0 || at >= KEPT.1 + MIB)
        };
        let apart = kernel_at + kernel.len() as u64 <= module_at
            || module_at + length as u64 <= kernel_at;
        prop_assume!(apart && inside(kernel_at, kernel.len()) && inside(module_at, length));
        let files = [(kernel_at, &kernel[..], ""), (module_at, &module[..], "")];
        let ground = boot(&files, "", None).unwrap();
        prop_assert!(is_all(&ground, 8 * MIB, 4096, 0xcc));
        prop_assert!(is_all(&ground, 8 * MIB + 0x1_0000, 100, 0xdd));
        let found = information(&ground).modules.all()[0];
        prop_assert!(in_usable_ram(&ground, found.start, found.end));
        prop_assert!(bytes(&ground, found.start, length) == module);
    }
}
