//! What the public sources leave open, and which test asks it of a machine.

mod rows;

use core::fmt;

use crate::catalogue::catalogue;
use crate::lab::Lab;

/// One question, by the number of the section that raises it in the collection of facts from which the model was written.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The id, as records show it.
    pub id: &'static str,
    /// The question, to be answered by yes or no where that can be.
    pub asks: &'static str,
    /// What is known of the answer, and from whom.
    pub source: &'static str,
    /// Who asks a machine.
    pub by: Asked,
    /// What follows if the answer is yes, or as expected.
    pub yes: &'static str,
    /// What follows otherwise.
    pub no: &'static str,
}

/// Who asks a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The tests that carry the id.
    Tests,
    /// The tests of another question.
    With(&'static str),
    /// Nobody.
    NotTestable(&'static str),
}

/// All questions, in the order of the facts.
pub const QUESTIONS: &[Question] = rows::ROWS;

/// Returns the tests that carry an id.
pub fn tests_of<L: Lab>(id: &str) -> impl Iterator<Item = &'static str> {
    catalogue::<L>()
        .into_iter()
        .filter(move |test| test.question == Some(id))
        .map(|test| test.name)
}

/// Returns what is wrong with ids, one after the other: of a test without a row, of a row without a test.
pub fn problems<L: Lab>() -> impl Iterator<Item = &'static str> {
    let has_row = |id: &str| QUESTIONS.iter().any(|question| question.id == id);
    let without_row = catalogue::<L>()
        .into_iter()
        .filter_map(|test| test.question)
        .filter(move |id| !has_row(id));
    let without_test = QUESTIONS.iter().filter(|question| {
        let asked = tests_of::<L>(question.id).next().is_some();
        match question.by {
            Asked::Tests => !asked,
            Asked::With(other) => asked || tests_of::<L>(other).next().is_none(),
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
pub fn write_page<L: Lab>(page: &mut impl fmt::Write) -> fmt::Result {
    page.write_str(
        "# Open questions

What no public source settles about RAR, and what asks it of a machine. The first number is the section of the facts from which the
model was written; 9 is its list of open questions. A test ends as `pass` (it holds), `fail` (it does not), `observed` (what was seen is
neither right nor wrong), or `skipped` (not run, with the reason). Its record carries the id of the question.

Tests that try entries answer by letters: `S` SUCCESS with the flush, `F` FAILURE without it, `s` SUCCESS without a flush, `f` FAILURE with
one, `P` the byte stays PENDING, `?` CPUs differ or the byte is something else.

This page is written by `cargo xtask questions --markdown docs/questions.md`; `cargo xtask test` checks it.

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
            Asked::Tests => write_tests::<L>(page, id)?,
            Asked::With(other) => {
                write_tests::<L>(page, other)?;
                write!(page, " (as {other})")?;
            }
            Asked::NotTestable(why) => write!(page, "not testable: {why}")?,
        }
        writeln!(page, " | {yes} | {no} |")?;
    }
    Ok(())
}

fn write_tests<L: Lab>(page: &mut impl fmt::Write, id: &str) -> fmt::Result {
    for (number, name) in tests_of::<L>(id).enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        write!(page, "{comma}`{name}`")?;
    }
    Ok(())
}
