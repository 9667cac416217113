//! Archives in the form of an initramfs (`newc`): what the carrier unpacks, and what Linux does.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use cpio::NewcBuilder;
use cpio::newc::{self, ModeFileType};

/// Each member's data may begin on such a boundary: the carrier hands it to a kernel as it lies.
const PAGE: usize = 4096;

/// What precedes a member's name.
const HEADER: usize = 110;

/// Where the data of a member begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On the next page; the name is padded with NULs up to it.
    Pages,
    /// Right behind its name.
    Packed,
}

/// An archive that grows.
#[derive(Clone, Debug)]
pub struct Archive {
    bytes: Vec<u8>,
    layout: Layout,
    members: u32,
}

impl Archive {
    /// Returns an archive without members.
    #[must_use]
    pub const fn new(layout: Layout) -> Self {
        Self {
            bytes: Vec::new(),
            layout,
            members: 0,
        }
    }

    /// Adds a file that may be read by all, and run if its mode says so.
    ///
    /// # Errors
    ///
    /// The file is larger than the form allows: 4 GiB.
    pub fn file(&mut self, name: &str, data: &[u8], mode: Mode) -> Result<()> {
        self.member(name, data, ModeFileType::Regular, mode.bits())
    }

    /// Adds a folder.
    ///
    /// # Errors
    ///
    /// The name is longer than the form allows.
    pub fn folder(&mut self, name: &str) -> Result<()> {
        self.member(name, &[], ModeFileType::Directory, 0o755)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    ///
    /// The target is longer than the form allows.
    pub fn link(&mut self, name: &str, target: &str) -> Result<()> {
        self.member(name, target.as_bytes(), ModeFileType::Symlink, 0o777)
    }

    /// Returns the archive with its end.
    ///
    /// # Errors
    ///
    /// None in memory; the form's writer has them.
    pub fn finish(self) -> Result<Vec<u8>> {
        newc::trailer(self.bytes).context("cannot end an archive")
    }

    fn member(
        &mut self,
        name: &str,
        data: &[u8],
        kind: ModeFileType,
        permissions: u32,
    ) -> Result<()> {
        let cannot = || format!("cannot put {name} into an archive: its size is over 4 GiB");
        let size = u32::try_from(data.len()).with_context(cannot)?;
        self.members += 1;
        let builder = NewcBuilder::new(&self.padded(name))
            .ino(self.members)
            .mode(permissions)
            .set_mode_file_type(kind);
        let mut writer = builder.write(std::mem::take(&mut self.bytes), size);
        writer.write_all(data).with_context(cannot)?;
        self.bytes = writer.finish().with_context(cannot)?;
        Ok(())
    }

    /// Returns the name with as many NULs as the layout wants; the writer adds the last one.
    fn padded(&self, name: &str) -> String {
        let wanted = match self.layout {
            Layout::Packed => 0,
            Layout::Pages => {
                let end = self.bytes.len() + HEADER + name.len() + 1;
                end.next_multiple_of(PAGE) - end
            }
        };
        format!("{name}{}", "\0".repeat(wanted))
    }
}

/// Whether a file may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is only read.
    Data,
    /// It is a program.
    Program,
}

impl Mode {
    const fn bits(self) -> u32 {
        match self {
            Self::Data => 0o644,
            Self::Program => 0o755,
        }
    }
}

#[cfg(test)]
mod tests {
    use cpio::NewcReader;
    use proptest::prelude::*;

    use super::*;

    /// Returns each member's name, data and the place of the data.
    fn read(archive: &[u8]) -> Vec<(String, Vec<u8>, usize)> {
        let mut rest = archive;
        let mut members = Vec::new();
        loop {
            let reader = NewcReader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return members;
            }
            let name = reader.entry().name().to_owned();
            let mut data = Vec::new();
            let size = reader.entry().file_size() as usize;
            rest = reader.to_writer(&mut data).unwrap();
            let end = archive.len() - rest.len();
            members.push((name, data, end - size.next_multiple_of(4)));
        }
    }

    #[test]
    fn a_folder_a_program_and_a_link_are_read_back() {
        let mut archive = Archive::new(Layout::Packed);
        archive.folder("bin").unwrap();
        archive.file("bin/sh", b"#!", Mode::Program).unwrap();
        archive.link("init", "bin/sh").unwrap();
        let bytes = archive.finish().unwrap();
        let members = read(&bytes);
        let names: Vec<_> = members.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["bin", "bin/sh", "init"]);
        assert_eq!(members[2].1, b"bin/sh");
        let modes: Vec<_> = bytes.windows(6).filter(|word| *word == b"070701").collect();
        assert_eq!(modes.len(), 4);
    }

    proptest! {
        #[test]
        fn every_member_of_a_paged_archive_begins_on_a_page(
            files in proptest::collection::vec(
                ("[a-z]{1,20}", proptest::collection::vec(any::<u8>(), 0..9000)), 1..5,
            ),
        ) {
            let mut archive = Archive::new(Layout::Pages);
            for (name, data) in &files {
                archive.file(name, data, Mode::Data).unwrap();
            }
            let members = read(&archive.finish().unwrap());
            prop_assert_eq!(members.len(), files.len());
            for ((name, data), (read_name, read_data, begin)) in files.iter().zip(members) {
                prop_assert_eq!(name, &read_name);
                prop_assert_eq!(data, &read_data);
                prop_assert_eq!(begin % PAGE, 0);
            }
        }
    }
}
