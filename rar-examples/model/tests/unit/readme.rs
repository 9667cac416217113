//! The tables of the README against the code.

use rar_model::Defect;

const README: &str = include_str!("../../README.md");

/// Returns the first two cells of each row of the table under the header cell `header`.
fn table(header: &str) -> Vec<(&'static str, &'static str)> {
    let start = format!("| {header} |");
    README
        .lines()
        .skip_while(|line| !line.starts_with(&start))
        .skip(2)
        .map_while(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter_map(|(name, rest)| Some((name, rest.split_once(" |")?.0)))
        .collect()
}

fn names(rows: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    rows.iter().map(|(name, _)| *name).collect()
}

/// Returns the public fields that a file declares.
fn fields(source: &'static str) -> Vec<&'static str> {
    source
        .lines()
        .filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| !name.contains(' '))
        .collect()
}

#[test]
fn every_knob_and_fault_has_its_row() {
    let knobs = fields(include_str!("../../src/knobs.rs"));
    assert_eq!(names(&table("knob")), knobs);
    let faults = fields(include_str!("../../src/faults.rs"));
    assert_eq!(names(&table("fault")), faults);
    assert!(knobs.contains(&"table") && faults.contains(&"lie"));
}

#[test]
fn every_defect_has_its_row() {
    let catalogue: Vec<_> = Defect::ALL
        .iter()
        .map(|defect| (defect.name(), defect.describe()))
        .collect();
    assert_eq!(table("defect"), catalogue);
}
