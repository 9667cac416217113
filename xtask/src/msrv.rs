//! Builds and tests the library crates with the oldest Rust that their manifests promise, and
//! builds them for other architectures.

use anyhow::{Context as _, Result, ensure};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Captured, Cmd, Verbosity};
use rar_harness::test_output;
use rar_harness::workspace::{LIBRARIES, Workspace};
use rar_vocabulary::Counts;

use crate::old_rust::{self, OldRust};

/// Each is built on its own: what a feature brings must not be what makes the others compile.
const FEATURES: [&[&str]; 3] = [&["--no-default-features"], &[], &["--all-features"]];

/// Tests that compare messages of the compiler, which differ between versions and hardly between
/// features; `--skip` takes the beginning of a name.
pub(crate) const TEXT_TESTS: [&str; 3] = [
    "misuse_does_not_compile",
    "forged::finding_02",
    "forged::finding_07",
];

/// Builds the libraries for this machine and for each other target that is found; returns what was
/// built.
pub(crate) fn builds(workspace: &Workspace, verbosity: Verbosity) -> Result<String> {
    let (version, rust) = oldest(workspace, verbosity)?;
    let others = rust.targets.iter().map(Some);
    for target in others.chain([None]) {
        for features in FEATURES {
            libraries(workspace, &rust, "build")?
                .args(features.iter().copied())
                .args(target.map(|target| format!("--target={target}")))
                .require(verbosity)?;
        }
    }
    let others = match &*rust.targets.join(", ") {
        "" => "no other target found".to_owned(),
        targets => targets.to_owned(),
    };
    let sets = FEATURES.len();
    Ok(format!("Rust {version}, {sets} feature sets; {others}"))
}

/// Tests the libraries; returns the count of tests, what was done, and what went wrong.
pub(crate) fn tests(
    workspace: &Workspace,
    verbosity: Verbosity,
) -> Result<(Counts, String, Option<anyhow::Error>)> {
    let (version, rust) = oldest(workspace, verbosity)?;
    let run = run_tests(workspace, &rust, verbosity)?;
    let failure = (!run.status.success()).then(|| {
        let what = if verbosity.is_verbose() {
            format!("tests fail with Rust {version}")
        } else {
            run.both.trim_end().to_owned()
        };
        Fault::new(Reason::Failed, what).into()
    });
    let note = format!("Rust {version}");
    Ok((test_output::count(&run.stdout), note, failure))
}

/// Returns the version that the libraries promise, and a toolchain of it.
fn oldest(workspace: &Workspace, verbosity: Verbosity) -> Result<(String, OldRust)> {
    let version = promised(workspace)?;
    let rust = old_rust::provide(workspace, &version, verbosity)?;
    Ok((version, rust))
}

/// Returns the version in the manifests, e.g. `1.85`.
fn promised(workspace: &Workspace) -> Result<String> {
    let mut versions = Vec::new();
    for name in LIBRARIES {
        let version = workspace.package(name)?.rust_version.as_ref();
        let version = version.with_context(|| format!("{name} has no rust-version"))?;
        versions.push(format!("{}.{}", version.major, version.minor));
    }
    versions.dedup();
    let [version] = versions.as_slice() else {
        let message = format!("the libraries promise different Rust versions: {versions:?}");
        return Err(Fault::new(Reason::Failed, message).into());
    };
    Ok(version.clone())
}

fn run_tests(workspace: &Workspace, rust: &OldRust, verbosity: Verbosity) -> Result<Captured> {
    let features = features_under_test(workspace)?;
    let captured = libraries(workspace, rust, "test")?
        .args(["--no-fail-fast", "--lib", "--tests", "--features"])
        .arg(features.join(","))
        .arg("--")
        .args(TEXT_TESTS.iter().flat_map(|name| ["--skip", name]))
        .capture(verbosity)?;
    let ran = test_output::count(&captured.stdout).passed > 0;
    ensure!(
        ran || !captured.status.success(),
        "no test of the libraries ran"
    );
    Ok(captured)
}

/// Returns `CRATE/FEATURE` for all features of the libraries but `defmt`, which needs a logger to
/// link.
pub(crate) fn features_under_test(workspace: &Workspace) -> Result<Vec<String>> {
    let mut features = Vec::new();
    for name in LIBRARIES {
        let of_package = workspace.package(name)?.features.keys();
        features.extend(
            of_package
                .filter(|feature| !["default", "defmt"].contains(&feature.as_str()))
                .map(|feature| format!("{name}/{feature}")),
        );
    }
    Ok(features)
}

/// Returns the call for all libraries.
fn libraries(workspace: &Workspace, rust: &OldRust, subcommand: &str) -> Result<Cmd> {
    let target = workspace.target.join("old-rust/build");
    let packages = LIBRARIES.iter().flat_map(|name| ["--package", name]);
    Ok(rust
        .cargo(&workspace.root, &target, subcommand)?
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .arg("--locked")
        .args(packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_promise_one_version() {
        let version = promised(&Workspace::this().unwrap()).unwrap();
        assert!(version.starts_with("1."), "{version}");
    }

    #[test]
    fn tests_run_with_each_feature_that_links() {
        let features = features_under_test(&Workspace::this().unwrap()).unwrap();
        assert!(
            features.contains(&"rar-payload/unverified".to_owned()),
            "{features:?}"
        );
        assert!(!features.iter().any(|feature| feature.ends_with("defmt")));
    }
}
