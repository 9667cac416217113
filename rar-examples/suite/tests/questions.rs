//! The page of open questions.

use rar_suite::questions::{Asked, QUESTIONS, problems, tests_of, write_page};

#[test]
fn every_question_has_its_test_and_every_id_its_question() {
    let problems: Vec<_> = problems().collect();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn ids_are_unique() {
    let mut ids: Vec<_> = QUESTIONS.iter().map(|question| question.id).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn every_open_question_of_the_list_has_a_row() {
    for number in 1..=12 {
        let id = format!("9.{number}");
        assert!(QUESTIONS.iter().any(|question| question.id == id), "{id}");
    }
}

#[test]
fn nothing_that_is_asked_is_called_not_testable() {
    for question in QUESTIONS {
        let asked = tests_of(question.id).count();
        assert_eq!(asked > 0, question.by == Asked::Tests, "{}", question.id);
    }
}

#[test]
fn the_page_is_up_to_date() {
    let mut page = String::new();
    write_page(&mut page).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/questions.md");
    let found = std::fs::read_to_string(file).unwrap();
    assert!(
        page == found,
        "docs/questions.md is out of date: `cargo xtask questions --markdown docs/questions.md` \
         writes it anew"
    );
}
