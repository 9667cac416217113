//! Stages that ended, and the table of them.

use std::time::Duration;

use anyhow::Error;
use clap::ValueEnum as _;
use rar_harness::exit_code::{Reason, reason_of};
use rar_harness::text;
use rar_vocabulary::Counts;

use super::stage::Stage;

/// A stage that ended.
pub(super) struct StageEnd {
    pub(super) stage: Stage,
    pub(super) tests: Counts,
    pub(super) note: String,
    pub(super) time: Duration,
    pub(super) failure: Option<Error>,
    /// Why it did not run.
    pub(super) skipped: Option<String>,
}

impl StageEnd {
    /// Makes a lack of the old toolchain no failure: the crates can be worked on without it.
    pub(super) fn skip_if_impossible(&mut self) {
        let lacks = |error: &mut Error| reason_of(error) == Reason::Environment;
        if self.stage == Stage::Msrv
            && let Some(error) = self.failure.take_if(lacks)
        {
            self.skipped = Some(format!("{error:#}"));
            "see above; `cargo xtask test --stage msrv` repeats it".clone_into(&mut self.note);
        }
    }

    pub(super) fn name(&self) -> String {
        self.stage
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What a stage that came to its end reports.
#[derive(Default)]
pub(super) struct Done {
    pub(super) tests: Counts,
    pub(super) note: String,
    pub(super) failure: Option<Error>,
}

impl Done {
    pub(super) fn note(note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..Self::default()
        }
    }
}

/// Returns the table.
pub(super) fn render(ended: &[StageEnd], time: Duration) -> String {
    let mut table = text::table(&["stage", "result", "tests", "time", "what"]);
    for end in ended {
        let result = match (&end.failure, &end.skipped) {
            (Some(_), _) => "FAILED",
            (None, Some(_)) => "skipped",
            (None, None) => "passed",
        };
        let tests = if end.tests == Counts::NONE {
            String::new()
        } else {
            end.tests.to_string()
        };
        table.add_row([
            end.name(),
            result.to_owned(),
            tests,
            seconds(end.time),
            end.note.clone(),
        ]);
    }
    table.add_row([
        "all".to_owned(),
        String::new(),
        String::new(),
        seconds(time),
        String::new(),
    ]);
    table.to_string()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Each stage counts as one, and so does each test in it.
pub(super) fn total(ended: &[StageEnd]) -> Counts {
    let mut total = Counts::NONE;
    for end in ended {
        let failed = usize::from(end.failure.is_some());
        let skipped = usize::from(end.skipped.is_some());
        total += Counts {
            passed: 1 - failed - skipped,
            failed,
            skipped,
            observed: 0,
        };
        total += end.tests;
    }
    total
}

/// Returns the reason that all failures share, or the general one.
pub(super) fn common_reason(ended: &[StageEnd]) -> Reason {
    let mut reasons = ended
        .iter()
        .filter_map(|end| end.failure.as_ref().map(reason_of));
    let first = reasons.next().unwrap_or(Reason::Failed);
    if reasons.all(|reason| reason == first) {
        first
    } else {
        Reason::Failed
    }
}

#[cfg(test)]
mod tests {
    use rar_harness::exit_code::Fault;

    use super::*;

    fn end(stage: Stage, failure: Option<&str>, passed: usize) -> StageEnd {
        StageEnd {
            stage,
            tests: Counts {
                passed,
                failed: 0,
                skipped: 0,
                observed: 0,
            },
            note: String::new(),
            time: Duration::from_millis(1500),
            failure: failure.map(|text| Error::msg(text.to_owned())),
            skipped: None,
        }
    }

    #[test]
    fn only_a_lack_of_the_old_toolchain_skips_its_stage() {
        for (stage, reason, skipped) in [
            (Stage::Msrv, Reason::Environment, true),
            (Stage::Msrv, Reason::Failed, false),
            (Stage::Qemu, Reason::Environment, false),
        ] {
            let mut end = StageEnd {
                failure: Some(Fault::new(reason, "why").into()),
                ..end(stage, None, 0)
            };
            end.skip_if_impossible();
            assert_eq!(end.skipped.is_some(), skipped, "{stage:?} {reason:?}");
            assert_eq!(end.failure.is_none(), skipped, "{stage:?} {reason:?}");
        }
        let mut end = end(Stage::Msrv, None, 0);
        end.skipped = Some("why".to_owned());
        assert_eq!(total(&[end]).to_string(), "0 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn the_exit_code_tells_what_all_failures_share() {
        let ends = |reasons: &[Reason]| {
            let failed = |&reason| StageEnd {
                failure: Some(Fault::new(reason, "why").into()),
                ..end(Stage::Qemu, None, 0)
            };
            let mut ended: Vec<_> = reasons.iter().map(failed).collect();
            ended.push(end(Stage::Host, None, 1));
            common_reason(&ended)
        };
        assert_eq!(ends(&[Reason::Guest]), Reason::Guest);
        assert_eq!(
            ends(&[Reason::Environment, Reason::Environment]),
            Reason::Environment
        );
        assert_eq!(ends(&[Reason::Guest, Reason::Environment]), Reason::Failed);
    }

    #[test]
    fn stages_and_tests_are_counted() {
        let ended = [
            end(Stage::Host, None, 40),
            end(Stage::Clippy, Some("a lint"), 0),
        ];
        assert_eq!(total(&ended).to_string(), "41 passed, 1 failed");
        let text = render(&ended, Duration::from_secs(3));
        assert!(
            text.contains("host") && text.contains("1.5 s") && text.contains("FAILED"),
            "{text}"
        );
    }
}
