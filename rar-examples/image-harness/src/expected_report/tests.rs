use rar_harness::ending::Ending;
use rar_harness::guest::Finished;
use rar_harness::records::Line;
use rar_harness::run::Run;
use rar_report::{
    Disturbances, EndReason, Event, Fact, Machine, Parts, Record as Entry, RegisterRead, Registers,
    SerialLine, Symbol, TestResult, Writer, seal,
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

/// Returns a boot that said these lines and ended with a code.
pub(crate) fn finished(lines: &[&str], code: i32) -> Finished {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    Finished {
        transcript: transcript(&lines),
        ending: Ending::Exited(code),
        stderr: String::new(),
    }
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
        disturbances: Disturbances::NONE,
    })
}

fn wanted() -> ExpectedReport<'static> {
    ExpectedReport {
        cpus: 2,
        absent: Absent::NONE,
        greatest_id: 5,
        memory: 64,
        firmware: Firmware::Uefi,
        ran: vec![Run::functional(Backend::Software, 2, 300, 1).expectation()],
        notes: &["a note"],
        is_interrupted: false,
        other_notes: OtherNotes::Only(&["usual"]),
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

#[test]
fn a_machine_that_is_interrupted_says_so_of_a_test() {
    let is_wrong = |strays| {
        let mut entries = right();
        if let Some(Entry::Result(result)) = entries.last_mut() {
            result.disturbances.strays = strays;
        }
        let bytes = written(&entries, EndReason::Complete);
        let wanted = ExpectedReport {
            is_interrupted: true,
            ..wanted()
        };
        !faults(&wanted, &Report::read(&bytes, &[])).is_empty()
    };
    assert!(is_wrong(0) && !is_wrong(1));
}

fn note(text: &'static str) -> Entry<'static> {
    told(EventKind::Note, text)
}

fn told(kind: EventKind, text: &'static str) -> Entry<'static> {
    Entry::Event(Event {
        kind,
        cpu: None,
        backend: None,
        test: "",
        text,
    })
}

#[test]
fn another_note_is_a_fault_unless_it_is_usual() {
    let with = |text| {
        let mut entries = right();
        entries.push(note(text));
        judged(&entries, EndReason::Complete)
    };
    assert_eq!(with("as usual"), Vec::<String>::new());
    assert_eq!(with("a ghost"), ["it notes `a ghost`, too"]);
}

#[test]
fn cpus_that_do_not_run_are_counted_and_named() {
    let absent = Absent {
        listed: &[(7, 7), (20, 22)],
        hidden: 1,
    };
    assert_eq!(absent.ids().collect::<Vec<_>>(), [7, 20, 21, 22]);
    assert_eq!(absent.coverage(2), " on 2 of at least 7 CPUs");
    assert_eq!(Absent::NONE.coverage(2), "");
    let listed = Absent {
        hidden: 0,
        ..absent
    };
    assert_eq!(listed.coverage(2), " on 2 of 6 CPUs");
    let mut entries = right();
    if let Entry::Machine(machine) = &mut entries[0] {
        machine.cpus_found = 6;
    }
    let fact = Entry::Fact(Fact {
        key: CPUS_AT_LEAST,
        value: "7",
    });
    let missing = |text| told(EventKind::CpuMissing, text);
    entries.extend([
        fact,
        missing("the CPU with APIC id 7 did not start"),
        missing("3 CPUs with the APIC ids 20 to 22 did not start"),
    ]);
    let judged = |entries: &[Entry<'_>]| {
        let wanted = ExpectedReport { absent, ..wanted() };
        let bytes = written(entries, EndReason::Complete);
        faults(&wanted, &Report::read(&bytes, &[]))
    };
    assert_eq!(judged(&entries), Vec::<String>::new());
    for less in right().len()..entries.len() {
        let mut less_entries = entries.clone();
        less_entries.remove(less);
        assert_eq!(judged(&less_entries).len(), 1, "{less}");
    }
}
