//! The text beside a code: which one it is, and what the run came to, for whom a photo of it is all
//! there is.

use core::fmt;

use crate::{Tally, worded};

/// The text beside a code, in lines that fit there.
#[derive(Clone, Copy, Debug)]
pub struct Caption<'t> {
    /// What was found.
    pub tally: &'t Tally,
    /// The report's id.
    pub id: u32,
    /// The code's number, from 1.
    pub number: u32,
    /// How many codes there are.
    pub count: u32,
}

impl fmt::Display for Caption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rar-validate")?;
        writeln!(f, "report {:08X}", self.id)?;
        writeln!(f, "code {} of {}\n", self.number, self.count)?;
        writeln!(f, "verdict: {}", self.tally.verdict())?;
        let coverage = self.tally.coverage();
        if !coverage.is_whole() {
            writeln!(f, "{}", coverage.short().as_str())?;
        }
        for part in self.tally.parts() {
            let ended = if part.ended { "" } else { ", cut short" };
            writeln!(f, "{}{ended}", part.backend.as_str())?;
            for (count, word) in worded(&part.counts) {
                if count > 0 {
                    writeln!(f, "  {count} {word}")?;
                }
            }
        }
        write!(f, "\nspace: next, p: hold\narrows: turn, r: end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Coverage;
    use crate::tally::tests::tally_of;
    use rar_kernel::{CAPTION_COLUMNS, CAPTION_ROWS};
    use rar_vocabulary::Outcome;

    fn caption(backends: &[&'static str], outcomes: &[Outcome], coverage: Coverage) -> String {
        let mut tally = tally_of(backends, outcomes);
        tally.cover(coverage);
        Caption {
            tally: &tally,
            id: 0xc0ff_ee42,
            number: 3,
            count: 17,
        }
        .to_string()
    }

    #[test]
    fn it_says_which_code_of_which_report_and_what_was_found() {
        let text = caption(
            &["vrar"],
            &[Outcome::Pass, Outcome::Observed, Outcome::Pass],
            Coverage::UNKNOWN,
        );
        let expected = "rar-validate\nreport C0FFEE42\ncode 3 of 17\n\nverdict: INCOMPLETE\n\
            vrar, cut short\n  2 hold\n  1 observed\n\n";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn the_longest_has_room() {
        let all = [
            Outcome::Pass,
            Outcome::Fail,
            Outcome::Observed,
            Outcome::Skipped,
        ];
        let coverage = Coverage {
            online: 1_000,
            listed: 1_024,
            hidden: 1,
        };
        let text = caption(&["hardware", "software", "vrar"], &all, coverage);
        assert!(text.contains("\nCPUs: 1000 of 1025+\n"), "{text}");
        let columns = text.lines().map(str::len).max().unwrap();
        assert!(columns <= CAPTION_COLUMNS as usize, "{columns}\n{text}");
        assert!(text.lines().count() <= CAPTION_ROWS as usize, "{text}");
    }
}
