//! Folders that appear whole or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use tempfile::TempDir;

/// A folder that an option names. Until [`finish`](Self::finish) it is beside its place, under a
/// name of its own; without that nothing is left of it.
#[derive(Debug)]
pub struct NewFolder {
    made: TempDir,
    place: PathBuf,
    option: &'static str,
}

impl NewFolder {
    /// Makes room for the folder, so that a place that cannot be written is known before any work.
    ///
    /// # Errors
    ///
    /// There is something at `place` already, or its parent cannot be written.
    pub fn create(option: &'static str, place: &Path) -> Result<Self> {
        if place.exists() {
            let message = format!(
                "{option} {} exists; name a folder that does not",
                place.display()
            );
            return Err(Fault::new(Reason::Usage, message).into());
        }
        let parent = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let made = tempfile::Builder::new()
            .prefix(".rar-image-")
            .tempdir_in(parent)
            .with_context(|| {
                format!(
                    "cannot write {option} {}: its parent must exist and be writable",
                    place.display()
                )
            })?;
        Ok(Self {
            made,
            place: place.to_owned(),
            option,
        })
    }

    /// Returns where the files are put.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.made.path()
    }

    /// Puts the folder in its place.
    ///
    /// # Errors
    ///
    /// It cannot be renamed: nothing is left of it then.
    pub fn finish(self) -> Result<()> {
        let cannot = || format!("cannot write {} {}", self.option, self.place.display());
        // A temporary folder is private; a result is read by others too.
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755)).with_context(cannot)?;
        fs::rename(self.path(), &self.place).with_context(cannot)?;
        // There is nothing to remove under the old name.
        let _old_name = self.made.keep();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rar_harness::exit_code::reason_of;

    use super::*;

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn it_appears_whole_or_not_at_all() {
        let parent = tempfile::tempdir().unwrap();
        let place = parent.path().join("new");
        drop(NewFolder::create("--netboot", &place).unwrap());
        assert_eq!(count(parent.path()), 0);
        let folder = NewFolder::create("--netboot", &place).unwrap();
        fs::write(folder.path().join("file"), "text").unwrap();
        folder.finish().unwrap();
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "text");
        assert_eq!(count(parent.path()), 1);
    }

    #[test]
    fn what_exists_is_left_alone_and_is_known_at_once() {
        let parent = tempfile::tempdir().unwrap();
        let error = NewFolder::create("--netboot", parent.path()).unwrap_err();
        assert_eq!(reason_of(&error), Reason::Usage);
        let nowhere = parent.path().join("no/such");
        assert!(NewFolder::create("--netboot", &nowhere).is_err());
        assert_eq!(count(parent.path()), 0);
    }

    #[test]
    fn nothing_is_left_where_its_place_was_taken_meanwhile() {
        let parent = tempfile::tempdir().unwrap();
        let place = parent.path().join("new");
        let folder = NewFolder::create("--netboot", &place).unwrap();
        fs::write(&place, "another program's").unwrap();
        assert!(folder.finish().is_err());
        assert_eq!(count(parent.path()), 1);
    }
}
