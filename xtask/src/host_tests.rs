//! Tests that run on the host.

use anyhow::Result;
use rar_harness::cargo::cargo;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::test_output;
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
        count += test_output::count(&captured.stdout);
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
