//! Builds the kernels: freestanding ELF files from the host's target.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::cargo::{cargo, with_rustflags};
use crate::process::{Cmd, Verbosity};
use crate::workspace::{FREESTANDING, Workspace};

/// The host's target: one toolchain builds all, and no other target has to be installed. Naming it
/// keeps the flags away from build scripts.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The profile in the root manifest.
const PROFILE: &str = "kernel";

/// A kernel runs where it is linked, and interrupts come while its stack pointer is in use.
pub const RUSTFLAGS: [&str; 2] = ["-Crelocation-model=static", "-Cno-redzone=yes"];

/// Returns a cargo call with everything that makes its output a kernel.
///
/// # Errors
///
/// The target folder is not UTF-8.
pub fn freestanding(workspace: &Workspace, target: &Path, subcommand: &str) -> Result<Cmd> {
    let cmd = cargo(&workspace.root, target, subcommand)?
        .args([
            "--features",
            FREESTANDING,
            "--profile",
            PROFILE,
            "--target",
            TARGET,
        ])
        // Without it defmt compiles in errors only.
        .env("DEFMT_LOG", "info");
    Ok(with_rustflags(cmd, &RUSTFLAGS))
}

/// Builds the kernel of another workspace and returns its ELF file.
///
/// # Errors
///
/// The kernel does not build.
pub fn build_foreign(
    root: &Path,
    target: &Path,
    package: &str,
    verbosity: Verbosity,
) -> Result<PathBuf> {
    let cmd = cargo(root, target, "build")?
        .args(["--profile", PROFILE, "--target", TARGET])
        .env("DEFMT_LOG", "info");
    with_rustflags(cmd, &RUSTFLAGS).require(verbosity)?;
    finished(target, package)
}

/// Returns the target folder of kernels.
#[must_use]
pub fn target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("kernel")
}

/// Builds one kernel and returns its ELF file.
///
/// # Errors
///
/// The workspace has no such package, or it does not build.
pub fn build(
    workspace: &Workspace,
    target: &Path,
    package: &str,
    verbosity: Verbosity,
) -> Result<PathBuf> {
    workspace.package(package)?;
    freestanding(workspace, target, "build")?
        .args(["--package", package])
        .require(verbosity)?;
    finished(target, package)
}

fn finished(target: &Path, package: &str) -> Result<PathBuf> {
    let elf = target.join(TARGET).join(PROFILE).join(package);
    ensure!(
        elf.is_file(),
        "cargo built {package} but left no file {}",
        elf.display()
    );
    Ok(elf)
}
