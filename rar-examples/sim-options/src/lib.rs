#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The options of `cargo xtask sim`.
#[derive(Args, Clone, Debug)]
pub struct SimArgs {
    /// CPUs of the machine.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub cpus: u32,
    /// Seed of the first history; the others follow from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Steps to make in total; a step is one choice of the scheduler. The last history is finished.
    #[arg(long, default_value_t = ENOUGH)]
    pub steps: u64,
    /// What answers signals.
    #[arg(long, value_enum, default_value_t = Answer::Rar)]
    pub backend: Answer,
    /// How a signal addresses its targets.
    #[arg(long, value_enum, default_value_t = Address::Physical)]
    pub addressing: Address,
    /// Use units that answer every open question in the way that flushes least.
    #[arg(long)]
    pub sparing: bool,
    /// Run CPUs as threads of the host, which cannot be replayed; `--steps` then counts judged
    /// accesses.
    #[arg(long)]
    pub threads: bool,
    /// Run the history of this file, which a failing run has written.
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Show how many TLB entries each change of page tables loses needlessly, compared with other
    /// policies, and what a storm of flushes costs its target; run no history.
    #[arg(long, exclusive = true)]
    pub loss: bool,
    /// Write the summary as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a failing history to this file.
    #[arg(long, value_name = "FILE", default_value = "target/sim-failure.json")]
    pub failure: PathBuf,
}

/// What answers signals.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Answer {
    /// A RAR unit per CPU, as `rar-model` has it.
    Rar,
    /// The handler of an ordinary interrupt.
    Software,
}

/// How a signal addresses its targets.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Address {
    /// One x2APIC command per target.
    Physical,
    /// One x2APIC command per cluster.
    Cluster,
    /// One xAPIC command per target; up to 192 CPUs, whose APIC ids fit.
    Xapic,
}

/// A run of this many steps takes every path of the driver.
pub const ENOUGH: u64 = 1_000_000;

/// The options of `cargo xtask defects`.
#[derive(Args, Clone, Debug)]
pub struct DefectsArgs {
    /// Only these defects
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub defect: Vec<String>,
    /// Describe each defect and run nothing
    #[arg(long)]
    pub list: bool,
    /// Seed of the order in which CPUs run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write the matrix, with the reason of every failure, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the page about the catalogue
    #[arg(long, value_name = "FILE", conflicts_with = "defect")]
    pub markdown: Option<PathBuf>,
    /// Check that this page about the catalogue is current
    #[arg(long, value_name = "FILE", conflicts_with = "defect")]
    pub check: Option<PathBuf>,
}

/// The options of `cargo xtask protocol`.
#[derive(Args, Clone, Debug)]
pub struct ProtocolArgs {
    /// Only these scenarios, and the mutants that are named
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub scenario: Vec<String>,
    /// Only these mutants, each with the run that shows it, and the scenarios that are named
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub mutant: Vec<String>,
    /// Leave the long scenarios out
    #[arg(long)]
    pub quick: bool,
    /// Only replay histories of the simulator through the model
    #[arg(long)]
    pub traces: bool,
    /// How many histories of each kind are replayed
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub histories: u64,
    /// Describe scenarios, mutants and invariants, and explore nothing
    #[arg(long)]
    pub list: bool,
    /// Write what was found as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the page about the model
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["scenario", "mutant", "quick", "traces"]
    )]
    pub markdown: Option<PathBuf>,
    /// Check that the figures of this page are current
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
}

/// The options of `cargo xtask fuzz`.
#[derive(Args, Clone, Debug)]
pub struct FuzzArgs {
    /// The targets [default: all, one after the other]
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub seconds: u64,
    /// Seed of the inputs: with their numbers they are the same on every machine
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Number of the first input
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub first: u64,
    /// As many inputs, instead of a time
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "seconds",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub cases: Option<u64>,
    /// Run one target on the input in this file, which a failing run has written
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seconds", "seed", "first", "cases"])]
    pub replay: Option<PathBuf>,
    /// Describe the targets, and run nothing
    #[arg(long)]
    pub list: bool,
}
