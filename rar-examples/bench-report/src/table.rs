//! Counts as tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use comfy_table::CellAlignment;
use rar_harness::text;

use crate::figures::Count;

/// A count whose case is a thing done on that many targets, with room for that many CPUs.
struct Sized<'c> {
    what: &'c str,
    targets: u32,
    room: u32,
    instructions: u64,
}

impl<'c> Sized<'c> {
    fn of(count: &'c Count) -> Option<Self> {
        let (what, size) = count.case.rsplit_once(' ')?;
        let (targets, room) = size.split_once('/')?;
        Some(Self {
            what,
            targets: targets.parse().ok()?,
            room: room.parse().ok()?,
            instructions: count.instructions,
        })
    }
}

/// The counts with room for the same number of CPUs, or the lines of the same number of initiators.
pub struct Sheet {
    /// For how many CPUs there is room, or how many initiators there are.
    pub room: u32,
    /// The numbers of targets.
    pub targets: Vec<u32>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One row of a [`Sheet`].
pub struct Row {
    /// What is done.
    pub what: String,
    /// The count for each number of targets, where there is one.
    pub counts: Vec<Option<f64>>,
    /// What no target adds, and what each adds: by the counts for the fewest and for the most
    /// targets.
    pub line: Option<(f64, f64)>,
}

impl Row {
    /// Returns what is fixed and what each target adds, as text; empty if that is unknown.
    pub fn line_as_text(&self) -> (String, String) {
        self.line.map_or_else(Default::default, |(fixed, slope)| {
            (format!("{fixed:.0}"), format!("{slope:.1}"))
        })
    }
}

/// Returns a sheet for each room, and the counts that have no number of targets.
pub fn sheets(counts: &[Count]) -> (Vec<Sheet>, Vec<&Count>) {
    let sized: Vec<_> = counts.iter().filter_map(Sized::of).collect();
    let others = counts.iter().filter(|count| Sized::of(count).is_none());
    let rooms: BTreeSet<_> = sized.iter().map(|count| count.room).collect();
    let sheet = |room| {
        let of_room = || sized.iter().filter(move |count| count.room == room);
        let targets: BTreeSet<_> = of_room().map(|count| count.targets).collect();
        let mut names: Vec<&str> = Vec::new();
        for count in of_room() {
            if !names.contains(&count.what) {
                names.push(count.what);
            }
        }
        let row = |what: &str| {
            let count = |targets: &u32| {
                let found = of_room().find(|count| count.what == what && count.targets == *targets);
                found.and_then(|count| exact(count.instructions))
            };
            Row {
                what: what.to_owned(),
                counts: targets.iter().map(count).collect(),
                line: line(
                    targets
                        .iter()
                        .filter_map(|targets| Some((*targets, count(targets)?))),
                ),
            }
        };
        Sheet {
            room,
            rows: names.into_iter().map(row).collect(),
            targets: targets.into_iter().collect(),
        }
    };
    (rooms.into_iter().map(sheet).collect(), others.collect())
}

fn exact(count: u64) -> Option<f64> {
    u32::try_from(count).ok().map(f64::from)
}

/// Returns the straight line through the first and the last point: where it begins, and its slope.
fn line(points: impl Iterator<Item = (u32, f64)>) -> Option<(f64, f64)> {
    let points: Vec<_> = points
        .map(|(targets, count)| (f64::from(targets), count))
        .collect();
    let ((x0, y0), (x1, y1)) = (points.first()?, points.last()?);
    if x1 <= x0 {
        return None;
    }
    let slope = (y1 - y0) / (x1 - x0);
    Some((y0 - slope * x0, slope))
}

/// Returns all counts as tables for a terminal.
pub fn render(counts: &[Count]) -> String {
    let (sheets, others) = sheets(counts);
    let mut text = String::new();
    for sheet in sheets {
        let most = sheet.targets.last().copied().unwrap_or(0);
        let fewest = sheet.targets.first().copied().unwrap_or(0);
        let mut header = vec![format!("instructions, room for {} CPUs", sheet.room)];
        header.extend(sheet.targets.iter().map(u32::to_string));
        header.extend(["fixed".to_owned(), "per target".to_owned()]);
        let header: Vec<_> = header.iter().map(String::as_str).collect();
        let mut table = text::table(&header);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in sheet.rows {
            let (fixed, slope) = row.line_as_text();
            let mut cells = vec![row.what];
            let counts = row.counts.into_iter();
            cells.extend(
                counts.map(|count| count.map_or_else(String::new, |count| format!("{count:.0}"))),
            );
            cells.extend([fixed, slope]);
            table.add_row(cells);
        }
        let _infallible = writeln!(
            text,
            "{table}\nfixed and per target: the straight line through the \
             counts for {fewest} and {most} targets\n"
        );
    }
    if !others.is_empty() {
        let mut table = text::table(&["instructions", "count"]);
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for count in others {
            table.add_row([count.case.clone(), count.instructions.to_string()]);
        }
        let _infallible = writeln!(text, "{table}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(case: &str, instructions: u64) -> Count {
        Count {
            case: case.to_owned(),
            instructions,
        }
    }

    #[test]
    fn fixed_and_per_target_are_a_line_through_two_points() {
        let counts = [
            count("flush 1/64", 110),
            count("flush 8/64", 999),
            count("flush 63/64", 730),
            count("poll 1/64", 9),
            count("encode", 24),
        ];
        let (sheets, others) = sheets(&counts);
        assert_eq!(sheets.len(), 1);
        assert_eq!(sheets[0].targets, [1, 8, 63]);
        assert_eq!(sheets[0].rows[0].line, Some((100.0, 10.0)));
        assert_eq!(sheets[0].rows[1].counts, [Some(9.0), None, None]);
        assert_eq!(sheets[0].rows[1].line, None);
        assert_eq!(others, [&counts[4]]);
        let text = render(&counts);
        assert!(text.contains("encode") && text.contains("10.0"), "{text}");
    }
}
