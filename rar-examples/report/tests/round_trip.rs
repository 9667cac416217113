//! What is written is read back, and what is damaged is named; nothing panics on any bytes.

mod common;

use proptest::collection::vec;
use proptest::prelude::*;
use rar_report::{
    Backend, Disturbances, EndReason, Event, EventKind, Fact, Header, LeftOut, Method, Outcome,
    PartError, Parts, Record, Records, Symbol, TestResult, UnsealError, Writer, open, open_prefix,
    read_part, seal,
};

use common::{MACHINE, Numbers, measurement, write_typical};

const BACKENDS: [Backend; 3] = [Backend::Hardware, Backend::Vrar, Backend::Software];

/// A test's result that owns its texts.
#[derive(Clone, Debug)]
struct Owned {
    backend: usize,
    name: String,
    kind: u8,
    text: String,
    numbers: (u32, u64, u64),
    disturbances: (u64, u64, u64),
}

impl Owned {
    fn record(&self) -> Record<'_> {
        let text = self.text.as_str();
        Record::Result(TestResult {
            backend: BACKENDS.get(self.backend).copied().unwrap_or(Backend::Vrar),
            name: &self.name,
            outcome: match self.kind {
                0 => Outcome::Holds,
                1 => Outcome::Violated {
                    initiator: self.numbers.0,
                    why: text,
                },
                2 => Outcome::Observed(text),
                _ => Outcome::NotRun(text),
            },
            initiators: self.numbers.0,
            fallbacks: self.numbers.1,
            resignals: self.numbers.2,
            disturbances: Disturbances {
                nmis: self.disturbances.0,
                strays: self.disturbances.1,
                gaps: self.disturbances.2,
                longest_gap: self.disturbances.2,
            },
        })
    }
}

fn results() -> impl Strategy<Value = Vec<Owned>> {
    let one = (
        0..3_usize,
        "[a-d]{0,2}",
        0..4_u8,
        ".{0,20}",
        any::<(u32, u64, u64)>(),
        prop_oneof![Just((0, 0, 0)), any::<(u64, u64, u64)>()],
    );
    vec(
        one.prop_map(|(backend, name, kind, text, numbers, disturbances)| Owned {
            backend,
            name,
            kind,
            text,
            numbers,
            disturbances,
        }),
        0..40,
    )
}

proptest! {
    #[test]
    fn results_come_back_in_their_order(results in results()) {
        let mut memory = vec![0; 1 << 16];
        let mut writer = Writer::new(&mut memory, 7, "test");
        for result in &results {
            writer.push(&result.record());
        }
        let report = writer.finish(EndReason::Complete);
        let mut sealed = vec![0; report.len() + 10];
        let sealed = seal(report, &mut sealed).unwrap();
        let mut opened = vec![0; Header::read(sealed).unwrap().0.room()];
        let opened = open(sealed, &mut opened).unwrap();
        prop_assert_eq!(opened, report);
        let read: Result<Vec<_>, _> = Records::new(opened).collect();
        let read = read.unwrap();
        prop_assert_eq!(read.len(), results.len() + 2);
        for (written, read) in results.iter().zip(read.iter().skip(1)) {
            prop_assert_eq!(&written.record(), read);
        }
        prop_assert_eq!(read.last(), Some(&Record::End(EndReason::Complete, LeftOut::default())));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400), text in ".{0,60}") {
        let records = Records::new(&bytes).count();
        prop_assert!(records <= bytes.len());
        let _refused = open(&bytes, &mut [0; 4096]);
        let _refused = open_prefix(&bytes, &mut [0; 4096]);
        let _refused = read_part(&format!("RAR1:{text}"), &mut [0; 64]);
    }

    #[test]
    fn heatshrink_of_any_bytes_is_opened_or_refused(
        bytes in vec(any::<u8>(), 0..200),
        length in 0..3000_u32,
    ) {
        let mut sealed = vec![1, 1];
        sealed.extend(length.to_le_bytes());
        sealed.extend([0; 4]);
        sealed.extend(bytes);
        let _refused = open(&sealed, &mut [0; 4096]);
        let _refused = open_prefix(&sealed, &mut [0; 4096]);
    }

    #[test]
    fn a_changed_character_is_found(at in any::<prop::sample::Index>(), to in "[0-9A-Z $%*+./:-]") {
        let parts = Parts::new(b"some bytes of a report", 0xab, Symbol::DEFAULT).unwrap();
        let mut text = parts.get(1).unwrap().to_string();
        let at = at.index(text.len());
        prop_assume!(text.get(at..=at) != Some(to.as_str()));
        text.replace_range(at..=at, &to);
        prop_assert!(read_part(&text, &mut [0; 64]).is_err());
    }
}

#[test]
fn every_kind_of_record_comes_back() {
    let measured = measurement(Method::Nmi, 4, 2, &mut Numbers::new());
    let records = [
        Record::Machine(MACHINE),
        Record::Fact(Fact {
            key: "cpuid.1.ecx",
            value: "0x7ffafbff",
        }),
        Record::Measurement(measured),
        Record::Measurement(rar_report::Measurement {
            state: "hlt",
            min: 9,
            p50: 3,
            spoiled: 300,
            ..measured
        }),
        Record::Measurement(rar_report::Measurement {
            disturbances: Disturbances {
                nmis: 300,
                ..Disturbances::NONE
            },
            ..measured
        }),
        Record::Measurement(measured),
        Record::Event(Event {
            kind: EventKind::Hung,
            cpu: None,
            backend: Some(Backend::Vrar),
            test: "storm",
            text: "",
        }),
    ];
    let mut memory = [0; 4096];
    let mut writer = Writer::new(&mut memory, 1, "v");
    records.iter().for_each(|record| writer.push(record));
    let report = writer.finish(EndReason::Hung);
    let read: Vec<_> = Records::new(report).map(Result::unwrap).collect();
    assert_eq!(read[1..=records.len()], records);
    assert_eq!(
        read.last(),
        Some(&Record::End(EndReason::Hung, LeftOut::default()))
    );
}

#[test]
fn what_does_not_fit_is_counted_and_the_end_always_fits() {
    let mut whole = vec![0; 65536];
    let length = write_typical(&mut whole).len();
    for room in (100..length).step_by(397) {
        let mut memory = vec![0xee; room];
        let mut writer = Writer::new(&mut memory, 1, "v");
        for number in 0..length {
            let name = number.to_string();
            writer.push(&Record::Fact(Fact {
                key: &name,
                value: "",
            }));
        }
        let left_out = writer.left_out();
        let report = writer.finish(EndReason::Deadline);
        let read: Vec<_> = Records::new(report).map(Result::unwrap).collect();
        assert_eq!(read.len() + left_out.others as usize, length + 2);
        assert!(left_out.others > 0, "{room} bytes");
        assert_eq!(
            read.last(),
            Some(&Record::End(EndReason::Deadline, left_out))
        );
    }
}

#[test]
fn a_buffer_without_room_for_anything_gives_nothing() {
    let mut memory = [0; 3];
    let mut writer = Writer::new(&mut memory, 1, "v");
    writer.push(&Record::Machine(MACHINE));
    assert_eq!(writer.left_out().others, 2);
    assert!(writer.finish(EndReason::Complete).is_empty());
}

#[test]
fn every_cut_is_named_and_every_prefix_is_readable() {
    let mut memory = vec![0; 65536];
    let mut sealed = vec![0; 65536];
    let report = write_typical(&mut memory);
    let sealed = seal(report, &mut sealed).unwrap();
    let whole: Vec<_> = Records::new(report).map(Result::unwrap).collect();
    let mut opened = vec![0; report.len() + 1];
    for length in (0..sealed.len()).step_by(373) {
        let error = open(&sealed[..length], &mut opened).unwrap_err();
        if length < 10 {
            assert_eq!(error, UnsealError::Short(length));
            continue;
        }
        assert!(matches!(error, UnsealError::Length { expected, .. } if expected == report.len()));
        let prefix = open_prefix(&sealed[..length], &mut opened).unwrap();
        assert!(report.starts_with(prefix));
        let read: Vec<_> = Records::new(prefix).filter_map(Result::ok).collect();
        assert_eq!(read, whole[..read.len()]);
    }
}

#[test]
fn parts_of_different_reports_do_not_pass_for_one() {
    // Too short to be compressed: a changed byte changes no length.
    let mut sealed = [0; 64];
    let sealed = seal(b"0123456789", &mut sealed).unwrap();
    let mut other = sealed.to_vec();
    *other.last_mut().unwrap() ^= 1;
    let error = open(&other, &mut [0; 64]).unwrap_err();
    assert!(
        matches!(
            error,
            UnsealError::Crc {
                expected: 0xa684_c7c6,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        open(sealed, &mut [0; 10]).unwrap_err(),
        UnsealError::Room {
            given: 10,
            needed: 11
        }
    );
}

/// The bytes that docs/report-format.md describes: another decoder relies on them.
#[test]
fn the_format_does_not_change() {
    let result = |name, outcome| {
        Record::Result(TestResult {
            backend: Backend::Software,
            name,
            outcome,
            initiators: 300,
            fallbacks: 0,
            resignals: 1,
            disturbances: Disturbances::NONE,
        })
    };
    let mut memory = [0; 256];
    let mut writer = Writer::new(&mut memory, 5, "v");
    writer.push(&result("a", Outcome::Holds));
    writer.push(&result("b", Outcome::NotRun("no")));
    writer.push(&result("a", Outcome::Observed("x")));
    writer.push(&result(
        "b",
        Outcome::Violated {
            initiator: 2,
            why: "",
        },
    ));
    let report = writer.finish(EndReason::Deadline);
    let expected: [&[u8]; 6] = [
        &[0, 4, 1, 5, 1, b'v'],
        &[4, 9, 2, 1, 1, b'a', 0, 0xac, 2, 0, 1],
        &[4, 12, 2, 1, 1, b'b', 3, 2, b'n', b'o', 0xac, 2, 0, 1],
        // Two back from the name after `b`, which would have number 2: zigzag of -2.
        &[4, 10, 2, 0, 3, 2, 1, b'x', 0xac, 2, 0, 1],
        // The name after `a`: no step at all.
        &[4, 10, 2, 0, 0, 1, 2, 0, 0xac, 2, 0, 1],
        &[7, 5, 1, 0, 0, 0, 0],
    ];
    assert_eq!(report, expected.concat());
    let mut sealed = [0; 256];
    let sealed = seal(&expected.concat().repeat(3), &mut sealed).unwrap();
    assert_eq!(sealed.get(..6), Some(&[1, 1, 186, 0, 0, 0][..]));
    let part = Parts::new(b"AB", 0xab, Symbol::DEFAULT).unwrap();
    assert_eq!(
        part.get(1).unwrap().to_string(),
        "RAR1:000000AB:1/1:BB8:ADE59325"
    );
}

#[test]
fn a_report_that_is_too_long_is_refused() {
    let bytes = vec![0; 400_000];
    let error = Parts::new(&bytes, 1, Symbol::DEFAULT).unwrap_err();
    assert_eq!((error.length, error.most), (400_000, 301 * 999));
    assert!(Parts::new(&bytes, 1, Symbol::new(25).unwrap()).is_ok());
    assert_eq!(Parts::new(b"", 1, Symbol::DEFAULT).unwrap().count(), 1);
}

#[test]
fn a_damaged_part_is_named() {
    let mut text = Parts::new(&[7; 900], 0xab, Symbol::DEFAULT)
        .unwrap()
        .get(2)
        .unwrap()
        .to_string();
    assert!(text.starts_with("RAR1:000000AB:2/3:"));
    text.replace_range(
        30..31,
        if text.as_bytes()[30] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    let error = read_part(&text, &mut [0; 1024]).unwrap_err();
    assert!(matches!(error, PartError::Crc(head) if head.number == 2));
    assert_eq!(
        error.to_string(),
        "part 2 of 3 of report 000000AB is damaged, its checksum does not fit: scan it again"
    );
    for none in [
        "",
        "RAR1:",
        "RAR1:000000AB:4/3:A",
        "RAR1:000000ab:1/3:",
        "RAR2:000000AB:1/3:",
        "RAR1:000000AB:+1/3:",
    ] {
        assert_eq!(
            read_part(none, &mut [0; 9]).unwrap_err(),
            PartError::Head,
            "{none}"
        );
    }
}
