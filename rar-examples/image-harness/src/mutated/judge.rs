//! Whether a boot says what was predicted, and nothing false.

use rar_harness::ending::{Ending, PANICKED, PASSED};
use rar_harness::guest::Finished;
use rar_report::{CPUS_AT_LEAST, EndReason, EventKind};
use rar_report_page::Report;

use super::guest_memory::CPUS;
use super::prediction::{Fate, Prediction};
use crate::expected_report::serial_report;

/// How notes begin that only readers of tables and boot information write.
const TABLE_NOTES: [&str; 6] = [
    "boot information: ",
    "ACPI ",
    "MADT",
    "local APIC: MADT",
    "CPUs: the MADT",
    "one CPU only: ",
];

/// Judges a boot; returns what is wrong.
pub(super) fn faults(fate: &Fate, finished: &Finished) -> Vec<String> {
    match fate {
        Fate::Runs(expected) => ran(expected, finished),
        Fate::Refused(why) => refused(why, finished),
        Fate::NotBootable(why, _) => vec![format!("it was booted, though {why}")],
    }
}

fn refused(why: &str, finished: &Finished) -> Vec<String> {
    let mut lines = finished.transcript.lines.iter();
    let says = lines.any(|line| line.contains(why));
    match finished.ending {
        Ending::Exited(PANICKED) if says => Vec::new(),
        ending => vec![format!("it ends with {ending:?}, not with `{why}`")],
    }
}

fn ran(expected: &Prediction, finished: &Finished) -> Vec<String> {
    let lines = &finished.transcript.lines;
    let mut faults = Vec::new();
    let violated = lines.iter().filter(|line| line.starts_with("VIOLATED "));
    faults.extend(violated.cloned());
    let verdict = lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("verdict: "));
    // Behind the word stands how many CPUs it is for.
    if !verdict.is_some_and(|verdict| verdict.starts_with("holds")) {
        faults.push(format!("verdict: {verdict:?}"));
    }
    if finished.ending != Ending::Exited(PASSED) {
        faults.push(format!("QEMU ended with {:?}", finished.ending));
    }
    match serial_report(&finished.transcript) {
        Ok(bytes) => report(expected, &Report::read(&bytes, &[]), &mut faults),
        Err(why) => faults.push(why),
    }
    faults
}

fn report(expected: &Prediction, report: &Report<'_>, faults: &mut Vec<String>) {
    faults.extend(report.problems.iter().cloned());
    if report
        .end
        .is_none_or(|end| end.reason != EndReason::Complete)
    {
        faults.push(format!("the report ends with {:?}", report.end));
    }
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    match report.machine {
        None => faults.push("the report does not say what the machine is".to_owned()),
        Some(machine) => {
            let said = (number(machine.cpus_online), number(machine.cpus_found));
            if said != (expected.online, expected.listed) {
                faults.push(format!(
                    "CPUs online and listed: got {said:?}, expected {:?}",
                    (expected.online, expected.listed)
                ));
            }
            faults.extend(lost_in_silence(machine.cpus_online, report));
        }
    }
    let least = match expected.hidden {
        0 => None,
        hidden => Some((expected.listed + hidden).to_string()),
    };
    if report.fact(CPUS_AT_LEAST) != least.as_deref() {
        faults.push(format!(
            "CPUs at least: got {:?}, expected {least:?}",
            report.fact(CPUS_AT_LEAST)
        ));
    }
    notes(expected, report, faults);
}

/// CPUs of the machine that do not run are named or counted: this looks at the report alone.
fn lost_in_silence(online: u32, report: &Report<'_>) -> Option<String> {
    let mut events = report.events.iter();
    let is_told = report.fact(CPUS_AT_LEAST).is_some()
        || events.any(|event| {
            event.kind == EventKind::CpuMissing
                || event.kind == EventKind::Note && event.text.starts_with("CPUs: the MADT")
        });
    let lost = online < CPUS && !is_told;
    lost.then(|| format!("{} of {CPUS} CPUs are lost in silence", CPUS - online))
}

fn notes(expected: &Prediction, report: &Report<'_>, faults: &mut Vec<String>) {
    let noted = report
        .events
        .iter()
        .filter(|event| event.kind == EventKind::Note);
    let noted: Vec<_> = noted.map(|event| event.text).collect();
    for note in &expected.notes {
        if !noted
            .iter()
            .any(|got| is_same(note, got, &expected.unknown))
        {
            faults.push(format!("it does not note `{note}`"));
        }
    }
    let of_tables = |got: &&&str| TABLE_NOTES.iter().any(|begin| got.starts_with(begin));
    for got in noted.iter().filter(of_tables) {
        let mut all = expected.notes.iter();
        let known = all.any(|note| is_same(note, got, &expected.unknown));
        let dropped = expected.dropped > 0 && got.contains("had no room");
        if !known && !dropped {
            faults.push(format!("unexpected note: `{got}`"));
        }
    }
}

/// Returns whether a report has this note: whole, or as much of it as there is room for. Of a note
/// about memory that the host does not know the part up to the address counts.
fn is_same(note: &str, got: &str, unknown: &[u64]) -> bool {
    /// An event keeps at least this much.
    const KEPT: usize = 60;
    let cut = got.len() >= KEPT && note.starts_with(got.trim_end_matches(['.', '~']));
    let about = |address: &u64| {
        let place = format!("at {address:#x}: ");
        let end = note.find(&place).map(|at| at + place.len());
        let begin = end.and_then(|end| note.get(..end));
        begin.is_some_and(|begin| got.starts_with(begin))
    };
    note == got || cut || unknown.iter().any(about)
}

#[cfg(test)]
mod tests {
    use rar_report::{ApicMode, Event, Fact, Firmware, Machine, Record, TscSource};

    use super::*;
    use crate::expected_report::tests::{finished, lines_with, transcript};

    const NOTE: &str = "MADT malformed after 2 entries (type 0, length 0); the entries behind it \
        are read, and this is a long note";
    const ABOUT: &str = "ACPI table RSDT at 0x7000: wrong signature \\x00; it is left out";
    const OTHER: &str = "ACPI table RSDT at 0x7000: wrong signature ABCD; it is left out";

    /// A machine whose firmware hides a CPU, and says so.
    fn expected() -> Prediction {
        Prediction {
            notes: vec![NOTE.to_owned(), ABOUT.to_owned()],
            dropped: 0,
            ids: vec![0, 1, 3],
            listed: 3,
            online: 3,
            hidden: 1,
            unknown: vec![0x7000],
        }
    }

    fn machine(found: u32, online: u32) -> Record<'static> {
        Record::Machine(Machine {
            vendor: "",
            brand: "",
            family: 0,
            model: 0,
            stepping: 0,
            microcode: None,
            cpus_found: found,
            cpus_online: online,
            apic: ApicMode::Xapic,
            max_apic_id: 3,
            tsc_hz: 1,
            tsc_source: TscSource::Pit,
            memory: 0,
            firmware: Firmware::Bios,
            loader: "",
            hypervisor: None,
            options: "",
        })
    }

    fn event(kind: EventKind, text: &str) -> Record<'_> {
        Record::Event(Event {
            kind,
            cpu: None,
            backend: None,
            test: "",
            text,
        })
    }

    fn at_least(value: &str) -> Record<'_> {
        let key = CPUS_AT_LEAST;
        Record::Fact(Fact { key, value })
    }

    fn right() -> Vec<Record<'static>> {
        let note = |text| event(EventKind::Note, text);
        vec![machine(3, 3), at_least("4"), note(NOTE), note(OTHER)]
    }

    fn judged(records: &[Record<'_>], more: &[&str], code: i32) -> String {
        let records = lines_with(records, EndReason::Complete);
        let lines = records.iter().map(String::as_str);
        let lines: Vec<_> = lines.chain(more.iter().copied()).collect();
        let finished = finished(&lines, code);
        faults(&Fate::Runs(expected()), &finished).join("; ")
    }

    const VERDICT: &str = "verdict: holds on 3 of at least 4 CPUs";

    #[test]
    fn what_was_predicted_is_right() {
        assert_eq!(judged(&right(), &[VERDICT], PASSED), "");
    }

    #[test]
    fn each_thing_that_is_missing_or_false_is_seen() {
        for missing in 0..right().len() {
            let mut less = right();
            less.remove(missing);
            assert_ne!(judged(&less, &[VERDICT], PASSED), "", "{missing}");
        }
        for (number, false_one, words) in [
            (0, machine(3, 2), "CPUs online and listed"),
            (0, machine(4, 3), "CPUs online and listed"),
            (1, at_least("5"), "CPUs at least"),
            (
                2,
                event(EventKind::Note, "MADT malformed"),
                "unexpected note",
            ),
            (2, event(EventKind::Hung, NOTE), "does not note"),
            (
                3,
                event(EventKind::Note, "ACPI table RSDT at 0x70"),
                "unexpected note",
            ),
        ] {
            let mut other = right();
            other[number] = false_one;
            let why = judged(&other, &[VERDICT], PASSED);
            assert!(why.contains(words), "{words}: {why}");
        }
        let more = [right(), vec![event(EventKind::Note, "one CPU only: why")]].concat();
        assert!(judged(&more, &[VERDICT], PASSED).contains("unexpected note"));
    }

    #[test]
    fn a_false_verdict_and_a_panic_are_seen() {
        let right = right();
        let violated = ["VIOLATED one-page, CPU 0", "verdict: VIOLATED"];
        assert!(judged(&right, &violated, 35).contains("one-page, CPU 0"));
        assert!(judged(&right, &[], PASSED).contains("verdict: None"));
        assert!(judged(&right, &[VERDICT], PANICKED).contains("QEMU ended"));
        assert!(judged(&right, &["verdict: INCOMPLETE"], PASSED).contains("INCOMPLETE"));
    }

    #[test]
    fn cpus_that_are_lost_in_silence_are_seen_whatever_was_predicted() {
        let lost = |records: &[Record<'_>]| {
            let lines = lines_with(records, EndReason::Complete);
            let bytes = serial_report(&transcript(&lines)).unwrap();
            lost_in_silence(3, &Report::read(&bytes, &[]))
        };
        assert_eq!(
            lost(&[machine(3, 3)]).unwrap(),
            "1 of 4 CPUs are lost in silence"
        );
        for told in [
            at_least("4"),
            event(EventKind::CpuMissing, ""),
            event(
                EventKind::Note,
                "CPUs: the MADT lists 3, CPUID counts up to 4",
            ),
        ] {
            assert_eq!(lost(&[told]), None);
        }
    }

    #[test]
    fn a_refusal_has_its_sentence_and_its_exit_code() {
        let judged = |line: &str, code| {
            let finished = finished(&[line], code);
            faults(&Fate::Refused("no memory map".to_owned()), &finished).len()
        };
        assert_eq!(judged("panic: no memory map", PANICKED), 0);
        assert_eq!(judged("panic: no memory map", PASSED), 1);
        assert_eq!(judged("panic: page fault", PANICKED), 1);
    }
}
