//! What a machine says, from all its pipes in one queue.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rar_harness::process::Running;

/// Pieces that wait to be taken; a machine that says more waits, too.
const ROOM: usize = 1024;

/// A line of the trace that is longer is cut, and then cannot be read.
const LONGEST_LINE: u64 = 1 << 16;

/// How much QEMU itself may say.
const MOST_ERRORS: u64 = 1 << 20;

/// A part of what a machine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of the console.
    Console(Vec<u8>),
    /// A line of the trace.
    Trace(String),
}

/// The pipes of a machine.
#[derive(Debug)]
pub(crate) struct Pipes {
    pieces: Receiver<Piece>,
    errors: JoinHandle<String>,
}

impl Pipes {
    /// Waits for a machine to connect its trace to this path.
    ///
    /// # Errors
    ///
    /// The socket cannot be made.
    pub(crate) fn listen(trace: &Path) -> Result<UnixListener> {
        UnixListener::bind(trace)
            .with_context(|| format!("cannot make the socket {}", trace.display()))
    }

    /// Reads all pipes of a machine.
    ///
    /// # Errors
    ///
    /// It has no outputs.
    pub(crate) fn open(running: &mut Running, listener: UnixListener) -> Result<Self> {
        let stdout = running.0.stdout.take().context("QEMU has no output")?;
        let stderr = running.0.stderr.take().context("QEMU has no errors")?;
        let (sender, pieces) = sync_channel(ROOM);
        let to_console = sender.clone();
        thread::spawn(move || read_console(stdout, &to_console));
        thread::spawn(move || {
            if let Ok((stream, _)) = listener.accept() {
                read_trace(stream, &sender);
            }
        });
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            drop(stderr.take(MOST_ERRORS).read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self { pieces, errors })
    }

    /// Returns the next piece if one comes in that time.
    pub(crate) fn next(&self, wait: Duration) -> Option<Piece> {
        match self.pieces.recv_timeout(wait) {
            Ok(piece) => Some(piece),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(wait);
                None
            }
        }
    }

    /// Returns the next piece; `None` if the machine's pipes have ended, or after that time.
    pub(crate) fn next_or_end(&self, wait: Duration) -> Option<Piece> {
        self.pieces.recv_timeout(wait).ok()
    }

    /// Ends the wait for a machine that did not connect.
    pub(crate) fn wake(trace: &Path) {
        // A machine that did has taken the only place.
        drop(UnixStream::connect(trace));
    }

    /// Returns what QEMU itself had to say, once it has ended.
    pub(crate) fn stderr(self) -> String {
        self.errors.join().unwrap_or_default()
    }
}

fn read_console(mut pipe: impl Read, pieces: &SyncSender<Piece>) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut bytes) {
        let Some(read) = bytes.get(..length) else {
            return;
        };
        if pieces.send(Piece::Console(read.to_vec())).is_err() {
            return;
        }
    }
}

fn read_trace(pipe: impl Read, pieces: &SyncSender<Piece>) {
    let mut reader = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        let read = reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line);
        if !read.is_ok_and(|length| length > 0) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        if pieces.send(Piece::Trace(text)).is_err() {
            return;
        }
    }
}
