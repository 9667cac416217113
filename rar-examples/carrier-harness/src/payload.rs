//! What is booted, and the files that QEMU gets for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::archive::{Archive, Layout, Mode};
use crate::carrier_words::UnitArgs;
use crate::machine::Start;

/// A kernel with what belongs to it.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The kernel.
    pub kernel: PathBuf,
    /// Its initrd.
    pub initrd: Option<Vec<u8>>,
    /// Its command line.
    pub line: String,
}

/// What is booted, and on what.
#[derive(Clone, Copy, Debug)]
pub enum Way<'p> {
    /// The carrier starts the payload on CPUs with RAR.
    Carried(&'p Payload, Carrier<'p>),
    /// The carrier goes back to the firmware, which boots a disk on CPUs with RAR.
    Chained(Carrier<'p>),
    /// The payload starts on the CPUs that QEMU has.
    Bare(&'p Payload),
    /// The firmware boots a disk on the CPUs that QEMU has.
    BareDisk,
}

/// The carrier, and the units that it makes.
#[derive(Clone, Copy, Debug)]
pub struct Carrier<'c> {
    /// Its file.
    pub elf: &'c Path,
    /// The units.
    pub units: &'c UnitArgs,
}

impl Way<'_> {
    /// Writes what QEMU needs into a folder.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written.
    pub fn start(self, folder: &Path) -> Result<Start> {
        Ok(match self {
            Self::Carried(payload, Carrier { elf, units }) => Start::Kernel {
                kernel: elf.to_owned(),
                file: Some(written(&folder.join("pack"), &pack(payload)?)?),
                line: format!("{} -- {}", units.words(), payload.line),
            },
            Self::Chained(Carrier { elf, units }) => Start::Kernel {
                kernel: elf.to_owned(),
                file: None,
                line: format!("{} chain", units.words()),
            },
            Self::Bare(payload) => {
                let file = payload.initrd.as_deref();
                let file = file.map(|initrd| written(&folder.join("initrd"), initrd));
                Start::Kernel {
                    kernel: payload.kernel.clone(),
                    file: file.transpose()?,
                    line: payload.line.clone(),
                }
            }
            Self::BareDisk => Start::Firmware,
        })
    }
}

/// Returns the archive that the carrier takes.
fn pack(payload: &Payload) -> Result<Vec<u8>> {
    let kernel = fs::read(&payload.kernel);
    let kernel = kernel.with_context(|| format!("cannot read {}", payload.kernel.display()))?;
    let mut archive = Archive::new(Layout::Pages);
    archive.file("kernel", &kernel, Mode::Data)?;
    if let Some(initrd) = &payload.initrd {
        archive.file("initrd", initrd, Mode::Data)?;
    }
    archive.finish()
}

/// Fails unless this is a file with something in it, or a device: before anything is built for it.
///
/// # Errors
///
/// It cannot be opened, is a folder, or is empty.
pub fn check_file(path: &Path) -> Result<()> {
    let opened = fs::File::open(path).and_then(|file| file.metadata());
    let is = opened.with_context(|| format!("cannot read {}", path.display()))?;
    let what = match (is.is_dir(), is.is_file() && is.len() == 0) {
        (true, _) => "a folder",
        (_, true) => "an empty file",
        _ => return Ok(()),
    };
    bail!(
        "{}: cannot be booted (got {what}, expected a file or device)",
        path.display()
    )
}

fn written(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use rar_harness::modes::Apic;
    use rar_vocabulary::TraceLevel;

    use super::*;

    #[test]
    fn the_guests_words_follow_those_of_the_carrier() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("vmlinuz");
        fs::write(&kernel, "MZ").unwrap();
        let payload = Payload {
            kernel: kernel.clone(),
            initrd: Some(vec![7; 5000]),
            line: "console=ttyS0".to_owned(),
        };
        let units = UnitArgs::usual(Apic::Xapic, TraceLevel::Offences);
        let carrier = Carrier {
            elf: Path::new("/carrier"),
            units: &units,
        };
        let start = Way::Carried(&payload, carrier)
            .start(folder.path())
            .unwrap();
        let Start::Kernel { file, line, .. } = start else {
            panic!("{start:?}");
        };
        assert_eq!(line, "apic=xapic trace=offences -- console=ttyS0");
        let packed = fs::read(file.unwrap()).unwrap();
        assert_eq!(packed.get(4096..4098), Some(&b"MZ"[..]));
        let bare = Way::Bare(&payload).start(folder.path()).unwrap();
        let file = Some(folder.path().join("initrd"));
        let line = "console=ttyS0".to_owned();
        assert_eq!(bare, Start::Kernel { kernel, file, line });
        let chained = Way::Chained(carrier).start(folder.path()).unwrap();
        let Start::Kernel { line, .. } = chained else {
            panic!("{chained:?}");
        };
        assert!(line.ends_with(" chain"), "{line}");
    }

    #[test]
    fn only_a_file_with_something_in_it_is_booted() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("empty"), "").unwrap();
        fs::write(path("kernel"), "MZ").unwrap();
        check_file(&path("kernel")).unwrap();
        check_file(Path::new("/dev/null")).unwrap();
        for (name, why) in [
            ("empty", "an empty file"),
            (".", "a folder"),
            ("none", "cannot read"),
        ] {
            let error = check_file(&path(name)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
