//! What carried runs need, made once: kernels, an initrd, a module, a disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Reason, reason_of};
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, static_program};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::boot::build_carrier;
use crate::catalogue::{Case, Guest};
use crate::linux::{End, Initrd};
use crate::{debian, memory_test, module};

/// The kernel with the suite.
const SUITE: &str = "rar-smp-test";

/// The program that asks whether a machine has RAR.
const PROBE: &str = "rar-probe";

/// Bytes that a Linux reads from its disk.
const DISK: usize = 4 << 20;

/// What carried runs need.
#[derive(Debug)]
pub(crate) struct Supplies {
    pub(crate) folder: TempDir,
    pub(crate) carrier: PathBuf,
    /// The kernel with the suite, if a run carries it.
    pub(crate) suite: Option<PathBuf>,
    pub(crate) linux: Provided<Linux>,
    /// The module of this repository.
    pub(crate) module: Provided<PathBuf>,
    /// The program that asks whether a machine has RAR, if a run carries it.
    pub(crate) probe: Option<PathBuf>,
    /// A CD with a memory test.
    pub(crate) memory_test: Provided<PathBuf>,
}

/// Something that this machine may not be able to provide.
pub(crate) type Provided<T> = Result<T, String>;

/// A stock Linux.
#[derive(Debug)]
pub(crate) struct Linux {
    pub(crate) image: PathBuf,
    pub(crate) disk: PathBuf,
    /// The sum of the disk, as a program of the guest prints it.
    pub(crate) sum: String,
    initrd: Initrd,
}

impl Linux {
    /// Returns an initrd that loads these modules and prints all warnings.
    pub(crate) fn with_modules(&self, modules: &[PathBuf]) -> Result<Vec<u8>> {
        let initrd = Initrd {
            modules: modules.to_vec(),
            ..self.initrd.clone()
        };
        initrd.pack()
    }

    /// Returns an initrd that runs this program.
    pub(crate) fn with_program(&self, program: &Path) -> Result<Vec<u8>> {
        let name = program.file_name().unwrap_or_default();
        let initrd = Initrd {
            files: vec![program.to_owned()],
            commands: vec![name.to_string_lossy().into_owned()],
            ..self.initrd.clone()
        };
        initrd.pack()
    }
}

impl Supplies {
    /// Provides what these runs need.
    ///
    /// # Errors
    ///
    /// A kernel does not build. That packages of Debian cannot be had is no error: their runs are
    /// skipped.
    pub(crate) fn provide(
        cases: &[Case],
        workspace: &Workspace,
        verbosity: Verbosity,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rar-carried-").tempdir();
        let folder = folder.context("cannot create a folder for temporary files")?;
        let needs = |wanted: fn(Guest) -> bool| cases.iter().any(|case| wanted(case.guest));
        let suite = match needs(|cargo| matches!(cargo, Guest::Suite(..))) {
            true => {
                let target = kernel::target(workspace);
                Some(kernel::build(workspace, &target, SUITE, verbosity)?)
            }
            false => None,
        };
        let probe = match needs(|cargo| cargo == Guest::Probe) {
            true => Some(static_program::build(workspace, PROBE, verbosity)?),
            false => None,
        };
        let wants_linux =
            needs(|cargo| matches!(cargo, Guest::Stock | Guest::Module | Guest::Probe));
        let cache = debian::cache(workspace);
        let stock = match wants_linux {
            true => provided(debian::kernel(None, &cache, verbosity))?,
            false => not_needed(),
        };
        let module = match &stock {
            Ok(stock) if needs(|cargo| cargo == Guest::Module) => {
                provided(module::for_stock(&stock.release, workspace, verbosity))?
            }
            Ok(_) => not_needed(),
            Err(why) => Err(why.clone()),
        };
        let linux = match stock {
            Ok(stock) => provided(linux(&stock, &cache, folder.path(), verbosity))?,
            Err(why) => Err(why),
        };
        let memory_test = match needs(|cargo| cargo == Guest::MemoryTest) {
            true => provided(memory_test::cd(&cache, folder.path(), verbosity))?,
            false => not_needed(),
        };
        Ok(Self {
            carrier: build_carrier(workspace, verbosity)?,
            suite,
            linux,
            module,
            memory_test,
            probe,
            folder,
        })
    }
}

fn not_needed<T>() -> Provided<T> {
    Err("no run needs it".to_owned())
}

/// Sets apart what this machine lacks from what went wrong.
fn provided<T>(result: Result<T>) -> Result<Provided<T>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if reason_of(&error) == Reason::Environment => Ok(Err(format!("{error:#}"))),
        Err(error) => Err(error),
    }
}

fn linux(
    stock: &debian::StockKernel,
    cache: &Path,
    folder: &Path,
    verbosity: Verbosity,
) -> Result<Linux> {
    let disk = folder.join("disk");
    let bytes = pattern();
    fs::write(&disk, &bytes).with_context(|| format!("cannot write {}", disk.display()))?;
    let sum = Sha256::digest(&bytes);
    Ok(Linux {
        image: stock.image.clone(),
        disk,
        sum: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
        initrd: Initrd {
            busybox: debian::busybox(cache, verbosity)?,
            drivers: stock.drivers.clone(),
            modules: Vec::new(),
            files: Vec::new(),
            // The level of a message is in its raw form only.
            commands: vec!["dmesg -r | grep '^<[0-4]>'".to_owned()],
            end: End::PowerOff,
        },
    })
}

/// Returns bytes in blocks that all differ.
fn pattern() -> Vec<u8> {
    let words = 0..u32::try_from(DISK / 4).unwrap_or(u32::MAX);
    words
        .flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use rar_harness::exit_code::Fault;

    use super::*;

    #[test]
    fn a_lack_skips_and_a_mistake_does_not() {
        let fault = |reason| -> Result<()> { Err(Fault::new(reason, "no packages").into()) };
        let lack = provided(fault(Reason::Environment)).unwrap();
        assert_eq!(lack, Err("no packages".to_owned()));
        assert!(provided(fault(Reason::Failed)).is_err());
        assert!(provided(fault(Reason::Interrupted)).is_err());
    }

    #[test]
    fn blocks_of_the_disk_differ() {
        let bytes = pattern();
        assert_eq!(bytes.len(), DISK);
        let blocks: std::collections::BTreeSet<_> = bytes.chunks(512).collect();
        assert_eq!(blocks.len(), DISK / 512);
    }
}
