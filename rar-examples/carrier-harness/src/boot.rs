//! One boot to its end or its deadline: console, trace, keys, and the processor time that it took.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rar_harness::ending::Ending;
use rar_harness::process::{Cmd, Running, Verbosity};
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;
use rar_harness::{interrupt, kernel, out, output};

use crate::pipes::{Piece, Pipes};
use crate::screen::{LEGEND, Screen, Shown, Style};
use crate::terminal::{Keyboard, RawTerminal, copy_keys};
use crate::trace_line::NotTrace;
use crate::trace_tally::Tally;

/// The package of the carrier.
const CARRIER: &str = "rar-carrier";

/// How long a guest may take to end by itself once all that was expected was shown.
const GRACE: Duration = Duration::from_secs(3);

/// How long pipes of a machine that ended are read. In tests longer than any host is busy.
const DRAIN: Duration = Duration::from_secs(if cfg!(test) { 120 } else { 5 });

/// How often the machine is looked at while it prints.
const LOOK: Duration = Duration::from_millis(20);

/// Lines of the trace that the table has in a better form.
const NOT_SHOWN: [&str; 3] = ["counts", "entries", "end"];

/// How a boot is watched.
#[derive(Clone, Debug)]
pub struct Watch {
    /// When the machine is ended.
    pub limit: Duration,
    /// Texts after which a guest that goes on is ended, too; if there are none, it is not.
    pub until: Vec<String>,
    /// Where the trace is kept.
    pub trace: Option<PathBuf>,
    /// Where keys come from.
    pub keyboard: Keyboard,
    /// Whether console and trace are shown.
    pub show: Show,
}

/// Whether console and trace are shown as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// They are.
    All,
    /// They are not.
    Nothing,
}

/// What a boot came to.
#[derive(Debug)]
pub struct Booted {
    /// The console, line by line.
    pub console: Vec<String>,
    /// What the driver did.
    pub tally: Tally,
    /// How it ended.
    pub end: BootEnd,
    /// What QEMU itself had to say.
    pub stderr: String,
    /// How long it took.
    pub time: Duration,
    /// Processor time of QEMU outside the kernel, as far as it was seen.
    pub user_time: Duration,
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootEnd {
    /// QEMU ended, or was ended at its deadline.
    Qemu(Ending),
    /// All that was expected was shown, and the guest went on.
    Shown,
    /// The user interrupted it.
    Interrupted,
}

impl Booted {
    /// Returns whether a line of the console holds this text.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        self.console.iter().any(|line| line.contains(text))
    }
}

/// Runs a machine whose trace comes on the socket at `trace`.
///
/// # Errors
///
/// QEMU cannot be started, or a file cannot be written. An interruption is no error here: the
/// table is still wanted.
pub fn run(qemu: &Cmd, trace: &Path, watch: &Watch, verbosity: Verbosity) -> Result<Booted> {
    let listener = Pipes::listen(trace)?;
    let mut running = match watch.keyboard {
        Keyboard::Terminal => qemu.spawn_with_input(verbosity)?,
        Keyboard::None => qemu.spawn(verbosity)?,
    };
    let pipes = Pipes::open(&mut running, listener)?;
    let terminal = match watch.keyboard {
        Keyboard::Terminal => {
            let keys = running.0.stdin.take().context("QEMU has no input")?;
            copy_keys(keys);
            Some(RawTerminal::take()?)
        }
        Keyboard::None => None,
    };
    let mut boot = Boot::new(watch)?;
    let ended = boot.follow(&pipes, &mut running);
    // Ends a QEMU that goes on, which closes the pipes.
    drop(running);
    let (end, user_time) = ended?;
    let stderr = boot.drain(pipes, trace)?;
    drop(terminal);
    Ok(Booted {
        end,
        user_time,
        stderr,
        time: boot.begin.elapsed(),
        console: boot.console,
        tally: boot.tally,
    })
}

/// Builds the carrier.
///
/// # Errors
///
/// It does not build.
pub fn build_carrier(workspace: &Workspace, verbosity: Verbosity) -> Result<PathBuf> {
    let step = Step::new("building the carrier", verbosity);
    let elf = kernel::build(workspace, &kernel::target(workspace), CARRIER, verbosity)?;
    step.finish();
    Ok(elf)
}

/// What is known of a boot so far.
struct Boot<'w> {
    watch: &'w Watch,
    begin: Instant,
    screen: Screen,
    console: Vec<String>,
    tally: Tally,
    file: Option<BufWriter<fs::File>>,
    /// Texts that were not shown yet.
    awaited: Vec<&'w str>,
}

impl<'w> Boot<'w> {
    fn new(watch: &'w Watch) -> Result<Self> {
        let create = |path: &PathBuf| {
            let file = fs::File::create(path);
            file.with_context(|| format!("cannot write the trace to {}", path.display()))
        };
        if watch.show == Show::All {
            out!("{LEGEND}\n");
        }
        Ok(Self {
            watch,
            begin: Instant::now(),
            screen: Screen::new(match watch.keyboard {
                Keyboard::Terminal => Style::Live,
                Keyboard::None => Style::Lines,
            }),
            console: Vec::new(),
            tally: Tally::default(),
            file: watch
                .trace
                .as_ref()
                .map(create)
                .transpose()?
                .map(BufWriter::new),
            awaited: watch.until.iter().map(String::as_str).collect(),
        })
    }

    /// Takes what the machine says until there is a reason to end.
    fn follow(&mut self, pipes: &Pipes, running: &mut Running) -> Result<(BootEnd, Duration)> {
        let pid = running.0.id();
        let mut user_time = Duration::ZERO;
        let mut all_shown = None;
        let mut look = Instant::now();
        loop {
            if let Some(piece) = pipes.next(LOOK) {
                self.take(piece)?;
            }
            if look.elapsed() < LOOK {
                continue;
            }
            look = Instant::now();
            user_time = crate::cpu_time::user(pid).unwrap_or(user_time);
            if interrupt::check().is_err() {
                return Ok((BootEnd::Interrupted, user_time));
            }
            let status: Option<ExitStatus> =
                running.0.try_wait().context("cannot wait for QEMU")?;
            if let Some(status) = status {
                return Ok((BootEnd::Qemu(Ending::of(status)?), user_time));
            }
            if !self.watch.until.is_empty() && self.awaited.is_empty() {
                let since: &mut Instant = all_shown.get_or_insert_with(Instant::now);
                if since.elapsed() >= GRACE {
                    return Ok((BootEnd::Shown, user_time));
                }
            }
            if self.begin.elapsed() >= self.watch.limit {
                let end = BootEnd::Qemu(Ending::TimedOut(self.watch.limit));
                return Ok((end, user_time));
            }
        }
    }

    /// Takes the unread rest of what an ended machine has said; returns QEMU's own words.
    fn drain(&mut self, pipes: Pipes, trace: &Path) -> Result<String> {
        Pipes::wake(trace);
        let begin = Instant::now();
        while let Some(piece) = pipes.next_or_end(DRAIN.saturating_sub(begin.elapsed())) {
            self.take(piece)?;
        }
        let shown = self.screen.finish(self.begin.elapsed());
        self.show(shown);
        if let Some(file) = &mut self.file {
            file.flush().context("cannot write the trace")?;
        }
        Ok(pipes.stderr())
    }

    fn take(&mut self, piece: Piece) -> Result<()> {
        let time = self.begin.elapsed();
        match piece {
            Piece::Console(bytes) => {
                let shown = self.screen.console(&bytes, time);
                self.show(shown);
            }
            Piece::Trace(line) => {
                if let Some(file) = &mut self.file {
                    writeln!(file, "{line}").context("cannot write the trace")?;
                }
                let words = match self.tally.take(&line) {
                    Ok(read) if NOT_SHOWN.contains(&read.kind) => return Ok(()),
                    Ok(read) => read.to_string(),
                    Err(NotTrace::Malformed(part)) => format!("unreadable {part}: {line}"),
                    Err(NotTrace::Foreign) => line,
                };
                let text = self.screen.trace(&words, time);
                self.show(Shown {
                    text,
                    ..Shown::default()
                });
            }
        }
        Ok(())
    }

    fn show(&mut self, shown: Shown) {
        if self.watch.show == Show::All {
            out!("{}", shown.text);
            if !shown.text.ends_with('\n') {
                output::flush();
            }
        }
        for line in &shown.lines {
            self.awaited.retain(|text| !line.contains(text));
        }
        self.console.extend(shown.lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booted(script: &str, limit: Duration, until: &[&str]) -> Booted {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch {
            limit,
            until: until.iter().map(|text| (*text).to_owned()).collect(),
            trace: Some(folder.path().join("kept")),
            keyboard: Keyboard::None,
            show: Show::Nothing,
        };
        let machine = Cmd::new("sh").args(["-c", script]);
        let trace = folder.path().join("trace");
        run(&machine, &trace, &watch, Verbosity::Normal).unwrap()
    }

    /// Only a hang takes so long.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_machine_without_a_trace_ends_with_all_that_it_said() {
        let booted = booted("printf 'one\\r\\ntwo'; echo oops >&2; exit 33", LONG, &[]);
        assert_eq!(booted.console, ["one", "two"]);
        assert_eq!(booted.end, BootEnd::Qemu(Ending::PASSED));
        assert_eq!(booted.stderr, "oops\n");
        // A trace that does not come delays no end.
        assert!(booted.time < DRAIN);
    }

    #[test]
    fn a_machine_that_goes_on_is_ended_at_its_deadline() {
        // On a busy host the shell may not have begun at the first deadlines.
        let said = [200, 2_000, 20_000, 200_000].into_iter().any(|limit| {
            let limit = Duration::from_millis(limit);
            let booted = booted("echo up; exec sleep 1000", limit, &["never"]);
            assert_eq!(booted.end, BootEnd::Qemu(Ending::TimedOut(limit)));
            booted.says("up")
        });
        assert!(said, "what a machine said before its deadline is lost");
    }

    #[test]
    fn a_machine_that_showed_all_has_time_to_end() {
        // On a busy host it may need longer than it has.
        let ends = |_| booted("echo passed; sleep 0.2; exit 0", LONG, &["pass"]).end;
        let mut ends = (0..20).map(ends);
        assert!(ends.any(|end| end == BootEnd::Qemu(Ending::Exited(0))));
        let stays = booted("echo passed; exec sleep 1000", LONG, &["pass"]);
        assert_eq!(stays.end, BootEnd::Shown);
        assert!(stays.time >= GRACE);
    }
}
