//! How many bare round trips a flush takes: a number that says more of the driver than of the
//! machine.

use comfy_table::CellAlignment;
use rar_vocabulary::{Measurement, Method, State};

use crate::text::table;

/// At how many targets: all other CPUs of machines of 2, 4 and 8.
const TARGETS: [u32; 3] = [1, 3, 7];

/// What each flush is compared with.
const BARE: [(Method, Method); 2] = [
    (Method::Ipi, Method::BareIpi),
    (Method::Rar, Method::BareExit),
];

/// What a flush by an ordinary interrupt should not exceed at one target.
const GOAL: f64 = 1.3;

/// A flush of one page by one CPU, of targets that spin, and the round trip of the same run that it
/// is compared with.
#[derive(Clone, Copy, Debug)]
struct Ratio<'a> {
    flush: &'a Measurement,
    bare: &'a Measurement,
}

impl Ratio<'_> {
    /// Returns one median over the other.
    fn value(self) -> f64 {
        self.flush.p50 as f64 / self.bare.p50.max(1) as f64
    }

    /// Returns what the ratio should not exceed, where something is asked of it.
    fn goal(self) -> Option<f64> {
        (self.flush.method == Method::Ipi && self.flush.targets == 1).then_some(GOAL)
    }
}

/// Returns the ratios of the measurements of one run.
fn ratios(run: &[Measurement]) -> impl Iterator<Item = Ratio<'_>> {
    let flushes = run.iter().filter(|each| {
        let plain = each.state == State::Spinning && each.contenders == 1 && each.pages == 1;
        plain && TARGETS.contains(&each.targets)
    });
    flushes.filter_map(|flush| {
        let (_, bare) = BARE.iter().find(|(method, _)| *method == flush.method)?;
        let bare = run.iter().find(|each| {
            // An exit has no target.
            let as_far = each.targets == flush.targets && each.state == flush.state;
            each.method == *bare && (as_far || each.targets == 0)
        })?;
        Some(Ratio { flush, bare })
    })
}

/// Returns a table of the ratios of all runs; nothing if there are none.
pub(crate) fn render<'a>(runs: impl Iterator<Item = &'a [Measurement]>) -> String {
    let mut table = table(&[
        "flush of 1 page",
        "over",
        "backend",
        "CPUs",
        "targets",
        "p50 ns",
        "over ns",
        "ratio",
        "goal",
    ]);
    for column in 3..9 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for ratio in runs.flat_map(ratios) {
        let Ratio { flush, bare } = ratio;
        let goal = ratio.goal().map(|goal| format!("at most {goal}"));
        table.add_row([
            flush.method.name().to_owned(),
            bare.method.name().to_owned(),
            flush.backend.to_string(),
            flush.cpus.to_string(),
            flush.targets.to_string(),
            flush.nanoseconds(flush.p50).to_string(),
            bare.nanoseconds(bare.p50).to_string(),
            format!("{:.2}", ratio.value()),
            goal.unwrap_or_default(),
        ]);
    }
    if table.is_empty() {
        return String::new();
    }
    format!("how many bare round trips a flush takes, by the medians of one run\n{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::measurement;

    fn measured(method: Method, targets: u32, pages: u32, p50: u64) -> Measurement {
        Measurement {
            method,
            targets,
            pages,
            p50,
            state: if targets == 0 {
                State::Local
            } else {
                State::Spinning
            },
            ..measurement()
        }
    }

    fn rows(run: &[Measurement]) -> Vec<String> {
        let text = render([run].into_iter());
        let rows = text
            .lines()
            .filter(|line| line.starts_with("│ ipi") || line.starts_with("│ rar"));
        rows.map(|row| {
            row.replace('│', "")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
    }

    #[test]
    fn each_flush_is_compared_with_the_bare_interrupt_of_as_many_targets() {
        let run = [
            measured(Method::Clock, 0, 0, 100),
            measured(Method::Ipi, 1, 1, 5_000),
            measured(Method::BareIpi, 1, 0, 4_000),
            measured(Method::Ipi, 1, 0, 9_000),
            measured(Method::Ipi, 2, 1, 6_000),
            measured(Method::BareIpi, 2, 0, 4_500),
            measured(Method::Ipi, 3, 1, 12_000),
            measured(Method::BareIpi, 3, 0, 6_000),
            measured(Method::Ipi, 7, 1, 20_000),
        ];
        // Two ticks are a nanosecond. Seven targets have no bare interrupt here.
        let expected = [
            "ipi bare-ipi software 2 1 2500 2000 1.25 at most 1.3",
            "ipi bare-ipi software 2 3 6000 3000 2.00",
        ];
        assert_eq!(rows(&run), expected);
    }

    #[test]
    fn other_states_and_several_initiators_are_no_part_of_it() {
        let mut halted = measured(Method::Ipi, 1, 1, 1);
        halted.state = State::Halted;
        let mut contended = measured(Method::Ipi, 1, 1, 2);
        contended.contenders = 2;
        let mut woken = measured(Method::BareIpi, 1, 0, 3);
        woken.state = State::Halted;
        let bare = measured(Method::BareIpi, 1, 0, 1_000);
        let flush = measured(Method::Ipi, 1, 1, 3_000);
        let run = [halted, contended, woken, bare, flush];
        assert_eq!(
            rows(&run),
            ["ipi bare-ipi software 2 1 1500 500 3.00 at most 1.3"]
        );
    }

    #[test]
    fn a_flush_by_units_is_compared_with_the_bare_exit() {
        let run = [
            measured(Method::BareExit, 0, 0, 2_000),
            measured(Method::Rar, 1, 1, 9_000),
            measured(Method::BareIpi, 1, 0, 8_000),
        ];
        assert_eq!(rows(&run), ["rar bare-exit software 2 1 4500 1000 4.50"]);
    }

    #[test]
    fn no_ratio_is_taken_across_runs() {
        let (flush, bare) = (
            measured(Method::Ipi, 1, 1, 1),
            measured(Method::BareIpi, 1, 0, 1),
        );
        assert_eq!(render([&[flush][..], &[bare]].into_iter()), "");
    }
}
