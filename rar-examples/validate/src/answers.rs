//! The answers that a visitor asks for first, each in a few words.

use core::fmt;

use rar_kernel::Ink;
use rar_suite::Record;
use rar_vocabulary::{Backend, Counts, Outcome};

use crate::ink_of;

/// The questions that the summary answers: the id of the question, and what a yes means.
const KEYS: [(&str, &str); 5] = [
    ("5-no-handler", "a CPU with interrupts off is flushed"),
    ("6-halt", "a halted CPU is flushed"),
    ("6-status-last", "SUCCESS comes after the flush"),
    ("9.5", "a CPU may signal itself"),
    ("9.4", "an illegal entry ends with FAILURE"),
];

/// How the tests of each key question ended.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    counts: [Counts; KEYS.len()],
    asks: bool,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    counts: Counts,
    words: &'static str,
}

impl Answers {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counts: [Counts::NONE; KEYS.len()],
            asks: false,
        }
    }

    /// Takes in a record. Without RAR units there is nothing to ask.
    pub fn add(&mut self, record: &Record<'_>) {
        match *record {
            Record::Start { backend, .. } => self.asks = backend != Backend::Software.name(),
            Record::Test {
                question: Some(question),
                outcome,
                ..
            } if self.asks => self.count(question, outcome),
            _ => {}
        }
    }

    fn count(&mut self, question: &str, outcome: Outcome) {
        let keys = KEYS.iter().zip(&mut self.counts);
        for (_, counts) in keys.filter(|((id, _), _)| *id == question) {
            counts.add(outcome);
        }
    }

    /// Returns the answers to the questions that were asked.
    pub fn all(&self) -> impl Iterator<Item = Answer> + '_ {
        let keys = KEYS.iter().zip(self.counts);
        keys.filter(|(_, counts)| counts.total() > 0)
            .map(|((_, words), counts)| Answer { counts, words })
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// Returns the colour of the answer.
    #[must_use]
    pub fn ink(&self) -> Ink {
        ink_of(&self.counts)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = match self.ink() {
            Ink::Good => "yes",
            Ink::Bad => "NO",
            Ink::Note => "see report",
            _ => "not asked",
        };
        write!(f, "{answer:10}  {}", self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rar_suite::questions::QUESTIONS;

    #[test]
    fn every_key_is_a_question() {
        for (id, _) in KEYS {
            assert!(QUESTIONS.iter().any(|question| question.id == id), "{id}");
        }
    }

    #[test]
    fn an_answer_is_the_worst_of_its_tests() {
        let mut answers = Answers {
            asks: true,
            ..Answers::new()
        };
        assert_eq!(answers.all().count(), 0);
        for (outcome, text) in [
            (Outcome::Skipped, "not asked"),
            (Outcome::Pass, "yes"),
            (Outcome::Observed, "see report"),
            (Outcome::Fail, "NO"),
        ] {
            answers.count("6-halt", outcome);
            answers.count("another", outcome);
            let all: Vec<_> = answers.all().map(|answer| answer.to_string()).collect();
            assert_eq!(all, [format!("{text:10}  a halted CPU is flushed")]);
        }
    }
}
