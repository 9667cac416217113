//! Tests that run on the host.

use anyhow::Result;
use rar_harness::cargo::cargo;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::workspace::{LIBRARIES, Workspace};
use rar_vocabulary::Counts;

/// Runs all host tests, the libraries' with their features too; returns the count and what went
/// wrong.
pub(crate) fn tests(
    workspace: &Workspace,
    verbosity: Verbosity,
) -> Result<(Counts, Option<anyhow::Error>)> {
    let mut count = Counts::NONE;
    let mut failure = String::new();
    let libraries: Vec<_> = LIBRARIES
        .iter()
        .flat_map(|name| ["--package", name])
        .collect();
    // unstable-test gives defmt a logger on the host; without one nothing links.
    let defmt = [
        libraries.as_slice(),
        &["--features", "defmt,defmt/unstable-test"],
    ]
    .concat();
    for args in [
        &["--workspace"][..],
        &["--package", "rar-payload", "--features", "unverified"],
        &["--package", "rar-regs", "--features", "critical-section"],
        &defmt,
    ] {
        let captured = cargo(&workspace.root, &workspace.target, "test")?
            .arg("--no-fail-fast")
            .args(args.iter().copied())
            .capture(verbosity)?;
        count += self::count(&captured.stdout);
        if !captured.status.success() && !verbosity.is_verbose() {
            failure.push_str(&captured.both);
        } else if !captured.status.success() {
            failure.push_str(&format!("cargo test {} failed\n", args.join(" ")));
        }
    }
    let failure = (!failure.is_empty())
        .then(|| Fault::new(Reason::Failed, failure.trim_end().to_owned()).into());
    Ok((count, failure))
}

/// Adds up the results of all test programs in the output of `cargo test`.
pub(crate) fn count(output: &str) -> Counts {
    let mut count = Counts::NONE;
    for line in output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
    {
        let words: Vec<_> = line
            .split([' ', '.', ';'])
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let [number, word] = pair else { continue };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            match *word {
                "passed" => count.passed += number,
                "failed" => count.failed += number,
                "ignored" => count.skipped += number,
                _ => {}
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_programs_are_added() {
        let output = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.10s\n";
        assert_eq!(
            count(output),
            Counts {
                passed: 5,
                failed: 1,
                skipped: 1,
                observed: 0,
            }
        );
        assert_eq!(count("nothing"), Counts::NONE);
    }
}
