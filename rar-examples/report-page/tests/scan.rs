//! Any order, any noise, any damage.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests; a panic fails the test"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use rar_report::{EndReason, Fact, Parts, Record, Symbol, Writer, seal};
use rar_report_page::{PartCollector, Problem, Report, assemble, scan};

/// A report of many parts: codes of the smallest size, and facts that do not compress.
fn report(id: u32, seed: u32) -> (Vec<u8>, Vec<String>) {
    let mut memory = vec![0; 4096];
    let mut writer = Writer::new(&mut memory, id, "x");
    let mut number = seed;
    for _ in 0..20 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        writer.push(&Record::Fact(Fact {
            key: "k",
            value: &format!("{number:x}"),
        }));
    }
    let report = writer.finish(EndReason::Complete).to_vec();
    let mut sealed = vec![0; 8192];
    let sealed = seal(&report, &mut sealed).unwrap();
    let parts = Parts::new(sealed, id, Symbol::new(Symbol::MIN).unwrap()).unwrap();
    let texts = parts.iter().map(|part| part.to_string()).collect();
    (report, texts)
}

fn assembled(text: &str) -> Vec<rar_report_page::Assembled> {
    let mut sealed = PartCollector::default();
    sealed.add("text", scan(text));
    assemble(&sealed)
}

proptest! {
    #[test]
    fn two_mixed_reports_come_apart(
        order in Just((0..200_usize).collect::<Vec<_>>()).prop_shuffle(),
        noise in vec("[a-z0-9 {}\"\n]{0,30}", 5),
    ) {
        let (first, mut texts) = report(1, 5);
        let (second, others) = report(2, 6);
        texts.extend(others);
        let mut mixed = String::new();
        for place in order {
            if let Some(text) = texts.get(place) {
                mixed.push_str(noise.get(place % 5).map_or("", String::as_str));
                mixed.push('\n');
                mixed.push_str(text);
                mixed.push('\n');
            }
        }
        let found = assembled(&mixed);
        let bytes: Vec<_> = found.iter().map(|one| one.bytes.clone()).collect();
        prop_assert_eq!(bytes, [Ok(first), Ok(second)]);
    }

    #[test]
    fn a_log_that_is_cut_names_what_is_missing_or_has_nothing(end in any::<prop::sample::Index>()) {
        let (whole, texts) = report(1, 5);
        let count = u32::try_from(texts.len()).unwrap();
        let text = texts.join("\n");
        let end = end.index(text.len());
        match assembled(&text[..end]).as_slice() {
            [] => prop_assert!(end < texts[0].len()),
            [one] => match &one.bytes {
                Err(Problem::Missing { count: named, missing, .. }) => {
                    prop_assert_eq!(*named, count);
                    prop_assert_eq!(missing.last(), Some(&count));
                    prop_assert!(whole.starts_with(&one.prefix));
                }
                other => prop_assert!(false, "{:?}", other),
            },
            more => prop_assert!(false, "{:?}", more),
        }
    }

    #[test]
    fn damage_never_gives_another_report(at in any::<prop::sample::Index>(), to in any::<char>()) {
        let (whole, texts) = report(1, 5);
        let mut text = texts.join("\n");
        let at = at.index(text.len());
        text.replace_range(at..=at, &to.to_string());
        for one in assembled(&text) {
            if let Ok(bytes) = one.bytes {
                prop_assert_eq!(&bytes, &whole);
            }
        }
    }

    #[test]
    fn any_text_and_any_bytes_are_taken(text in ".{0,200}", bytes in vec(any::<u8>(), 0..300)) {
        let _nothing = assembled(&format!("RAR1:00000001:1/1:{text}"));
        let report = Report::read(&bytes, &[]);
        prop_assert!(!report.problems.is_empty() || report.end.is_some());
        let _page = rar_report_page::html::page(&[report], &[]);
    }
}

#[test]
fn one_id_for_two_reports_is_a_conflict() {
    let (_, first) = report(1, 5);
    let (_, second) = report(1, 99);
    assert_eq!(first.len(), second.len());
    let found = assembled(&[first, second].concat().join("\n"));
    assert!(
        matches!(found[..], [ref one] if matches!(one.bytes, Err(Problem::Conflict(_)))),
        "{found:?}"
    );
}

#[test]
fn an_id_that_is_not_the_heads_is_found() {
    let (report, _) = report(1, 5);
    let mut sealed = vec![0; 8192];
    let sealed = seal(&report, &mut sealed).unwrap();
    let text = Parts::new(sealed, 2, Symbol::new(25).unwrap())
        .unwrap()
        .get(1)
        .unwrap()
        .to_string();
    let found = assembled(&text);
    assert_eq!(found[0].bytes, Err(Problem::Head));
}
