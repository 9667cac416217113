//! Rows of a catalogue by their names on a command line.

use clap::builder::PossibleValuesParser;

/// The name that stands for every row.
pub const ALL: &str = "all";

/// Returns what reads the names of rows, and [`ALL`].
pub fn names(rows: impl IntoIterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(rows.into_iter().chain([ALL]))
}

/// Returns the rows of these names, in the catalogue's order.
pub fn chosen<Row: Clone>(
    rows: &[Row],
    name: impl Fn(&Row) -> &'static str,
    asked: &[String],
) -> Vec<Row> {
    let has = |word: &str| asked.iter().any(|asked| asked == word);
    let mut chosen = rows.to_vec();
    chosen.retain(|row| has(name(row)) || has(ALL));
    chosen
}
