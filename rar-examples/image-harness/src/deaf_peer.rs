//! A peer of a serial port that never reads.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::pipe::fcntl_setpipe_size;

/// The least that a pipe holds: a page.
const ROOM: usize = 4096;

/// From when on the peer of a serial port reads nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deaf {
    /// After 4 KiB, in the middle of the run
    Later,
    /// Before the machine starts: whatever sends first waits
    Start,
}

/// Two pipes, as QEMU's `pipe:` wants them: what the guest sends fills one, and stays there.
#[derive(Debug)]
pub(crate) struct DeafPeer {
    path: PathBuf,
    /// A pipe keeps its size while it is open.
    _from_guest: File,
}

impl DeafPeer {
    /// Makes the pipes in this folder, full if the peer reads nothing from the start.
    ///
    /// # Errors
    ///
    /// A pipe cannot be made.
    pub(crate) fn new(folder: &Path, deaf: Deaf) -> Result<Self> {
        let path = folder.join("serial");
        let pipe = |end: &str| {
            let path = path.with_extension(end);
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                .with_context(|| format!("cannot make the pipe {}", path.display()))?;
            anyhow::Ok(path)
        };
        pipe("in")?;
        let from_guest = pipe("out")?;
        // Open for both, so that it does not wait for the other end.
        let file = OpenOptions::new().read(true).write(true).open(&from_guest);
        let mut file = file.with_context(|| format!("cannot open {}", from_guest.display()))?;
        fcntl_setpipe_size(&file, ROOM)
            .with_context(|| format!("cannot set the size of {}", from_guest.display()))?;
        if deaf == Deaf::Start {
            file.write_all(&[b' '; ROOM])
                .with_context(|| format!("cannot fill {}", from_guest.display()))?;
        }
        Ok(Self {
            path,
            _from_guest: file,
        })
    }

    /// Returns the path that QEMU's `pipe:` takes.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;

    #[test]
    fn the_peer_takes_a_page_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let peer = DeafPeer::new(folder.path(), Deaf::Later).unwrap();
        let mut guest = guest(&peer);
        assert_eq!(guest.write(&[0; 2 * ROOM]).unwrap(), ROOM);
        let full = guest.write(&[0]).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_peer_that_is_deaf_from_the_start_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let peer = DeafPeer::new(folder.path(), Deaf::Start).unwrap();
        let full = guest(&peer).write(&[0]).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }

    fn guest(peer: &DeafPeer) -> File {
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(flags).unwrap())
            .open(peer.path().with_extension("out"))
            .unwrap()
    }
}
