//! Files that appear whole or not at all.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

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
        // As any other file: temporary ones are their owner's only.
        let readable = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new()
            .permissions(readable)
            .tempfile_in(folder)?;
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
