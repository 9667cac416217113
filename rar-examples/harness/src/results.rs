//! The tables at the end of runs.

use comfy_table::CellAlignment;
use rar_vocabulary::{Counts, Outcome};

use crate::judged_run::JudgedRun;
use crate::modes::Thread;
use crate::text::table;
use crate::verdict::JudgedTest;
use crate::{measurements, ratios};

/// Returns the count over all test records; each fault of a run as a whole counts as one failure.
pub fn count(reports: &[JudgedRun]) -> Counts {
    let mut count = Counts::NONE;
    for JudgedRun { verdict, .. } in reports {
        count += Counts {
            passed: verdict.count(Outcome::Pass),
            failed: verdict.count(Outcome::Fail) + verdict.faults.len(),
            skipped: verdict.count(Outcome::Skipped),
            observed: verdict.count(Outcome::Observed),
        };
    }
    count
}

/// Returns the table of all runs, one row per test and run, and below it why tests failed.
pub fn render(reports: &[JudgedRun]) -> String {
    let header = [
        "test",
        "backend",
        "thread",
        "CPUs",
        "initiators",
        "flushes",
        "fallbacks",
        "re-signals",
        "outcome",
    ];
    let mut table = table(&header);
    for column in 3..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut reasons = String::new();
    for JudgedRun { run, verdict } in reports {
        for row in rows(&verdict.tests) {
            table.add_row([
                row.name.to_owned(),
                run.backend.to_string(),
                run.thread.to_string(),
                run.cpus.to_string(),
                format!("{}/{}", row.passed + row.observed(), row.ran + row.skipped),
                row.flushes.to_string(),
                row.fallbacks.to_string(),
                row.resignals.to_string(),
                row.outcome(),
            ]);
        }
        for test in verdict
            .tests
            .iter()
            .filter(|test| test.outcome == Outcome::Fail)
        {
            reasons.push_str(&format!(
                "FAILED {} (initiator {}, {} CPUs, {}): {}\n",
                test.record.name, test.record.initiator, run.cpus, run.thread, test.why
            ));
        }
        for fault in &verdict.faults {
            reasons.push_str(&format!("FAILED run {}: {fault}\n", run.label()));
        }
    }
    let mut text = table.to_string();
    text.push('\n');
    let verdicts = reports.iter().map(|report| &report.verdict);
    let measured = verdicts.flat_map(|verdict| &verdict.measurements);
    text.push_str(&measurements::render(measured));
    // Where host threads race, the medians are those of the host's scheduler.
    let calm = reports
        .iter()
        .filter(|report| report.run.thread == Thread::Single);
    text.push_str(&ratios::render(
        calm.map(|report| report.verdict.measurements.as_slice()),
    ));
    text.push_str(&reasons);
    text
}

/// One test of one run, its initiators merged.
struct Row<'a> {
    name: &'a str,
    passed: usize,
    ran: usize,
    skipped: usize,
    flushes: u64,
    fallbacks: u64,
    resignals: u64,
    why_skipped: &'a str,
    /// What each initiator observed.
    observations: Vec<&'a str>,
}

impl Row<'_> {
    fn outcome(&self) -> String {
        if self.passed + self.observed() < self.ran {
            "FAILED".to_owned()
        } else if self.ran == 0 {
            format!("skipped: {}", self.why_skipped)
        } else if self.skipped > 0 {
            format!("passed ({} skipped: {})", self.skipped, self.why_skipped)
        } else if let [first, rest @ ..] = self.observations.as_slice() {
            let others = rest.iter().filter(|other| *other != first).count();
            match others {
                0 => format!("observed: {first}"),
                others => format!("observed: {first} ({others} initiators otherwise)"),
            }
        } else {
            "passed".to_owned()
        }
    }

    fn observed(&self) -> usize {
        self.observations.len()
    }
}

fn rows(tests: &[JudgedTest]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for test in tests {
        let name = test.record.name.as_str();
        let at = rows
            .iter()
            .position(|row| row.name == name)
            .unwrap_or_else(|| {
                rows.push(Row {
                    name,
                    passed: 0,
                    ran: 0,
                    skipped: 0,
                    flushes: 0,
                    fallbacks: 0,
                    resignals: 0,
                    why_skipped: "",
                    observations: Vec::new(),
                });
                rows.len() - 1
            });
        let Some(row) = rows.get_mut(at) else {
            continue;
        };
        match test.outcome {
            Outcome::Pass => row.passed += 1,
            Outcome::Skipped => {
                row.skipped += 1;
                row.why_skipped = &test.why;
            }
            Outcome::Observed => row.observations.push(&test.why),
            Outcome::Fail => {}
        }
        row.ran += usize::from(test.outcome != Outcome::Skipped);
        row.flushes += test.record.flushes;
        row.fallbacks += test.record.fallbacks;
        row.resignals += test.record.resignals;
    }
    rows
}

#[cfg(test)]
mod tests {
    use rar_vocabulary::Backend;

    use super::*;
    use crate::records::TestRecord;
    use crate::run::Run;
    use crate::verdict::RunVerdict;

    fn judged(name: &str, initiator: u32, outcome: Outcome) -> JudgedTest {
        let record = TestRecord {
            name: name.to_owned(),
            question: None,
            backend: Backend::Software,
            cpus: 2,
            initiator,
            flushes: 10,
            controls: Vec::new(),
            fallbacks: 0,
            resignals: 1,
            outcome,
            why: String::new(),
        };
        JudgedTest {
            record,
            outcome,
            why: "read 17, wanted 18".to_owned(),
        }
    }

    fn report(tests: Vec<JudgedTest>, faults: Vec<String>) -> JudgedRun {
        let run = Run::new(Backend::Software, 2);
        JudgedRun {
            run,
            verdict: RunVerdict {
                tests,
                measurements: Vec::new(),
                faults,
                died: false,
            },
        }
    }

    #[test]
    fn initiators_are_merged_and_failures_stay_visible() {
        let tests = vec![
            judged("one-page", 0, Outcome::Pass),
            judged("one-page", 1, Outcome::Pass),
            judged("storm", 0, Outcome::Pass),
            judged("storm", 1, Outcome::Fail),
            judged("halted", 0, Outcome::Skipped),
            judged("scan-order", 0, Outcome::Observed),
            judged("scan-order", 1, Outcome::Observed),
        ];
        let reports = [report(tests, Vec::new())];
        let text = render(&reports);
        let row = |name: &str| {
            text.lines()
                .find(|line| line.contains(name))
                .unwrap()
                .to_owned()
        };
        assert!(
            row("one-page").contains("2/2") && row("one-page").contains("20"),
            "{text}"
        );
        assert!(
            row("storm").contains("1/2") && row("storm").contains("FAILED"),
            "{text}"
        );
        assert!(row("halted").contains("skipped"), "{text}");
        assert!(
            row("scan-order").contains("2/2") && row("scan-order").contains("observed: read 17"),
            "{text}"
        );
        assert!(
            text.contains("FAILED storm (initiator 1, 2 CPUs, single): read 17, wanted 18"),
            "{text}"
        );
        assert_eq!(
            count(&reports).to_string(),
            "3 passed, 1 failed, 2 observed, 1 skipped"
        );
    }

    #[test]
    fn a_fault_of_the_run_counts_as_a_failure() {
        let reports = [report(
            vec![judged("one-page", 0, Outcome::Pass)],
            vec!["no end record".to_owned()],
        )];
        assert_eq!(count(&reports).to_string(), "1 passed, 1 failed");
        assert!(render(&reports).contains("no end record"));
    }
}
