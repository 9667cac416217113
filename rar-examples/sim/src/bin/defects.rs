//! `cargo xtask defects`: every known defect against every test of the suite.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use rar_sim::defects::{CPUS, Defect, Fate, Report, Test, run};
use rar_sim::output_file::{write, write_json};
use rar_sim_options::DefectsArgs;

/// Runs the test suite on simulated machines with broken RAR units and broken drivers. Each defect
/// must be detected by at least one test.
///
/// Exit codes: 0 every defect was detected; 1 a defect was not, or a test failed where nothing is
/// broken; 2 wrong usage; 3 a file cannot be read or written.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask defects",
    bin_name = "cargo xtask defects",
    max_term_width = 110
)]
struct Cli {
    #[command(flatten)]
    args: DefectsArgs,
}

/// Exit code: no defect has a name that was asked for.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match command(&Cli::parse().args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn command(args: &DefectsArgs) -> Result<ExitCode> {
    if args.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let known = |name: &String| Defect::all().any(|defect| defect.name() == name);
    if let Some(unknown) = args.defect.iter().find(|name| !known(name)) {
        eprintln!("error: no defect is named `{unknown}`; --list shows the names");
        return Ok(ExitCode::from(USAGE));
    }
    let report = report(args);
    let mut problems = report.problems();
    if let Some(file) = &args.check {
        problems.extend(outdated(&report, file)?);
    }
    if let Some(file) = &args.json {
        write_json(file, &report.to_json())?;
    }
    if let Some(file) = &args.markdown {
        write(file, report.markdown().trim_end())?;
    }
    for problem in &problems {
        println!("FAILED {problem}");
    }
    let summary = report.summary();
    println!(
        "{} defects, {} caught ({} of them survived by the driver), {} uncaught, {} not survived",
        summary.defects, summary.caught, summary.survived, summary.uncaught, summary.not_survived
    );
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn list() {
    for defect in Defect::all() {
        let fate = match defect.fate() {
            Fate::Fatal => "deceives the driver",
            Fate::Survived => "survived",
        };
        println!("{defect:34} {fate:20} {}", defect.describe());
    }
}

fn report(args: &DefectsArgs) -> Report {
    let chosen: Vec<_> = Defect::all()
        .filter(|defect| {
            args.defect.is_empty() || args.defect.iter().any(|name| name == defect.name())
        })
        .collect();
    let tests = Test::all();
    let bar = progress();
    let started = Instant::now();
    let (control, rows) = run(&chosen, &tests, args.seed, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let report = Report {
        is_whole: args.defect.is_empty(),
        tests,
        control,
        rows,
    };
    print!("{}", report.matrix());
    if report.is_whole {
        for test in report.idle_tests() {
            println!("no defect makes {} fail", test.name);
        }
    }
    println!(
        "backend model, {CPUS} CPUs, seed {}, {:.1} s",
        args.seed,
        started.elapsed().as_secs_f64()
    );
    report
}

/// A page differs from what would be written now.
fn outdated(report: &Report, file: &Path) -> Result<Option<String>> {
    let page =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display();
    Ok((page != report.markdown()).then(|| {
        format!("{name} is out of date: `cargo xtask defects --markdown {name}` writes it anew")
    }))
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        eprintln!("defects on simulated machines ...");
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed:>4} {bar:40} {pos}/{len} runs, {eta} left")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
