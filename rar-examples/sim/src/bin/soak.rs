//! A slice of `cargo xtask soak`: soaks on simulated machines, one after the other. It has the
//! records and the exit codes of a guest.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use rar_sim::defects::Defect;
use rar_sim::machine::Answering;
use rar_sim::soak::{SoakEnd, SoakRun};
use rar_suite::{Disturbances, Outcome, Record};
use rar_vocabulary::{Backend, Soak};

/// The exit codes of a guest.
const PASSED: u8 = 33;
const FAILED: u8 = 35;
/// How many flushes one machine makes.
const FLUSHES: u64 = 2_000;
/// The name of the test in records.
const NAME: &str = "soak";

/// Runs soaks on simulated machines and prints the records of a guest.
#[derive(Debug, Parser)]
struct Args {
    /// CPUs of each machine
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// What answers signals
    #[arg(long, value_enum, default_value_t = Answer::Model)]
    backend: Answer,
    /// Seed of the first machine; the others have the next ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End after the machine that runs then
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// End after this many machines
    #[arg(long)]
    machines: Option<u64>,
    /// Break units or driver in this way
    #[arg(long, value_name = "NAME", value_parser = defect)]
    defect: Option<Defect>,
}

/// What answers signals.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Answer {
    /// A RAR unit per CPU
    Model,
    /// The handler of an ordinary interrupt
    Software,
}

fn defect(name: &str) -> Result<Defect, &'static str> {
    let found = Defect::all().find(|defect| defect.name() == name);
    found.ok_or("no such defect; `cargo xtask defects --list` lists them")
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (answering, backend) = match args.backend {
        Answer::Model => (Answering::Units, Backend::Model),
        Answer::Software => (Answering::Software, Backend::Software),
    };
    print(&Record::Start {
        backend: backend.name(),
        cpus: args.cpus,
        tests: 1,
        runs: 1,
        initiators: 1,
    });
    let begun = Instant::now();
    let elapsed = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (mut told, mut total) = (Instant::now(), Soak::default());
    let mut why = None;
    for number in 0..args.machines.unwrap_or(u64::MAX) {
        if elapsed() >= 1_000 * args.seconds {
            break;
        }
        let seed = args.seed.wrapping_add(number);
        let run = SoakRun::new(args.cpus, answering, seed, FLUSHES);
        let SoakEnd {
            counts, failure, ..
        } = match args.defect {
            Some(defect) => run.with_defect(defect),
            None => run,
        }
        .run();
        total.add(&counts);
        // The clock of the machines counts steps.
        total.milliseconds = elapsed();
        why = failure.map(|failure| format!("{failure}, machine with seed {seed}"));
        if why.is_some() {
            break;
        }
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            print(&Record::Soak(&total));
        }
    }
    print(&Record::Soak(&total));
    end(backend, args.cpus, &total, why.as_deref())
}

/// Prints the last records; returns the exit code.
fn end(backend: Backend, cpus: u32, total: &Soak, why: Option<&str>) -> ExitCode {
    let passed = why.is_none();
    print(&Record::Test {
        name: NAME,
        question: None,
        backend: backend.name(),
        cpus,
        initiator: 0,
        flushes: total.flushes(),
        controls: &[],
        fallbacks: 0,
        resignals: 0,
        disturbances: Disturbances::NONE,
        outcome: if passed { Outcome::Pass } else { Outcome::Fail },
        why: why.unwrap_or_default(),
    });
    print(&Record::End {
        passed: u32::from(passed),
        failed: u32::from(!passed),
        skipped: 0,
        observed: 0,
    });
    ExitCode::from(if passed { PASSED } else { FAILED })
}

/// Prints a record as a guest does.
fn print(record: &Record<'_>) {
    match serde_json::to_string(record) {
        Ok(text) => println!("@ {text}"),
        Err(error) => eprintln!("a record cannot be written: {error}"),
    }
}
