//! Files that the programs write: whole, or not at all.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Writes the whole file, and a line's end, or nothing.
///
/// # Errors
///
/// Fails if the folder cannot be written to; then the file is as it was.
pub fn write(file: &Path, text: &str) -> Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> Result<()> {
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(new, "{text}")?;
        new.persist(file)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// As [`write()`], of a value as JSON.
///
/// # Errors
///
/// Fails as [`write()`] does, and if the value cannot be JSON.
pub fn write_json(file: &Path, value: &impl Serialize) -> Result<()> {
    write(
        file,
        &serde_json::to_string_pretty(value).context("no JSON")?,
    )
}
