//! A connection to a socket that QEMU opens.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);
/// QEMU opens its sockets before the guest runs.
const ATTEMPTS: u32 = 120;
/// An answer takes QEMU milliseconds, unless the host is busy.
const ANSWER: Duration = Duration::from_secs(30);

/// Connects to a socket as soon as QEMU has opened it. No read waits longer than 30 s.
///
/// # Errors
///
/// QEMU does not open the socket that `what` names within 12 s.
pub(crate) fn connect(socket: &Path, what: &str) -> Result<UnixStream> {
    let stream = (0..ATTEMPTS).find_map(|_| {
        let stream = UnixStream::connect(socket).ok();
        if stream.is_none() {
            thread::sleep(PAUSE);
        }
        stream
    });
    let stream = stream.with_context(|| format!("QEMU does not answer on its {what} socket"))?;
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}
