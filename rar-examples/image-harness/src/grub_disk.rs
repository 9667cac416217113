//! A disk as a rented machine has it: a GRUB of its own, an old system that is its default, and the
//! image's entry, asked for once.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::rescue_image::program;
use rar_harness::setup::GRUB_BIOS;

use crate::grub_entry;

/// What the old system prints. It ends QEMU, as a kernel for which all is well.
pub(crate) const OLD_SYSTEM: &str = "the old system starts";

/// The menu, as distributions have it: an entry that is asked for once is the default once.
const MENU: &str = "\
set default=0
set timeout=0
if [ -s $prefix/grubenv ]; then load_env; fi
if [ \"${next_entry}\" ]; then
  set default=\"${next_entry}\"
  set next_entry=
  save_env next_entry
fi
if serial --unit=0 --speed=115200; then
  terminal_input console serial
  terminal_output console serial
fi
menuentry \"the old system\" {
  echo \"@OLD_SYSTEM@\"
  outl 0xf4 0x10
}
if [ -f ${config_directory}/custom.cfg ]; then source ${config_directory}/custom.cfg; fi
";
/// What the README of the entry says.
const CUSTOM: &str = "source ${config_directory}/rar-validate/entry.cfg\n";

const PREFIX: &str = "(hd0,msdos1)/boot/grub";
const MODULES: [&str; 16] = [
    "part_msdos",
    "fat",
    "normal",
    "configfile",
    "loadenv",
    "multiboot2",
    "serial",
    "terminal",
    "echo",
    "test",
    "true",
    "sleep",
    "iorw",
    "all_video",
    "reboot",
    "cat",
];

const SECTOR: u32 = 512;
const SECTORS: u32 = 64 << 11;
/// Where the one partition begins: GRUB lies between the first sector and that.
const FIRST: u32 = 2048;
/// A FAT that a UEFI firmware boots from.
const SYSTEM_PARTITION: u8 = 0xef;
/// The boot program's bytes of the first sector; the table of partitions follows.
const BOOT_PROGRAM: usize = 440;
const TABLE: usize = 446;

/// Writes the disk. BIOS and UEFI boot it.
///
/// # Errors
///
/// A program of GRUB or of mtools fails, or a file cannot be written.
pub(crate) fn write(
    kernel: &Path,
    options: &str,
    output: &Path,
    verbosity: Verbosity,
) -> Result<()> {
    let files = tempfile::Builder::new().prefix("rar-disk-").tempdir();
    let files = files.context("cannot create a folder for the files of a disk")?;
    let root = files.path().join("root");
    put_files(&root, kernel, options, verbosity)?;
    let core = files.path().join("core.img");
    make_grub("i386-pc", &["biosdisk", "vbe"], &core, verbosity)?;
    let uefi = root.join("EFI/BOOT/BOOTX64.EFI");
    make_grub("x86_64-efi", &["efi_gop"], &uefi, verbosity)?;

    let begin = first_track(&core)?;
    let cannot = || format!("cannot write the disk {}", output.display());
    let mut disk = File::create(output).with_context(cannot)?;
    disk.set_len(u64::from(SECTORS * SECTOR))
        .with_context(cannot)?;
    disk.seek(SeekFrom::Start(0)).with_context(cannot)?;
    disk.write_all(&begin).with_context(cannot)?;
    drop(disk);
    let partition = format!("{}@@{}", utf8(output)?, FIRST * SECTOR);
    Cmd::new("mformat")
        .args(["-i", &partition, "-T", &(SECTORS - FIRST).to_string(), "::"])
        .require(verbosity)?;
    let (boot, efi) = (root.join("boot"), root.join("EFI"));
    Cmd::new("mcopy")
        .args(["-s", "-i", &partition, utf8(&boot)?, utf8(&efi)?, "::"])
        .require(verbosity)?;
    Ok(())
}

fn put_files(root: &Path, kernel: &Path, options: &str, verbosity: Verbosity) -> Result<()> {
    let grub = root.join("boot/grub");
    let entry = grub.join(grub_entry::NAME);
    let cannot = || format!("cannot write the files of a disk into {}", root.display());
    for folder in [&entry, &root.join("EFI/BOOT")] {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    let menu = MENU.replace("@OLD_SYSTEM@", OLD_SYSTEM);
    fs::write(grub.join("grub.cfg"), menu).with_context(cannot)?;
    fs::write(grub.join("custom.cfg"), CUSTOM).with_context(cannot)?;
    grub_entry::put(&entry, kernel, options, verbosity)?;
    // As `grub-reboot rar-validate`.
    let environment = grub.join("grubenv");
    let asked = format!("next_entry={}", grub_entry::NAME);
    for words in [&["create"][..], &["set", &asked]] {
        program("editenv")?
            .arg(utf8(&environment)?)
            .args(words.iter().copied())
            .require(verbosity)?;
    }
    Ok(())
}

fn make_grub(format: &str, more: &[&str], output: &Path, verbosity: Verbosity) -> Result<()> {
    program("mkimage")?
        .args(["-O", format, "-p", PREFIX, "-o", utf8(output)?])
        .args(MODULES)
        .args(more.iter().copied())
        .require(verbosity)?;
    Ok(())
}

/// Returns the first sector, with the table of partitions, and GRUB behind it: its boot program
/// looks for it there.
fn first_track(core: &Path) -> Result<Vec<u8>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {path:?}"));
    let boot = read(&Path::new(GRUB_BIOS).join("boot.img"))?;
    let core = read(core)?;
    let room = (FIRST - 1) * SECTOR;
    ensure!(
        u32::try_from(core.len()).is_ok_and(|length| length <= room),
        "GRUB does not fit before the partition (got {} bytes, expected at most {room})",
        core.len()
    );
    let mut track = boot.get(..BOOT_PROGRAM).unwrap_or(&boot).to_vec();
    track.resize(TABLE, 0);
    // Active; no addresses by cylinder.
    track.extend([0x80, 0xfe, 0xff, 0xff, SYSTEM_PARTITION, 0xfe, 0xff, 0xff]);
    track.extend(FIRST.to_le_bytes());
    track.extend((SECTORS - FIRST).to_le_bytes());
    track.resize(SECTOR as usize - 2, 0);
    track.extend([0x55, 0xaa]);
    track.extend(core);
    Ok(track)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_menu_reads_what_the_readme_tells_to_write() {
        let readme = include_str!("grub_entry/README.txt");
        assert!(readme.contains(&format!("echo '{}'", CUSTOM.trim())));
        assert!(MENU.contains("@OLD_SYSTEM@"));
    }
}
