//! Pictures of a guest's screen, taken through QEMU's machine protocol.

use crate::command::utf8;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two looks at the screen.
const PAUSE: Duration = Duration::from_millis(500);
/// QEMU opens its socket before the guest runs.
const CONNECT_ATTEMPTS: u32 = 40;
/// A picture takes QEMU milliseconds, unless the host is busy.
const ANSWER: Duration = Duration::from_secs(30);

/// Takes pictures until it is told to stop.
#[derive(Debug)]
pub(crate) struct Photographer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<usize>>,
}

impl Photographer {
    /// Begins to put a picture into `folder` each time the screen differs from the last one.
    pub(crate) fn start(socket: PathBuf, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let folder = folder.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || photograph(&socket, &folder, &told));
        Ok(Self { stop, thread })
    }

    /// Ends it when QEMU has ended; returns how many pictures there are.
    pub(crate) fn finish(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => bail!("taking pictures of the screen panicked"),
        }
    }
}

fn photograph(socket: &Path, folder: &Path, told: &AtomicBool) -> Result<usize> {
    let mut monitor = Monitor::connect(socket)?;
    let mut count = 0;
    let mut last = Vec::new();
    while !told.load(Ordering::Relaxed) {
        let path = folder.join(format!("screen-{count:03}.png"));
        // The guest may end at any time, and QEMU with it.
        if monitor.screendump(&path).is_err() {
            break;
        }
        let picture = fs::read(&path).unwrap_or_default();
        if picture.is_empty() || picture == last {
            drop(fs::remove_file(&path));
        } else {
            count += 1;
            last = picture;
        }
        thread::sleep(PAUSE);
    }
    // A picture that was cut by the end of QEMU is none.
    drop(fs::remove_file(
        folder.join(format!("screen-{count:03}.png")),
    ));
    Ok(count)
}

/// A connection to QEMU's machine protocol.
struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Monitor {
    fn connect(socket: &Path) -> Result<Self> {
        let stream = (0..CONNECT_ATTEMPTS)
            .find_map(|_| {
                let stream = UnixStream::connect(socket).ok();
                if stream.is_none() {
                    thread::sleep(PAUSE / 2);
                }
                stream
            })
            .context("QEMU does not answer on its monitor socket")?;
        stream.set_read_timeout(Some(ANSWER))?;
        let writer = stream.try_clone()?;
        let mut monitor = Self {
            reader: BufReader::new(stream),
            writer,
        };
        monitor.line()?;
        monitor.ask(&json!({ "execute": "qmp_capabilities" }))?;
        Ok(monitor)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU closed its monitor");
        }
        serde_json::from_str(&line).context("QEMU's monitor says what is no JSON")
    }

    fn ask(&mut self, command: &Value) -> Result<()> {
        writeln!(self.writer, "{command}")?;
        loop {
            let answer = self.line()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
            // Events come in between.
            if answer.get("return").is_some() {
                return Ok(());
            }
        }
    }

    fn screendump(&mut self, path: &Path) -> Result<()> {
        let arguments = json!({ "filename": utf8(path)?, "format": "png" });
        self.ask(&json!({ "execute": "screendump", "arguments": arguments }))
    }
}
