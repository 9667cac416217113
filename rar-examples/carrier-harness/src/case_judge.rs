//! What a carried run must show, and whether it did.

use rar_harness::ending::Ending;
use rar_harness::modes::Apic;
use rar_harness::records::{Line, Transcript};
use rar_harness::run::{Run, Tests};
use rar_harness::verdict::{JudgedTest, judge};
use rar_vocabulary::{Backend, Counts, Outcome};

use crate::boot::{BootEnd, Booted};
use crate::catalogue::{Case, Volume};
use crate::linux::DONE;
use crate::linux_log::{added, warnings};

/// Tests of a small run: pages, all of a space, a target with interrupts off, the registers and
/// the answers of a unit, and a storm.
const FEW: [&str; 6] = [
    "one-page",
    "pages-64",
    "target-interrupts-off",
    "unit-registers",
    "unit-subtypes",
    "storm",
];

/// Flushes per CPU in the storm: each is some world switches.
const FLUSHES: u32 = 300;

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Showed {
    pub(crate) counts: Counts,
    /// A figure for people.
    pub(crate) note: String,
}

/// Returns the run of the test kernel that a case makes.
pub(crate) fn suite_run(case: &Case, volume: Volume) -> Run {
    Run {
        apic: case.apic,
        tests: match volume {
            Volume::Few => Tests::Named(FEW.map(str::to_owned).to_vec()),
            Volume::All => Tests::Functional,
        },
        flushes: FLUSHES,
        // What the carrier makes is hardware to the kernel, and can what the shim can.
        ..Run::new(Backend::Vrar, case.cpus)
    }
}

/// Judges a boot of the test kernel.
pub(crate) fn suite(case: &Case, volume: Volume, booted: &Booted) -> Result<Showed, String> {
    let mut expectation = suite_run(case, volume).expectation();
    expectation.backend = Backend::Hardware;
    let mut transcript = Transcript::default();
    for line in &booted.console {
        transcript.push(Line {
            text: line.clone(),
            complete: true,
        });
    }
    let verdict = judge(&expectation, &transcript, ending(booted)?);
    // What only the owner of the shim can see or do is observed or skipped, with a reason.
    let excused =
        |test: &JudgedTest| matches!(test.record.outcome, Outcome::Skipped | Outcome::Observed);
    let failed = verdict.tests.iter();
    let failed = failed.filter(|test| test.outcome == Outcome::Fail && !excused(test));
    let failed = failed.map(|test| format!("{}: {}", test.record.name, test.why));
    let wrong: Vec<_> = verdict.faults.iter().cloned().chain(failed).collect();
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    let count = |outcome| {
        let tests = verdict.tests.iter();
        tests.filter(|test| test.record.outcome == outcome).count()
    };
    let (passed, all) = (count(Outcome::Pass), verdict.tests.len());
    if passed * 2 < all {
        return Err(format!("only {passed} of {all} tests could be judged"));
    }
    units_worked(case, booted)?;
    Ok(Showed {
        counts: Counts {
            passed,
            failed: 0,
            observed: count(Outcome::Observed),
            skipped: count(Outcome::Skipped),
        },
        note: entries(booted),
    })
}

/// Judges a boot of a stock kernel by one without the shim.
pub(crate) fn stock(case: &Case, sum: &str, carried: &Booted, bare: &Booted) -> Result<(), String> {
    for (name, booted) in [("without the shim", bare), ("with the shim", carried)] {
        linux_is_up(case, booted).map_err(|why| format!("{name}: {why}"))?;
        devices_work(sum, booted).map_err(|why| format!("{name}: {why}"))?;
    }
    launched(case, carried)?;
    if !carried.tally.is_idle() {
        return Err("a kernel without a driver of RAR used it".to_owned());
    }
    let [new, old] = [carried, bare].map(|booted| warnings(lines(booted)));
    let added = added(&new, &old);
    if !added.is_empty() {
        return Err(format!("new warnings: {}", added.join("; ")));
    }
    Ok(())
}

/// Judges a boot with the program that asks whether a machine has RAR: it says yes, with the facts
/// of the unit.
pub(crate) fn probe(case: &Case, booted: &Booted) -> Result<Showed, String> {
    linux_is_up(case, booted)?;
    launched(case, booted)?;
    let says = [
        format!("RAR: yes, the same on all {} CPUs", case.cpus),
        "64 entries".to_owned(),
        "types       0, 1, 2 (0x3f00000007)".to_owned(),
        "in use      no".to_owned(),
        "carry: run exit 0".to_owned(),
    ];
    match says.iter().find(|text| !booted.says(text)) {
        Some(unsaid) => Err(format!("it does not say `{unsaid}`")),
        None => Ok(one_passed("rar-probe: yes".to_owned())),
    }
}

/// Returns what a run shows that is one test.
pub(crate) fn one_passed(note: String) -> Showed {
    Showed {
        counts: Counts {
            passed: 1,
            ..Counts::NONE
        },
        note,
    }
}

/// The guest ended by itself.
fn ending(booted: &Booted) -> Result<Ending, String> {
    match booted.end {
        BootEnd::Qemu(ending) => Ok(ending),
        BootEnd::Shown | BootEnd::Interrupted => Err("the guest was ended".to_owned()),
    }
}

/// Linux came to its end, with all CPUs.
pub(crate) fn linux_is_up(case: &Case, booted: &Booted) -> Result<(), String> {
    let online = match case.cpus {
        1 => "carry: online 0".to_owned(),
        cpus => format!("carry: online 0-{}", cpus - 1),
    };
    let is_online = |line: &str| line.ends_with(&online);
    if !lines(booted).any(is_online) {
        return Err(format!("it does not say `{online}`"));
    }
    if !booted.says(DONE) || ending(booted)? != Ending::Exited(0) {
        return Err(format!("it did not come to its end: {:?}", booted.end));
    }
    Ok(())
}

/// Disk and network were used, and interrupted.
fn devices_work(sum: &str, booted: &Booted) -> Result<(), String> {
    for words in [
        format!("carry: disk sum {sum}, "),
        "carry: network 2 answers, ".to_owned(),
    ] {
        let line = lines(booted).find_map(|line| line.split_once(&words));
        let (_, interrupts) = line.ok_or_else(|| format!("it does not say `{words}`"))?;
        if interrupts.starts_with("0 ") {
            return Err(format!("{words}no interrupt came"));
        }
    }
    Ok(())
}

/// Every CPU has a unit, and kept it when the guest started the CPU: one that the machine's own
/// APIC resets is out of the shim, and the guest may not notice.
pub(crate) fn launched(case: &Case, booted: &Booted) -> Result<(), String> {
    let (launched, started) = (&booted.tally.launched, &booted.tally.started);
    let Some(others) = launched.len().checked_sub(1) else {
        return Err("0 CPUs became guests".to_owned());
    };
    if u32::try_from(launched.len()) != Ok(case.cpus) {
        return Err(format!(
            "{} CPUs became guests (expected {})",
            launched.len(),
            case.cpus
        ));
    }
    match started.len() >= others {
        true => Ok(()),
        false => Err(format!(
            "the shim started {} CPUs for the guest (expected {others})",
            started.len()
        )),
    }
}

/// The units of the carrier executed entries: nothing else did.
pub(crate) fn units_worked(case: &Case, booted: &Booted) -> Result<(), String> {
    launched(case, booted)?;
    match booted.tally.entries().is_empty() {
        true => Err("no unit of the carrier executed an entry".to_owned()),
        false => Ok(()),
    }
}

pub(crate) fn entries(booted: &Booted) -> String {
    let entries = booted.tally.entries();
    let sum: u64 = entries
        .values()
        .flat_map(|verdicts| verdicts.values())
        .sum();
    format!("{sum} entries")
}

pub(crate) fn lines(booted: &Booted) -> impl Iterator<Item = &str> {
    booted.console.iter().map(String::as_str)
}

/// Returns the words that tell the test kernel what to do.
pub(crate) fn suite_line(case: &Case, volume: Volume, cores: u32) -> String {
    let run = Run {
        backend: Backend::Hardware,
        // The carrier gives the mode of the APIC to the kernel, not the kernel to itself.
        apic: Apic::X2apic,
        ..suite_run(case, volume)
    };
    run.kernel_command_line(cores)
}

#[cfg(test)]
mod tests {
    use rar_harness::ending::PASSED;

    use super::*;
    use crate::catalogue::CATALOGUE;
    use crate::judge::tests::{OFF, booted};

    const UNITS: &str = "vrar 0.000001 0 launch cpus=1\nvrar 0.000002 1 launch cpus=2\n\
                         vrar 0.500000 1 startup page=0x98\n";
    const ENTRIES: &str = "vrar 1.000000 0 entries kind=invpg-all performed=9\n";

    fn case(name: &str) -> Case {
        let mut cases = CATALOGUE.into_iter();
        cases.find(|case| case.name == name).unwrap()
    }

    #[test]
    fn a_stock_kernel_needs_all_cpus_and_interrupts_and_no_new_warning() {
        let good = [
            "carry: online 0-1",
            "carry: disk sum 5a5a, 33 interrupts",
            "carry: network 2 answers, 5 interrupts",
            "<4>[    0.1] a warning",
            "carry: done",
        ];
        let bare = booted(&good, "", OFF);
        let judged = |from: &str, to: &str, trace: &str| {
            let lines = good.map(|line| line.replace(from, to));
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            stock(&case("stock-2"), "5a5a", &booted(&lines, trace, OFF), &bare)
        };
        assert_eq!(judged("", "", UNITS), Ok(()));
        for (from, to) in [
            ("0-1", "0"),
            ("5a5a", "0000"),
            ("33 int", "0 int"),
            ("5 int", "0 int"),
            ("2 answers", "1 answers"),
            ("a warning", "another warning"),
            ("done", ""),
        ] {
            assert!(judged(from, to, UNITS).is_err(), "{from} {to}");
        }
        assert!(judged("", "", "").is_err());
        let worked = format!("{UNITS}{ENTRIES}vrar 1.000000 0 counts entries=9\n");
        assert!(judged("", "", &worked).unwrap_err().contains("used it"));
    }

    #[test]
    fn a_cpu_that_the_machine_started_has_left_the_shim() {
        let judged = |trace: &str| launched(&case("memory-test"), &booted(&[], trace, OFF));
        assert_eq!(judged(UNITS), Ok(()));
        let (without, _) = UNITS.split_once("vrar 0.5").unwrap();
        let why = judged(without).unwrap_err();
        assert_eq!(why, "the shim started 0 CPUs for the guest (expected 1)");
    }

    #[test]
    fn a_probe_must_say_yes_with_the_facts_of_the_unit() {
        let good = [
            "carry: online 0-1",
            "RAR: yes, the same on all 2 CPUs",
            "  table       64 entries",
            "  types       0, 1, 2 (0x3f00000007)",
            "  in use      no, RAR is off",
            "carry: run exit 0",
            "carry: done",
        ];
        for (left_out, line) in good.iter().enumerate() {
            let mut lines = good.to_vec();
            lines.remove(left_out);
            let judged = probe(&case("probe"), &booted(&lines, UNITS, OFF));
            assert!(judged.is_err(), "{line}");
        }
        assert!(probe(&case("probe"), &booted(&good, UNITS, OFF)).is_ok());
    }

    #[test]
    fn a_suite_that_says_nothing_fails() {
        let few = case("suite-pvh");
        let end = BootEnd::Qemu(Ending::Exited(PASSED));
        let silent = booted(&["Linux"], &format!("{UNITS}{ENTRIES}"), end);
        assert!(suite(&few, Volume::Few, &silent).is_err());
    }
}
