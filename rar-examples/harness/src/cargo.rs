//! Calls of cargo.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::process::{Cmd, utf8};

/// Flags and places of output are chosen here alone: those from outside would drop or change them
/// in silence.
const VARIABLES: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CARGO_ENCODED_RUSTDOCFLAGS",
    "CARGO_BUILD_RUSTDOCFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_BUILD_DIR",
];

/// Returns `cargo SUBCOMMAND` in the workspace at `root` with that target folder.
///
/// # Errors
///
/// The target folder is not UTF-8, or cannot be written.
pub fn cargo(root: &Path, target: &Path, subcommand: &str) -> Result<Cmd> {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    call(&program, root, target, subcommand)
}

/// As [`cargo`], with this program.
///
/// # Errors
///
/// The target folder is not UTF-8, or cannot be written.
pub fn call(program: &str, root: &Path, target: &Path, subcommand: &str) -> Result<Cmd> {
    fs::create_dir_all(target)
        .and_then(|()| tempfile::tempfile_in(target))
        .with_context(|| format!("cannot write into the target folder {}", target.display()))?;
    let mut cmd = Cmd::new(program)
        .arg(subcommand)
        .dir(root)
        .env("CARGO_TARGET_DIR", utf8(target)?)
        .env("CARGO_TERM_PROGRESS_WHEN", "never");
    for (variable, _) in std::env::vars_os() {
        if let Some(variable) = variable.to_str().filter(|name| changes_output(name)) {
            cmd = cmd.unset(variable);
        }
    }
    Ok(cmd)
}

fn changes_output(variable: &str) -> bool {
    let of_one_target = variable
        .strip_prefix("CARGO_TARGET_")
        .is_some_and(|rest| rest.ends_with("_RUSTFLAGS") || rest.ends_with("_RUSTDOCFLAGS"));
    of_one_target || VARIABLES.contains(&variable)
}

/// Returns `cmd` with exactly these rustc flags for what is built for the target.
pub fn with_rustflags(cmd: Cmd, flags: &[&str]) -> Cmd {
    cmd.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_output_is_known_by_name() {
        for variable in VARIABLES {
            assert!(changes_output(variable), "{variable}");
        }
        assert!(changes_output(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS"
        ));
        for variable in ["CARGO_TARGET_DIR", "CARGO_HOME", "MY_RUSTFLAGS"] {
            assert!(!changes_output(variable), "{variable}");
        }
    }
}
