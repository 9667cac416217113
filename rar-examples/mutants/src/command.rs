//! The command: chooses mutants, runs those that are not judged, and judges the result.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_harness::{errln, outln};
use serde::Serialize;

use crate::excuses::{self, Excuses};
use crate::figures::{self, Figures, LEAST_KILLED};
use crate::kept::{Kept, Sources};
use crate::mutant::Mutant;
use crate::outcomes::Outcome;
use crate::page;
use crate::plan::{LIBRARIES, Library};
use crate::run::Runner;
use crate::tool::{self, Tool};

/// One part of all mutants: every `of`-th, from `part` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    part: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Self { part, of }),
            _ => Err("expected K/N with K from 1 to N, such as 1/4".to_owned()),
        }
    }
}

impl Shard {
    /// Returns whether the mutant with that index belongs to the part.
    #[must_use]
    pub const fn has(self, index: usize) -> bool {
        index % self.of == self.part - 1
    }
}

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The libraries; empty for all.
    pub libraries: Vec<String>,
    /// Only mutants of files whose path ends so.
    pub file: Option<String>,
    /// Only these.
    pub shard: Option<Shard>,
    /// Run nothing.
    pub report_only: bool,
    /// Forget what is known of the chosen mutants.
    pub fresh: bool,
    /// How many mutants run at once.
    pub jobs: u32,
    /// Where the page goes.
    pub markdown: Option<PathBuf>,
    /// Where the figures and survivors go.
    pub json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Json<'a> {
    figures: &'a [Figures],
    survivors: &'a [&'a Mutant],
}

/// The chosen mutants of one library.
struct Chosen<'l> {
    library: &'l Library,
    sources: Sources,
    all: Vec<Mutant>,
    chosen: Vec<Mutant>,
}

/// Prints the chosen mutants, each with what is known of it.
///
/// # Errors
///
/// The tool or its list cannot be had.
pub fn list(workspace: &Workspace, request: &Request, verbosity: Verbosity) -> Result<()> {
    let tool = Tool::provide(workspace, verbosity)?;
    let kept = Kept::read(&tool::folder(workspace))?;
    for one in choose(workspace, &tool, request, verbosity)? {
        for mutant in &one.chosen {
            let known = kept.of(mutant, &one.sources);
            let known = known.map_or("not run".to_owned(), |record| {
                format!("{:?}, tests {}", record.outcome, record.level)
            });
            outln!("{} ({known})", mutant.name);
        }
    }
    Ok(())
}

/// Runs the chosen mutants that are not judged, and judges the result.
///
/// # Errors
///
/// Fewer than [`LEAST_KILLED`] percent of the chosen mutants were caught; a survivor has no excuse;
/// an excuse has no survivor; or a run fails.
pub fn judge(workspace: &Workspace, request: &Request, verbosity: Verbosity) -> Result<()> {
    let excuses = read_excuses(workspace)?;
    let tool = Tool::provide(workspace, verbosity)?;
    let mut kept = Kept::read(&tool::folder(workspace))?;
    let chosen = choose(workspace, &tool, request, verbosity)?;
    if request.fresh {
        chosen
            .iter()
            .for_each(|one| kept.forget(&refs(&one.chosen)));
    }
    if !request.report_only {
        let runner = Runner {
            workspace,
            tool: &tool,
            jobs: request.jobs,
            verbosity,
        };
        for one in &chosen {
            one.run(&runner, &mut kept)?;
        }
    }
    let all: Vec<_> = chosen.iter().map(|one| one.figures(&kept)).collect();
    let survivors: Vec<_> = chosen.iter().flat_map(|one| one.survivors(&kept)).collect();
    outln!("{}", figures::render(&all));
    if let Some(file) = &request.json {
        let json = Json {
            figures: &all,
            survivors: &survivors,
        };
        write(file, &serde_json::to_string_pretty(&json)?)?;
    }
    if let Some(file) = &request.markdown {
        write(file, &page::render(&all, &survivors, &excuses))?;
    }
    let is_judged = |file: &str| chosen.iter().any(|one| one.is_judged(file, &kept));
    verdict(&all, &survivors, &excuses, is_judged)
}

fn choose(
    workspace: &Workspace,
    tool: &Tool,
    request: &Request,
    verbosity: Verbosity,
) -> Result<Vec<Chosen<'static>>> {
    let known = |name: &String| LIBRARIES.iter().any(|library| library.package == name);
    if let Some(name) = request.libraries.iter().find(|name| !known(name)) {
        let names = LIBRARIES.map(|library| library.package).join(", ");
        let message = format!("{name} is not a library that has mutants; choose from {names}");
        return Err(Fault::new(Reason::Usage, message).into());
    }
    let mut chosen = Vec::new();
    for library in &LIBRARIES {
        let is_named = request.libraries.iter().any(|name| name == library.package);
        if !is_named && !request.libraries.is_empty() {
            continue;
        }
        let all = tool.list(workspace, library, verbosity)?;
        let part = |index| request.shard.is_none_or(|shard| shard.has(index));
        let in_file = |mutant: &Mutant| {
            let file = request.file.as_deref();
            file.is_none_or(|file| mutant.file.ends_with(file))
        };
        let some = all.iter().filter(|mutant| in_file(mutant)).enumerate();
        let some = some.filter(|(index, _)| part(*index));
        chosen.push(Chosen {
            library,
            sources: Sources::read(&workspace.root, library)?,
            chosen: some.map(|(_, mutant)| mutant.clone()).collect(),
            all,
        });
    }
    if chosen.iter().all(|one| one.chosen.is_empty()) {
        bail!("no mutant is chosen; --list shows those of a library");
    }
    Ok(chosen)
}

fn refs(mutants: &[Mutant]) -> Vec<&Mutant> {
    mutants.iter().collect()
}

impl Chosen<'_> {
    fn run(&self, runner: &Runner<'_>, kept: &mut Kept) -> Result<()> {
        for (index, level) in self.library.levels.iter().enumerate() {
            let next = |mutant: &&Mutant| {
                kept.next_level(mutant, self.library, &self.sources) == Some(index)
            };
            let mutants: Vec<_> = self.chosen.iter().filter(next).collect();
            runner.run(self.library, level, &mutants, &self.sources, kept)?;
        }
        Ok(())
    }

    fn figures(&self, kept: &Kept) -> Figures {
        Figures::of(self.library, &refs(&self.chosen), kept, &self.sources)
    }

    fn survivors<'k>(&'k self, kept: &Kept) -> Vec<&'k Mutant> {
        let survived = |mutant: &&Mutant| {
            let record = kept.of(mutant, &self.sources);
            record.is_some_and(|record| record.outcome == Outcome::Survived)
                && self.is_done(mutant, kept)
        };
        self.chosen.iter().filter(survived).collect()
    }

    fn is_done(&self, mutant: &Mutant, kept: &Kept) -> bool {
        kept.next_level(mutant, self.library, &self.sources)
            .is_none()
    }

    /// Returns whether the library has the file, and every mutant of it is chosen and judged.
    fn is_judged(&self, file: &str, kept: &Kept) -> bool {
        let of_file = |mutants: &[Mutant]| {
            let count = mutants.iter().filter(|mutant| mutant.file == file);
            count.filter(|mutant| self.is_done(mutant, kept)).count()
        };
        let all = self.all.iter().filter(|mutant| mutant.file == file).count();
        file.starts_with(self.library.package) && of_file(&self.chosen) == all
    }
}

fn read_excuses(workspace: &Workspace) -> Result<Excuses> {
    let path = workspace.root.join(excuses::FILE);
    let text = std::fs::read_to_string(&path);
    Excuses::parse(&text.with_context(|| format!("cannot read {}", excuses::FILE))?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn verdict(
    all: &[Figures],
    survivors: &[&Mutant],
    excuses: &Excuses,
    is_judged: impl Fn(&str) -> bool,
) -> Result<()> {
    let mut faults = Vec::new();
    let sum = Figures::sum(all);
    match sum.percent() {
        None => faults.push("no viable mutant was judged".to_owned()),
        Some(percent) if percent < LEAST_KILLED => faults.push(format!(
            "{} of viable mutants were caught (expected at least {LEAST_KILLED} %)",
            sum.cells().get(6).map_or("", String::as_str)
        )),
        Some(_) => {}
    }
    if sum.not_judged > 0 {
        faults.push(format!(
            "{} of the chosen mutants are not judged; run the same without --report",
            sum.not_judged
        ));
    }
    let without = survivors
        .iter()
        .filter(|mutant| excuses.of(mutant).is_none());
    let names: Vec<_> = without.map(|mutant| mutant.name.as_str()).collect();
    names.iter().for_each(|name| errln!("survived: {name}"));
    if !names.is_empty() {
        faults.push(format!(
            "{} survivors have no reason; kill them by tests, or explain them in {}",
            names.len(),
            excuses::FILE
        ));
    }
    for (file, change) in excuses.stale(survivors, is_judged) {
        faults.push(format!(
            "`{change}` in {file} is excused and does not survive; remove it from {}",
            excuses::FILE
        ));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Fault::new(Reason::Failed, faults.join("\n")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::tests::mutant;

    fn figures(killed: usize, survived: usize) -> [Figures; 1] {
        [Figures {
            viable: killed + survived,
            killed,
            survived,
            ..Figures::default()
        }]
    }

    fn excuses() -> Excuses {
        let text = "[[excused]]\nfile = \"a.rs\"\nchanges = [\"replace b\"]\nreason = \"c\"\n";
        Excuses::parse(text).unwrap()
    }

    #[test]
    fn shards_are_all_mutants_once() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"]
            .map(|text| text.parse().unwrap())
            .into();
        for index in 0..10 {
            let parts = shards.iter().filter(|shard| shard.has(index)).count();
            assert_eq!(parts, 1);
        }
        for wrong in ["0/3", "4/3", "1/0", "1", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_least_part_and_a_reason_for_each_survivor_are_needed() {
        let excused = mutant("a.rs", 1, "replace b");
        let other = mutant("a.rs", 2, "replace d");
        let fault = |figures: &[Figures], survivors: &[&Mutant]| {
            let verdict = verdict(figures, survivors, &excuses(), |_| true);
            verdict.err().map(|error| error.to_string())
        };
        assert_eq!(fault(&figures(95, 5), &[&excused]), None);
        let few = fault(&figures(94, 6), &[&excused]).unwrap();
        assert!(few.contains("94.0 %"), "{few}");
        let unexplained = fault(&figures(99, 2), &[&excused, &other]).unwrap();
        let mut open = figures(99, 0);
        open[0].not_judged = 1;
        let open = verdict(&open, &[], &Excuses::default(), |_| false).unwrap_err();
        assert!(
            open.to_string()
                .contains("1 of the chosen mutants are not judged"),
            "{open}"
        );
        assert!(
            unexplained.contains("1 survivors have no reason"),
            "{unexplained}"
        );
        let stale = fault(&figures(99, 0), &[]).unwrap();
        assert!(stale.contains("does not survive"), "{stale}");
        assert!(
            fault(&[], &[&excused])
                .unwrap()
                .contains("no viable mutant")
        );
    }
}
