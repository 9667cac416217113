//! Shows that the tests notice: a small patch breaks a copy of the workspace, and the right test
//! must fail.

pub(crate) mod copy;
pub(crate) mod models;
pub(crate) mod mutant;
pub(crate) mod patch;
pub(crate) mod races;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use clap::Args;
use rar_harness::exit_code::{Fault, Reason, reason_of};
use rar_harness::judged_run::{JudgedRun, require_pass};
use rar_harness::logs::Logs;
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::run::{Run, Tests};
use rar_harness::setup::{self, Qemu};
use rar_harness::text::table;
use rar_harness::verdict::JudgedTest;
use rar_harness::workspace::Workspace;
use rar_harness::{errln, kernel, outln, parallel, test_kernel};
use rar_vocabulary::{Backend, Outcome};

use self::patch::{Kind, Sabotage};
use crate::qemu::QemuArgs;
use crate::{loom, sim};

#[derive(Args, Clone, Copy, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct SabotageArgs {
    /// Show each patch: name, kind, the tests that must notice, why
    #[arg(long)]
    pub(crate) list: bool,
    /// Run every patch; succeeds only if every one is caught
    #[arg(long)]
    pub(crate) all: bool,
}

/// Flushes per CPU in the volume tests: what a patch breaks shows at once, and a broken flush waits
/// for its deadline.
const VOLUME: u32 = 200;

/// Runs `cargo xtask qemu --sabotage NAME`: an error in every case, since a changed workspace never
/// passes.
pub(crate) fn one(name: &str, args: &QemuArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = &Workspace::this()?;
    let sabotage = find(workspace, name)?;
    outln!("{}: {}", sabotage.name, sabotage.why);
    let caught = match &sabotage.kind {
        Kind::Loom { .. } => catch_by_loom(
            workspace,
            &sabotage,
            Unchanged::Unknown,
            FIRST_LANE,
            verbosity,
        )?,
        Kind::Sim { .. } => catch_by_sim(
            workspace,
            &sabotage,
            Unchanged::Unknown,
            FIRST_LANE,
            verbosity,
        )?,
        Kind::Qemu {
            backend, caught_by, ..
        } => {
            let runs = runs(args, *backend, caught_by)?;
            let qemu = setup::emulator(args.qemu.as_deref(), verbosity)?;
            catch_by_qemu(workspace, &sabotage, &qemu, &runs, verbosity)?
        }
    };
    outln!("{}", lines(&caught));
    Err(Fault::new(
        Reason::Failed,
        format!("the workspace with {name} fails, as it must"),
    )
    .into())
}

/// Runs `cargo xtask sabotage`.
pub(crate) fn command(args: &SabotageArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    if args.list {
        list(&workspace)
    } else {
        all(&workspace, None, verbosity)
    }
}

/// Runs every patch; succeeds only if every one is caught.
pub(crate) fn all(
    workspace: &Workspace,
    named_qemu: Option<&Path>,
    verbosity: Verbosity,
) -> Result<()> {
    let sabotages = load_all(workspace)?;
    if sabotages.is_empty() {
        let message = format!(
            "there is no patch in {}, so nothing was shown",
            workspace.sabotage().display()
        );
        return Err(Fault::new(Reason::NotCaught, message).into());
    }
    let mut emulator = None;
    let mut table = table(&["sabotage", "result"]);
    let mut missed = 0;
    let mut add = |sabotage: &Sabotage, caught: Result<Vec<Catch>>| {
        let (said, row) = match caught {
            Ok(caught) => (lines(&caught), lines(&caught)),
            Err(error) if reason_of(&error) == Reason::NotCaught => {
                missed += 1;
                let said = format!("{error:#}");
                let first = said.lines().next().unwrap_or_default().to_owned();
                (said, first)
            }
            Err(error) => return Err(error.context(format!("sabotage {}", sabotage.name))),
        };
        errln!("{}: {said}", sabotage.name);
        table.add_row([sabotage.name.clone(), row]);
        Ok(())
    };
    // The models first, once for all of their mutants.
    loom::models(workspace, None, verbosity)?;
    for (mutant, caught) in loom::mutants(workspace, None, verbosity)? {
        add(&mutant, caught)?;
    }
    // So the races.
    let is_sim = |sabotage: &&Sabotage| matches!(sabotage.kind, Kind::Sim { .. });
    let on_sim: Vec<_> = sabotages.iter().filter(is_sim).collect();
    sim::all_must_pass(workspace, verbosity)?;
    let results = parallel::each(&on_sim, parallel::cores(), |lane, sabotage| {
        let step = Step::new(&format!("mutant {}", sabotage.name), verbosity);
        let caught = catch_by_sim(workspace, sabotage, Unchanged::Passed, lane, verbosity);
        step.finish();
        missed_or_failed(caught)
    })?;
    for (sabotage, caught) in on_sim.iter().zip(results) {
        add(sabotage, caught)?;
    }
    for sabotage in &sabotages {
        let caught = match &sabotage.kind {
            Kind::Loom { .. } | Kind::Sim { .. } => continue,
            Kind::Qemu {
                backend, caught_by, ..
            } => {
                if emulator.is_none() {
                    emulator = Some(setup::emulator(named_qemu, verbosity)?);
                }
                let qemu = emulator.as_ref().context("no emulator")?;
                let runs = [run(4, *backend, caught_by)];
                catch_by_qemu(workspace, sabotage, qemu, &runs, verbosity)
            }
        };
        add(sabotage, caught)?;
    }
    outln!("{table}");
    outln!("{} caught, {missed} not caught", sabotages.len() - missed);
    if missed == 0 {
        return Ok(());
    }
    Err(Fault::new(
        Reason::NotCaught,
        format!("{missed} sabotages were not caught"),
    )
    .into())
}

/// Returns the patches for loom.
pub(crate) fn mutants(workspace: &Workspace) -> Result<Vec<Sabotage>> {
    let all = load_all(workspace)?;
    Ok(all
        .into_iter()
        .filter(|sabotage| matches!(sabotage.kind, Kind::Loom { .. }))
        .collect())
}

/// The lane of a mutant that runs alone.
const FIRST_LANE: usize = 0;

/// Is it known that the unchanged workspace passes?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// It has passed just now.
    Passed,
    /// It is to be run first.
    Unknown,
}

/// A test that noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Catch {
    test: String,
    /// The assertion that failed.
    why: String,
}

/// Returns one line with the tests, then one for each with what it said.
fn lines(caught: &[Catch]) -> String {
    let names: Vec<_> = caught.iter().map(|catch| catch.test.as_str()).collect();
    let whys = caught
        .iter()
        .map(|Catch { test, why }| format!("\n    {test}: {why}"));
    format!(
        "caught by: {}{}",
        names.join(", "),
        whys.collect::<String>()
    )
}

/// Applies a patch for loom and returns the test that noticed. Mutants in one lane share what they
/// build, and so come one after the other.
pub(crate) fn catch_by_loom(
    workspace: &Workspace,
    sabotage: &Sabotage,
    unchanged: Unchanged,
    lane: usize,
    verbosity: Verbosity,
) -> Result<Vec<Catch>> {
    let Kind::Loom {
        package,
        test,
        message,
    } = &sabotage.kind
    else {
        return Err(Fault::new(
            Reason::Usage,
            format!("{} is no patch for loom", sabotage.name),
        )
        .into());
    };
    if unchanged == Unchanged::Unknown {
        models::must_pass(workspace, package, test, verbosity).map_err(shows_nothing)?;
    }
    let copy = changed_copy(workspace, sabotage)?;
    models::must_fail(
        &copy,
        &models::lane_target(workspace, lane),
        package,
        test,
        message,
        verbosity,
    )?;
    Ok(vec![Catch {
        test: test.clone(),
        why: message.clone(),
    }])
}

/// Applies a patch for the simulator and returns the race that noticed. Mutants in one lane share
/// what they build.
fn catch_by_sim(
    workspace: &Workspace,
    sabotage: &Sabotage,
    unchanged: Unchanged,
    lane: usize,
    verbosity: Verbosity,
) -> Result<Vec<Catch>> {
    let Kind::Sim { test, message } = &sabotage.kind else {
        return Err(Fault::new(
            Reason::Usage,
            format!("{} is no patch for the simulator", sabotage.name),
        )
        .into());
    };
    if unchanged == Unchanged::Unknown {
        sim::must_pass(workspace, test, verbosity).map_err(shows_nothing)?;
    }
    let copy = changed_copy(workspace, sabotage)?;
    sim::must_fail(workspace, &copy, lane, test, message, verbosity)?;
    Ok(vec![Catch {
        test: test.to_owned(),
        why: message.to_owned(),
    }])
}

/// Keeps a miss as a result of its own; any other error ends the run, since nothing after it is of
/// use.
pub(crate) fn missed_or_failed(caught: Result<Vec<Catch>>) -> Result<Result<Vec<Catch>>> {
    match caught {
        Err(error) if reason_of(&error) != Reason::NotCaught => Err(error),
        caught => Ok(caught),
    }
}

/// Runs the unchanged workspace and a changed copy; returns the tests that noticed the change.
fn catch_by_qemu(
    workspace: &Workspace,
    sabotage: &Sabotage,
    qemu: &Qemu,
    runs: &[Run],
    verbosity: Verbosity,
) -> Result<Vec<Catch>> {
    let Kind::Qemu {
        caught_by,
        messages,
        ..
    } = &sabotage.kind
    else {
        return Err(Fault::new(
            Reason::Usage,
            format!("{} is no patch for QEMU", sabotage.name),
        )
        .into());
    };
    outln!("{}: the unchanged workspace first", sabotage.name);
    let honest = test_kernel::build(workspace, &kernel::target(workspace), verbosity)
        .and_then(|kernel| {
            test_kernel::run_all(&qemu.path, &kernel, runs, &Logs::temporary()?, verbosity)
        })
        .and_then(|reports| require_pass(&reports).map(|()| reports))
        .map_err(shows_nothing)?;
    outln!("{}: now the changed copy", sabotage.name);
    let copy = changed_copy(workspace, sabotage)?;
    let kernel = test_kernel::build(&copy, &workspace.target.join("sabotage-build"), verbosity)
        .map_err(|error| {
            not_caught(&format!(
                "the changed workspace does not build, which proves nothing\n{error:#}"
            ))
        })?;
    let changed = test_kernel::run_all(&qemu.path, &kernel, runs, &Logs::temporary()?, verbosity)?;
    judge(caught_by, messages, &honest, &changed).map_err(|why| not_caught(&why).into())
}

/// Returns the tests that noticed, or why that does not count.
fn judge(
    caught_by: &[String],
    messages: &[String],
    honest: &[JudgedRun],
    changed: &[JudgedRun],
) -> Result<Vec<Catch>, String> {
    for name in caught_by {
        let passed =
            |test: &&JudgedTest| test.record.name == *name && test.outcome == Outcome::Pass;
        if !honest
            .iter()
            .any(|report| report.verdict.tests.iter().any(|test| passed(&test)))
        {
            return Err(format!(
                "the expected test {name} did not run in the unchanged workspace"
            ));
        }
    }
    let faults: Vec<_> = changed
        .iter()
        .flat_map(|report| &report.verdict.faults)
        .map(String::as_str)
        .collect();
    if !faults.is_empty() {
        let text =
            "the guest did not end by itself with all its records, which no test's assertion did";
        return Err(format!("{text}: {}", faults.join("; ")));
    }
    let failed: Vec<_> = changed
        .iter()
        .flat_map(|report| &report.verdict.tests)
        .filter(|test| test.outcome == Outcome::Fail)
        .collect();
    if failed.is_empty() {
        return Err("every test passed".to_owned());
    }
    let noticed = |name: &String| {
        let own = failed.iter().filter(|test| test.record.name == *name);
        let whys: Vec<_> = own.map(|test| test.why.as_str()).collect();
        let said = |why: &&&str| messages.iter().any(|message| why.contains(message));
        match (whys.iter().find(said), whys.first()) {
            (Some(why), _) => Ok(Catch {
                test: name.clone(),
                why: (*why).to_owned(),
            }),
            (None, Some(why)) => Err(format!(
                "{name} failed, but not with `{}`: {why}",
                messages.join("` or `")
            )),
            (None, None) => Err(format!(
                "the expected test did not fail: {name}; what failed was: {}",
                names(&failed)
            )),
        }
    };
    caught_by.iter().map(noticed).collect()
}

/// Returns the names of tests, each once.
fn names(tests: &[&JudgedTest]) -> String {
    let names: BTreeSet<_> = tests.iter().map(|test| test.record.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Returns the runs that the options ask for, each of which has the CPUs that the tests need.
fn runs(args: &QemuArgs, backend: Backend, tests: &[String]) -> Result<Vec<Run>> {
    for test in tests {
        let (least, few) = (least_cpus(test), args.cpus.iter().min());
        if let Some(few) = few.filter(|few| **few < least) {
            let message =
                format!("--cpus {few} is too few: {test}, which must notice, needs {least} CPUs");
            return Err(Fault::new(Reason::Usage, message).into());
        }
    }
    let backend = args.backend.unwrap_or(backend);
    let with = |run: Run| Run {
        thread: args.thread.unwrap_or(run.thread),
        flushes: args.flushes.unwrap_or(run.flushes),
        timeout: args.timeout.map(Duration::from_secs),
        ..run
    };
    Ok(args
        .cpus
        .iter()
        .map(|&cpus| with(run(cpus, backend, tests)))
        .collect())
}

/// Returns how many CPUs a test needs.
fn least_cpus(test: &str) -> u32 {
    rar_suite::test_named(test).map_or(1, |test| test.least_cpus)
}

/// Returns a run of just the tests that must notice: with broken flushes others may wait very long.
fn run(cpus: u32, backend: Backend, tests: &[String]) -> Run {
    Run {
        tests: Tests::Named(tests.to_vec()),
        flushes: VOLUME,
        ..Run::new(backend, cpus)
    }
}

fn changed_copy(workspace: &Workspace, sabotage: &Sabotage) -> Result<Workspace> {
    let copy = workspace.target.join("sabotage").join(&sabotage.name);
    copy::fresh(&workspace.root, &copy)?;
    sabotage
        .apply(&copy)
        .map_err(|error| not_caught(&format!("the patch no longer applies: {error:#}")))?;
    Workspace::at(&copy)
}

/// Only a failure of the changed workspace may look like a catch.
fn shows_nothing(error: Error) -> Error {
    match reason_of(&error) {
        Reason::Failed | Reason::Guest => not_caught(&format!(
            "the unchanged workspace fails, so a change of it shows nothing\n{error:#}"
        ))
        .into(),
        _ => error,
    }
}

fn not_caught(why: &str) -> Fault {
    Fault::new(Reason::NotCaught, format!("NOT caught: {why}"))
}

fn list(workspace: &Workspace) -> Result<()> {
    let mut table = table(&["sabotage", "kind", "must be caught by", "what it breaks"]);
    for sabotage in load_all(workspace)? {
        let (kind, by) = match &sabotage.kind {
            Kind::Qemu { caught_by, .. } => ("qemu", caught_by.join(", ")),
            Kind::Loom { package, test, .. } => ("loom", format!("{package}: {test}")),
            Kind::Sim { test, .. } => ("sim", test.clone()),
        };
        table.add_row([
            sabotage.name.clone(),
            kind.to_owned(),
            by,
            sabotage.why.clone(),
        ]);
    }
    outln!("{table}");
    Ok(())
}

fn find(workspace: &Workspace, name: &str) -> Result<Sabotage> {
    let all = load_all(workspace)?;
    let names: Vec<_> = all.iter().map(|sabotage| sabotage.name.clone()).collect();
    all.into_iter()
        .find(|sabotage| sabotage.name == name)
        .ok_or_else(|| {
            let message = format!(
                "there is no sabotage `{name}`; there are: {}",
                names.join(", ")
            );
            Fault::new(Reason::Usage, message).into()
        })
}

fn load_all(workspace: &Workspace) -> Result<Vec<Sabotage>> {
    let dir = workspace.sabotage();
    let mut all = Vec::new();
    let entries = fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", dir.display()))?
            .path();
        if path
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        all.push(
            Sabotage::parse(&name, &text)
                .with_context(|| format!("{} is malformed", path.display()))?,
        );
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use rar_harness::records::TestRecord;
    use rar_harness::verdict::RunVerdict;

    use super::*;
    use crate::cli::{Cli, Subcommands};

    fn report(tests: &[(&str, Outcome)], faults: &[&str]) -> Vec<JudgedRun> {
        let judged = |(name, outcome): &(&str, Outcome)| JudgedTest {
            record: TestRecord {
                name: (*name).to_owned(),
                question: None,
                backend: Backend::Software,
                cpus: 4,
                initiator: 0,
                flushes: 1,
                controls: Vec::new(),
                fallbacks: 0,
                resignals: 0,
                outcome: *outcome,
                why: String::new(),
            },
            outcome: *outcome,
            why: format!("{name}: read 17, wanted 18"),
        };
        let verdict = RunVerdict {
            tests: tests.iter().map(judged).collect(),
            measurements: Vec::new(),
            faults: faults.iter().map(|fault| (*fault).to_owned()).collect(),
            died: false,
        };
        vec![JudgedRun {
            run: run(4, Backend::Software, &[]),
            verdict,
        }]
    }

    fn judge_one(changed: &[(&str, Outcome)], faults: &[&str]) -> Result<Vec<Catch>, String> {
        let honest = report(&[("a", Outcome::Pass), ("b", Outcome::Pass)], &[]);
        judge_words("wanted 18", &honest, &report(changed, faults))
    }

    fn judge_words(
        message: &str,
        honest: &[JudgedRun],
        changed: &[JudgedRun],
    ) -> Result<Vec<Catch>, String> {
        let messages = ["never said".to_owned(), message.to_owned()];
        judge(&["a".to_owned()], &messages, honest, changed)
    }

    #[test]
    fn caught_means_the_expected_test_failed() {
        let caught = judge_one(&[("a", Outcome::Fail), ("b", Outcome::Fail)], &[]).unwrap();
        assert_eq!(lines(&caught), "caught by: a\n    a: a: read 17, wanted 18");
    }

    #[test]
    fn too_few_cpus_for_the_test_are_named_before_anything_runs() {
        let late = ["unit-serves-late".to_owned()];
        let runs = |cpus| {
            let cli = Cli::try_parse_from(["xtask", "qemu", "--cpus", cpus]).unwrap();
            let Subcommands::Qemu(args) = cli.command else {
                panic!()
            };
            runs(&args, Backend::Vrar, &late)
        };
        let error = runs("4,2").unwrap_err();
        assert_eq!(reason_of(&error), Reason::Usage);
        let text = error.to_string();
        assert!(
            text.contains("--cpus 2")
                && text.contains("unit-serves-late, which must notice, needs 3 CPUs"),
            "{text}"
        );
        assert_eq!(runs("3,4").unwrap().len(), 2);
    }

    #[test]
    fn anything_else_is_not_caught() {
        let fails = |changed: &[(&str, Outcome)], faults: &[&str], words: &str| {
            let why = judge_one(changed, faults).unwrap_err();
            assert!(why.contains(words), "{why}");
        };
        fails(
            &[("a", Outcome::Pass), ("b", Outcome::Pass)],
            &[],
            "every test passed",
        );
        fails(
            &[("a", Outcome::Pass), ("b", Outcome::Fail)],
            &[],
            "the expected test did not fail: a",
        );
        fails(
            &[("a", Outcome::Fail)],
            &["the guest hung"],
            "the guest hung",
        );
        fails(&[], &["no start record"], "no start record");
        let honest = report(&[("b", Outcome::Pass)], &[]);
        let changed = report(&[("a", Outcome::Fail)], &[]);
        let why = judge_words("wanted 18", &honest, &changed).unwrap_err();
        assert!(
            why.contains("did not run in the unchanged workspace"),
            "{why}"
        );
        let honest = report(&[("a", Outcome::Pass)], &[]);
        let why = judge_words("wanted 19", &honest, &changed).unwrap_err();
        assert!(
            why.contains("not with `never said` or `wanted 19`"),
            "{why}"
        );
    }
}
