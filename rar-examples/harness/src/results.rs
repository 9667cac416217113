//! The tables at the end of runs.

use comfy_table::CellAlignment;
use rar_vocabulary::{Counts, Outcome};

use crate::judged_run::JudgedRun;
use crate::modes::Thread;
use crate::text::{paragraph, table, with_details};
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

/// Returns a table for each run, one row per test, and below them why tests failed.
pub fn render(reports: &[JudgedRun]) -> String {
    let mut text = String::new();
    for run in reports {
        text.push_str(&of_one(run));
    }
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
    text.push_str(&failures(reports));
    text
}

/// Returns the table of one run under its title.
fn of_one(JudgedRun { run, verdict }: &JudgedRun) -> String {
    let mut table = table(&[
        "test",
        "runs",
        "flushes",
        "fallbacks",
        "re-signals",
        "outcome",
    ]);
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut details = Vec::new();
    for row in rows(&verdict.tests) {
        table.add_row([
            row.name.to_owned(),
            format!("{}/{}", row.passed + row.observed(), row.ran + row.skipped),
            row.flushes.to_string(),
            row.fallbacks.to_string(),
            row.resignals.to_string(),
            row.outcome().to_owned(),
        ]);
        details.push(row.detail());
    }
    let cpus = if run.cpus == 1 { "CPU" } else { "CPUs" };
    let backend = match run.odd_table {
        None => run.backend.to_string(),
        // What was used, not what was asked for.
        Some(_) => format!(
            "{} (the CPUs disagree on RAR, so {} is off)",
            run.expectation().backend,
            run.backend
        ),
    };
    format!(
        "backend {backend} on {} {cpus}, QEMU thread={}\n{}\n",
        run.cpus,
        run.thread,
        with_details(&table, &details)
    )
}

/// Returns a paragraph for each failure.
fn failures(reports: &[JudgedRun]) -> String {
    let mut all = String::new();
    for JudgedRun { run, verdict } in reports {
        let failed = verdict
            .tests
            .iter()
            .filter(|test| test.outcome == Outcome::Fail);
        for test in failed {
            let (name, initiator) = (&test.record.name, test.record.initiator);
            let (cpus, thread, why) = (run.cpus, run.thread, &test.why);
            let line =
                format!("FAILED {name} (initiator {initiator}, {cpus} CPUs, {thread}): {why}");
            all.push_str(&paragraph(&line));
            all.push('\n');
        }
        for fault in &verdict.faults {
            all.push_str(&paragraph(&format!("FAILED run {}: {fault}", run.label())));
            all.push('\n');
        }
    }
    all
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
    fn outcome(&self) -> &'static str {
        if self.passed + self.observed() < self.ran {
            "FAILED"
        } else if self.ran == 0 {
            "skipped"
        } else if self.observed() > 0 && self.skipped == 0 {
            "observed"
        } else {
            "passed"
        }
    }

    /// Returns what the outcome does not say; nothing for a plain pass. Failures stand below the
    /// table.
    fn detail(&self) -> String {
        if self.ran == 0 {
            return self.why_skipped.to_owned();
        }
        if self.skipped > 0 {
            return format!("{} skipped: {}", self.skipped, self.why_skipped);
        }
        let Some((first, rest)) = self.observations.split_first() else {
            return String::new();
        };
        let others = rest.iter().filter(|other| *other != first).count();
        match others {
            0 => (*first).to_owned(),
            others => format!("{first} ({others} initiators otherwise)"),
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
            disturbances: rar_vocabulary::Disturbances::NONE,
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
        let mut after = text.lines().skip_while(|line| !line.contains("scan-order"));
        let scan = after.next().unwrap();
        assert!(scan.contains("2/2") && scan.contains("observed"), "{text}");
        assert!(after.next().unwrap().contains("read 17"), "{text}");
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
