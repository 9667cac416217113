//! Images that boot by GRUB from a CD and from a stick, by BIOS and by UEFI.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::exit_code::{Fault, Reason};
use crate::process::{Cmd, Verbosity, utf8};
use crate::setup;

/// Returns the call of a program of GRUB, without its prefix.
///
/// # Errors
///
/// The program is missing.
pub fn program(name: &str) -> Result<Cmd> {
    let path = setup::grub(name).ok_or_else(|| {
        let message = format!("grub-{name} is missing; `cargo xtask setup` installs it");
        Fault::new(Reason::Environment, message)
    })?;
    Ok(Cmd::new(utf8(&path)?))
}

/// The modules of GRUB that are on an image.
#[derive(Clone, Copy, Debug)]
pub enum Modules<'m> {
    /// These, separated by blanks, and those that these depend on.
    Only(&'m str),
    /// All: for a menu that looks at disks, whatever their file systems are.
    All,
}

/// Copies a kernel without its debug information. GRUB loads all sections of a kernel, so with it a
/// kernel of 3 MB does not start on a machine with 32 MiB.
///
/// # Errors
///
/// The program `objcopy`, which comes with every linker, is missing or fails.
pub fn put_kernel(elf: &Path, to: &Path, verbosity: Verbosity) -> Result<()> {
    Cmd::new("objcopy")
        .args(["--strip-debug", utf8(elf)?, utf8(to)?])
        .require(verbosity)?;
    Ok(())
}

/// Writes an ISO file with the files of a folder. It appears whole or not at all.
///
/// # Errors
///
/// A program of GRUB fails, or a file cannot be written.
pub fn write(
    files: &Path,
    modules: Modules<'_>,
    output: &Path,
    verbosity: Verbosity,
) -> Result<()> {
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let cannot = || {
        format!(
            "cannot write the image {}: its folder must exist and be writable",
            output.display()
        )
    };
    let made = tempfile::Builder::new()
        .prefix(".rar-image-")
        .suffix(".iso")
        .tempfile_in(folder)
        .with_context(cannot)?;
    let mut cmd = program("mkrescue")?.args(["-o", utf8(made.path())?]).args([
        "--fonts=",
        "--locales=",
        "--themes=",
    ]);
    if let Modules::Only(modules) = modules {
        cmd = cmd.arg(format!("--install-modules={modules}"));
    }
    cmd.arg(utf8(files)?).require(verbosity)?;
    readable(made.path()).with_context(cannot)?;
    made.persist(output)
        .map_err(|error| error.error)
        .with_context(cannot)?;
    Ok(())
}

/// A temporary file is private; a result is read by others too.
fn readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use object::Object as _;

    use super::*;

    #[test]
    fn a_kernel_is_put_without_debug_information() {
        let sections = |path: &Path| {
            let bytes = fs::read(path).unwrap();
            let file = object::File::parse(&*bytes).unwrap();
            [".text", ".debug_info"].map(|name| file.section_by_name(name).is_some())
        };
        let this = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("kernel");
        put_kernel(&this, &to, Verbosity::Normal).unwrap();
        assert_eq!(sections(&this), [true, true]);
        assert_eq!(sections(&to), [true, false]);
    }
}
