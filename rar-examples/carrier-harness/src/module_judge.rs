//! What a run of the Linux module must show, and whether it did.

use crate::boot::Booted;
use crate::case_judge::{Showed, entries, lines, linux_is_up, one_passed, units_worked};
use crate::catalogue::Case;
use crate::linux_log::module_counts;
use crate::module_report;

/// Tests of the module that pass on good units: at least one of each row.
///
/// They are the registers, the control of all others, each type of entry, and the storm. Of the
/// type that a driver uses, each test is a row.
const MUST_PASS: [&[&str]; 11] = [
    &["linux-enumeration"],
    &["linux-read-back"],
    &["linux-unflushed"],
    &["linux-invpg-cr3"],
    &[
        "linux-invpg-page",
        "linux-invpg-all",
        "linux-invpg-but-globals",
    ],
    &["linux-invpcid-page"],
    &["linux-invpcid-63-pages"],
    &["linux-invpcid-one"],
    &["linux-invpcid-all"],
    &["linux-invpcid-but-globals"],
    &["linux-storm"],
];

/// Why a test need not pass: what is right is unknown while PCIDs are on.
const UNKNOWN_WITH_PCIDS: &str = "PCIDs are on";

/// Why a run of the module does not count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unproved {
    /// A busy machine may have hidden what these tests need: another run may show it.
    Hidden(String),
    /// The run failed.
    Wrong(String),
}

impl From<String> for Unproved {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

/// Judges a boot with the module.
pub(crate) fn module(case: &Case, booted: &Booted) -> Result<Showed, Unproved> {
    linux_is_up(case, booted)?;
    let counts = module_counts(lines(booted));
    let (passed, failed) = counts.ok_or_else(|| "the module did not come to its end".to_owned())?;
    let log: Vec<_> = lines(booted).collect();
    module_report::check(&log.join("\n"), passed, failed)?;
    counted(case, passed, failed, booted)
}

/// Judges what the module counted: it must see a defect, and nothing else.
fn counted(case: &Case, passed: u64, failed: u64, booted: &Booted) -> Result<Showed, Unproved> {
    units_worked(case, booted)?;
    let note = format!(
        "rar_check: {passed} passed, {failed} failed; {}",
        entries(booted)
    );
    match (case.defect, failed) {
        (None, 0) => match unproved(booted).as_slice() {
            [] => Ok(one_passed(note)),
            names => Err(Unproved::Hidden(format!(
                "{note}; not shown: {} (expected ok)",
                names.join(", ")
            ))),
        },
        (None, _) => Err(format!("{note} (expected 0 failed)").into()),
        (Some(name), 0) => Err(format!("{note}: the defect {name} was not seen").into()),
        (Some(name), _) if !lines(booted).any(|line| names_defect(name, line)) => {
            Err(format!("{note}: no failed test names the defect {name}").into())
        }
        (Some(_), _) => Ok(one_passed(note)),
    }
}

/// Returns the rows without a test that passed.
fn unproved(booted: &Booted) -> Vec<String> {
    let passed = |name: &str| lines(booted).any(|line| is_pass(name, line));
    let rows = MUST_PASS.iter();
    let rows = rows.filter(|row| !row.iter().any(|name| passed(name)));
    rows.map(|row| row.join(" or ")).collect()
}

/// Returns whether a line says that this test passed, or that no source says what is right.
fn is_pass(name: &str, line: &str) -> bool {
    let Some((_, result)) = line.split_once("rar_check: ok ") else {
        return false;
    };
    let Some((_, text)) = result.split_once(&format!(" - {name} # ")) else {
        return false;
    };
    let shown = !text.starts_with("SKIP ") && !text.starts_with("observed: ");
    shown || text.contains(UNKNOWN_WITH_PCIDS)
}

/// Returns whether a line is of a test of the module that failed for this defect.
fn names_defect(defect: &str, line: &str) -> bool {
    let words = match defect {
        "signal-lost" => "SUCCESS after a second signal",
        "success-without-flush" => "SUCCESS without a flush",
        "failure-always" => "got FAILURE (0x80)",
        "ignore-if-unheeded" => "it heeds IF",
        _ => return false,
    };
    line.contains("rar_check: not ok ") && line.contains(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::CATALOGUE;
    use crate::judge::tests::{OFF, booted};

    const UNITS: &str = "vrar 0.000001 0 launch cpus=1\nvrar 0.000002 1 launch cpus=2\n\
                         vrar 0.500000 1 startup page=0x98\n";
    const ENTRIES: &str = "vrar 1.000000 0 entries kind=invpg-all performed=9\n";
    const LOST: &str = "rar_check: not ok 7 - a # CPU 1: SUCCESS after a second signal";
    const MAIN: &str = include_str!("../../linux/main.c");
    const STALE: &str = include_str!("../../linux/stale.c");

    fn case(name: &str) -> Case {
        let mut cases = CATALOGUE.into_iter();
        cases.find(|case| case.name == name).unwrap()
    }

    /// The lines of a run on good units, with other words for one test.
    fn run(name: &str, words: &str) -> Vec<String> {
        let names = MUST_PASS.iter().flat_map(|row| row.iter());
        let lines = names.map(|test| match *test == name {
            true => format!("[ 1.5] rar_check: ok 3 - {test} # {words}"),
            false => format!("[ 1.5] rar_check: ok 3 - {test} # stale before, new after"),
        });
        lines.collect()
    }

    fn judged(name: &str, failed: u64, lines: &[String], trace: &str) -> Result<Showed, Unproved> {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        counted(&case(name), 13, failed, &booted(&lines, trace, OFF))
    }

    fn wrong(result: Result<Showed, Unproved>) -> String {
        match result.unwrap_err() {
            Unproved::Wrong(why) => why,
            Unproved::Hidden(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_module_must_pass_and_must_see_a_defect() {
        let worked = format!("{UNITS}{ENTRIES}");
        let (good, lost) = (run("", ""), [LOST.to_owned()]);
        assert!(judged("module-2", 0, &good, &worked).is_ok());
        wrong(judged("module-2", 1, &good, &worked));
        assert!(judged("signal-lost", 1, &lost, &worked).is_ok());
        let why = wrong(judged("signal-lost", 0, &lost, &worked));
        assert!(why.contains("was not seen"), "{why}");
        let why = wrong(judged("failure-always", 1, &lost, &worked));
        assert!(why.contains("no failed test names"), "{why}");
        let why = wrong(judged("module-2", 0, &good, UNITS));
        assert!(why.contains("no unit"), "{why}");
        let why = wrong(judged("module-2", 0, &good, ENTRIES));
        assert!(why.contains("0 CPUs became guests"), "{why}");
        wrong(module(&case("module-2"), &booted(&[], &worked, OFF)));
    }

    #[test]
    fn no_row_may_be_left_out_and_one_that_was_skipped_is_run_again() {
        let worked = format!("{UNITS}{ENTRIES}");
        for row in MUST_PASS {
            let judged = |words: &str| {
                let mut lines = run("", "");
                for name in row {
                    let old = format!(" - {name} # stale before, new after");
                    let new = format!(" - {name} # {words}");
                    for line in &mut lines {
                        *line = line.replace(&old, &new);
                    }
                }
                judged("module-2", 0, &lines, &worked)
            };
            let why = judged("SKIP stale value not shown").unwrap_err();
            assert!(
                matches!(&why, Unproved::Hidden(why) if why.contains(row[0])),
                "{why:?}"
            );
            assert!(judged("observed: SUCCESS").is_err());
            assert!(judged("SKIP PCIDs are on").is_ok());
        }
        let one = run("linux-invpg-all", "SKIP stale value not shown");
        assert!(judged("module-2", 0, &one, &worked).is_ok());
        let why = judged("module-2", 0, &[], &worked).unwrap_err();
        assert!(matches!(why, Unproved::Hidden(_)));
    }

    #[test]
    fn the_names_are_those_of_the_module() {
        for name in MUST_PASS.iter().flat_map(|row| row.iter()) {
            assert!(MAIN.contains(&format!("{{ \"{name}\", ")), "{name}");
        }
        assert!(STALE.contains(UNKNOWN_WITH_PCIDS));
        let of_type_2 = MAIN.matches("{ \"linux-invpcid-").count();
        let here = MUST_PASS.iter();
        let here = here.filter(|row| row[0].starts_with("linux-invpcid-"));
        assert_eq!(here.count(), of_type_2);
    }
}
