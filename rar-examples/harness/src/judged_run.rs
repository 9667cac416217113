//! A run with its verdict.

use anyhow::Result;

use crate::ending::Ending;
use crate::exit_code::{Fault, Reason};
use crate::guest::Finished;
use crate::run::Run;
use crate::verdict::{RunVerdict, judge};

/// A run with its verdict.
#[derive(Debug)]
pub struct JudgedRun {
    /// What ran.
    pub run: Run,
    /// How it went.
    pub verdict: RunVerdict,
}

/// Returns how a guest ends by itself.
const fn by_itself(failed: bool) -> Ending {
    match failed {
        true => Ending::FAILED,
        false => Ending::PASSED,
    }
}

/// Judges each backend's part of a boot as if it had been alone.
pub(crate) fn judge_turns(run: &Run, finished: &Finished) -> Vec<JudgedRun> {
    let turns = run.turns();
    let mut parts = finished.transcript.parts(turns.len()).into_iter();
    let last = turns.len() - 1;
    let mut judged: Vec<JudgedRun> = Vec::new();
    for (number, run) in turns.into_iter().enumerate() {
        let part = parts.next().unwrap_or_default();
        let failed_before = judged.iter().any(|run| !run.verdict.passed());
        let failed = part.has_failed();
        let ending = match finished.ending {
            // The guest lived on, and says at its end what it thinks of all parts together.
            _ if number < last && parts.len() > 0 => by_itself(failed),
            Ending::Exited(_) if failed_before && finished.ending == Ending::FAILED => {
                by_itself(failed)
            }
            ending => ending,
        };
        let verdict = judge(&run.expectation(), &part, ending);
        judged.push(JudgedRun { run, verdict });
    }
    judged
}

/// Succeeds if everything passed.
///
/// # Errors
///
/// A test failed, or a guest hung, panicked or died: the exit code says which.
pub fn require_pass(judged: &[JudgedRun]) -> Result<()> {
    if judged.iter().all(|run| run.verdict.passed()) {
        return Ok(());
    }
    let died = judged.iter().any(|run| run.verdict.died);
    let (reason, words) = if died {
        (
            Reason::Guest,
            "the guest hung, panicked or died; --keep-log keeps its logs, -v shows its console",
        )
    } else {
        (
            Reason::Failed,
            "tests failed; --test NAME repeats one, --deterministic replays it",
        )
    };
    Err(Fault::new(reason, words).into())
}
