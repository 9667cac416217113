//! The report of a boot of the image, read as its readers read it, and judged by itself.

use std::collections::{BTreeMap, BTreeSet};

use rar_harness::expectation::Expectation;
use rar_harness::records::Transcript;
use rar_report::{Backend, CPUS_AT_LEAST, EventKind, Firmware, Outcome as Told};
use rar_report_page::{PartCollector, Report, Verdict, assemble, scan};
use rar_suite::MEASUREMENTS;

/// CPUs that do not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent {
    /// APIC ids that the firmware lists, each run of them by its first and last.
    pub listed: &'static [(u32, u32)],
    /// How many may exist beside the list, at least.
    pub hidden: u32,
}

impl Absent {
    /// All CPUs run.
    pub const NONE: Self = Self {
        listed: &[],
        hidden: 0,
    };

    /// Returns the APIC ids that the firmware lists.
    pub fn ids(&self) -> impl Iterator<Item = u32> + use<> {
        self.listed.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Returns how many CPUs there are, or are at least, with those that run.
    pub fn beside(&self, cpus: u32) -> u32 {
        self.ids().fold(cpus + self.hidden, |count, _| count + 1)
    }

    /// Returns what the verdict says behind its word of the CPUs that run.
    #[must_use]
    pub fn coverage(&self, cpus: u32) -> String {
        let all = self.beside(cpus);
        match (all == cpus, self.hidden) {
            (true, _) => String::new(),
            (false, 0) => format!(" on {cpus} of {all} CPUs"),
            (false, _) => format!(" on {cpus} of at least {all} CPUs"),
        }
    }
}

/// What else a report may note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherNotes {
    /// Anything.
    Allowed,
    /// Nothing that does not have one of these words.
    Only(&'static [&'static str]),
}

/// What a report has to say.
#[derive(Debug)]
pub struct ExpectedReport<'w> {
    /// CPUs that run.
    pub cpus: u32,
    /// CPUs that do not.
    pub absent: Absent,
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
    /// What else is noted.
    pub other_notes: OtherNotes,
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
    events(wanted, report, &mut faults);
    faults
}

fn events(wanted: &ExpectedReport<'_>, report: &Report<'_>, faults: &mut Vec<String>) {
    let texts = |kind| {
        let events = report.events.iter();
        events.filter_map(move |event| (event.kind == kind).then_some(event.text))
    };
    for words in wanted.notes {
        if !texts(EventKind::Note).any(|text| text.contains(words)) {
            faults.push(format!("it does not note `{words}`"));
        }
    }
    let mut results = report.results.iter();
    if wanted.is_interrupted && !results.any(|test| test.disturbances.interrupts() > 0) {
        faults.push("no test says that it was interrupted from outside".to_owned());
    }
    if let OtherNotes::Only(usual) = wanted.other_notes {
        let known = |text: &&str| {
            let mut known = wanted.notes.iter().chain(usual);
            known.any(|words| text.contains(words))
        };
        let others = texts(EventKind::Note).filter(|text| !known(text));
        faults.extend(others.map(|text| format!("it notes `{text}`, too")));
    }
    let missing = wanted.absent.listed.iter();
    let missing = missing.map(|&(first, last)| match last - first {
        0 => format!("the CPU with APIC id {first} did not start"),
        more => format!(
            "{} CPUs with the APIC ids {first} to {last} did not start",
            more + 1
        ),
    });
    if !missing.clone().eq(texts(EventKind::CpuMissing)) {
        let told: Vec<_> = texts(EventKind::CpuMissing).collect();
        let wanted: Vec<_> = missing.collect();
        faults.push(format!("CPUs that did not start: {told:?}, not {wanted:?}"));
    }
    let expected = [
        EventKind::BackendUnavailable,
        EventKind::Note,
        EventKind::CpuMissing,
    ];
    for event in &report.events {
        if !expected.contains(&event.kind) {
            faults.push(format!(
                "unexpected event: {:?}: {}",
                event.kind, event.text
            ));
        }
    }
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
    let absent = wanted.absent;
    let right = (
        absent.beside(wanted.cpus) - absent.hidden,
        wanted.cpus,
        wanted.greatest_id,
        wanted.firmware,
    );
    if said != right {
        faults.push(format!(
            "CPUs listed and online, greatest APIC id, firmware: {said:?}, not {right:?}"
        ));
    }
    let least = (absent.hidden > 0).then(|| absent.beside(wanted.cpus).to_string());
    let told = report.fact(CPUS_AT_LEAST);
    if told != least.as_deref() {
        faults.push(format!("CPUs at least: {told:?}, not {least:?}"));
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
    let asked = expected.tests.iter().map(String::as_str);
    let listed = expected.list.iter().copied().chain(asked);
    let listed: BTreeSet<_> = listed.chain(measured).collect();
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
