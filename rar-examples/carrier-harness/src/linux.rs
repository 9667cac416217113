//! An initrd for Linux, made here: busybox, drivers of the machine's devices, and a small `/init`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};

use crate::archive::{Archive, Layout, Mode};

/// What runs first.
const INIT: &str = include_str!("linux/init.sh");

/// What an initrd holds.
#[derive(Clone, Debug)]
pub struct Initrd {
    /// A static busybox.
    pub busybox: PathBuf,
    /// Modules of the kernel's own drivers, in the order in which they are loaded.
    pub drivers: Vec<PathBuf>,
    /// Modules of the user, loaded when all else is up.
    pub modules: Vec<PathBuf>,
    /// Files that land in `/carry/files`, which is in the path.
    pub files: Vec<PathBuf>,
    /// Command lines, run one after the other.
    pub commands: Vec<String>,
    /// What comes at the end.
    pub end: End,
}

/// What comes when all commands have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A shell on the console; the machine goes off when it ends.
    Shell,
    /// The machine goes off.
    PowerOff,
}

/// What `/init` prints when everything has run.
pub const DONE: &str = "carry: done";

/// What `/init` does itself, so that a command cannot be one of several lines.
fn check_command(command: &str) -> Result<()> {
    if command.contains('\n') {
        let message = format!("--run {command:?}: a command is one line; join parts with `;`");
        return Err(Fault::new(Reason::Usage, message).into());
    }
    Ok(())
}

impl Initrd {
    /// Returns the archive.
    ///
    /// # Errors
    ///
    /// A file cannot be read, two have the same name, or a command is no line.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let mut archive = Archive::new(Layout::Packed);
        for folder in ["bin", "dev", "carry"] {
            archive.folder(folder)?;
        }
        archive.file("init", INIT.as_bytes(), Mode::Program)?;
        let busybox = read(&self.busybox)?;
        archive.file("bin/busybox", &busybox, Mode::Program)?;
        add_all(&mut archive, "drivers", &self.drivers)?;
        add_all(&mut archive, "modules", &self.modules)?;
        add_all(&mut archive, "files", &self.files)?;
        self.commands
            .iter()
            .try_for_each(|line| check_command(line))?;
        add_list(&mut archive, "commands", &self.commands)?;
        if self.end == End::Shell {
            archive.file("carry/shell", &[], Mode::Data)?;
        }
        archive.finish()
    }
}

/// Adds files under their names, and the list of the names.
fn add_all(archive: &mut Archive, folder: &str, paths: &[PathBuf]) -> Result<()> {
    archive.folder(&format!("carry/{folder}"))?;
    let mut names: Vec<String> = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        if names.contains(&name) {
            let message = format!("{}: another file has this name, too", path.display());
            return Err(Fault::new(Reason::Usage, message).into());
        }
        let data = read(path)?;
        archive.file(&format!("carry/{folder}/{name}"), &data, Mode::Program)?;
        names.push(name);
    }
    add_list(archive, folder, &names)
}

fn add_list(archive: &mut Archive, name: &str, lines: &[String]) -> Result<()> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    archive.file(&format!("carry/{name}.list"), text.as_bytes(), Mode::Data)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use rar_harness::exit_code::reason_of;

    use super::*;

    fn initrd(folder: &Path) -> Initrd {
        let file = |name: &str| {
            let path = folder.join(name);
            fs::write(&path, name).unwrap();
            path
        };
        Initrd {
            busybox: file("busybox"),
            drivers: vec![file("virtio.ko")],
            modules: vec![file("mine.ko")],
            files: vec![file("probe")],
            commands: vec!["probe --json; true".to_owned()],
            end: End::Shell,
        }
    }

    #[test]
    fn everything_is_packed() {
        let folder = tempfile::tempdir().unwrap();
        let packed = initrd(folder.path()).pack().unwrap();
        let text = String::from_utf8_lossy(&packed);
        for member in [
            "bin/busybox\0",
            "carry/drivers/virtio.ko\0",
            "carry/modules/mine.ko\0",
            "carry/files/probe\0",
            "carry/shell\0",
            "probe --json; true\n",
            "poweroff -f\n",
        ] {
            assert!(text.contains(member), "{member:?}");
        }
    }

    #[test]
    fn what_init_cannot_do_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let good = initrd(folder.path());
        let two_lines = Initrd {
            commands: vec!["a\nb".to_owned()],
            ..good.clone()
        };
        let twice = Initrd {
            modules: vec![good.busybox.clone(), good.busybox.clone()],
            ..good
        };
        for bad in [two_lines, twice] {
            assert_eq!(reason_of(&bad.pack().unwrap_err()), Reason::Usage);
        }
    }

    #[test]
    fn init_prints_what_the_harness_waits_for() {
        let done = DONE.strip_prefix("carry: ").unwrap();
        assert!(INIT.contains(&format!("say \"{done}\"")));
    }
}
