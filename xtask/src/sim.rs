//! `cargo xtask sim` and the stage of it: random histories on the simulated machine.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;
use rar_harness::{observed, parallel, test_output};
use rar_vocabulary::Counts;

/// The package of the simulator.
pub(crate) const PACKAGE: &str = "rar-sim";

/// The histories of the stage: every backend, every way to address, and the units that flush least.
const STAGE: [&str; 8] = [
    "--cpus 1",
    "--cpus 2",
    "--cpus 3 --backend software",
    "--cpus 4 --addressing xapic",
    "--cpus 8 --addressing cluster",
    "--cpus 8 --sparing",
    "--cpus 16 --backend software",
    "--cpus 64",
];

/// Steps of each history in `cargo xtask test`.
pub(crate) const STEPS: u32 = 300_000;

/// Steps of each history in `cargo xtask ci --full`.
pub(crate) const MANY_STEPS: u32 = 3_000_000;

/// The history that takes as many cores as it has CPUs.
const THREADS: &str = "--cpus 4 --steps 20000 --threads";

/// Replaces this process by a program of the simulator, with the options as they were given.
pub(crate) fn command(package: &str, program: &str, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let path = build(&workspace, package, program, verbosity)?;
    let error = Command::new(&path)
        .args(options_of(program, std::env::args_os()))
        .current_dir(&workspace.root)
        .exec();
    Err(error).with_context(|| format!("cannot start {}", path.display()))
}

/// Returns the options behind the name of a command, without those of xtask itself.
pub(crate) fn options_of(command: &str, args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let options = args.skip_while(|arg| arg != command).skip(1);
    options
        .filter(|arg| arg != "-v" && arg != "--verbose")
        .collect()
}

/// Runs the histories of the stage and the simulator's own tests; returns the count and what
/// failed.
pub(crate) fn stage(
    workspace: &Workspace,
    steps: u32,
    verbosity: Verbosity,
) -> Result<(Counts, Option<anyhow::Error>)> {
    let sim = build(workspace, PACKAGE, "sim", verbosity)?;
    let run = |_, line: &&str| {
        let line = format!("{line} --steps {steps}");
        history(workspace, &sim, &line, verbosity)
    };
    let mut results = parallel::each(&STAGE, parallel::cores(), run)?;
    results.push(history(workspace, &sim, THREADS, verbosity)?);
    let mut count = Counts::NONE;
    let mut failure = String::new();
    for failed in results {
        count.passed += usize::from(failed.is_none());
        count.failed += usize::from(failed.is_some());
        failure.push_str(&failed.unwrap_or_default());
    }
    let step = Step::new("tests of the simulator", verbosity);
    let tests = observed::call(workspace, "test")?
        .args(["--profile", observed::PROFILE, "--package", PACKAGE])
        .capture(verbosity)?;
    step.finish();
    count += test_output::count(&tests.stdout);
    if !tests.status.success() {
        failure.push_str(&tests.both);
    }
    let failure = (!failure.is_empty())
        .then(|| Fault::new(Reason::Failed, failure.trim_end().to_owned()).into());
    Ok((count, failure))
}

/// Runs one history; returns how to repeat it and what it printed if it failed.
fn history(
    workspace: &Workspace,
    sim: &Path,
    line: &str,
    verbosity: Verbosity,
) -> Result<Option<String>> {
    let step = Step::new(&format!("sim {line}"), verbosity);
    let name: String = line.split(' ').collect::<Vec<_>>().concat();
    let failed = workspace.target.join(format!("sim-failure{name}.json"));
    let captured = Cmd::new(utf8(sim)?)
        .args(line.split(' '))
        .args(["--failure", utf8(&failed)?])
        .dir(&workspace.root)
        .capture(verbosity)?;
    step.finish();
    let again = || format!("cargo xtask sim {line}\n{}", captured.both);
    Ok((!captured.status.success()).then(again))
}

/// Builds a program that sees every access of the driver, and returns where it is.
pub(crate) fn build(
    workspace: &Workspace,
    package: &str,
    program: &str,
    verbosity: Verbosity,
) -> Result<PathBuf> {
    let step = Step::new("building the simulator", verbosity);
    observed::call(workspace, "build")?
        .args(["--profile", observed::PROFILE])
        .args(["--package", package, "--bin", program])
        .require(verbosity)?;
    step.finish();
    Ok(observed::target(workspace)
        .join(observed::PROFILE)
        .join(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_options_of_the_command_reach_it() {
        let args = [
            "xtask",
            "-v",
            "sim",
            "--cpus",
            "4",
            "--verbose",
            "--sparing",
        ];
        let options = options_of("sim", args.into_iter().map(OsString::from));
        assert_eq!(options, ["--cpus", "4", "--sparing"]);
    }
}
