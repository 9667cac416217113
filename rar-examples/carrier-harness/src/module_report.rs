//! The report that the Linux module leaves in the kernel's log.

use rar_report_page::{PartCollector, Report, assemble, scan};

/// Checks that the log has one whole report, with as many tests that passed and failed as its lines
/// say.
pub(crate) fn check(log: &str, passed: u64, failed: u64) -> Result<(), String> {
    let mut parts = PartCollector::default();
    parts.add("the kernel's log", scan(log));
    let assembled = assemble(&parts);
    let [one] = assembled.as_slice() else {
        return Err(format!(
            "{} reports in the log (expected 1)",
            assembled.len()
        ));
    };
    let bytes = match &one.bytes {
        Ok(bytes) => bytes,
        Err(problem) => return Err(format!("the report in the log: {problem}")),
    };
    let report = Report::read(bytes, &[]);
    if let Some(problem) = report.problems.first() {
        return Err(format!("the report in the log: {problem}"));
    }
    let counts = report.counts();
    let sum = |count: fn(&rar_report_page::Counts) -> usize| counts.values().map(count).sum();
    let (holds, violated): (usize, usize) = (sum(|one| one.holds), sum(|one| one.violated));
    if (holds as u64, violated as u64) != (passed, failed) {
        return Err(format!(
            "the report in the log has {holds} passed, {violated} failed (its lines {passed}, \
             {failed})"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = include_str!("../../report-page/tests/linux/signal-lost.log");

    #[test]
    fn a_report_has_to_be_there_and_to_agree() {
        assert_eq!(check(LOG, 8, 6), Ok(()));
        let why = check(LOG, 8, 5).unwrap_err();
        assert!(why.contains("8 passed, 6 failed"), "{why}");
        assert!(check("", 8, 6).unwrap_err().contains("0 reports"));
        let cut: Vec<_> = LOG.lines().filter(|line| !line.contains("2/6:")).collect();
        let why = check(&cut.join("\n"), 8, 6).unwrap_err();
        assert!(why.contains("the report in the log"), "{why}");
    }
}
