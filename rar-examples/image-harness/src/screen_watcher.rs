//! Pictures of a guest's screen, taken through QEMU's machine protocol, and the codes on them.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rar_camera::{Picture, on_panel, read_codes};
use rar_harness::process::utf8;
use rar_report::PartHead;
use serde_json::{Value, json};

use crate::qemu_socket;

/// Between two looks at the screen.
const PAUSE: Duration = Duration::from_millis(200);

/// Looks at the screen until it is told to stop.
#[derive(Debug)]
pub struct Photographer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Seen>>,
}

/// What was on the screen.
#[derive(Debug, Default)]
pub struct Seen {
    /// How many pictures were kept.
    pub kept: usize,
    /// The pages with codes, each once.
    pub pages: Vec<Page>,
}

/// A page with a code.
#[derive(Clone, Debug)]
pub struct Page {
    /// What the code says.
    pub text: String,
    /// The whole screen, as a panel shows it.
    pub picture: Picture,
}

impl Photographer {
    /// Begins to read the codes on the screen, and to put a picture into `folder` each time the
    /// screen differs from the last one.
    ///
    /// # Errors
    ///
    /// The folder cannot be created.
    pub fn start(socket: PathBuf, folder: Option<&Path>) -> Result<Self> {
        if let Some(folder) = folder {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        }
        let folder = folder.map(Path::to_owned);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || photograph(&socket, folder.as_deref(), &told));
        Ok(Self { stop, thread })
    }

    /// Ends it when QEMU has ended; returns what it saw.
    ///
    /// # Errors
    ///
    /// QEMU's monitor does not answer, or a picture cannot be written.
    pub fn finish(self) -> Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => bail!("taking pictures of the screen panicked"),
        }
    }
}

fn photograph(socket: &Path, folder: Option<&Path>, told: &AtomicBool) -> Result<Seen> {
    let mut monitor = Monitor::connect(socket)?;
    let now = socket.with_extension("ppm");
    let mut seen = Seen::default();
    let mut last = Vec::new();
    let mut looked = false;
    while !told.load(Ordering::Relaxed) {
        // The guest may end at any time, and QEMU with it.
        if monitor.screendump(&now, "ppm").is_err() {
            break;
        }
        let screen = fs::read(&now).unwrap_or_default();
        if screen != last {
            if let Some(folder) = folder {
                let path = folder.join(format!("screen-{:03}.png", seen.kept));
                if monitor.screendump(&path, "png").is_err() {
                    // A picture that was cut by the end of QEMU is not kept.
                    drop(fs::remove_file(&path));
                    break;
                }
                seen.kept += 1;
            }
            last = screen;
            looked = false;
        } else if !looked {
            // It stands still, so no page is half drawn.
            looked = true;
            if look(&last, &mut seen.pages).is_some_and(|key| monitor.press(key).is_err()) {
                break;
            }
        }
        thread::sleep(PAUSE);
    }
    Ok(seen)
}

/// Keeps the page that a screen shows; returns the key that turns it, or that ends the pages if all
/// were seen.
fn look(screen: &[u8], pages: &mut Vec<Page>) -> Option<&'static str> {
    let picture = Picture::from_ppm(screen).ok()?;
    let text = read_codes(&picture).pop()?;
    let (head, _) = PartHead::read(&text)?;
    if pages.iter().all(|page| page.text != text) {
        let picture = on_panel(&picture);
        pages.push(Page { text, picture });
    }
    let all = pages.len() >= usize::try_from(head.count).ok()?;
    Some(if all { "r" } else { "spc" })
}

/// A connection to QEMU's machine protocol.
struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Monitor {
    fn connect(socket: &Path) -> Result<Self> {
        let stream = qemu_socket::connect(socket, "monitor")?;
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

    fn screendump(&mut self, path: &Path, format: &str) -> Result<()> {
        let arguments = json!({ "filename": utf8(path)?, "format": format });
        self.ask(&json!({ "execute": "screendump", "arguments": arguments }))
    }

    fn press(&mut self, key: &str) -> Result<()> {
        let arguments = json!({ "keys": [{ "type": "qcode", "data": key }] });
        self.ask(&json!({ "execute": "send-key", "arguments": arguments }))
    }
}

#[cfg(test)]
mod tests {
    use rar_report::{Part, Parts, Symbol, qr};

    use super::*;

    /// A screenshot of a part's code, four pixels a module.
    fn screen(part: Part<'_>) -> Vec<u8> {
        let mut buffers = qr::Buffers::new();
        let code = qr::Code::new(part, &mut buffers).unwrap();
        let side = (code.size() + 8) * 4;
        let mut file = format!("P6\n{side} {side}\n255\n").into_bytes();
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let dark = x >= 16 && y >= 16 && code.is_dark(x / 4 - 4, y / 4 - 4);
            file.extend([if dark { 0 } else { 255 }; 3]);
        }
        file
    }

    #[test]
    fn pages_are_turned_until_all_were_seen() {
        let sealed: Vec<u8> = (0..200).collect();
        let parts = Parts::new(&sealed, 7, Symbol::new(5).unwrap()).unwrap();
        let screens: Vec<_> = parts.iter().map(screen).collect();
        let mut pages = Vec::new();
        assert_eq!(look(b"P6 1 1 255\nabc", &mut pages), None);
        let (last, others) = screens.split_last().unwrap();
        for screen in others.iter().chain(others) {
            assert_eq!(look(screen, &mut pages), Some("spc"));
        }
        assert_eq!(pages.len(), others.len());
        assert_eq!(look(last, &mut pages), Some("r"));
        let texts = parts.iter().map(|part| part.to_string());
        assert!(pages.iter().map(|page| page.text.clone()).eq(texts));
    }
}
