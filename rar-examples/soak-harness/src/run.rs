//! Runs slices, and shows how they go.

use anyhow::{Result, bail};
use rar_harness::errln;
use rar_harness::guest;
use rar_harness::process::Verbosity;
use rar_harness::progress::{Step, line};
use rar_harness::records::Record;
use rar_vocabulary::Soak;

use crate::slice::{Programs, Slice};
use crate::verdict::{judge, last};

/// Where there is no terminal, every that many records of progress are a line.
const SELDOM: usize = 30;
/// How many lines of a console a failure shows.
const TAIL: usize = 8;

/// A slice that ended.
#[derive(Debug)]
pub struct Ended {
    /// The slice.
    pub slice: Slice,
    /// What was counted, about once a second.
    pub samples: Vec<Soak>,
    /// What is wrong; nothing if it passed.
    pub problems: Vec<String>,
    /// Whether it hung, panicked or died.
    pub died: bool,
    /// The last lines of its console, if it did not pass.
    pub said: Vec<String>,
}

impl Ended {
    /// Returns what was counted at the end.
    #[must_use]
    pub fn counts(&self) -> Soak {
        self.samples.last().copied().unwrap_or_default()
    }

    /// Returns whether nothing is wrong.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Runs one slice, and shows how it ended.
///
/// # Errors
///
/// As [`run_quietly`].
pub fn run(slice: &Slice, programs: &Programs<'_>, verbosity: Verbosity) -> Result<Ended> {
    let ended = run_quietly(slice, programs, verbosity)?;
    line(&verdict_line(&ended, programs));
    ended
        .said
        .iter()
        .for_each(|text| line(&format!("    {text}")));
    Ok(ended)
}

/// Runs one slice.
///
/// # Errors
///
/// Its program is missing or cannot be started, or the user interrupted it. What a guest does is no
/// error here.
pub fn run_quietly(slice: &Slice, programs: &Programs<'_>, verbosity: Verbosity) -> Result<Ended> {
    let Some(cmd) = slice.command(programs)? else {
        bail!("slice {slice}: its program is not built");
    };
    let step = Step::new(&format!("soak {slice}"), verbosity);
    let mut samples = Vec::new();
    let finished = guest::run(&cmd, slice.time_limit(), verbosity, |record| {
        if let Record::Soak(soak) = record {
            let text = live(slice, samples.last(), soak);
            step.say(&text);
            samples.push(*soak);
            if !step.is_live() && samples.len().is_multiple_of(SELDOM) {
                errln!("  {text}");
            }
        }
    })?;
    step.finish();
    let judged = judge(slice, &finished.transcript, finished.ending);
    debug_assert_eq!(last(&finished.transcript), samples.last().copied());
    let mut said = Vec::new();
    if !judged.problems.is_empty() {
        let lines = finished.transcript.lines.iter();
        let plain = lines.filter(|line| !line.starts_with("@ "));
        said.extend(plain.cloned());
        said.drain(..said.len().saturating_sub(TAIL));
        said.extend(finished.stderr.lines().map(str::to_owned));
    }
    Ok(Ended {
        slice: *slice,
        samples,
        problems: judged.problems,
        died: judged.died,
        said,
    })
}

fn live(slice: &Slice, before: Option<&Soak>, now: &Soak) -> String {
    let none = Soak::default();
    let before = before.unwrap_or(&none);
    let rate = rate(before, now, Soak::flushes);
    let [seconds, all] = [now.milliseconds / 1_000, slice.seconds];
    format!(
        "soak {slice}  {seconds}/{all} s  {rate:.0} flushes/s  {} verified  {} faults  {} of {} \
         CPUs online  {} stale",
        now.verified(),
        now.injected(),
        now.online,
        slice.cpus,
        now.stale
    )
}

/// Returns how much was counted in a second between two moments.
pub(crate) fn rate(before: &Soak, now: &Soak, count: impl Fn(&Soak) -> u64) -> f64 {
    let seconds = now.milliseconds.saturating_sub(before.milliseconds).max(1) as f64 / 1_000.0;
    count(now).saturating_sub(count(before)) as f64 / seconds
}

fn verdict_line(ended: &Ended, programs: &Programs<'_>) -> String {
    let counts = ended.counts();
    let mut text = format!(
        "soak {}: {}, {} flushes, {} verified, {} of {} faults accounted for",
        ended.slice,
        if ended.passed() { "passed" } else { "FAILED" },
        counts.flushes(),
        counts.verified(),
        counts.accounted(),
        counts.injected()
    );
    for problem in &ended.problems {
        text.push_str(&format!("\n    {problem}"));
    }
    if !ended.passed() {
        text.push_str(&format!("\n    again: {}", programs.again(&ended.slice)));
    }
    text
}
