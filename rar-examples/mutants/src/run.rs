//! Mutants against one level of tests, in batches; what is known after an interruption is kept.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::interrupt;
use rar_harness::process::{Cmd, Running, Verbosity, describe, utf8};
use rar_harness::progress::Step;
use rar_harness::text::tail;
use rar_harness::workspace::Workspace;
use rustix::process::{Pid, Signal, kill_process};

use crate::kept::{Kept, Sources};
use crate::mutant::Mutant;
use crate::outcomes;
use crate::plan::{Level, Library};
use crate::tool::{Tool, folder};

/// Mutants of one call: each call builds and tests the unchanged library first. Results are kept
/// after each.
const BATCH: usize = 1_000;

/// Mutants of one pattern, which has to fit into one argument.
const NAMES: usize = 200;

/// In seconds. The tests of a level take a fraction of it; a mutant that takes longer is caught by
/// the time.
const LEAST_TIMEOUT: &str = "20";

/// How long the tool may take to end its children.
const GRACE: Duration = Duration::from_secs(10);

/// What tests mutants.
#[derive(Debug)]
pub struct Runner<'a> {
    /// The workspace, which is copied and not changed.
    pub workspace: &'a Workspace,
    /// What makes the mutants.
    pub tool: &'a Tool,
    /// How many run at once.
    pub jobs: u32,
    /// How much is shown.
    pub verbosity: Verbosity,
}

impl Runner<'_> {
    /// Runs mutants of a library against a level, and keeps what became of them.
    ///
    /// # Errors
    ///
    /// The unchanged tests fail, the tool fails, or the user interrupts it: results until then are
    /// kept.
    pub fn run(
        &self,
        library: &Library,
        level: &Level,
        mutants: &[&Mutant],
        sources: &Sources,
        kept: &mut Kept,
    ) -> Result<()> {
        for batch in mutants.chunks(BATCH) {
            let output = folder(self.workspace).join("run");
            let _absent = fs::remove_dir_all(&output);
            fs::create_dir_all(&output)
                .with_context(|| format!("cannot create {}", output.display()))?;
            let cmd = self.command(library, level, batch, &output)?;
            let title = format!(
                "{}: {} mutants, tests {}",
                library.package,
                batch.len(),
                level.name
            );
            let ended = self.await_end(&cmd, &title, batch.len(), &output);
            let text = fs::read_to_string(output.join("mutants.out/outcomes.json"));
            let known = text.map_or(Ok(Vec::new()), |text| outcomes::parse(&text));
            // The tool runs mutants that leave a field out whatever the pattern says; what is known
            // of those stays.
            let is_asked = |mutant: &Mutant| batch.iter().any(|one| one.name == mutant.name);
            let results = known.as_deref().unwrap_or_default().iter();
            for (mutant, outcome) in results.filter(|(mutant, _)| is_asked(mutant)) {
                kept.add(mutant, *outcome, level, sources);
            }
            kept.write()?;
            let status = ended?;
            let known = known.with_context(|| format!("logs are in {}", output.display()))?;
            // 2: some survived; 3: some did not end.
            let is_complete = matches!(status.code(), Some(0 | 2 | 3));
            let is_known = |mutant: &&&Mutant| known.iter().all(|(one, _)| one.name != mutant.name);
            let unknown = batch.iter().find(is_known);
            if !is_complete || unknown.is_some() {
                return Err(failed(&output, status, unknown).into());
            }
        }
        Ok(())
    }

    fn command(
        &self,
        library: &Library,
        level: &Level,
        batch: &[&Mutant],
        output: &Path,
    ) -> Result<Cmd> {
        let elsewhere = Some(level.package).filter(|package| *package != library.package);
        let chosen = level.test_arguments(self.workspace)?;
        let features = library.features.iter().flat_map(|one| ["--features", one]);
        let files: BTreeSet<_> = batch.iter().map(|mutant| mutant.file.as_str()).collect();
        let cmd = self
            .tool
            .call(self.workspace)?
            .args(["--package", library.package, "--output", utf8(output)?])
            // Not by --test-package: the unchanged tests would be looked for in the library.
            .args(elsewhere.map(|package| format!("--cargo-arg=--package={package}")))
            .args(
                batch
                    .chunks(NAMES)
                    .flat_map(|some| ["--re".to_owned(), pattern(some)]),
            )
            // Keeps out those of other files that no pattern keeps out.
            .args(files.into_iter().flat_map(|file| ["--file", file]))
            .args(["--jobs", &self.jobs.to_string()])
            .args(["--minimum-test-timeout", LEAST_TIMEOUT, "--colors", "never"])
            .args(features)
            .args(
                chosen
                    .iter()
                    .flat_map(|one| ["--cargo-arg".to_owned(), one.clone()]),
            )
            .args(["--", "--"])
            .args(Level::harness_arguments())
            // Nothing here is looked at in a debugger.
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        Ok(cmd)
    }

    /// Runs the tool and shows how far it is. Interrupted, it ends its own children first.
    fn await_end(&self, cmd: &Cmd, title: &str, all: usize, output: &Path) -> Result<ExitStatus> {
        let step = Step::new(title, self.verbosity);
        let mut running = cmd.spawn(self.verbosity)?;
        let out = running
            .0
            .stdout
            .take()
            .map(|pipe| keep(pipe, &output.join("stdout")));
        let err = running
            .0
            .stderr
            .take()
            .map(|pipe| keep(pipe, &output.join("stderr")));
        let status = loop {
            if let Some(status) = running
                .0
                .try_wait()
                .context("cannot wait for cargo-mutants")?
            {
                break status;
            }
            if let Err(interrupted) = interrupt::check() {
                end(&mut running);
                return Err(interrupted);
            }
            let (done, survived) = progress(output);
            step.say(&format!(
                "{title}: {done} of {all} done, {survived} survived"
            ));
            thread::sleep(Duration::from_millis(200));
        };
        for reader in [out, err].into_iter().flatten() {
            // A log that is not whole is no failure of the run.
            let _log = reader.join();
        }
        Ok(status)
    }
}

/// Returns the pattern that matches exactly the names of these mutants.
fn pattern(batch: &[&Mutant]) -> String {
    let names: Vec<_> = batch
        .iter()
        .map(|mutant| regex_syntax::escape(&mutant.name))
        .collect();
    format!("^(?:{})$", names.join("|"))
}

fn keep(mut pipe: impl Read + Send + 'static, path: &Path) -> thread::JoinHandle<io::Result<u64>> {
    let file = fs::File::create(path);
    thread::spawn(move || match file {
        Ok(mut file) => io::copy(&mut pipe, &mut file),
        Err(_) => io::copy(&mut pipe, &mut io::sink()),
    })
}

/// Returns how many mutants are done, and how many of them survived.
fn progress(output: &Path) -> (usize, usize) {
    let lines = |name: &str| {
        let text = fs::read_to_string(output.join("mutants.out").join(name));
        text.map_or(0, |text| text.lines().count())
    };
    let survived = lines("missed.txt");
    let others = ["caught.txt", "timeout.txt", "unviable.txt"].map(lines);
    (others.iter().sum::<usize>() + survived, survived)
}

fn end(running: &mut Running) {
    let pid = Pid::from_child(&running.0);
    let begin = Instant::now();
    // It may have ended by itself.
    let _gone = kill_process(pid, Signal::INT);
    while begin.elapsed() < GRACE && matches!(running.0.try_wait(), Ok(None)) {
        thread::sleep(Duration::from_millis(50));
    }
}

fn failed(output: &Path, status: ExitStatus, unknown: Option<&&Mutant>) -> Fault {
    let log = fs::read_to_string(output.join("stdout")).unwrap_or_default();
    let error = fs::read_to_string(output.join("stderr")).unwrap_or_default();
    let what = match unknown {
        Some(mutant) => format!("{} has no result", mutant.name),
        None => "the run is not complete".to_owned(),
    };
    let lines = log.lines().chain(error.lines()).collect::<Vec<_>>();
    let shown = tail("cargo-mutants", lines.into_iter(), 30);
    let message = format!(
        "cargo-mutants: {what} ({}); logs are in {}\n{shown}",
        describe(status),
        output.display()
    );
    Fault::new(Reason::Failed, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::tests::mutant;

    #[test]
    fn a_pattern_takes_names_as_they_are() {
        let one = mutant("a/b.rs", 1, "replace C<'_>::d -> Option<u8> with Some(1)");
        let two = mutant("a/b.rs", 2, "replace | with ^ in e");
        let pattern = pattern(&[&one, &two]);
        assert!(
            pattern.starts_with("^(?:a/b\\.rs:1:9: replace C<'_>::d"),
            "{pattern}"
        );
        assert!(pattern.contains("Some\\(1\\)|a/b\\.rs:2:9: replace \\| with \\^ in e)$"));
    }

    #[test]
    fn progress_counts_the_lines_of_each_kind() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(progress(folder.path()), (0, 0));
        let out = folder.path().join("mutants.out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("caught.txt"), "a\nb\n").unwrap();
        fs::write(out.join("missed.txt"), "c\n").unwrap();
        assert_eq!(progress(folder.path()), (3, 1));
    }
}
