//! Builds a program that runs on any Linux: one file that loads no library.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, elf};

use crate::cargo::{cargo, with_rustflags};
use crate::kernel::TARGET;
use crate::process::Verbosity;
use crate::workspace::Workspace;

/// The C library inside the program. Naming the target keeps the flag away from build scripts.
const RUSTFLAGS: [&str; 1] = ["-Ctarget-feature=+crt-static"];

/// Builds the program of a package and returns its file.
///
/// # Errors
///
/// The workspace has no such package, it does not build, or the program would load a library.
pub fn build(workspace: &Workspace, package: &str, verbosity: Verbosity) -> Result<PathBuf> {
    workspace.package(package)?;
    let target = workspace.target.join("static");
    let cmd = cargo(&workspace.root, &target, "build")?.args([
        "--release",
        "--package",
        package,
        "--target",
        TARGET,
    ]);
    with_rustflags(cmd, &RUSTFLAGS).require(verbosity)?;
    let program = target.join(TARGET).join("release").join(package);
    ensure!(
        !needs_loader(&program)?,
        "{}: needs a loader (got a program header PT_INTERP, expected none); use a toolchain whose \
         C library can be linked statically",
        program.display()
    );
    Ok(program)
}

/// Returns whether the kernel would start a loader for this program.
fn needs_loader(program: &Path) -> Result<bool> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let parsed = || -> object::Result<bool> {
        let header: &elf::FileHeader64<LittleEndian> = FileHeader64::parse(bytes.as_slice())?;
        let segments = header.program_headers(LittleEndian, bytes.as_slice())?;
        Ok(segments
            .iter()
            .any(|segment| segment.p_type(LittleEndian) == PT_INTERP))
    };
    parsed().with_context(|| format!("{} is no ELF file", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_needs_a_loader() {
        assert!(needs_loader(&std::env::current_exe().unwrap()).unwrap());
    }

    #[test]
    fn what_is_no_program_is_named() {
        let error = needs_loader(Path::new("/proc/self/status")).unwrap_err();
        assert!(error.to_string().contains("/proc/self/status is no ELF"));
    }
}
