//! `cargo xtask test`: everything, stage by stage.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use clap::{Args, ValueEnum};
use rar_harness::cargo::cargo;
use rar_harness::exit_code::{Fault, Reason, reason_of};
use rar_harness::judged_run::require_pass;
use rar_harness::logs::Logs;
use rar_harness::modes::{Apic, Thread};
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::run::{RACE_VOLUME, Run, Tests};
use rar_harness::setup::{self, Qemu};
use rar_harness::workspace::{LIBRARIES, Workspace};
use rar_harness::{defect_names, errln, kernel, out, outln, results, test_kernel, text};
use rar_house_rules::{layering, standalone};
use rar_image_harness::{boot_plan, catalogue};
use rar_vocabulary::{Backend, Counts};

use crate::bochs::{self, BochsArgs};
use crate::{
    bench, defects, disasm, example, host, image, loom, minimal, msrv, packages, sabotage, sim,
};

#[derive(Args, Clone, Debug)]
pub(crate) struct TestArgs {
    /// Run only this stage (may be given again)
    #[arg(long = "stage", value_name = "STAGE", value_enum)]
    pub(crate) stages: Vec<Stage>,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
    /// Fail instead of skipping a stage that this machine cannot run.
    #[arg(skip)]
    pub(crate) complete: bool,
}

/// The stages of `cargo xtask test`, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    Arrows,
    Format,
    Clippy,
    Docs,
    Host,
    Outside,
    /// Build the libraries with the oldest Rust they promise, for this machine and for other
    /// architectures
    Msrv,
    /// Test the libraries with the oldest Rust they promise; only if named here, and in `cargo
    /// xtask ci --full`
    MsrvTests,
    /// Pack the libraries, check what the packages hold, build from them
    Package,
    /// Run the tests in the packages; only if named here, and in `cargo xtask ci --full`
    PackageTests,
    Kernels,
    Disasm,
    Loom,
    Sim,
    /// Ten times longer histories; only if named here, and in `cargo xtask ci --full`
    SimLong,
    Defects,
    Qemu,
    Image,
    /// Count the instructions of a flush, and compare them with their budgets
    Bench,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct CiArgs {
    /// Also run the tests in the packages, boot the image on every machine of the catalogue, with
    /// every defect, and in Bochs where that is installed, and run every sabotage
    #[arg(long)]
    pub(crate) full: bool,
}

/// What executes remote flushes in `cargo xtask test`, and flushes per CPU in the storm: under the
/// shim each costs some world switches.
const BACKENDS: [(Backend, u32); 2] = [(Backend::Software, 20_000), (Backend::Vrar, 5_000)];

/// Flushes per CPU where each access to the APIC is a world switch and an instruction to decode.
const XAPIC_VOLUME: u32 = 1_000;

/// Flushes per CPU of each backend where two share a boot.
const LATE_VOLUME: u32 = 500;

/// The stages that run only if named, and in `ci --full`.
const LONG: [Stage; 3] = [Stage::MsrvTests, Stage::PackageTests, Stage::SimLong];

/// How many lines of a failed stage are shown.
const TAIL: usize = 60;

/// Runs `cargo xtask ci`.
pub(crate) fn ci(args: &CiArgs, verbosity: Verbosity) -> Result<()> {
    command(
        &TestArgs {
            stages: Vec::new(),
            qemu: None,
            complete: true,
        },
        verbosity,
    )?;
    if args.full {
        full(verbosity)?;
    }
    Ok(())
}

/// Runs what takes long, all of it even if a part fails.
fn full(verbosity: Verbosity) -> Result<()> {
    let long = || {
        let args = TestArgs {
            stages: LONG.to_vec(),
            qemu: None,
            complete: true,
        };
        command(&args, verbosity)
    };
    let bochs = || match setup::bochs_files() {
        Some(_) => bochs::command(&BochsArgs::default(), verbosity),
        None => {
            outln!("Bochs is not installed: the suite did not run there");
            Ok(())
        }
    };
    let mut failed = Vec::new();
    let mut part = |name: &str, result: Result<()>| match result {
        Err(error) if reason_of(&error).ends_all() => Err(error),
        Err(error) => {
            errln!("{name} FAILED: {error:#}");
            failed.push(name.to_owned());
            Ok(())
        }
        Ok(()) => Ok(()),
    };
    part("long stages", long())?;
    part(
        "image --machines all",
        image::on_machines(&[catalogue::ALL.to_owned()], verbosity),
    )?;
    part(
        "sabotage",
        sabotage::all(&Workspace::this()?, None, verbosity),
    )?;
    part(
        "image --defect all",
        rar_image_harness::defects::command(defect_names::ALL, verbosity),
    )?;
    part("bochs", bochs())?;
    if failed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "failed: {}; each is a command of its own",
        failed.join(", ")
    );
    Err(Fault::new(Reason::Failed, message).into())
}

/// Runs `cargo xtask test`.
pub(crate) fn command(args: &TestArgs, verbosity: Verbosity) -> Result<()> {
    let begin = Instant::now();
    let mut chosen = Stage::value_variants().to_vec();
    // Those not named are what everybody runs.
    chosen.retain(|stage| match args.stages.is_empty() {
        true => !LONG.contains(stage),
        false => args.stages.contains(stage),
    });
    let may_skip = args.stages.is_empty() && !args.complete;
    // Before the first stage, so that a missing emulator is known at once.
    let qemu = chosen
        .iter()
        .any(|stage| matches!(stage, Stage::Qemu | Stage::Image))
        .then(|| setup::emulator(args.qemu.as_deref(), verbosity))
        .transpose()?;
    let context = Context {
        workspace: Workspace::this()?,
        qemu,
        verbosity,
    };
    let mut ended = Vec::new();
    for stage in chosen {
        let mut end = context.run(stage);
        if may_skip {
            end.skip_if_impossible();
        }
        if let Some(error) = &end.failure {
            // Nothing after Ctrl-C is of use.
            if reason_of(error).ends_all() {
                return Err(end.failure.unwrap_or_else(|| Error::msg("interrupted")));
            }
            show(&context.workspace, &end.name(), &format!("{error:#}"))?;
        } else if let Some(why) = &end.skipped {
            errln!("{} skipped: {why}", end.name());
        } else {
            errln!("{} passed in {:.1} s", end.name(), end.time.as_secs_f64());
        }
        ended.push(end);
    }
    outln!("{}", render(&ended, begin.elapsed()));
    let total = total(&ended);
    outln!("counted: {} stages and the tests in them", ended.len());
    outln!("{total}");
    if total.failed == 0 {
        return Ok(());
    }
    let failed: Vec<_> = ended
        .iter()
        .filter(|end| end.failure.is_some())
        .map(StageEnd::name)
        .collect();
    let again = failed
        .iter()
        .map(|name| format!("--stage {name}"))
        .collect::<Vec<_>>()
        .join(" ");
    Err(Fault::new(
        common_reason(&ended),
        format!(
            "{} stages failed; `cargo xtask test {again}` repeats them",
            failed.len()
        ),
    )
    .into())
}

/// Returns the reason that all failures share, or the general one.
fn common_reason(ended: &[StageEnd]) -> Reason {
    let mut reasons = ended
        .iter()
        .filter_map(|end| end.failure.as_ref().map(reason_of));
    let first = reasons.next().unwrap_or(Reason::Failed);
    if reasons.all(|reason| reason == first) {
        first
    } else {
        Reason::Failed
    }
}

/// Shows why a stage failed: its last lines, and where all of them are.
fn show(workspace: &Workspace, stage: &str, why: &str) -> Result<()> {
    let folder = workspace.target.join("test-logs");
    let log = folder.join(format!("{stage}.log"));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&log, why))
        .with_context(|| format!("cannot write {}", log.display()))?;
    if why.lines().count() > TAIL {
        let tail = text::tail(&format!("{stage} FAILED"), why.lines(), TAIL);
        errln!("{}", tail.trim_end());
        errln!("all of it is in {}", log.display());
    } else {
        errln!("{stage} FAILED\n{why}");
    }
    Ok(())
}

/// A stage that ended.
struct StageEnd {
    stage: Stage,
    tests: Counts,
    note: String,
    time: Duration,
    failure: Option<Error>,
    /// Why it did not run.
    skipped: Option<String>,
}

impl StageEnd {
    /// Makes a lack of the old toolchain no failure: the crates can be worked on without it.
    fn skip_if_impossible(&mut self) {
        let lacks = |error: &mut Error| reason_of(error) == Reason::Environment;
        if self.stage == Stage::Msrv
            && let Some(error) = self.failure.take_if(lacks)
        {
            self.skipped = Some(format!("{error:#}"));
            "see above; `cargo xtask test --stage msrv` repeats it".clone_into(&mut self.note);
        }
    }

    fn name(&self) -> String {
        self.stage
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What a stage that came to its end reports.
#[derive(Default)]
struct Done {
    tests: Counts,
    note: String,
    failure: Option<Error>,
}

impl Done {
    fn note(note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..Self::default()
        }
    }
}

struct Context {
    workspace: Workspace,
    /// Found if the stage that needs it is to run.
    qemu: Option<Qemu>,
    verbosity: Verbosity,
}

impl Context {
    fn run(&self, stage: Stage) -> StageEnd {
        let begin = Instant::now();
        let what = match stage {
            Stage::Arrows => "which crate knows which",
            Stage::Format => "format",
            Stage::Clippy => "lints, each feature and the kernels too",
            Stage::Docs => "documentation",
            Stage::Host => "host tests",
            Stage::Outside => "libraries picked alone",
            Stage::Msrv => "libraries with the oldest Rust",
            Stage::MsrvTests => "tests of the libraries with the oldest Rust",
            Stage::Package => "packages",
            Stage::PackageTests => "tests in the packages",
            Stage::Kernels => "kernels",
            Stage::Disasm => "machine code of the kernels",
            Stage::Loom => "every interleaving",
            Stage::Sim => "simulated machines",
            Stage::SimLong => "simulated machines, at length",
            Stage::Defects => "broken units and drivers",
            Stage::Qemu => "QEMU",
            Stage::Image => "the boot image",
            Stage::Bench => "instructions and lines of a flush",
        };
        // These show their own steps.
        let step = (!matches!(
            stage,
            Stage::Qemu
                | Stage::Image
                | Stage::Loom
                | Stage::Sim
                | Stage::SimLong
                | Stage::Defects
                | Stage::Bench
        ))
        .then(|| Step::new(what, self.verbosity));
        let done = match stage {
            Stage::Arrows => layering::check(&self.workspace, self.verbosity).map(Done::note),
            Stage::Format => self.format(),
            Stage::Clippy => self.clippy(),
            Stage::Docs => self.docs(),
            Stage::Host => self.host(),
            Stage::Outside => standalone::check(&self.workspace, self.verbosity).map(Done::note),
            Stage::Msrv => msrv::builds(&self.workspace, self.verbosity).map(Done::note),
            Stage::MsrvTests => self.msrv_tests(),
            Stage::Package => packages::check(&self.workspace, self.verbosity).map(Done::note),
            Stage::PackageTests => self.package_tests(),
            Stage::Kernels => self.kernels(),
            Stage::Disasm => disasm::kernels(&self.workspace, self.verbosity).map(Done::note),
            Stage::Loom => self.loom(),
            Stage::Sim => self.sim(sim::STEPS),
            Stage::SimLong => self.sim(sim::MANY_STEPS),
            Stage::Defects => self.defects(),
            Stage::Qemu => self.qemu(),
            Stage::Image => self.image(),
            Stage::Bench => bench::check(&self.workspace, self.verbosity).map(Done::note),
        };
        drop(step);
        let Done {
            tests,
            note,
            failure,
        } = done.unwrap_or_else(|error| Done {
            failure: Some(error),
            ..Done::default()
        });
        StageEnd {
            stage,
            tests,
            note,
            time: begin.elapsed(),
            failure,
            skipped: None,
        }
    }

    fn format(&self) -> Result<Done> {
        cargo(&self.workspace.root, &self.workspace.target, "fmt")?
            .args(["--all", "--", "--check", "-l"])
            .require(self.verbosity)?;
        Ok(Done::default())
    }

    fn clippy(&self) -> Result<Done> {
        let libraries: Vec<_> = LIBRARIES
            .iter()
            .flat_map(|name| ["--package", name])
            .collect();
        let defmt = [libraries.as_slice(), &["--features", "defmt"]].concat();
        let unverified = ["--package", "rar-payload", "--features", "unverified,defmt"];
        let critical = ["--package", "rar-regs", "--features", "critical-section"];
        for args in [&["--workspace"][..], &defmt, &unverified, &critical] {
            cargo(&self.workspace.root, &self.workspace.target, "clippy")?
                .args(args.iter().copied())
                .args(["--all-targets", "--", "-D", "warnings"])
                .require(self.verbosity)?;
        }
        sim::observed(&self.workspace, "clippy")?
            .args([
                "--package",
                "rar-sim",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
            .require(self.verbosity)?;
        let kernels = self.workspace.freestanding();
        if !kernels.is_empty() {
            kernel::freestanding(&self.workspace, &kernel::target(&self.workspace), "clippy")?
                .args(
                    kernels
                        .iter()
                        .flat_map(|package| ["--package", package.name.as_str()]),
                )
                .args(["--", "-D", "warnings"])
                .require(self.verbosity)?;
        }
        Ok(Done::note(format!(
            "workspace, 2 feature sets, observed, {} freestanding crates",
            kernels.len()
        )))
    }

    fn docs(&self) -> Result<Done> {
        minimal::check_guide(&self.workspace.root)?;
        cargo(&self.workspace.root, &self.workspace.target, "doc")?
            .args(["--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .require(self.verbosity)?;
        let dead = packages::links_without_page(&self.workspace)?;
        if !dead.is_empty() {
            return Err(Fault::new(Reason::Failed, dead.join("\n")).into());
        }
        Ok(Done::default())
    }

    fn host(&self) -> Result<Done> {
        let (tests, failure) = host::tests(&self.workspace, self.verbosity)?;
        Ok(Done {
            tests,
            note: "unit, property, documentation tests; each feature".to_owned(),
            failure,
        })
    }

    fn msrv_tests(&self) -> Result<Done> {
        let (tests, note, failure) = msrv::tests(&self.workspace, self.verbosity)?;
        Ok(Done {
            tests,
            note,
            failure,
        })
    }

    fn package_tests(&self) -> Result<Done> {
        let (tests, failure) = packages::tests(&self.workspace, self.verbosity)?;
        Ok(Done {
            tests,
            note: "from the packages alone".to_owned(),
            failure,
        })
    }

    fn kernels(&self) -> Result<Done> {
        let target = kernel::target(&self.workspace);
        let mut names = Vec::new();
        for package in self.workspace.kernels() {
            kernel::build(&self.workspace, &target, &package.name, self.verbosity)?;
            names.push(package.name.to_string());
        }
        if names.is_empty() {
            return Err(Fault::new(
                Reason::Failed,
                "there is no kernel: no program with the feature freestanding",
            )
            .into());
        }
        Ok(Done::note(names.join(", ")))
    }

    fn loom(&self) -> Result<Done> {
        let tests = loom::models(&self.workspace, None, self.verbosity)?;
        let note = format!(
            "{} models; their mutants: `cargo xtask loom`, `cargo xtask ci --full`",
            tests.passed
        );
        Ok(Done {
            tests,
            note,
            failure: None,
        })
    }

    fn sim(&self, steps: u32) -> Result<Done> {
        let (tests, failure) = sim::stage(&self.workspace, steps, self.verbosity)?;
        Ok(Done {
            tests,
            note: format!("random histories of {steps} steps, backends model and software"),
            failure,
        })
    }

    fn defects(&self) -> Result<Done> {
        let (tests, failure) = defects::stage(&self.workspace, self.verbosity)?;
        Ok(Done {
            tests,
            note: "each defect caught, what can be survived survived; docs/defects.md".to_owned(),
            failure,
        })
    }

    fn image(&self) -> Result<Done> {
        let qemu = self.qemu.as_ref().context("no emulator")?;
        let (tests, failure) = boot_plan::stage(&self.workspace, qemu, self.verbosity)?;
        Ok(Done {
            tests,
            note: "on machines of the catalogue, and with a CPU that stops".to_owned(),
            failure,
        })
    }

    fn qemu(&self) -> Result<Done> {
        let qemu = self.qemu.as_ref().context("no emulator")?;
        let kernel = test_kernel::build(
            &self.workspace,
            &kernel::target(&self.workspace),
            self.verbosity,
        )?;
        let run = |backend, cpus, thread, tests, flushes| Run {
            thread,
            tests,
            flushes,
            ..Run::new(backend, cpus)
        };
        let mut runs = Vec::new();
        for (backend, volume) in BACKENDS {
            let functional = |cpus| run(backend, cpus, Thread::Single, Tests::Functional, volume);
            let race = |cpus| run(backend, cpus, Thread::Multi, Tests::Race, RACE_VOLUME);
            runs.extend([1, 2, 4, 8].map(functional));
            runs.extend([2, 4].map(race));
        }
        runs.push(Run {
            apic: Apic::Xapic,
            ..run(
                Backend::Vrar,
                2,
                Thread::Single,
                Tests::Functional,
                XAPIC_VOLUME,
            )
        });
        // What comes before the shim is launched late is run above at length.
        runs.push(Run {
            before: Some(Backend::Software),
            ..run(
                Backend::Vrar,
                2,
                Thread::Single,
                Tests::Functional,
                LATE_VOLUME,
            )
        });
        let reports = test_kernel::run_all(
            &qemu.path,
            &kernel,
            &runs,
            &Logs::temporary()?,
            self.verbosity,
        )?;
        out!("{}", results::render(&reports));
        let example = example::check(&self.workspace, qemu, self.verbosity);
        let minimal = minimal::boot(&self.workspace, qemu, self.verbosity).map(drop);
        let names = BACKENDS.map(|(backend, _)| backend.to_string());
        let note = format!(
            "{} boots, backends {}, the shim in another workspace, the kernel of the porting guide",
            runs.len(),
            names.join(" and ")
        );
        Ok(Done {
            tests: results::count(&reports),
            note,
            failure: require_pass(&reports).and(example).and(minimal).err(),
        })
    }
}

fn render(ended: &[StageEnd], time: Duration) -> String {
    let mut table = text::table(&["stage", "result", "tests", "time", "what"]);
    for end in ended {
        let result = match (&end.failure, &end.skipped) {
            (Some(_), _) => "FAILED",
            (None, Some(_)) => "skipped",
            (None, None) => "passed",
        };
        let tests = if end.tests == Counts::NONE {
            String::new()
        } else {
            end.tests.to_string()
        };
        table.add_row([
            end.name(),
            result.to_owned(),
            tests,
            seconds(end.time),
            end.note.clone(),
        ]);
    }
    table.add_row([
        "all".to_owned(),
        String::new(),
        String::new(),
        seconds(time),
        String::new(),
    ]);
    table.to_string()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Each stage counts as one, and so does each test in it.
fn total(ended: &[StageEnd]) -> Counts {
    let mut total = Counts::NONE;
    for end in ended {
        let failed = usize::from(end.failure.is_some());
        let skipped = usize::from(end.skipped.is_some());
        total += Counts {
            passed: 1 - failed - skipped,
            failed,
            skipped,
            observed: 0,
        };
        total += end.tests;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(stage: Stage, failure: Option<&str>, passed: usize) -> StageEnd {
        StageEnd {
            stage,
            tests: Counts {
                passed,
                failed: 0,
                skipped: 0,
                observed: 0,
            },
            note: String::new(),
            time: Duration::from_millis(1500),
            failure: failure.map(|text| Error::msg(text.to_owned())),
            skipped: None,
        }
    }

    #[test]
    fn only_a_lack_of_the_old_toolchain_skips_its_stage() {
        for (stage, reason, skipped) in [
            (Stage::Msrv, Reason::Environment, true),
            (Stage::Msrv, Reason::Failed, false),
            (Stage::Qemu, Reason::Environment, false),
        ] {
            let mut end = StageEnd {
                failure: Some(Fault::new(reason, "why").into()),
                ..end(stage, None, 0)
            };
            end.skip_if_impossible();
            assert_eq!(end.skipped.is_some(), skipped, "{stage:?} {reason:?}");
            assert_eq!(end.failure.is_none(), skipped, "{stage:?} {reason:?}");
        }
        let mut end = end(Stage::Msrv, None, 0);
        end.skipped = Some("why".to_owned());
        assert_eq!(total(&[end]).to_string(), "0 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn the_exit_code_tells_what_all_failures_share() {
        let ends = |reasons: &[Reason]| {
            let failed = |&reason| StageEnd {
                failure: Some(Fault::new(reason, "why").into()),
                ..end(Stage::Qemu, None, 0)
            };
            let mut ended: Vec<_> = reasons.iter().map(failed).collect();
            ended.push(end(Stage::Host, None, 1));
            common_reason(&ended)
        };
        assert_eq!(ends(&[Reason::Guest]), Reason::Guest);
        assert_eq!(
            ends(&[Reason::Environment, Reason::Environment]),
            Reason::Environment
        );
        assert_eq!(ends(&[Reason::Guest, Reason::Environment]), Reason::Failed);
    }

    #[test]
    fn stages_and_tests_are_counted() {
        let ended = [
            end(Stage::Host, None, 40),
            end(Stage::Clippy, Some("a lint"), 0),
        ];
        assert_eq!(total(&ended).to_string(), "41 passed, 1 failed");
        let text = render(&ended, Duration::from_secs(3));
        assert!(
            text.contains("host") && text.contains("1.5 s") && text.contains("FAILED"),
            "{text}"
        );
    }
}
