//! `cargo xtask soak`: a small kernel's life, for minutes or hours, on simulated machines and in
//! QEMU.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::modes::Thread;
use rar_harness::process::Verbosity;
use rar_harness::setup::{self, Qemu};
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, out, outln, parallel, test_kernel};
use rar_soak_harness::plan::{Wish, plan};
use rar_soak_harness::report::Report;
use rar_soak_harness::run::{Ended, run, run_quietly};
use rar_soak_harness::slice::{Machine, Programs, Slice};
use rar_soak_harness::{page, table};
use rar_vocabulary::{Backend, Counts};

use crate::sim;

/// The program of the simulator.
const PROGRAM: &str = "soak";

/// The slices of the stage: machine, CPUs, seconds.
const STAGE: [(Machine, u32, u64); 4] = [
    (Machine::Simulated(Backend::Model), 4, 4),
    (Machine::Simulated(Backend::Software), 4, 4),
    (Machine::Guest(Backend::Software, Thread::Single), 4, 4),
    (Machine::Guest(Backend::Vrar, Thread::Single), 4, 4),
];

/// The slice of the stage with broken units, and what is broken.
const BROKEN: (Machine, u32, u64) = (Machine::Guest(Backend::Vrar, Thread::Single), 2, 1);
const BROKEN_BY: &str = "success-without-flush";

/// What a soak is without options.
const SEED: u64 = 1;
const MINUTES: u64 = 10;
const CPUS: [u32; 2] = [2, 4];

#[derive(Args, Clone, Debug)]
pub(crate) struct SoakArgs {
    /// How long all slices take together
    #[arg(long, value_name = "N", default_value_t = MINUTES, conflicts_with = "replay",
          value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) minutes: u64,
    /// Seed of the slices' seeds
    #[arg(long, value_name = "S", default_value_t = SEED, conflicts_with = "replay")]
    pub(crate) seed: u64,
    /// Only slices of this backend [default: all]
    #[arg(long, conflicts_with = "replay", value_parser = backend())]
    pub(crate) backend: Option<Backend>,
    /// CPU counts, a slice of each machine for each
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = CPUS,
          conflicts_with = "replay", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) cpus: Vec<u32>,
    /// Count instructions in QEMU instead of time, so that the load of this machine matters little;
    /// leaves out slices with host threads, and a second takes several
    #[arg(long)]
    pub(crate) deterministic: bool,
    /// Run only this slice, as printed by an earlier soak (may be given again)
    #[arg(long, value_name = "SLICE")]
    pub(crate) replay: Vec<Slice>,
    /// Break every RAR unit in this way; the soak has to fail
    #[arg(long, value_name = "NAME", hide = true, requires = "replay",
          value_parser = rar_harness::defect_names::name)]
    pub(crate) defect: Option<String>,
    /// Write counts and samples of each slice as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with a time line
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
}

impl SoakArgs {
    /// Returns what runs without any option.
    pub(crate) fn usual() -> Self {
        Self {
            minutes: MINUTES,
            seed: SEED,
            backend: None,
            cpus: CPUS.to_vec(),
            deterministic: false,
            replay: Vec::new(),
            defect: None,
            json: None,
            html: None,
            qemu: None,
        }
    }
}

/// Returns a parser of the backends that a slice can have.
fn backend() -> impl TypedValueParser<Value = Backend> {
    let names = [Backend::Vrar, Backend::Software, Backend::Model].map(Backend::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse())
}

/// Runs `cargo xtask soak`.
pub(crate) fn command(args: &SoakArgs, verbosity: Verbosity) -> Result<()> {
    let slices = match args.replay.as_slice() {
        [] => plan(&Wish {
            seconds: 60 * args.minutes,
            seed: args.seed,
            backend: args.backend,
            cpus: args.cpus.clone(),
            deterministic: args.deterministic,
        }),
        named => named.to_vec(),
    };
    let needs_qemu = slices.iter().any(is_guest);
    let qemu = needs_qemu
        .then(|| setup::emulator(args.qemu.as_deref(), verbosity))
        .transpose()?;
    let defect = args.defect.as_deref();
    let workspace = Workspace::this()?;
    let built = Built::new(&workspace, &slices, qemu.as_ref(), verbosity)?;
    let programs = built.programs(args.deterministic, defect);
    let ended = run_slices(&slices, &programs, verbosity)?;
    out!("{}", table::render(&ended));
    if let Some(file) = &args.json {
        let report = Report::new(args.seed, &ended);
        write(file, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(file) = &args.html {
        write(file, &page::render(args.seed, &ended))?;
    }
    outln!("{}", table::sums(&ended));
    verdict(&ended, &programs)
}

const fn is_guest(slice: &Slice) -> bool {
    matches!(slice.machine, Machine::Guest(..))
}

/// What slices need, built.
struct Built<'a> {
    simulator: Option<PathBuf>,
    guest: Option<(&'a Path, PathBuf)>,
}

impl<'a> Built<'a> {
    fn new(
        workspace: &Workspace,
        slices: &[Slice],
        qemu: Option<&'a Qemu>,
        verbosity: Verbosity,
    ) -> Result<Self> {
        let simulated = slices.iter().any(|slice| !is_guest(slice));
        let simulator = simulated
            .then(|| sim::build(workspace, sim::PACKAGE, PROGRAM, verbosity))
            .transpose()?;
        let target = kernel::target(workspace);
        let guest = qemu
            .map(|qemu| {
                let kernel = test_kernel::build(workspace, &target, verbosity)?;
                anyhow::Ok((qemu.path.as_path(), kernel))
            })
            .transpose()?;
        Ok(Self { simulator, guest })
    }

    fn programs<'b>(&'b self, deterministic: bool, defect: Option<&'b str>) -> Programs<'b> {
        Programs {
            simulator: self.simulator.as_deref(),
            guest: self
                .guest
                .as_ref()
                .map(|(qemu, kernel)| (*qemu, kernel.as_path())),
            deterministic,
            defect,
        }
    }
}

/// Runs the slices one after the other, whether they pass or not.
fn run_slices(
    slices: &[Slice],
    programs: &Programs<'_>,
    verbosity: Verbosity,
) -> Result<Vec<Ended>> {
    let run = |slice| run(slice, programs, verbosity);
    slices.iter().map(run).collect()
}

/// Runs the slices of the stage, and one with broken units, which has to be caught; returns how
/// many did as they should, what was counted, and what went wrong.
pub(crate) fn stage(
    workspace: &Workspace,
    qemu: &Qemu,
    verbosity: Verbosity,
) -> Result<(Counts, String, Option<anyhow::Error>)> {
    let slice = |(machine, cpus, seconds)| Slice {
        machine,
        cpus,
        seed: SEED,
        seconds,
    };
    let slices = STAGE.map(slice);
    let built = Built::new(workspace, &slices, Some(qemu), verbosity)?;
    let (programs, broken) = (
        built.programs(false, None),
        built.programs(false, Some(BROKEN_BY)),
    );
    // Each takes a core for some seconds.
    let all: Vec<_> = slices.into_iter().map(Some).chain([None]).collect();
    let mut ended = parallel::each(&all, parallel::cores(), |_, honest| match honest {
        Some(slice) => run(slice, &programs, verbosity),
        None => run_quietly(&slice(BROKEN), &broken, verbosity),
    })?;
    let caught = ended.pop().context("the slice with broken units")?;
    let missed = missed(&caught);
    let passed = ended.iter().filter(|each| each.passed()).count();
    let failed = ended.len() - passed + usize::from(missed.is_some());
    let counts = Counts::of(passed + usize::from(missed.is_none()), failed);
    let failure = verdict(&ended, &programs).err().or(missed);
    Ok((counts, table::sums(&ended), failure))
}

/// Returns an error unless the soak with broken units named a stale access.
fn missed(caught: &Ended) -> Option<anyhow::Error> {
    let named = |problem: &String| problem.starts_with("stale ") && problem.contains("CPU ");
    if caught.problems.iter().any(named) {
        return None;
    }
    let message = format!(
        "soak {} with defect {BROKEN_BY}: not caught (got {:?}, expected a stale access)",
        caught.slice, caught.problems
    );
    Some(Fault::new(Reason::Failed, message).into())
}

/// Succeeds if all slices passed; names each that did not.
fn verdict(ended: &[Ended], programs: &Programs<'_>) -> Result<()> {
    let failed: Vec<_> = ended.iter().filter(|each| !each.passed()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let reason = match failed.iter().any(|each| each.died) {
        true => Reason::Guest,
        false => Reason::Failed,
    };
    let lines = failed.iter().map(|each| {
        let (slice, problems) = (each.slice, each.problems.join("; "));
        let again = programs.again(&slice);
        format!("soak {slice}: {problems}; `{again}` repeats it")
    });
    let message = lines.collect::<Vec<_>>().join("\n");
    Err(Fault::new(reason, message).into())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Subcommands};

    fn soak(args: &[&str]) -> Result<SoakArgs, clap::Error> {
        let cli = Cli::try_parse_from(["xtask", "soak"].iter().chain(args))?;
        match cli.command {
            Subcommands::Soak(args) => Ok(args),
            _ => panic!("not soak"),
        }
    }

    #[test]
    fn the_usual_soak_is_the_one_without_options() {
        let (parsed, usual) = (soak(&[]).unwrap(), SoakArgs::usual());
        assert_eq!(format!("{parsed:?}"), format!("{usual:?}"));
    }

    #[test]
    fn all_slices_that_failed_are_named() {
        let ended = |slice: &str, problem: Option<&str>| Ended {
            slice: slice.parse().unwrap(),
            samples: Vec::new(),
            problems: problem.map(str::to_owned).into_iter().collect(),
            died: problem == Some("hang"),
            said: Vec::new(),
        };
        let programs = Programs {
            simulator: None,
            guest: None,
            deterministic: false,
            defect: None,
        };
        let passed = ended("sim-model:2:1:1", None);
        assert!(verdict(&[passed], &programs).is_ok());
        let all = [
            ended("sim-model:2:1:1", Some("stale load")),
            ended("sim-model:2:2:1", None),
            ended("vrar-multi:4:3:1", Some("hang")),
        ];
        let error = verdict(&all, &programs).unwrap_err();
        let expected = "soak sim-model:2:1:1: stale load; `cargo xtask soak --replay \
                        sim-model:2:1:1` repeats it\nsoak vrar-multi:4:3:1: hang; `cargo xtask \
                        soak --replay vrar-multi:4:3:1` repeats it";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_slice_is_repeated_alone() {
        let args = soak(&[
            "--replay",
            "vrar-multi:4:9:5",
            "--replay",
            "sim-model:2:1:1",
        ]);
        assert_eq!(args.unwrap().replay.len(), 2);
        for wrong in [
            &["--replay", "vrar"][..],
            &["--replay", "sim-model:2:1:1", "--minutes", "3"],
            &["--backend", "hardware"],
            &["--minutes", "0"],
            &["--cpus", "65"],
            &["--defect", "signal-lost"],
        ] {
            assert_eq!(soak(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }
}
