//! Kernels of each kind, as small as they can be.

pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

/// A Linux kernel with 4 KiB of code, 0xcc, which wants 1 MiB of memory at 16 MiB.
pub(crate) fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 3 * 512 + 4096];
    for (offset, bytes) in [
        (0x1f1, &[2][..]),
        (0x1f4, &256_u32.to_le_bytes()),
        (0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]),
        (0x202, b"HdrS"),
        (0x206, &0x20f_u16.to_le_bytes()),
        (0x211, &[1]),
        (0x22c, &0x7fff_ffff_u32.to_le_bytes()),
        (0x230, &0x20_0000_u32.to_le_bytes()),
        (0x234, &[1]),
        (0x236, &[0x7f]),
        (0x238, &2047_u32.to_le_bytes()),
        (0x258, &0x100_0000_u64.to_le_bytes()),
        (0x260, &0x10_0000_u32.to_le_bytes()),
    ] {
        put(&mut file, offset, bytes);
    }
    file[3 * 512..].fill(0xcc);
    file
}

/// An ELF64 file with two segments of 8 KiB at `paddr` and 64 KiB above, the first with the content
/// of the file from byte 4096 on, a multiboot2 header, and a PVH note.
pub(crate) fn elf(paddr: u64) -> Vec<u8> {
    let mut file = vec![0; 8192 + 100];
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    for (offset, value) in [(16, 2_u16), (18, 62), (52, 64), (54, 56), (56, 3), (58, 64)] {
        put(&mut file, offset, &value.to_le_bytes());
    }
    let virtual_start = 0xffff_8000_0000_0000_u64;
    put(&mut file, 20, &1_u32.to_le_bytes());
    put(&mut file, 24, &(virtual_start + 0x20).to_le_bytes());
    put(&mut file, 32, &64_u64.to_le_bytes());
    for (number, kind, fields) in [
        (
            0,
            1_u32,
            [4096_u64, virtual_start, paddr, 4096, 0x2000, 4096],
        ),
        (1, 1, [8192, 0, paddr + 0x1_0000, 100, 0x2000, 4096]),
        (2, 4, [512, 0, 0, 20, 20, 4]),
    ] {
        let at = 64 + 56 * number;
        put(&mut file, at, &kind.to_le_bytes());
        for (at, field) in (at + 8..).step_by(8).zip(fields) {
            put(&mut file, at, &field.to_le_bytes());
        }
    }
    let entry = u32::try_from(paddr).unwrap() + 0x40;
    let note = [4, 4, 18, u32::from_le_bytes(*b"Xen\0"), entry];
    let header = [0xe852_50d6_u32, 0, 24, 0x17ad_af12, 0, 8];
    for (offset, words) in [(512, &note[..]), (1024, &header)] {
        for (at, word) in (offset..).step_by(4).zip(words) {
            put(&mut file, at, &word.to_le_bytes());
        }
    }
    file[4096..8192].fill(0xcc);
    file[8192..].fill(0xdd);
    file
}

/// A pack: an archive with each file's content on a page border.
pub(crate) fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut pack: Vec<u8> = Vec::new();
    for (name, bytes) in files.iter().chain([&("TRAILER!!!", &[][..])]) {
        let start = pack.len();
        let content = (start + 110 + name.len() + 1).next_multiple_of(4096);
        pack.extend(b"070701");
        for field in 0..13 {
            let value = match field {
                6 => bytes.len(),
                11 => content - start - 110,
                _ => 0,
            };
            pack.extend(format!("{value:08x}").bytes());
        }
        pack.extend(name.bytes());
        pack.resize(content, 0);
        pack.extend(*bytes);
        pack.resize(pack.len().next_multiple_of(4), 0);
    }
    pack
}
