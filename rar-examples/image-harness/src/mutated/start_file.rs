//! A copy of the kernel's ELF file that begins somewhere else when QEMU starts it by PVH, and the
//! code there, which claims to be a multiboot2 loader.

use anyhow::{Context as _, Result, ensure};
use rar_kernel::MULTIBOOT2_MAGIC;

/// The header of the note that names the entry of PVH: the lengths of name and descriptor, the type
/// and the name (Xen public header `elfnote.h`, XEN_ELFNOTE_PHYS32_ENTRY).
const NOTE: [u8; 16] = [4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0];
/// Where an ELF64 file names its entry.
const ENTRY_OFFSET: usize = 24;

/// Returns the file with `entry` as its entry of PVH, and its own entry for multiboot2.
///
/// # Errors
///
/// The file is not an ELF64 file with one such note.
pub(super) fn redirect(elf: &[u8], entry: u64) -> Result<(Vec<u8>, u32)> {
    ensure!(
        elf.starts_with(b"\x7fELF\x02"),
        "the kernel is not an ELF64 file"
    );
    let own = elf.get(ENTRY_OFFSET..).and_then(<[u8]>::first_chunk);
    let own = u64::from_le_bytes(*own.context("the kernel's file is cut")?);
    let own = u32::try_from(own).context("the kernel's entry lies above 4 GiB")?;
    let mut notes = elf.windows(NOTE.len()).enumerate();
    let mut places = notes
        .by_ref()
        .filter_map(|(at, bytes)| (bytes == NOTE).then_some(at));
    let at = places
        .next()
        .context("the kernel's file has no entry for PVH")?;
    ensure!(
        places.next().is_none(),
        "the kernel's file has two entries for PVH"
    );
    let mut copy = elf.to_vec();
    let place = copy.get_mut(at + NOTE.len()..at + NOTE.len() + 8);
    let place = place.context("the kernel's file ends in its note")?;
    place.copy_from_slice(&entry.to_le_bytes());
    Ok((copy, own))
}

/// Returns code for 32-bit protected mode that goes on at `entry` as a multiboot2 loader does, with
/// its information at `information`.
pub(super) fn start_code(entry: u32, information: u32) -> Vec<u8> {
    // MOV EAX, MOV EBX, MOV ECX, each with a constant; JMP ECX.
    let registers = [(0xb8, MULTIBOOT2_MAGIC), (0xbb, information), (0xb9, entry)];
    let mut code = Vec::new();
    for (instruction, value) in registers {
        code.push(instruction);
        code.extend(value.to_le_bytes());
    }
    code.extend([0xff, 0xe1]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_pvh_is_replaced_and_nothing_else() {
        let mut elf = b"\x7fELF\x02".to_vec();
        elf.resize(100, 0);
        elf[24..28].copy_from_slice(&0x20_1000_u32.to_le_bytes());
        elf.extend(NOTE);
        elf.extend([0x55; 8]);
        elf.push(7);
        let (copy, own) = redirect(&elf, 0x800_0000).unwrap();
        assert_eq!(own, 0x20_1000);
        assert_eq!(copy[116..], [0, 0, 0, 8, 0, 0, 0, 0, 7]);
        assert_eq!(copy[..116], elf[..116]);
        let twice = [&elf[..], &NOTE, &[0; 8]].concat();
        for bad in [&elf[..100], &elf[..120], &elf[1..], &twice] {
            assert!(redirect(bad, 0).is_err());
        }
    }

    #[test]
    fn the_code_sets_what_multiboot2_says() {
        let code = start_code(0x11, 0x22);
        let expected = [
            0xb8, 0x89, 0x62, 0xd7, 0x36, 0xbb, 0x22, 0, 0, 0, 0xb9, 0x11, 0, 0, 0,
        ];
        assert_eq!(code[..15], expected);
        assert_eq!(code[15..], [0xff, 0xe1]);
    }
}
