//! `cargo xtask fuzz`: changed inputs of the corpus, until a target panics or the time is over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use rar_fuzz::corpus::{self, Seed};
use rar_fuzz::search::{Failure, draw, run, search, shrink};
use rar_fuzz::target::{TARGETS, Target, find};
use rar_fuzz::watch::Watch;
use rar_sim_options::FuzzArgs;

/// Runs fuzz targets on changed inputs of their corpus.
///
/// Exit codes: 0 nothing failed; 1 a target panicked or did not end; 2 wrong usage; 3 a file cannot
/// be read or written.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask fuzz",
    bin_name = "cargo xtask fuzz",
    max_term_width = 110
)]
struct Cli {
    #[command(flatten)]
    args: FuzzArgs,
}

/// Exit code: no target has that name.
const USAGE: u8 = 2;

/// No input takes a target as long.
const LONGEST: Duration = Duration::from_secs(20);

/// Inputs between two looks at the clock.
const BATCH: u64 = 256;

fn main() -> ExitCode {
    match command(&Cli::parse().args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn command(args: &FuzzArgs) -> Result<ExitCode> {
    if args.list {
        for target in TARGETS {
            println!("{:10} {}", target.name, target.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let unknown = args.targets.iter().find(|name| find(name).is_none());
    if let Some(name) = unknown {
        eprintln!("error: no target is named `{name}`; --list shows the names");
        return Ok(ExitCode::from(USAGE));
    }
    let is_named = |target: &&Target| {
        args.targets.is_empty() || args.targets.iter().any(|name| name == target.name)
    };
    let targets: Vec<_> = TARGETS.iter().filter(is_named).collect();
    // A panic is a result here, and shown by its message.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(file) = &args.replay {
        return replay(&targets, file);
    }
    let mut failures = 0;
    for target in &targets {
        failures += usize::from(!fuzz(target, args)?);
    }
    Ok(ExitCode::from(u8::from(failures > 0)))
}

fn replay(targets: &[&Target], file: &Path) -> Result<ExitCode> {
    let [target] = targets else {
        eprintln!("error: --replay needs one target, whose input the file is");
        return Ok(ExitCode::from(USAGE));
    };
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let seed = corpus::parse(&file.display().to_string(), &text)?;
    let failed = run(target.run, &seed.bytes);
    match &failed {
        Some(message) => println!("{}: {message}", target.name),
        None => println!("{}: nothing failed", target.name),
    }
    Ok(ExitCode::from(u8::from(failed.is_some())))
}

/// Runs one target; returns whether nothing failed.
fn fuzz(target: &Target, args: &FuzzArgs) -> Result<bool> {
    let corpus = corpus::read(&corpus::folder(target.name))?;
    let begin = Instant::now();
    let limit = Duration::from_secs(args.seconds);
    let kept = corpus
        .iter()
        .find_map(|seed| Some((seed, run(target.run, &seed.bytes)?)));
    if let Some((seed, message)) = kept {
        println!(
            "{}: FAILED on the kept input {}: {message}",
            target.name, seed.name
        );
        return Ok(false);
    }
    let watch = Arc::new(Watch::new());
    end_if_overdue(Arc::downgrade(&watch), target, corpus.clone(), args.seed);
    let mut number = args.first;
    let end = args.cases.map(|cases| args.first.saturating_add(cases));
    loop {
        let last = number.saturating_add(BATCH).min(end.unwrap_or(u64::MAX));
        let numbers = (number..last).inspect(|number| watch.start(*number));
        let failure = search(target.run, &corpus, args.seed, numbers);
        if let Some(failure) = failure {
            watch.end();
            report(target, &failure)?;
            return Ok(false);
        }
        number = last;
        if Some(number) == end || end.is_none() && begin.elapsed() >= limit {
            break;
        }
    }
    watch.end();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{}: {} inputs from seed {} and {} kept ones in {seconds:.1} s, nothing failed",
        target.name,
        number - args.first,
        args.seed,
        corpus.len()
    );
    Ok(true)
}

fn report(target: &Target, failure: &Failure) -> Result<()> {
    let small = shrink(target.run, &failure.input);
    let message = run(target.run, &small).unwrap_or_else(|| failure.message.clone());
    let file = save(target, failure.seed, failure.number, &small, &message)?;
    println!(
        "{name}: FAILED on input {number} of seed {seed}: {first}\n\
         repeat: cargo xtask fuzz {name} --seed {seed} --first {number} --cases 1\n\
         smaller ({bytes} bytes): cargo xtask fuzz {name} --replay {file}",
        name = target.name,
        number = failure.number,
        seed = failure.seed,
        first = failure.message,
        bytes = small.len(),
        file = file.display()
    );
    Ok(())
}

fn save(target: &Target, seed: u64, number: u64, input: &[u8], why: &str) -> Result<PathBuf> {
    let folder = Path::new("target/fuzz");
    let file = folder.join(format!("{}-{seed}-{number}.hex", target.name));
    let why = why.lines().next().unwrap_or_default();
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, corpus::render(why, input)))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Ends the program if one input takes too long: nothing else can end such a target. Goes on for as
/// long as the watch is used.
fn end_if_overdue(watch: Weak<Watch>, target: &Target, corpus: Vec<Seed>, seed: u64) {
    let target = *target;
    thread::spawn(move || {
        while let Some(watch) = watch.upgrade() {
            let overdue = watch.overdue(LONGEST);
            drop(watch);
            if let Some(number) = overdue {
                let input = draw(&corpus, seed, number);
                let saved = save(&target, seed, number, &input, "does not end");
                let file =
                    saved.map_or_else(|error| error.to_string(), |file| file.display().to_string());
                println!(
                    "{}: input {number} of seed {seed} does not end: {file}",
                    target.name
                );
                std::process::exit(1);
            }
            thread::sleep(Duration::from_millis(200));
        }
    });
}
