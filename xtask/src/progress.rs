//! What a person sees while something long runs: one live line, or plain lines where there is no terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::command::Shell;
use crate::qemu::records::Record;

/// The live lines, one below the other where several things run at once.
static LIVE: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints a line that stays, above those that are live.
pub(crate) fn line(text: &str) {
    LIVE.suspend(|| eprintln!("{text}"));
}

/// A step that takes time.
#[derive(Debug)]
pub(crate) struct Step {
    bar: ProgressBar,
    live: bool,
    begin: Instant,
}

impl Step {
    /// Shows that `name` runs.
    pub(crate) fn new(name: &str, shell: Shell) -> Self {
        // Verbose output and a live line would overwrite each other.
        let live = std::io::stderr().is_terminal() && !shell.verbose;
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if live {
            drop(LIVE.add(bar.clone()));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
                bar.set_style(style);
            }
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            eprintln!("{name} ...");
        }
        Self {
            bar,
            live,
            begin: Instant::now(),
        }
    }

    /// Replaces the live line.
    pub(crate) fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Returns whether there is a live line.
    pub(crate) const fn is_live(&self) -> bool {
        self.live
    }

    /// Removes the live line and returns how long the step took.
    pub(crate) fn finish(self) -> Duration {
        self.begin.elapsed()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        LIVE.remove(&self.bar);
    }
}

/// The progress of one guest.
#[derive(Debug)]
pub(crate) struct GuestProgress {
    step: Step,
    label: String,
    runs: usize,
    done: usize,
    last: String,
}

impl GuestProgress {
    /// Shows that a guest boots.
    pub(crate) fn new(label: String, shell: Shell) -> Self {
        Self {
            step: Step::new(&label, shell),
            label,
            runs: 0,
            done: 0,
            last: String::new(),
        }
    }

    /// Shows what a record tells.
    pub(crate) fn record(&mut self, record: &Record) {
        match record {
            Record::Start(start) => {
                self.runs = start.runs;
                self.done = 0;
                self.show(&format!("{} CPUs are up", start.cpus));
            }
            Record::Test(test) => {
                self.done += 1;
                if self.step.is_live() {
                    self.show(&test.name);
                } else if test.name != self.last {
                    eprintln!(
                        "  {} [{}/{}] {}",
                        self.label, self.done, self.runs, test.name
                    );
                }
                self.last.clone_from(&test.name);
            }
            Record::Begin(_) | Record::Measurement(_) => {}
            Record::Again(again) => line(&format!(
                "  {}: {} begins again, initiator {}: {}",
                self.label, again.name, again.initiator, again.why
            )),
            Record::Progress(progress) => {
                self.show(&format!(
                    "{} {}/{}",
                    progress.name, progress.done, progress.total
                ));
            }
            Record::End(_) => self.show("ends"),
        }
    }

    /// Removes the live line and returns how long the guest ran.
    pub(crate) fn finish(self) -> Duration {
        self.step.finish()
    }

    fn show(&self, what: &str) {
        self.step.say(&format!(
            "{} [{}/{}] {what}",
            self.label, self.done, self.runs
        ));
    }
}
