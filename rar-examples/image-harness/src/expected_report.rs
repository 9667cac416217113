//! The report of a boot of the image, read as its readers read it, and judged by itself.

use std::collections::{BTreeMap, BTreeSet};

use rar_harness::expectation::Expectation;
use rar_harness::records::Transcript;
use rar_report::{Backend, EventKind, Firmware, Outcome as Told};
use rar_report_page::{Report, Sealed, Verdict, assemble, scan};
use rar_suite::MEASUREMENTS;

/// What a report has to say.
#[derive(Debug)]
pub struct ExpectedReport<'w> {
    /// CPUs of the machine, all of which came up.
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
    let mut sealed = Sealed::default();
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
    let expected = [EventKind::BackendUnavailable, EventKind::Note];
    for event in &report.events {
        if !expected.contains(&event.kind) {
            faults.push(format!("it tells of {:?}: {}", event.kind, event.text));
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
pub(crate) mod tests {
    use rar_harness::records::Line;
    use rar_harness::run::Run;
    use rar_report::{
        EndReason, Event, Machine, Parts, Record as Entry, RegisterRead, Registers, SerialLine,
        Symbol, TestResult, Writer, seal,
    };

    use super::*;

    /// Returns the bytes of a report.
    fn written(entries: &[Entry<'_>], reason: EndReason) -> Vec<u8> {
        let mut memory = vec![0; 1 << 16];
        let mut writer = Writer::new(&mut memory, 7, "test");
        for entry in entries {
            writer.push(entry);
        }
        writer.finish(reason).to_vec()
    }

    /// Returns the lines of a short report.
    pub(crate) fn lines(reason: EndReason) -> Vec<String> {
        lines_with(&[], reason)
    }

    /// Returns the lines of a short report with these entries, too.
    pub(crate) fn lines_with(more: &[Entry<'_>], reason: EndReason) -> Vec<String> {
        let short = [result("vrar", "one-page"), result("vrar", "storm")];
        let bytes = written(&[&short, more].concat(), reason);
        let mut sealed = vec![0; 1 << 16];
        let sealed = seal(&bytes, &mut sealed).unwrap();
        let parts = Parts::new(sealed, 7, Symbol::new(5).unwrap()).unwrap();
        parts
            .iter()
            .map(|part| SerialLine(part).to_string())
            .collect()
    }

    /// Returns what a console said.
    pub(crate) fn transcript(lines: &[String]) -> Transcript {
        let mut transcript = Transcript::default();
        for text in lines {
            transcript.push(Line {
                text: text.clone(),
                complete: true,
            });
        }
        transcript
    }

    fn result(backend: &str, name: &'static str) -> Entry<'static> {
        let backend = BACKENDS.into_iter().find(|known| known.name() == backend);
        Entry::Result(TestResult {
            backend: backend.unwrap(),
            name,
            outcome: Told::Holds,
            initiators: 1,
            fallbacks: 0,
            resignals: 0,
        })
    }

    fn wanted() -> ExpectedReport<'static> {
        ExpectedReport {
            cpus: 2,
            greatest_id: 5,
            memory: 64,
            firmware: Firmware::Uefi,
            ran: vec![Run::functional(Backend::Software, 2, 300, 1).expectation()],
            notes: &["a note"],
            refused: vec![(Backend::Hardware, "no RAR"), (Backend::Vrar, "no SVM")],
        }
    }

    /// What a machine writes that does as it should.
    fn right() -> Vec<Entry<'static>> {
        let read = RegisterRead::GeneralProtection;
        let mut entries = vec![
            Entry::Machine(Machine {
                cpus_found: 2,
                cpus_online: 2,
                max_apic_id: 5,
                firmware: Firmware::Uefi,
                memory: 60 << 20,
                ..Machine::default()
            }),
            Entry::Registers(Registers {
                first_cpu: 0,
                cpus: 2,
                cpuid_7_edx: None,
                core_capabilities: read,
                control: read,
                action_vector_base: read,
                payload_table_base: read,
                info: read,
            }),
            event("hardware not run: no RAR: CPUID says so"),
            event("vrar not run: the CPU has no SVM"),
            Entry::Event(Event {
                kind: EventKind::Note,
                cpu: None,
                backend: None,
                test: "",
                text: "also a note",
            }),
        ];
        let list = Run::functional(Backend::Software, 2, 300, 1)
            .expectation()
            .list;
        entries.extend(list.iter().map(|name| result("software", name)));
        entries
    }

    fn event(text: &'static str) -> Entry<'static> {
        Entry::Event(Event {
            kind: EventKind::BackendUnavailable,
            cpu: None,
            backend: None,
            test: "",
            text,
        })
    }

    fn judged(entries: &[Entry<'_>], reason: EndReason) -> Vec<String> {
        let bytes = written(entries, reason);
        faults(&wanted(), &Report::read(&bytes, &[]))
    }

    #[test]
    fn a_report_is_read_from_its_lines() {
        let bytes = serial_report(&transcript(&lines(EndReason::Hung))).unwrap();
        let report = Report::read(&bytes, &[]);
        assert_eq!(report.results.len(), 2);
        assert_eq!(report.end.unwrap().reason, EndReason::Hung);
    }

    #[test]
    fn a_lost_a_doubled_and_a_damaged_part_are_errors() {
        let whole = lines(EndReason::Complete);
        let refused = |lines: &[String]| serial_report(&transcript(lines)).is_err();
        assert!(!refused(&whole) && refused(&[]));
        for number in 0..whole.len() {
            let mut lost = whole.clone();
            lost.remove(number);
            assert!(refused(&lost), "{number}");
            let mut doubled = whole.clone();
            doubled.insert(number, whole[number].clone());
            assert!(refused(&doubled), "{number}");
            let mut damaged = whole.clone();
            damaged[number] = whole[number].replace("RAR1:00000007", "RAR1:00000008");
            assert!(refused(&damaged), "{number}");
        }
    }

    #[test]
    fn nothing_is_wrong_with_what_is_right() {
        assert_eq!(judged(&right(), EndReason::Complete), Vec::<String>::new());
        assert!(!judged(&right(), EndReason::Hung).is_empty());
    }

    #[test]
    fn each_thing_that_is_missing_is_seen() {
        for missing in 0..right().len() {
            let mut less = right();
            let gone = less.remove(missing);
            assert!(!judged(&less, EndReason::Complete).is_empty(), "{gone:?}");
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_seen() {
        let spoilt = |entry: Entry<'static>| match entry {
            Entry::Machine(machine) => [
                Machine {
                    cpus_online: 1,
                    ..machine
                },
                Machine {
                    max_apic_id: 1,
                    ..machine
                },
                Machine {
                    firmware: Firmware::Bios,
                    ..machine
                },
                Machine {
                    memory: 65 << 20,
                    ..machine
                },
            ]
            .map(Entry::Machine)
            .to_vec(),
            Entry::Registers(registers) => vec![Entry::Registers(Registers {
                cpus: 1,
                ..registers
            })],
            Entry::Event(_) => vec![event("hardware not run: the moon is full")],
            Entry::Result(result) => [
                Told::NotRun(""),
                Told::Violated {
                    initiator: 0,
                    why: "stale",
                },
            ]
            .map(|outcome| Entry::Result(TestResult { outcome, ..result }))
            .to_vec(),
            other => vec![other],
        };
        for (at, entry) in right().into_iter().enumerate() {
            for wrong in spoilt(entry) {
                let mut entries = right();
                entries[at] = wrong;
                assert!(
                    !judged(&entries, EndReason::Complete).is_empty(),
                    "{wrong:?}"
                );
            }
        }
        let mut more = right();
        more.push(result("vrar", "one-page"));
        assert!(!judged(&more, EndReason::Complete).is_empty());
    }

    #[test]
    fn a_test_that_the_machine_can_run_is_not_skipped() {
        let skipped = |name: &str| {
            let mut entries = right();
            for entry in &mut entries {
                if let Entry::Result(result) = entry
                    && result.name == name
                {
                    result.outcome = Told::NotRun("no mood");
                }
            }
            judged(&entries, EndReason::Complete)
        };
        assert_eq!(skipped("one-page").len(), 1);
        // The software backend has no units to test.
        assert_eq!(skipped("unit-prompt"), Vec::<String>::new());
    }
}
