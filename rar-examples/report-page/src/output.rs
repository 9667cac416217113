//! Files that appear whole or not at all.

use anyhow::{Context as _, Result};
use std::io::Write as _;
use std::path::Path;

/// Writes a file whole, or leaves what was there.
///
/// # Errors
///
/// If it cannot be written; the error names it.
pub fn write_whole(path: &Path, content: &str) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| {
        format!(
            "cannot write {}: is its folder there and writable?",
            path.display()
        )
    })
}
