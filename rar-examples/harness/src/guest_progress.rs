//! The progress of one guest.

use std::time::Duration;

use crate::errln;
use crate::process::Verbosity;
use crate::progress::{Step, line};
use crate::records::Record;

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
    pub(crate) fn new(label: String, verbosity: Verbosity) -> Self {
        Self {
            step: Step::new(&label, verbosity),
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
                    errln!(
                        "  {} [{}/{}] {}",
                        self.label,
                        self.done,
                        self.runs,
                        test.name
                    );
                }
                self.last.clone_from(&test.name);
            }
            Record::Begin(_) | Record::Soak(_) | Record::Measurement(_) => {}
            Record::Retry(retry) => line(&format!(
                "  {}: {} is retried, initiator {}: {}",
                self.label, retry.name, retry.initiator, retry.why
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
