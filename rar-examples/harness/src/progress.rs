//! What a person sees while something long runs: one live line, or plain lines where there is no
//! terminal.

use std::io::IsTerminal as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::errln;
use crate::process::Verbosity;

/// The live lines, one below the other where several things run at once.
static LIVE: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints a line that stays, above those that are live.
pub fn line(text: &str) {
    LIVE.suspend(|| errln!("{text}"));
}

/// A step that takes time.
#[derive(Debug)]
pub struct Step {
    bar: ProgressBar,
    live: bool,
    begin: Instant,
}

impl Step {
    /// Shows that `name` runs.
    pub fn new(name: &str, verbosity: Verbosity) -> Self {
        // Verbose output and a live line would overwrite each other.
        let live = std::io::stderr().is_terminal() && !verbosity.is_verbose();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if live {
            drop(LIVE.add(bar.clone()));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
                bar.set_style(style);
            }
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            errln!("{name} ...");
        }
        Self {
            bar,
            live,
            begin: Instant::now(),
        }
    }

    /// Replaces the live line.
    pub fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Returns whether there is a live line.
    pub const fn is_live(&self) -> bool {
        self.live
    }

    /// Removes the live line and returns how long the step took.
    pub fn finish(self) -> Duration {
        self.begin.elapsed()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        LIVE.remove(&self.bar);
    }
}
