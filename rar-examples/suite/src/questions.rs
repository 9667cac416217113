//! What the public sources leave open, and which test asks it of a machine.

mod rows;

use core::fmt;

use crate::catalogue::TESTS;

/// One question. Its number is that of the section of the facts that raises it.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The id, as records show it.
    pub id: &'static str,
    /// The question; its answer is yes or no where possible.
    pub asks: &'static str,
    /// What is known about the answer, with its source.
    pub source: &'static str,
    /// How a machine is asked.
    pub by: Asked,
    /// What follows if the answer is yes, or the expected one.
    pub yes: &'static str,
    /// What follows otherwise.
    pub no: &'static str,
}

/// How a machine is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By the tests that carry the id.
    Tests,
    /// By the tests of another question.
    With(&'static str),
    /// No test can ask, for this reason.
    NotTestable(&'static str),
}

impl Question {
    /// Returns the tests that ask it, by their own id or by that of the question they stand for.
    pub fn tests(&self) -> impl Iterator<Item = &'static str> + use<> {
        let id = match self.by {
            Asked::Tests | Asked::NotTestable(_) => self.id,
            Asked::With(other) => other,
        };
        tests_of(id)
    }

    /// Returns why no test asks it, if none does.
    #[must_use]
    pub const fn not_testable(&self) -> Option<&'static str> {
        match self.by {
            Asked::NotTestable(why) => Some(why),
            Asked::Tests | Asked::With(_) => None,
        }
    }
}

/// The meaning of the letters that some tests write.
pub const LETTERS: &str = "\
Tests that try entries answer by letters: `S` is SUCCESS with the flush, `F` FAILURE without it,
`s` SUCCESS without a flush, `f` FAILURE with one, `P` a byte that stays PENDING; `?` means that
CPUs differ or that the byte has another value.";

/// All questions, in the order of the facts.
pub const QUESTIONS: &[Question] = rows::ROWS;

/// Returns the tests that carry an id.
pub fn tests_of(id: &str) -> impl Iterator<Item = &'static str> {
    TESTS
        .iter()
        .filter(move |test| test.question == Some(id))
        .map(|test| test.name)
}

/// Returns the ids of tests without a row, and of rows without a test.
pub fn problems() -> impl Iterator<Item = &'static str> {
    let has_row = |id: &str| QUESTIONS.iter().any(|question| question.id == id);
    let without_row = TESTS
        .iter()
        .filter_map(|test| test.question)
        .filter(move |id| !has_row(id));
    let without_test = QUESTIONS.iter().filter(|question| {
        let asked = tests_of(question.id).next().is_some();
        match question.by {
            Asked::Tests => !asked,
            Asked::With(other) => asked || tests_of(other).next().is_none(),
            Asked::NotTestable(_) => asked,
        }
    });
    without_row.chain(without_test.map(|question| question.id))
}

/// Writes the page about the questions, `docs/questions.md`.
///
/// # Errors
///
/// As the writer.
pub fn write_page(page: &mut impl fmt::Write) -> fmt::Result {
    write!(
        page,
        "# Open questions

No public source settles these questions about RAR. Tests ask them of a machine, where they can.
The first number of an id is the section of the facts from which the model was written; 9 is its
list of open questions. A test ends as `pass` (it holds), `fail` (it does not), `observed` (what was
seen is neither right nor wrong) or `skipped` (not run, with the reason). Its record has the id of
the question.

{LETTERS}

This page is written by `cargo xtask questions --markdown docs/questions.md`; `cargo xtask test`
checks it.

| id | question | what is known | asked by | if so | if not |
|---|---|---|---|---|---|
",
    )?;
    for question in QUESTIONS {
        let Question {
            id,
            asks,
            source,
            by,
            yes,
            no,
        } = question;
        write!(page, "| {id} | {asks} | {source} | ")?;
        match by {
            Asked::Tests => write_tests(page, question)?,
            Asked::With(other) => {
                write_tests(page, question)?;
                write!(page, " (as {other})")?;
            }
            Asked::NotTestable(why) => write!(page, "not testable: {why}")?,
        }
        writeln!(page, " | {yes} | {no} |")?;
    }
    Ok(())
}

fn write_tests(page: &mut impl fmt::Write, question: &Question) -> fmt::Result {
    for (number, name) in question.tests().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        write!(page, "{comma}`{name}`")?;
    }
    Ok(())
}
