//! `cargo xtask report`: pages of what validation runs found.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::{errln, outln};
use rar_report::Disturbances;
use serde::Serialize;

use crate::html;
use crate::{Assembled, Broken, Comparison, PartCollector, Report, assemble, scan, write_whole};

/// The arguments of the command.
#[derive(clap::Args, Clone, Debug)]
pub struct ReportArgs {
    /// Files, `-` for the standard input, or the scanned texts themselves.
    #[arg(
        value_name = "FILE|TEXT",
        required_unless_present = "compare",
        conflicts_with = "compare"
    )]
    inputs: Vec<String>,
    /// Writes the page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes everything for machines.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compares two reports; `FILE#ID` chooses one of a file that has several.
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    compare: Option<Vec<String>>,
    /// Shows a report that lacks parts up to the first that is missing, and does not fail because
    /// of it.
    #[arg(long)]
    partial: bool,
}

/// Runs the command; returns whether every report is whole, and there is one.
///
/// # Errors
///
/// A file cannot be read or written.
pub fn run(args: &ReportArgs) -> Result<bool> {
    match args.compare.as_deref() {
        Some([before, after]) => compare(args, before, after),
        _ => show(args),
    }
}

/// Makes the page of all reports in the inputs; returns whether all are whole.
fn show(args: &ReportArgs) -> Result<bool> {
    let mut sealed = PartCollector::default();
    for input in &args.inputs {
        read(input, &mut sealed)?;
    }
    let assembled = assemble(&sealed);
    if assembled.is_empty() {
        errln!(
            "error: {} has no part of a report, which starts with RAR1:",
            args.inputs.join(", ")
        );
        return Ok(false);
    }
    let (reports, broken) = sort(&assembled, args.partial);
    for report in &reports {
        print(report);
    }
    let mut whole = true;
    for Broken {
        id,
        sources,
        problem,
    } in &broken
    {
        let shown = args.partial
            && reports
                .iter()
                .any(|report| report.head.is_some_and(|head| head.id == *id));
        let (level, remedy) = match (shown, args.partial) {
            (true, _) => ("warning", "; shown up to the first part that is missing"),
            (false, true) => (
                "error",
                "; nothing before the first part that is missing can be read",
            ),
            (false, false) => ("error", ", or show its beginning with --partial"),
        };
        errln!(
            "{level}: report {id:08X} ({}): {problem}{remedy}",
            sources.join(", ")
        );
        whole &= shown;
    }
    if let Some(path) = &args.html {
        write_whole(path, &html::page(&reports, &broken))?;
    }
    if let Some(path) = &args.json {
        let broken: Vec<_> = broken.iter().map(JsonBroken::from).collect();
        write_json(
            path,
            &Json {
                reports: &reports,
                broken,
            },
        )?;
    }
    Ok(whole)
}

/// What `--json` writes.
#[derive(Serialize)]
struct Json<'a> {
    reports: &'a [Report<'a>],
    broken: Vec<JsonBroken<'a>>,
}

#[derive(Serialize)]
struct JsonBroken<'a> {
    id: u32,
    sources: &'a [String],
    problem: String,
}

impl<'a> From<&'a Broken> for JsonBroken<'a> {
    fn from(broken: &'a Broken) -> Self {
        Self {
            id: broken.id,
            sources: &broken.sources,
            problem: broken.problem.to_string(),
        }
    }
}

/// Returns the reports that can be shown, and those that are not whole.
fn sort(assembled: &[Assembled], partial: bool) -> (Vec<Report<'_>>, Vec<Broken>) {
    let mut reports = Vec::new();
    let mut broken = Vec::new();
    for one in assembled {
        match &one.bytes {
            Ok(bytes) => reports.push(Report::read(bytes, &one.sources)),
            Err(problem) => {
                if partial && !one.prefix.is_empty() {
                    let mut report = Report::read(&one.prefix, &one.sources);
                    report
                        .problems
                        .insert(0, format!("only the beginning is shown: {problem}"));
                    reports.push(report);
                }
                broken.push(Broken {
                    id: one.id,
                    sources: one.sources.clone(),
                    problem: problem.clone(),
                });
            }
        }
    }
    (reports, broken)
}

/// Adds the parts of a file, of the standard input, or of a text.
fn read(input: &str, sealed: &mut PartCollector) -> Result<()> {
    if input.to_ascii_uppercase().contains("RAR1:") && !Path::new(input).exists() {
        sealed.add("the command line", scan(input));
        return Ok(());
    }
    let mut bytes = Vec::new();
    if input == "-" {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("cannot read the standard input")?;
    } else {
        bytes = std::fs::read(input).with_context(|| {
            format!(
                "cannot read {input}: give a serial log, a file of scanned texts, \
                 or a text that starts with RAR1:"
            )
        })?;
    }
    let scan = scan(&String::from_utf8_lossy(&bytes));
    if scan.unreadable > 0 {
        errln!(
            "warning: {input}: {} parts are damaged so that not even their number can be read",
            scan.unreadable
        );
    }
    sealed.add(input, scan);
    Ok(())
}

/// Prints a report in a few lines.
fn print(report: &Report<'_>) {
    let (name, microcode) = report.kind();
    outln!(
        "report {}: {name}, microcode {microcode}: {}",
        report.id(),
        report.verdict()
    );
    for (backend, counts) in report.counts() {
        let disturbed = match report.disturbances(backend) {
            Disturbances::NONE => String::new(),
            disturbances => format!("; disturbed by {disturbances}"),
        };
        outln!("  {:9} {counts}{disturbed}", backend.name());
    }
    for problem in &report.problems {
        outln!("  {problem}");
    }
}

/// Compares two reports; returns whether both are whole.
fn compare(args: &ReportArgs, before: &str, after: &str) -> Result<bool> {
    let (Some(first), Some(second)) = (one(before, args.partial)?, one(after, args.partial)?)
    else {
        return Ok(false);
    };
    let [(before, _), (after, _)] =
        [&first, &second].map(|one| sort(std::slice::from_ref(one), args.partial));
    let (Some(before), Some(after)) = (before.first(), after.first()) else {
        return Ok(false);
    };
    let comparison = Comparison::of(before, after);
    outln!(
        "{} to {}: {} outcomes differ, {} are the same; {} facts of the machine differ; \
         {} measurements compared, {} unmatched",
        before.id(),
        after.id(),
        comparison.outcomes.len(),
        comparison.same_outcomes,
        comparison.machine.len(),
        comparison.latencies.len(),
        comparison.unmatched
    );
    if let Some(path) = &args.html {
        write_whole(path, &html::comparison(before, after, &comparison))?;
    }
    if let Some(path) = &args.json {
        write_json(path, &comparison)?;
    }
    Ok(true)
}

/// Returns the one report of an input, or reports why it has no such report.
fn one(input: &str, partial: bool) -> Result<Option<Assembled>> {
    let (file, id) = match input.rsplit_once('#') {
        Some((file, id)) if !Path::new(input).exists() && !file.is_empty() => {
            (file, u32::from_str_radix(id, 16).ok())
        }
        _ => (input, None),
    };
    let mut sealed = PartCollector::default();
    read(file, &mut sealed)?;
    let mut found = assemble(&sealed);
    let ids: Vec<_> = found.iter().map(|one| format!("{:08X}", one.id)).collect();
    found.retain(|one| id.is_none_or(|id| one.id == id));
    let ids = ids.join(", ");
    let problem = match found.as_slice() {
        [] if ids.is_empty() => format!("{file} has no report"),
        [] => format!("{input} has no such report, but {ids}"),
        [Assembled { bytes: Ok(_), .. }] => return Ok(found.pop()),
        [Assembled { prefix, .. }] if partial && !prefix.is_empty() => return Ok(found.pop()),
        [
            Assembled {
                bytes: Err(problem),
                ..
            },
        ] => format!("{input}: {problem}"),
        _ => format!(
            "{file} has several reports, {ids}: choose one, for example {file}#{}",
            ids.get(..8).unwrap_or_default()
        ),
    };
    errln!("error: {problem}");
    Ok(None)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    text.push('\n');
    write_whole(path, &text)
}
