//! A folder for a machine that is reached by SSH only: the kernel, an entry for the machine's own
//! GRUB, and how to use them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::rescue_image;
use sha2::{Digest as _, Sha256};

use crate::grub::{SCREEN, VIDEO};
use crate::new_folder::NewFolder;

/// The name of the entry, of the folder below GRUB's own, and of the kernel in it.
pub(crate) const NAME: &str = "rar-validate";

const ENTRY: &str = include_str!("grub_entry/entry.cfg");
const README: &str = include_str!("grub_entry/README.txt");

/// What a run on such a machine does without any option: every test, small storms.
const USUAL: &str = "run=quick";

/// Writes the folder, with these [`options`]. It appears whole, or not at all.
///
/// # Errors
///
/// A file cannot be written.
pub fn write(kernel: &Path, options: &str, folder: NewFolder, verbosity: Verbosity) -> Result<()> {
    put(folder.path(), kernel, options, verbosity)?;
    folder.finish()
}

/// Returns the options of a run, by those that were asked for. After it the machine restarts
/// without a person: pages at the end are for a camera.
///
/// # Errors
///
/// The options do not lead back to the old system.
pub fn options(asked: Option<&str>) -> Result<String> {
    returning(asked.unwrap_or(USUAL))
}

/// Puts the files into a folder that is there.
pub(crate) fn put(folder: &Path, kernel: &Path, options: &str, verbosity: Verbosity) -> Result<()> {
    let cannot = || format!("cannot write into {}", folder.display());
    rescue_image::put_kernel(kernel, &folder.join(NAME), verbosity)?;
    fs::write(folder.join("entry.cfg"), entry(options)).with_context(cannot)?;
    fs::write(folder.join("README.txt"), README).with_context(cannot)?;
    let mut sums = String::new();
    for name in [NAME, "entry.cfg", "README.txt"] {
        let bytes = fs::read(folder.join(name)).with_context(cannot)?;
        sums.push_str(&format!("{}  {name}\n", sha256(&bytes)));
    }
    fs::write(folder.join("SHA256SUMS"), sums).with_context(cannot)
}

/// Returns a SHA-256 sum as programs print it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entry(options: &str) -> String {
    let video: Vec<_> = VIDEO.lines().map(|line| format!("    {line}")).collect();
    ENTRY
        .replace("@VIDEO@", &video.join("\n"))
        .replace("@SCREEN@", SCREEN)
        .replace("@OPTIONS@", options)
}

fn returning(options: &str) -> Result<String> {
    let given = |key: &str| {
        let words = options.split_ascii_whitespace().rev();
        let mut values = words.filter_map(|word| word.strip_prefix(key));
        values.next()
    };
    if let Some(end) = given("end=").filter(|end| *end != "reboot") {
        let message = format!(
            "--grub-entry: the machine must come back by itself (got end={end}, expected \
             end=reboot); leave end= out"
        );
        return Err(Fault::new(Reason::Usage, message).into());
    }
    Ok(match given("page-seconds=") {
        Some(_) => options.to_owned(),
        None => format!("{options} page-seconds=0"),
    })
}

#[cfg(test)]
mod tests {
    use rar_harness::exit_code::reason_of;

    use super::*;

    #[test]
    fn the_entry_has_the_options_and_guards_itself() {
        let text = entry("run=ipi page-seconds=0");
        assert!(text.contains("multiboot2 \"$2/rar-validate\" run=ipi page-seconds=0\n"));
        assert!(text.contains(&format!("--id {NAME} ")) && text.contains(SCREEN));
        let at = |words| text.find(words).unwrap();
        assert!(at("load_env next_entry") < at("multiboot2 "));
        assert!(at("multiboot2 ") < at("set gfxpayload="));
        assert!(at("set fallback=0") < at("menuentry "));
        assert!(!text.contains('@'));
    }

    #[test]
    fn options_lead_back_to_the_old_system() {
        assert_eq!(returning("run=full").unwrap(), "run=full page-seconds=0");
        let kept = "end=reboot page-seconds=3";
        assert_eq!(returning(kept).unwrap(), kept);
        for end in ["end=halt", "end=reboot end=poweroff"] {
            let error = returning(end).unwrap_err();
            assert_eq!(reason_of(&error), Reason::Usage, "{end}");
        }
    }

    #[test]
    fn the_readme_names_the_files_and_has_five_commands_for_the_machine() {
        for name in [NAME, "entry.cfg", "SHA256SUMS"] {
            assert!(README.contains(name), "{name}");
        }
        let machine = README.split("as root.").nth(1).unwrap();
        // A line that is indented further goes on with the command before it.
        let is_command = |line: &&str| line.starts_with("    ") && !line.starts_with("     ");
        let commands = machine.lines().filter(is_command);
        let until = commands.take_while(|line| !line.contains("cargo"));
        assert_eq!(until.count(), 5);
    }

    #[test]
    fn a_folder_without_a_kernel_does_not_appear() {
        let parent = tempfile::tempdir().unwrap();
        let folder = NewFolder::create("--grub-entry", &parent.path().join("new")).unwrap();
        assert!(write(Path::new("/no/kernel"), USUAL, folder, Verbosity::Normal).is_err());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
