//! `cargo xtask bench`: how many instructions a flush takes, counted by callgrind, and how many
//! cache lines it moves.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use rar_bench_report::budget::{self, Budgets};
use rar_bench_report::figures::{Count, Figures, Linking, Moved};
use rar_bench_report::{callgrind, lines, page, plot, table};
use rar_harness::cargo::{cargo, with_rustflags};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::progress::Step;
use rar_harness::setup::{self, Install};
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, out, outln};

use crate::sim;

#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    /// Count only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Compile each crate by itself, as the kernels here, instead of all as one unit; shows no
    /// lines
    #[arg(long, conflicts_with_all = ["check", "bless", "lines"])]
    pub(crate) no_lto: bool,
    /// Show only the cache lines that move; --page and --bless leave the instructions as they are
    #[arg(long)]
    pub(crate) lines: bool,
    /// Fail if a figure exceeds its budget by more than 2 %, and by more than 2 instructions or
    /// 0.02 lines
    #[arg(long)]
    pub(crate) check: bool,
    /// Make the figures the budgets
    #[arg(long, conflicts_with_all = ["check", "filter"])]
    pub(crate) bless: bool,
    /// Write docs/performance.md, which also has the counts without LTO
    #[arg(long, conflicts_with_all = ["filter", "no_lto"])]
    pub(crate) page: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with plots of the figures over the targets
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

const PACKAGE: &str = "rar-bench";

/// The program of the simulator that counts lines.
const LINES: &str = "lines";

/// Where counts are kept, from the root of the workspace.
const BUDGETS: &str = "rar-examples/bench/budgets.json";

/// The page of the documentation, from the root of the workspace.
const PAGE: &str = "docs/performance.md";

/// Which of its copiers glibc takes: the same on every machine, whatever the CPU offers.
const GLIBC: &str = "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM";

/// Runs `cargo xtask bench`.
pub(crate) fn command(args: &BenchArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let filter = args.filter.as_deref();
    let linking = if args.no_lto {
        Linking::Separate
    } else {
        Linking::Lto
    };
    let mut figures = Figures::default();
    if !args.lines {
        figures.instructions = count(&workspace, linking, filter, verbosity)?;
        out!("{}", table::render(&figures.instructions));
    }
    if !args.no_lto {
        figures.lines = measure_lines(&workspace, filter, verbosity)?;
        out!("{}", lines::render(&figures.lines));
    }
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&figures)?)?;
    }
    if let Some(file) = &args.html {
        let title = format!("What a flush takes, {}", linking.name());
        let page = plot::render(&title, &figures.instructions, &figures.lines);
        write(file, &page)?;
    }
    if args.page {
        let page = workspace.root.join(PAGE);
        let text = if args.lines {
            page::with_lines(&read(&page)?, &figures.lines)
        } else {
            let separate = count(&workspace, Linking::Separate, None, verbosity)?;
            let counts = figures.instructions.clone();
            let runs = [(linking, counts), (Linking::Separate, separate)];
            page::render(&tools(&workspace, verbosity)?, &runs, &figures.lines)
        };
        write(&page, &text)?;
        outln!("wrote {PAGE}");
    }
    if args.bless {
        let file = workspace.root.join(BUDGETS);
        let budgets = if args.lines {
            Budgets::parse(&read(&file)?)?.with_lines(&figures.lines)
        } else {
            let rustc = first_line("rustc", &workspace, verbosity)?;
            Budgets::new(rustc, &figures.instructions, &figures.lines)
        };
        write(&file, &budgets.render()?)?;
        outln!("{} figures are the budgets now: {BUDGETS}", budgets.count());
    }
    if args.check {
        let counted = !args.lines;
        outln!(
            "{}",
            compare(&workspace, filter, &figures, counted, verbosity)?
        );
    }
    Ok(())
}

/// Counts every case and compares it with its budget; returns what was compared.
pub(crate) fn check(workspace: &Workspace, verbosity: Verbosity) -> Result<String> {
    let figures = Figures {
        instructions: count(workspace, Linking::Lto, None, verbosity)?,
        lines: measure_lines(workspace, None, verbosity)?,
    };
    compare(workspace, None, &figures, true, verbosity)
}

/// Compares the figures with their budgets, those of instructions only if they were `counted`;
/// returns what was compared.
fn compare(
    workspace: &Workspace,
    filter: Option<&str>,
    figures: &Figures,
    counted: bool,
    verbosity: Verbosity,
) -> Result<String> {
    let text = fs::read_to_string(workspace.root.join(BUDGETS)).with_context(|| {
        format!("cannot read {BUDGETS}; `cargo xtask bench --bless` makes it anew")
    })?;
    let budgets = Budgets::parse(&text)?;
    let rustc = first_line("rustc", workspace, verbosity)?;
    let lines = budget::figures_compared(&figures.lines);
    let mut told = format!("{lines} figures of lines within their budgets");
    let mut broken = budget::compare_lines(&budgets, &figures.lines, filter);
    if counted && rustc == budgets.rustc {
        let counts = &figures.instructions;
        broken.extend(budget::compare(&budgets, counts, filter));
        let compared = counts.iter().filter(|count| budget::has_budget(count));
        told = format!("{} counts and {told}", compared.count());
    } else if counted {
        // Another compiler is no fault of the driver's. The counts are shown all the same.
        told = format!(
            "{told}; instructions not compared: their budgets are of {}, and this is {rustc}",
            budgets.rustc
        );
    }
    if broken.is_empty() {
        return Ok(told);
    }
    Err(Fault::new(Reason::Failed, broken.join("\n")).into())
}

/// Builds the program, runs it once under callgrind, and returns the counts in its order.
fn count(
    workspace: &Workspace,
    linking: Linking,
    filter: Option<&str>,
    verbosity: Verbosity,
) -> Result<Vec<Count>> {
    let valgrind = setup::valgrind(Install::Allowed, verbosity)?;
    let step = Step::new(
        &format!("building the bench, {}", linking.name()),
        verbosity,
    );
    let program = build(workspace, linking, verbosity)?;
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
        .require(verbosity)?;
    let dumps = fs::read_to_string(&output)
        .with_context(|| format!("callgrind left no {}", output.display()))?;
    step.finish();
    callgrind::counts(&captured.stdout, &dumps)
}

/// Builds the program of the simulator that counts lines, and runs it.
fn measure_lines(
    workspace: &Workspace,
    filter: Option<&str>,
    verbosity: Verbosity,
) -> Result<Vec<Moved>> {
    let program = sim::build(workspace, sim::PACKAGE, LINES, verbosity)?;
    let step = Step::new("counting the lines that move", verbosity);
    let captured = Cmd::new(utf8(&program)?)
        .args(filter)
        .dir(&workspace.root)
        .require(verbosity)?;
    step.finish();
    serde_json::from_str(&captured.stdout)
        .with_context(|| format!("{LINES}: its output cannot be read"))
}

/// Returns the versions of the programs on which the counts depend.
fn tools(workspace: &Workspace, verbosity: Verbosity) -> Result<page::Tools> {
    let programs = ["rustc", "cc", "valgrind"];
    let versions = programs.map(|program| first_line(program, workspace, verbosity));
    Ok(page::Tools {
        versions: versions.into_iter().collect::<Result<_>>()?,
    })
}

/// Returns the first line that a program prints about its version.
fn first_line(program: &str, workspace: &Workspace, verbosity: Verbosity) -> Result<String> {
    let captured = Cmd::new(program)
        .arg("--version")
        .dir(&workspace.root)
        .require(verbosity)?;
    Ok(captured
        .stdout
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

fn build(workspace: &Workspace, linking: Linking, verbosity: Verbosity) -> Result<PathBuf> {
    workspace.package(PACKAGE)?;
    let target = workspace.target.join("bench");
    let cmd = cargo(&workspace.root, &target, "build")?
        .args(["--package", PACKAGE, "--target", kernel::TARGET])
        .args(["--profile", linking.profile()]);
    with_rustflags(cmd, &kernel::RUSTFLAGS).require(verbosity)?;
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

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
