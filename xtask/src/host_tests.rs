//! Tests that run on the host.

use anyhow::Result;
use rar_harness::cargo::cargo;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::test_output::{self, FailedTest};
use rar_harness::workspace::{LIBRARIES, Workspace};
use rar_vocabulary::Counts;

use crate::msrv::{TEXT_TESTS, features_under_test};
use crate::sim;

/// What all host tests came to.
pub(crate) struct HostTests {
    pub(crate) count: Counts,
    /// The names of those that failed.
    pub(crate) failed: Vec<String>,
    pub(crate) failure: Option<anyhow::Error>,
}

/// Their tests run where the simulator sees every access of the driver: in the stage sim.
const ELSEWHERE: &str = sim::PACKAGE;

/// Runs all host tests, and the libraries' again with all features.
pub(crate) fn tests(workspace: &Workspace, verbosity: Verbosity) -> Result<HostTests> {
    let mut count = Counts::NONE;
    let mut failure = String::new();
    let mut names = Vec::new();
    // unstable-test gives defmt a logger on the host; without one nothing links.
    let features = format!(
        "defmt,defmt/unstable-test,{}",
        features_under_test(workspace)?.join(",")
    );
    let libraries = LIBRARIES.iter().flat_map(|name| ["--package", name]);
    let mut all_features: Vec<_> = libraries.chain(["--features", &features, "--"]).collect();
    all_features.extend(TEXT_TESTS.iter().flat_map(|name| ["--skip", name]));
    for args in [&["--workspace", "--exclude", ELSEWHERE][..], &all_features] {
        let captured = cargo(&workspace.root, &workspace.target, "test")?
            .arg("--no-fail-fast")
            .args(args.iter().copied())
            .capture(verbosity)?;
        count += test_output::count(&captured.stdout);
        let failed = test_output::failed(&captured.stdout);
        if !captured.status.success() && !verbosity.is_verbose() {
            match failed.is_empty() {
                true => failure.push_str(&captured.both),
                false => failure.push_str(&excerpt(&failed, &captured.both)),
            }
        } else if !captured.status.success() {
            failure.push_str(&format!("cargo test {} failed\n", args.join(" ")));
        }
        names.extend(failed.into_iter().map(|test| test.name));
    }
    let failure = (!failure.is_empty())
        .then(|| Fault::new(Reason::Failed, failure.trim_end().to_owned()).into());
    Ok(HostTests {
        count,
        failed: names,
        failure,
    })
}

/// Returns what failed tests printed, and cargo's own errors: a program that a signal ended prints
/// no result.
fn excerpt(failed: &[FailedTest], output: &str) -> String {
    let tests = failed
        .iter()
        .map(|test| format!("{} FAILED\n{}", test.name, test.text));
    let errors = output
        .lines()
        .filter(|line| line.starts_with("error"))
        .map(|line| format!("{line}\n"));
    tests.chain(errors).collect()
}
