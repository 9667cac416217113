//! GRUB's side of the boot image: the menu, the ISO file and the network tree.

use std::path::Path;
use std::{fmt, fs};

use anyhow::{Context as _, Result};
use rar_harness::process::{Verbosity, utf8};
use rar_harness::rescue_image::{self, Modules, program};
use tempfile::TempDir;

use crate::new_folder::NewFolder;

/// Where the kernel lies in the image.
pub(crate) const KERNEL: &str = "boot/rar-validate";

/// Seconds until the first entry is taken.
const TIMEOUT: u32 = 10;

/// What the menu and a person at its command line need; GRUB adds what these depend on.
pub(crate) const MODULES: &str = "multiboot2 normal part_msdos part_gpt iso9660 fat all_video \
    serial terminal echo test true configfile ls cat reboot halt sleep tftp net";

/// What commands need that put a machine in disorder.
pub(crate) const MORE_MODULES: &str = "memrw iorw wrmsr acpi mmap";

/// The sizes of a screen that are asked for, best first. Large modules are for cameras, so a screen
/// need not have many pixels.
pub(crate) const SCREEN: &str = "1280x800x32,1280x1024x32,1024x768x32,1024x768,auto";

/// The firmware's own way to a screen is taken where there is one: drivers of emulated cards would
/// come first in `all_video`.
pub(crate) const VIDEO: &str = "\
if [ \"$grub_platform\" = efi ]; then
  if insmod efi_gop; then true; else insmod all_video; fi
else
  if insmod vbe; then true; else insmod all_video; fi
fi
";

/// The entries: what a person reads, and the kernel's options.
const ENTRIES: [(&str, &str); 5] = [
    ("Full run: all backends, all tests", "run=full"),
    ("Quick run: all tests, small storms", "run=quick"),
    ("Only interrupts: no RAR is used", "run=ipi"),
    (
        "Only enumeration: what each CPU says of RAR",
        "run=enumerate",
    ),
    (
        "With the shim: RAR in software, below the kernel (AMD)",
        "run=quick backends=vrar",
    ),
];

/// A menu.
#[derive(Clone, Debug)]
pub enum Menu {
    /// All entries; the first is taken after a while.
    Whole,
    /// One entry with these options, taken at once.
    Only(String),
    /// As [`Only`](Self::Only), on a screen of one of these sizes, best first.
    OnScreen {
        /// The commands that GRUB executes before.
        prelude: &'static [&'static str],
        /// The sizes, as GRUB's `gfxpayload` takes them.
        modes: &'static str,
        /// The kernel's options.
        options: String,
    },
}

impl Menu {
    /// Returns the text of `grub.cfg`.
    fn text(&self) -> String {
        let (timeout, entries) = match self {
            Self::Whole => (
                TIMEOUT,
                ENTRIES
                    .map(|(title, options)| entry(title, &loading(options, SCREEN)))
                    .join(""),
            ),
            Self::Only(options) => (0, entry("Run", &loading(options, SCREEN))),
            Self::OnScreen {
                prelude,
                modes,
                options,
            } => {
                let commands = format!("{}{}", lines(prelude), loading(options, modes));
                (0, entry("Run", &commands))
            }
        };
        format!("{}{entries}", start(timeout))
    }

    /// Returns the modules of GRUB that it needs.
    fn modules(&self) -> String {
        match self {
            Self::OnScreen { prelude, .. } if !prelude.is_empty() => {
                format!("{MODULES} {MORE_MODULES}")
            }
            _ => MODULES.to_owned(),
        }
    }
}

/// Returns what a menu starts with. A terminal on a serial port is for machines without a person at
/// the screen; a machine without a serial port goes on.
pub(crate) fn start(timeout: u32) -> String {
    format!(
        "set timeout={timeout}\nset default=0\n\
         if serial --unit=0 --speed=115200; then\n  \
         terminal_input console serial\n  terminal_output console serial\nfi\n\
         {VIDEO}"
    )
}

/// Returns the commands that load the kernel with these options, for a screen of one of these
/// sizes. GRUB's `multiboot2` sets `gfxpayload` to what the kernel's header asks for, so the sizes
/// come after it.
pub(crate) fn loading(options: &str, modes: &str) -> String {
    format!("  multiboot2 /{KERNEL} {options}\n  set gfxpayload={modes}\n")
}

/// Returns commands of an entry.
pub(crate) fn lines(commands: &[impl fmt::Display]) -> String {
    commands.iter().map(|line| format!("  {line}\n")).collect()
}

/// Returns an entry of a menu: its title, and its commands, a line each.
pub(crate) fn entry(title: &str, commands: &str) -> String {
    format!("menuentry \"{title}\" {{\n{commands}}}\n")
}

/// Lays out the files of an image in a folder.
pub(crate) fn stage(kernel: &Path, menu: &str, verbosity: Verbosity) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("rar-image-").tempdir();
    let folder = folder.context("cannot create a folder for the image's files")?;
    put(folder.path(), kernel, menu, verbosity)?;
    Ok(folder)
}

fn put(root: &Path, kernel: &Path, menu: &str, verbosity: Verbosity) -> Result<()> {
    let cannot = || format!("cannot write the image's files into {}", root.display());
    fs::create_dir_all(root.join("boot/grub")).with_context(cannot)?;
    rescue_image::put_kernel(kernel, &root.join(KERNEL), verbosity)?;
    fs::write(root.join("boot/grub/grub.cfg"), menu).with_context(cannot)
}

/// Writes an ISO file that boots from a CD and from a stick, by BIOS and by UEFI. It appears whole
/// or not at all.
///
/// # Errors
///
/// A program of GRUB fails, or a file cannot be written.
pub fn iso(kernel: &Path, menu: &Menu, output: &Path, verbosity: Verbosity) -> Result<()> {
    let files = stage(kernel, &menu.text(), verbosity)?;
    rescue_image::write(
        files.path(),
        Modules::Only(&menu.modules()),
        output,
        verbosity,
    )
}

/// Writes a tree for a TFTP server: GRUB for BIOS and UEFI with this menu. It appears whole, or not
/// at all.
///
/// # Errors
///
/// A program of GRUB fails, or a file cannot be written.
pub fn network_tree(
    kernel: &Path,
    menu: &Menu,
    tree: NewFolder,
    verbosity: Verbosity,
) -> Result<()> {
    program("mknetdir")?
        .arg(format!("--net-directory={}", utf8(tree.path())?))
        .args(["--subdir=boot/grub", "--fonts=", "--locales=", "--themes="])
        .arg(format!("--install-modules={MODULES}"))
        .require(verbosity)?;
    // GRUB's own programs read their menu beside them, under the names that mknetdir has built into
    // them.
    put(tree.path(), kernel, &menu.text(), verbosity)?;
    tree.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_is_the_full_run_and_comes_by_itself() {
        let text = Menu::Whole.text();
        assert!(
            text.starts_with("set timeout=10\nset default=0\n"),
            "{text}"
        );
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.contains("multiboot2"))
            .collect();
        assert_eq!(lines.len(), ENTRIES.len());
        assert_eq!(lines[0].trim(), "multiboot2 /boot/rar-validate run=full");
    }

    #[test]
    fn each_kernel_is_followed_by_the_sizes_of_its_screen() {
        let text = Menu::Whole.text();
        let mut lines = text.lines();
        let mut entries = 0;
        while lines.any(|line| line.contains("multiboot2")) {
            let sizes = format!("  set gfxpayload={SCREEN}");
            assert_eq!(lines.next(), Some(sizes.as_str()));
            entries += 1;
        }
        assert_eq!(entries, ENTRIES.len());
        assert_eq!(text.matches("gfxpayload").count(), entries);
    }

    #[test]
    fn one_entry_is_taken_at_once() {
        let text = Menu::Only("run=ipi test=storm".to_owned()).text();
        assert!(text.starts_with("set timeout=0\n"));
        assert_eq!(text.matches("menuentry").count(), 1);
        assert!(text.contains("multiboot2 /boot/rar-validate run=ipi test=storm\n"));
    }

    #[test]
    fn the_sizes_of_a_screen_come_after_the_kernel() {
        let menu = Menu::OnScreen {
            prelude: &["inb 0x3da"],
            modes: "800x600x32",
            options: "run=quick".to_owned(),
        };
        let text = menu.text();
        let at = |words| text.find(words).unwrap();
        let kernel = at("multiboot2 /boot/rar-validate run=quick\n");
        assert!(at("  inb 0x3da\n") < kernel);
        assert!(kernel < at("  set gfxpayload=800x600x32\n"));
        assert!(menu.modules().contains("iorw"));
        assert!(!Menu::Whole.modules().contains("iorw"));
    }
}
