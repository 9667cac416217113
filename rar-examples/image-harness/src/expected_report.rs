//! The report of a boot of the image, read as its readers read it, and judged by itself.

use std::collections::{BTreeMap, BTreeSet};

use rar_harness::expectation::Expectation;
use rar_harness::records::Transcript;
use rar_report::{Backend, EventKind, Firmware, Outcome as Told};
use rar_report_page::{PartCollector, Report, Verdict, assemble, scan};
use rar_suite::MEASUREMENTS;

/// What a report has to say.
#[derive(Debug)]
pub struct ExpectedReport<'w> {
    /// CPUs of the machine; all must come up.
    pub cpus: u32,
    /// The greatest APIC id among them.
    pub greatest_id: u32,
    /// MiB of memory.
    pub memory: u32,
    /// What started the boot loader.
    pub firmware: Firmware,
    /// The backends that ran, in their order, each with what it had to run.
    pub ran: Vec<Expectation>,
    /// The backends that did not run, each with words of the reason.
    pub refused: Vec<(Backend, &'w str)>,
    /// What is noted beside the tests, in these words.
    pub notes: &'w [&'w str],
    /// Whether interrupts come all through the run that no code asked for.
    pub is_interrupted: bool,
}

/// How a line with a part begins: see [`rar_report::SerialLine`].
const MARK: &str = "@r ";
/// Every backend that a report can name.
const BACKENDS: [Backend; 3] = [Backend::Hardware, Backend::Software, Backend::Vrar];

/// Puts the parts of the one report in a text together. No part may be damaged.
///
/// # Errors
///
/// There is not exactly one report, or a part is missing or damaged.
pub fn open(text: &str) -> Result<Vec<u8>, String> {
    let found = scan(text);
    if !found.damaged.is_empty() || found.unreadable > 0 {
        return Err(format!(
            "parts of the report are damaged: {:?}, and {} without a number",
            found.damaged, found.unreadable
        ));
    }
    let mut sealed = PartCollector::default();
    sealed.add("boot", found);
    let mut reports = assemble(&sealed);
    match (reports.pop(), reports.len()) {
        (Some(report), 0) => report.bytes.map_err(|problem| problem.to_string()),
        (None, _) => Err("there is no report".to_owned()),
        (Some(_), more) => Err(format!("there are {} reports", more + 1)),
    }
}

/// Returns the bytes of the report on a serial line; each part has a line, in their order.
///
/// # Errors
///
/// As [`open`].
pub fn serial_report(transcript: &Transcript) -> Result<Vec<u8>, String> {
    let lines = transcript.lines.iter();
    let parts: Vec<_> = lines
        .filter(|line| line.starts_with(MARK))
        .map(String::as_str)
        .collect();
    let numbers = parts.iter().flat_map(|line| scan(line).found);
    let numbers: Vec<_> = numbers.map(|found| found.head.number).collect();
    if !numbers
        .iter()
        .copied()
        .eq(1..=u32::try_from(numbers.len()).unwrap_or(0))
    {
        return Err(format!("the parts of the report come as {numbers:?}"));
    }
    open(&parts.join("\n"))
}

/// Judges a report by itself; returns what is wrong.
pub fn faults(wanted: &ExpectedReport<'_>, report: &Report<'_>) -> Vec<String> {
    let mut faults = report.problems.clone();
    if report.verdict() != Verdict::Holds {
        faults.push(format!("the report says {}", report.verdict()));
    }
    machine(wanted, report, &mut faults);
    for expected in &wanted.ran {
        backend(expected, report, &mut faults);
    }
    for name in BACKENDS {
        let events = report.events.iter().filter(|event| {
            let unavailable = event.kind == EventKind::BackendUnavailable;
            let told = event.text.strip_prefix(name.name());
            unavailable && told.is_some_and(|rest| rest.starts_with(" not run: "))
        });
        let reasons: Vec<_> = events.map(|event| event.text).collect();
        let refused = wanted.refused.iter().find(|(backend, _)| *backend == name);
        let right = match (refused, reasons.as_slice()) {
            (None, []) => true,
            (Some((_, words)), [reason]) => reason.contains(words),
            _ => false,
        };
        if !right {
            faults.push(format!(
                "why {} did not run: {reasons:?}, wanted {refused:?}",
                name.name()
            ));
        }
        let ran = wanted.ran.iter();
        let ran = ran.filter(|expected| expected.backend == name);
        if ran.count() == 0 && report.counts().contains_key(&name) {
            faults.push(format!("{} ran", name.name()));
        }
    }
    for words in wanted.notes {
        let mut notes = report.events.iter();
        if !notes.any(|event| event.kind == EventKind::Note && event.text.contains(words)) {
            faults.push(format!("it does not note `{words}`"));
        }
    }
    let mut results = report.results.iter();
    if wanted.is_interrupted && !results.any(|test| test.disturbances.interrupts() > 0) {
        faults.push("no test says that it was interrupted from outside".to_owned());
    }
    let expected = [EventKind::BackendUnavailable, EventKind::Note];
    for event in &report.events {
        if !expected.contains(&event.kind) {
            faults.push(format!(
                "unexpected event: {:?}: {}",
                event.kind, event.text
            ));
        }
    }
    faults
}

fn machine(wanted: &ExpectedReport<'_>, report: &Report<'_>, faults: &mut Vec<String>) {
    let Some(machine) = report.machine else {
        faults.push("it does not say what the machine is".to_owned());
        return;
    };
    let said = (
        machine.cpus_found,
        machine.cpus_online,
        machine.max_apic_id,
        machine.firmware,
    );
    let right = (
        wanted.cpus,
        wanted.cpus,
        wanted.greatest_id,
        wanted.firmware,
    );
    if said != right {
        faults.push(format!(
            "CPUs listed and online, greatest APIC id, firmware: {said:?}, not {right:?}"
        ));
    }
    // Firmware keeps some for itself.
    let most = u64::from(wanted.memory) << 20;
    if !(most / 2..=most).contains(&machine.memory) {
        faults.push(format!(
            "{} bytes of memory, of {most} at most",
            machine.memory
        ));
    }
    let asked: u32 = report.registers.iter().map(|same| same.cpus).sum();
    if asked != wanted.cpus {
        faults.push(format!("{asked} CPUs told their registers"));
    }
}

/// Every test of the list has a result, and one that the machine can run was run.
fn backend(expected: &Expectation, report: &Report<'_>, faults: &mut Vec<String>) {
    let results: BTreeMap<_, _> = report
        .results
        .iter()
        .filter(|result| result.backend == expected.backend)
        .map(|result| (result.name, result.outcome))
        .collect();
    let measured = expected.measures.then_some(MEASUREMENTS);
    let listed: BTreeSet<_> = expected.list.iter().copied().chain(measured).collect();
    let named: BTreeSet<_> = results.keys().copied().collect();
    if listed != named {
        let differ: Vec<_> = listed.symmetric_difference(&named).collect();
        faults.push(format!(
            "{}: the list and the results differ in {differ:?}",
            expected.backend
        ));
    }
    for (name, outcome) in results {
        let required = expected.required.contains(&name);
        match outcome {
            Told::NotRun(why) if required || why.is_empty() => {
                faults.push(format!(
                    "{name} on {} was not run: `{why}`",
                    expected.backend
                ));
            }
            Told::Violated { why, .. } => {
                faults.push(format!("{name} on {}: {why}", expected.backend));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
