//! The summary: what a run came to, for a person who stands across the room.

use core::fmt;

use rar_kernel::{Bar, Ink, Sheet, SheetRow};
use rar_vocabulary::Counts;
use rar_vocabulary::Verdict;

use crate::{Tally, worded};

/// The summary of a run.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'s> {
    /// What was found.
    pub tally: &'s Tally,
    /// The processor's own name.
    pub processor: &'s str,
    /// The report's number.
    pub report: u32,
    /// What to do next.
    pub next: fmt::Arguments<'s>,
}

impl Sheet for Summary<'_> {
    fn rows(&self, to: &mut dyn FnMut(SheetRow<'_>)) {
        let (ink, title, meaning) = words(self.tally.verdict());
        to(SheetRow::Title(ink, format_args!("{title}")));
        to(SheetRow::Line(Ink::Plain, format_args!("{meaning}")));
        to(SheetRow::Gap);
        let most = self
            .tally
            .parts()
            .iter()
            .flat_map(|part| rows_of(&part.counts))
            .map(|(_, _, count)| count)
            .max()
            .unwrap_or(0);
        for part in self.tally.parts() {
            let cut = if part.ended { "" } else { ": cut short" };
            let backend = part.backend.as_str();
            to(SheetRow::Line(Ink::Plain, format_args!("{backend}{cut}")));
            for (ink, label, count) in rows_of(&part.counts) {
                to(SheetRow::Bar(Bar {
                    ink,
                    label,
                    count,
                    most,
                }));
            }
        }
        to(SheetRow::Gap);
        for answer in self.tally.answers().all() {
            to(SheetRow::Line(answer.ink(), format_args!("{answer}")));
        }
        if self.tally.answers().all().next().is_some() {
            to(SheetRow::Gap);
        }
        let (processor, coverage) = (self.processor, self.tally.coverage());
        to(SheetRow::Line(Ink::Plain, format_args!("{processor}")));
        to(SheetRow::Line(
            Ink::Plain,
            format_args!("{coverage}, report {:08X}", self.report),
        ));
        to(SheetRow::Line(Ink::Note, self.next));
    }
}

/// Returns the colour of a verdict, the verdict in a word, and in a sentence.
fn words(verdict: Verdict) -> (Ink, &'static str, &'static str) {
    match verdict {
        Verdict::Holds => (Ink::Good, "HOLDS", "Every test that ran holds."),
        Verdict::Violated => (
            Ink::Bad,
            "VIOLATED",
            "The machine does not do what the tests require.",
        ),
        Verdict::Incomplete => (
            Ink::Note,
            "INCOMPLETE",
            "Not all tests ran; those that ran hold.",
        ),
        Verdict::NothingRan => (Ink::Note, "NOTHING RAN", "No test could run."),
    }
}

/// Returns the counts that are not zero, and how many hold in any case.
fn rows_of(counts: &Counts) -> impl Iterator<Item = (Ink, &'static str, u32)> {
    [Ink::Good, Ink::Bad, Ink::Note, Ink::Faint]
        .into_iter()
        .zip(worded(counts))
        .filter(|(ink, (count, _))| *count > 0 || *ink == Ink::Good)
        .map(|(ink, (count, label))| (ink, label, u32::try_from(count).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::tally_of;
    use rar_kernel::SheetLayout;
    use rar_suite::Outcome;

    fn tally(outcomes: &[Outcome]) -> Tally {
        let mut tally = tally_of(&["vrar"], outcomes);
        tally.cover(crate::Coverage {
            online: 4,
            listed: 4,
            hidden: 0,
        });
        tally
    }

    fn text(tally: &Tally) -> String {
        let mut text = String::new();
        summary(tally).rows(&mut |row| {
            text += &match row {
                SheetRow::Title(_, words) | SheetRow::Line(_, words) => format!("{words}\n"),
                SheetRow::Bar(bar) => format!("{} {} of {}\n", bar.label, bar.count, bar.most),
                SheetRow::Gap => "\n".to_owned(),
            };
        });
        text
    }

    fn summary(tally: &Tally) -> Summary<'_> {
        Summary {
            tally,
            processor: "A processor with quite a long name @ 2.00 GHz",
            report: 0xc0ff_ee42,
            next: format_args!("Next: photograph the 15 codes."),
        }
    }

    #[test]
    fn it_begins_with_the_verdict_and_says_what_to_do_next() {
        let shown = text(&tally(&[Outcome::Pass, Outcome::Pass, Outcome::Fail]));
        assert!(shown.starts_with("VIOLATED\n"), "{shown}");
        for part in [
            "vrar: cut short\nhold 2 of 2\nVIOLATED 1 of 2\n",
            "4 CPUs, report C0FFEE42\nNext: photograph the 15 codes",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(text(&tally(&[])).contains("hold 0 of 0"));
        assert!(text(&Tally::new()).starts_with("NOTHING RAN\n"));
    }

    #[test]
    fn it_is_large_on_usual_screens() {
        let all = [
            Outcome::Pass,
            Outcome::Fail,
            Outcome::Observed,
            Outcome::Skipped,
        ];
        let tally = tally(&all);
        let layout = |screen| SheetLayout::new(&summary(&tally), screen, (7, 16));
        assert!(layout((1280, 800)).title >= 6);
        assert!(layout((1280, 800)).text >= 2);
        assert!(layout((640, 480)).text >= 1);
    }
}
