//! `cargo xtask bench`: how many instructions a flush takes, counted by callgrind.

mod budget;
mod callgrind;
mod page;
mod plot;
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
use budget::Budgets;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "rar-bench";

/// Where counts are kept, from the root of the workspace.
const BUDGETS: &str = "rar-examples/bench/budgets.json";

/// The page of the documentation, from the root of the workspace.
const PAGE: &str = "docs/performance.md";

/// Which of its copiers glibc takes: the same on every machine, whatever the CPU offers.
const GLIBC: &str = "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM";

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

    const fn title(self) -> &'static str {
        match self {
            Self::Lto => "All crates as one unit (fat LTO)",
            Self::Separate => "Each crate by itself (no LTO)",
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
    if let Some(file) = &args.html {
        let title = format!("Instructions of a flush, {}", linking.name());
        write(file, &plot::render(&title, &counts))?;
    }
    if args.page {
        let separate = count(&workspace, Linking::Separate, None, shell)?;
        let runs = [(linking, counts.clone()), (Linking::Separate, separate)];
        let page = page::render(&tools(&workspace, shell)?, &runs);
        write(&workspace.root.join(PAGE), &page)?;
        println!("wrote {PAGE}");
    }
    if args.bless {
        let budgets = Budgets::new(first_line("rustc", &workspace, shell)?, &counts);
        write(&workspace.root.join(BUDGETS), &budgets.render()?)?;
        println!("{} counts are the budgets now: {BUDGETS}", budgets.len());
    }
    if args.check {
        println!(
            "{}",
            compare(&workspace, args.filter.as_deref(), &counts, shell)?
        );
    }
    Ok(())
}

/// Counts every case and compares it with its budget; returns what was compared.
pub(crate) fn check(workspace: &Workspace, shell: Shell) -> Result<String> {
    let counts = count(workspace, Linking::Lto, None, shell)?;
    compare(workspace, None, &counts, shell)
}

/// Compares the counts with their budgets; returns what was compared.
fn compare(
    workspace: &Workspace,
    filter: Option<&str>,
    counts: &[Count],
    shell: Shell,
) -> Result<String> {
    let text = fs::read_to_string(workspace.root.join(BUDGETS)).with_context(|| {
        format!("cannot read {BUDGETS}; `cargo xtask bench --bless` makes it anew")
    })?;
    let budgets = Budgets::parse(&text)?;
    let rustc = first_line("rustc", workspace, shell)?;
    if rustc != budgets.rustc {
        // Another compiler is no fault of the driver's. The counts are shown all the same.
        return Ok(format!(
            "not compared: the budgets are of {}, and this is {rustc}",
            budgets.rustc
        ));
    }
    let broken = budget::compare(&budgets, counts, filter);
    if broken.is_empty() {
        let compared = counts.iter().filter(|count| budget::has_budget(count));
        return Ok(format!("{} counts within their budgets", compared.count()));
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
        .env("GLIBC_TUNABLES", GLIBC)
        .require(shell)?;
    let dumps = fs::read_to_string(&output)
        .with_context(|| format!("callgrind left no {}", output.display()))?;
    step.finish();
    callgrind::counts(&captured.stdout, &dumps)
}

/// Returns the versions of the programs on which the counts depend.
fn tools(workspace: &Workspace, shell: Shell) -> Result<page::Tools> {
    let programs = ["rustc", "cc", "valgrind"];
    let versions = programs.map(|program| first_line(program, workspace, shell));
    Ok(page::Tools {
        versions: versions.into_iter().collect::<Result<_>>()?,
    })
}

/// Returns the first line that a program prints about its version.
fn first_line(program: &str, workspace: &Workspace, shell: Shell) -> Result<String> {
    let captured = Cmd::new(program)
        .arg("--version")
        .dir(&workspace.root)
        .require(shell)?;
    Ok(captured
        .stdout
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
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
