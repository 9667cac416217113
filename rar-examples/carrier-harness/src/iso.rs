//! The RAR machine as one image: GRUB, the carrier, and a menu that looks for a kernel.
//!
//! It works without this repository: a kernel lies in the folder `rar` of any disk of the
//! machine, and QEMU makes a disk of a folder (`-drive file=fat:FOLDER,...`).

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rar_harness::process::Verbosity;
use rar_harness::rescue_image::{self, Modules};

use crate::payload::{Carrier, Payload};

const MENU: &str = include_str!("iso/grub.cfg");
const HELP: &str = include_str!("iso/help.txt");

/// The line of the menu that the options of the units take the place of.
const NO_WORDS: &str = "set words=\"\"";

/// The folder in which the menu looks, and what it finds there.
const FOLDER: &str = "rar";
const KERNEL: &str = "kernel";
const INITRD: &str = "initrd";
const SETTINGS: &str = "settings.cfg";

/// Writes the image. It appears whole or not at all.
///
/// # Errors
///
/// A program of GRUB fails, or a file cannot be read or written.
pub fn write(
    carrier: Carrier<'_>,
    payload: Option<&Payload>,
    output: &Path,
    verbosity: Verbosity,
) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("rar-machine-").tempdir();
    let folder = folder.context("cannot create a folder for the image's files")?;
    stage(folder.path(), carrier, payload)?;
    rescue_image::write(folder.path(), Modules::All, output, verbosity)
}

/// Lays out the files of the image in a folder.
fn stage(root: &Path, carrier: Carrier<'_>, payload: Option<&Payload>) -> Result<()> {
    let cannot = || format!("cannot write the image's files into {}", root.display());
    fs::create_dir_all(root.join("boot/grub")).with_context(cannot)?;
    let words = carrier.units.words();
    let menu = MENU.replacen(NO_WORDS, &format!("set words={}", quoted(&words)), 1);
    fs::write(root.join("boot/grub/grub.cfg"), menu).with_context(cannot)?;
    fs::write(root.join("boot/help.txt"), HELP).with_context(cannot)?;
    copy(carrier.elf, &root.join("boot/rar-carrier"))?;
    let Some(payload) = payload else {
        return Ok(());
    };
    let rar = root.join(FOLDER);
    fs::create_dir(&rar).with_context(cannot)?;
    copy(&payload.kernel, &rar.join(KERNEL))?;
    if let Some(initrd) = &payload.initrd {
        fs::write(rar.join(INITRD), initrd).with_context(cannot)?;
    }
    let settings = settings(&words, &payload.line);
    fs::write(rar.join(SETTINGS), settings).with_context(cannot)
}

/// Returns what the menu reads.
fn settings(words: &str, line: &str) -> String {
    let (words, line) = (quoted(words), quoted(line));
    format!("set words={words}\nset line={line}\n")
}

/// Returns words as GRUB reads them as one.
fn quoted(words: &str) -> String {
    format!("'{}'", words.replace('\'', "'\\''"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot read {}", from.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rar_harness::modes::Apic;
    use rar_vocabulary::TraceLevel;

    use super::*;
    use crate::carrier_words::UnitArgs;

    fn staged(root: &Path, payload: Option<&Payload>) -> Result<()> {
        let carrier = root.with_extension("elf");
        fs::write(&carrier, "carrier").unwrap();
        let units = UnitArgs::usual(Apic::Xapic, TraceLevel::Offences);
        let carrier = Carrier {
            elf: &carrier,
            units: &units,
        };
        stage(root, carrier, payload)
    }

    #[test]
    fn a_kernel_that_is_built_in_lies_where_the_menu_looks() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("vmlinuz");
        fs::write(&kernel, "kernel").unwrap();
        let payload = Payload {
            kernel,
            initrd: Some(b"initrd".to_vec()),
            line: "console=ttyS0 it's".to_owned(),
        };
        let root = folder.path().join("image");
        staged(&root, Some(&payload)).unwrap();
        let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
        assert_eq!(read("boot/rar-carrier"), "carrier");
        assert_eq!(read("rar/kernel"), "kernel");
        assert_eq!(read("rar/initrd"), "initrd");
        assert_eq!(
            read("rar/settings.cfg"),
            "set words='apic=xapic trace=offences'\nset line='console=ttyS0 it'\\''s'\n"
        );
        for name in [KERNEL, INITRD, SETTINGS] {
            assert!(MENU.contains(&format!("/{FOLDER}/{name}")), "{name}");
            assert!(HELP.contains(&format!("{FOLDER}/{name}")), "{name}");
        }
    }

    #[test]
    fn each_carrier_is_followed_by_the_sizes_of_its_screen() {
        let mut lines = MENU.lines().map(str::trim);
        let mut carriers = 0;
        while lines.any(|line| line.starts_with("multiboot2 ")) {
            let next = lines.find(|line| !line.starts_with('#'));
            assert_eq!(next, Some("set gfxpayload=$modes"));
            carriers += 1;
        }
        assert_eq!(carriers, MENU.matches("/boot/rar-carrier").count());
        assert_eq!(carriers, MENU.matches("set gfxpayload").count());
    }

    #[test]
    fn without_a_kernel_the_image_has_no_folder_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("image");
        staged(&root, None).unwrap();
        assert!(!root.join("rar").exists());
        // The options of the units hold for a kernel that is found, too.
        let menu = fs::read_to_string(root.join("boot/grub/grub.cfg")).unwrap();
        let words = "\nset words='apic=xapic trace=offences'\n";
        assert!(menu.contains(words), "{menu}");
        let missing = Payload {
            kernel: folder.path().join("vmlinuz"),
            initrd: None,
            line: String::new(),
        };
        let error = staged(&folder.path().join("other"), Some(&missing)).unwrap_err();
        assert!(format!("{error:#}").contains("vmlinuz"), "{error:#}");
    }
}
