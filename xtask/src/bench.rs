//! `cargo xtask bench`: how many instructions a flush takes, counted by callgrind.

mod budget;
mod callgrind;
mod table;

use crate::cargo::{cargo, with_rustflags};
use crate::cli::BenchArgs;
use crate::command::{Cmd, Shell, utf8};
use crate::fault::{Fault, Reason};
use crate::kernel;
use crate::progress::Step;
use crate::setup::{self, Install};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "rar-bench";

/// Where counts are kept, from the root of the workspace.
const BUDGETS: &str = "rar-examples/bench/budgets.json";

/// A case and its count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    /// What was counted.
    case: String,
    /// Instructions per call, of the call alone.
    instructions: u64,
}

/// How the crates are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linking {
    /// All crates as one unit.
    Lto,
    /// Each crate by itself, as the kernels of this workspace.
    Separate,
}

impl Linking {
    const fn profile(self) -> &'static str {
        match self {
            Self::Lto => "bench-lto",
            Self::Separate => "kernel",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Lto => "fat LTO",
            Self::Separate => "no LTO",
        }
    }
}

/// Runs `cargo xtask bench`.
pub(crate) fn command(args: &BenchArgs, shell: Shell) -> Result<()> {
    let workspace = Workspace::this()?;
    let linking = if args.no_lto {
        Linking::Separate
    } else {
        Linking::Lto
    };
    let counts = count(&workspace, linking, args.filter.as_deref(), shell)?;
    print!("{}", table::render(&counts));
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&counts)?)?;
    }
    let budgets = workspace.root.join(BUDGETS);
    if args.bless {
        write(&budgets, &budget::render(&counts)?)?;
        println!("{} counts are the budgets now: {BUDGETS}", counts.len());
    }
    if args.check {
        check_counts(&workspace, &counts, args.filter.as_deref())?;
    }
    Ok(())
}

fn check_counts(workspace: &Workspace, counts: &[Count], filter: Option<&str>) -> Result<()> {
    let file = workspace.root.join(BUDGETS);
    let text = fs::read_to_string(&file).with_context(|| {
        format!("cannot read {BUDGETS}; `cargo xtask bench --bless` makes it anew")
    })?;
    let broken = budget::compare(&budget::parse(&text)?, counts, filter);
    if broken.is_empty() {
        return Ok(());
    }
    Err(Fault::new(Reason::Failed, broken.join("\n")).into())
}

/// Builds the program, runs it once under callgrind, and returns the counts in its order.
fn count(
    workspace: &Workspace,
    linking: Linking,
    filter: Option<&str>,
    shell: Shell,
) -> Result<Vec<Count>> {
    let valgrind = setup::valgrind(Install::Allowed, shell)?;
    let step = Step::new(&format!("building the bench, {}", linking.name()), shell);
    let program = build(workspace, linking, shell)?;
    step.say("counting instructions");
    let folder = tempfile::tempdir().context("no place for callgrind's output")?;
    let output = folder.path().join("callgrind.out");
    let captured = Cmd::new(utf8(&valgrind)?)
        .args(["--tool=callgrind", "--combine-dumps=yes"])
        .arg(format!("--callgrind-out-file={}", utf8(&output)?))
        .arg(format!("--dump-before={}", callgrind::MARK))
        .args(callgrind::TOGGLES.map(|name| format!("--toggle-collect={name}")))
        .arg(utf8(&program)?)
        .args(filter)
        .require(shell)?;
    let dumps = fs::read_to_string(&output)
        .with_context(|| format!("callgrind left no {}", output.display()))?;
    step.finish();
    callgrind::counts(&captured.stdout, &dumps)
}

fn build(workspace: &Workspace, linking: Linking, shell: Shell) -> Result<PathBuf> {
    workspace.package(PACKAGE)?;
    let target = workspace.target.join("bench");
    let cmd = cargo(&workspace.root, &target, "build")?
        .args(["--package", PACKAGE, "--target", kernel::TARGET])
        .args(["--profile", linking.profile()]);
    with_rustflags(cmd, &kernel::RUSTFLAGS).require(shell)?;
    let program = target
        .join(kernel::TARGET)
        .join(linking.profile())
        .join(PACKAGE);
    ensure!(
        program.is_file(),
        "cargo built {PACKAGE} but left no file {}",
        program.display()
    );
    Ok(program)
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
