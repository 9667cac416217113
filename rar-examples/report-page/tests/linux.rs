//! The log of the Linux module `rar_check`, as `dmesg` prints it: its report and its TAP lines.
//!
//! The log is of a run on the shim's units with the defect `signal-lost`.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; a panic fails the test"
)]

use rar_report::{ApicMode, Backend, EndReason, Outcome, RegisterRead};
use rar_report_page::{Assembled, PartCollector, Problem, Report, assemble, html, scan};

const LOG: &str = include_str!("linux/signal-lost.log");

/// Returns the one report in a log.
fn assembled(log: &str) -> Assembled {
    let mut parts = PartCollector::default();
    parts.add("dmesg", scan(log));
    let [one] = assemble(&parts).try_into().unwrap();
    one
}

/// Returns name, outcome and text of each TAP line.
fn tap(log: &str) -> Vec<(&str, &str, &str)> {
    let lines = log.lines().filter_map(|line| {
        let (_, line) = line.split_once("rar_check: ")?;
        let (outcome, rest) = match line.strip_prefix("not ok ") {
            Some(rest) => ("violated", rest),
            None => ("holds", line.strip_prefix("ok ")?),
        };
        let (_, rest) = rest.split_once(" - ")?;
        let (name, text) = rest.split_once(" # ")?;
        Some(match text.split_once("observed: ") {
            Some((_, text)) => (name, "observed", text),
            None if text.starts_with("SKIP ") => (name, "not-run", &text[5..]),
            None => (name, outcome, text),
        })
    });
    lines.collect()
}

#[test]
fn the_report_in_a_kernel_log_says_what_its_lines_say() {
    let one = assembled(LOG);
    let bytes = one.bytes.unwrap();
    let report = Report::read(&bytes, &[]);
    assert_eq!(report.problems, [""; 0]);
    let found: Vec<_> = report
        .results
        .iter()
        .map(|result| match result.outcome {
            Outcome::Holds => (result.name, "holds", ""),
            Outcome::Violated { why, .. } => (result.name, "violated", why),
            Outcome::Observed(text) => (result.name, "observed", text),
            Outcome::NotRun(why) => (result.name, "not-run", why),
        })
        .collect();
    // A report keeps no text for what holds.
    let lines: Vec<_> = tap(LOG)
        .into_iter()
        .map(|(name, outcome, text)| match outcome {
            "holds" => (name, outcome, ""),
            _ => (name, outcome, text),
        })
        .collect();
    assert_eq!(found, lines);
    let counts = report.counts()[&Backend::Vrar];
    assert_eq!(
        counts.to_string(),
        "8 hold, 6 violated, 4 observed, 0 not run"
    );
    let resignals: u64 = report.results.iter().map(|result| result.resignals).sum();
    assert!(resignals > 6, "{resignals}");
}

#[test]
fn machine_registers_and_end_are_read() {
    let bytes = assembled(LOG).bytes.unwrap();
    let report = Report::read(&bytes, &[]);
    let machine = report.machine.unwrap();
    assert_eq!((machine.vendor, machine.model), ("GenuineIntel", 0x8f));
    assert_eq!((machine.cpus_found, machine.cpus_online), (2, 2));
    assert_eq!(machine.apic, ApicMode::Xapic);
    assert_eq!(machine.hypervisor, Some("rar-vrar-svm"));
    assert!(machine.loader.starts_with("Linux 6.1."), "{machine:?}");
    let [registers] = report.registers[..] else {
        panic!("{:?}", report.registers);
    };
    assert_eq!(registers.cpus, 2);
    assert_eq!(registers.info, RegisterRead::Value(0x3f_0000_0007));
    assert_eq!(registers.control, RegisterRead::Value(0));
    assert_eq!(report.end.unwrap().reason, EndReason::Complete);
    let page = html::page(&[report], &[]);
    assert!(page.contains("the Linux module"));
    assert!(!page.contains("tests of another version"));
}

#[test]
fn a_line_that_the_log_lost_is_named() {
    let lines: Vec<_> = LOG
        .lines()
        .filter(|line| !line.contains(r#"{"part":3,"#))
        .collect();
    let one = assembled(&lines.join("\n"));
    assert!(
        matches!(&one.bytes, Err(Problem::Missing { missing, .. }) if missing == &[3]),
        "{:?}",
        one.bytes
    );
}
