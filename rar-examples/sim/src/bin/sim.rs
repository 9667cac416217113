//! `cargo xtask sim`: random histories on a simulated machine.

use std::fs::File;
use std::io::{BufReader, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, bail};
use clap::{Parser, ValueEnum as _};
use indicatif::{ProgressBar, ProgressStyle};
use rar_model::Knobs;
use rar_sim::history::{Campaign, Episode, Finding, History, Scheduler, Summary, problem};
use rar_sim::loss;
use rar_sim::machine::{Addressing, Answering};
use rar_sim::output_file::write_json;
use rar_sim_options::{Address, Answer, ENOUGH, SimArgs};
use serde::Serialize;

/// Runs random histories of a kernel on a simulated machine and checks every access: no stale
/// translation may be used after its flush has returned.
///
/// Histories differ: most have ample slots and timeouts, some have few slots, and some have hard
/// conditions: units that refuse, stall and fall silent, CPUs that are deaf or die, and short
/// timeouts. A run of the default length or more must take every path of the driver.
///
/// Exit codes: 0 no violation; 1 a violation, a hang or a path that was never taken; 2 wrong usage;
/// 3 a file cannot be read or written.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Cli {
    #[command(flatten)]
    args: SimArgs,
}

fn main() -> ExitCode {
    let Cli { args } = Cli::parse();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(args: &SimArgs) -> Result<ExitCode> {
    if matches!(args.addressing, Address::Xapic) && args.cpus > 192 {
        bail!(
            "--addressing xapic reaches 192 CPUs, since their APIC ids must be below 255; --cpus \
             is {}: take physical or cluster",
            args.cpus
        );
    }
    if args.loss {
        let tables = [loss::table(), loss::storm::table()];
        for table in tables {
            println!("{}", table.map_err(Error::msg)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    match &args.replay {
        Some(file) => replay(args, file),
        None => campaign(args),
    }
}

fn episode(args: &SimArgs) -> Episode {
    Episode {
        backend: match args.backend {
            Answer::Rar => Answering::Units,
            Answer::Software => Answering::Software,
        },
        knobs: if args.sparing {
            Knobs::SPARING
        } else {
            Knobs::DEFAULT
        },
        addressing: match args.addressing {
            Address::Physical => Addressing::Physical,
            Address::Cluster => Addressing::Cluster,
            Address::Xapic => Addressing::Xapic,
        },
        scheduler: if args.threads {
            Scheduler::Threads
        } else {
            Scheduler::Deterministic
        },
        mixed: true,
        ..Episode::new(args.cpus)
    }
}
/// A run takes every path of the driver only if it has this many CPUs, which wait for each other.
const SEVERAL: std::ops::RangeInclusive<u32> = 2..=16;

/// Returns the paths that should have been taken and were not.
fn missing(args: &SimArgs, summary: &Summary) -> Vec<&'static str> {
    if args.threads || args.steps < ENOUGH || !SEVERAL.contains(&args.cpus) {
        return Vec::new();
    }
    summary.paths.missing(episode(args).backend)
}

fn campaign(args: &SimArgs) -> Result<ExitCode> {
    let bar = progress(args.steps);
    let started = Instant::now();
    let campaign = Campaign {
        episode: episode(args),
        seed: args.seed,
        steps: args.steps,
        shrink: Duration::from_secs(20),
    };
    let ended = campaign.run(&mut |steps| bar.set_position(steps.min(args.steps)));
    bar.finish_and_clear();
    let (summary, finding) = match ended {
        Ok(summary) => (summary, None),
        Err(failed) => {
            let (finding, summary) = *failed;
            (summary, Some(finding))
        }
    };
    print(args, &summary, started.elapsed());
    if let Some(path) = &args.json {
        let report = Report {
            cpus: args.cpus,
            seed: args.seed,
            backend: backend(args),
            seconds: started.elapsed().as_secs_f64(),
            summary: &summary,
            finding: finding.as_ref(),
        };
        write_json(path, &report)?;
    }
    match finding {
        None => {
            println!("no stale translation was used after its flush had returned");
            let missing = missing(args, &summary);
            if missing.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            println!("NEVER TAKEN: {}", missing.join(", "));
            Ok(ExitCode::FAILURE)
        }
        Some(finding) => {
            show(args, &finding)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The summary that `--json` writes.
#[derive(Serialize)]
struct Report<'a> {
    cpus: u32,
    seed: u64,
    backend: &'static str,
    seconds: f64,
    summary: &'a Summary,
    finding: Option<&'a Finding>,
}

fn backend(args: &SimArgs) -> &'static str {
    match args.backend {
        Answer::Rar => "model",
        Answer::Software => "software",
    }
}

fn print(args: &SimArgs, summary: &Summary, time: Duration) {
    let Summary {
        histories,
        steps,
        flushes,
        errors,
        kinds: _,
        skipped,
        paths,
        tally,
        transfers,
    } = summary;
    let scheduler = if args.threads {
        "threads"
    } else {
        "one at a time"
    };
    println!(
        "backend {}, {} CPUs, {scheduler}, seed {}: {histories} histories, {steps} steps in {:.1} \
         s",
        backend(args),
        args.cpus,
        args.seed,
        time.as_secs_f64()
    );
    println!("flushes            {flushes} ({errors} errors)");
    for (name, count) in paths.named() {
        println!("  {name:<32} {count}");
    }
    println!(
        "judged             {} accesses, {} steps of page walks; {} uses of replaced, \
         unflushed translations",
        tally.accesses, tally.walks, tally.stale_uses
    );
    println!(
        "freed              {} frames and tables ({skipped} operations skipped)",
        tally.freed
    );
    println!(
        "dropped            {} translations, {} of them needlessly ({:.2} a flush)",
        tally.dropped,
        tally.needless,
        ratio(tally.needless, *flushes)
    );
    if cfg!(rar_observed) {
        println!(
            "cache lines moved  {transfers} ({:.1} a flush)",
            ratio(*transfers, *flushes)
        );
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn show(args: &SimArgs, finding: &Finding) -> Result<()> {
    if let Some(folder) = args.failure.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    write_json(&args.failure, &finding.minimal)?;
    println!("VIOLATION (seed {}): {}", finding.seed, finding.what);
    println!(
        "cut down to {} operations: {}",
        finding.minimal.ops.len(),
        finding.minimal_what
    );
    for (cpu, op) in &finding.minimal.ops {
        println!("  CPU {cpu:4}  {op:?}");
    }
    println!(
        "again, whole:    cargo xtask sim {} --seed {} --steps 1",
        machine(args),
        finding.seed
    );
    println!(
        "again, cut down: cargo xtask sim {} --replay {}",
        machine(args),
        args.failure.display()
    );
    Ok(())
}

/// The options that make the machine.
fn machine(args: &SimArgs) -> String {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    };
    let mut line = format!(
        "--cpus {} --backend {} --addressing {}",
        args.cpus,
        name(args.backend.to_possible_value()),
        name(args.addressing.to_possible_value())
    );
    if args.sparing {
        line.push_str(" --sparing");
    }
    line
}

fn replay(args: &SimArgs, file: &Path) -> Result<ExitCode> {
    let reader = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let history: History = serde_json::from_reader(BufReader::new(reader))
        .with_context(|| format!("{} is no history", file.display()))?;
    for (cpu, op) in &history.ops {
        println!("  CPU {cpu:4}  {op:?}");
    }
    match problem(&episode(args).run(&history)) {
        None => {
            println!("nothing is wrong with this history");
            Ok(ExitCode::SUCCESS)
        }
        Some(what) => {
            println!("VIOLATION: {what}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn progress(steps: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        eprintln!("histories on a simulated machine ...");
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template(
        "{elapsed:>4} {bar:40} {human_pos}/{human_len} steps, {eta} left",
    ) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
