//! Calls of cargo.

use crate::command::{Cmd, utf8};
use anyhow::Result;
use std::path::Path;

/// Code generation flags are chosen here alone: a RUSTFLAGS from outside would drop or change them in silence.
const FLAG_VARIABLES: [&str; 4] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CARGO_BUILD_RUSTDOCFLAGS",
];

/// Returns `cargo SUBCOMMAND` in the workspace at `root` with that target folder.
pub(crate) fn cargo(root: &Path, target: &Path, subcommand: &str) -> Result<Cmd> {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut cmd = Cmd::new(program)
        .arg(subcommand)
        .dir(root)
        .env("CARGO_TARGET_DIR", utf8(target)?)
        .env("CARGO_TERM_PROGRESS_WHEN", "never");
    for variable in FLAG_VARIABLES {
        if std::env::var_os(variable).is_some() {
            cmd = cmd.unset(variable);
        }
    }
    Ok(cmd)
}

/// Returns `cmd` with exactly these rustc flags for what is built for the target.
pub(crate) fn with_rustflags(cmd: Cmd, flags: &[&str]) -> Cmd {
    cmd.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
}
