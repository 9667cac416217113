//! `cargo xtask protocol`: the protocol as a model, explored to the end.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use rar_protocol::invariant::Invariant;
use rar_protocol::model::Model;
use rar_protocol::mutant::Mutant;
use rar_protocol::report::{Report, Traces, explore_mutant};
use rar_protocol::scenario::Scenario;
use rar_sim::output_file::{write, write_json};
use rar_sim_options::ProtocolArgs;

/// Explores all states of a model of the protocol, and of its mutants.
///
/// Exit codes: 0 no invariant is broken and each mutant is caught; 1 an invariant is broken, a
/// mutant is not caught, or the page is out of date; 2 wrong usage; 3 a file cannot be read or
/// written.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask protocol",
    bin_name = "cargo xtask protocol",
    max_term_width = 110
)]
struct Cli {
    #[command(flatten)]
    args: ProtocolArgs,
}

/// Exit code: nothing has a name that was asked for.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match command(&Cli::parse().args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn command(args: &ProtocolArgs) -> Result<ExitCode> {
    if args.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let scenario = |name: &String| Scenario::ALL.iter().any(|one| one.name == name);
    let mutant = |name: &String| Mutant::ALL.iter().any(|one| one.name() == name);
    let unknown = args.scenario.iter().find(|name| !scenario(name));
    if let Some(name) = unknown.or_else(|| args.mutant.iter().find(|name| !mutant(name))) {
        eprintln!("error: no scenario or mutant is named `{name}`; --list shows the names");
        return Ok(ExitCode::from(USAGE));
    }
    let begin = Instant::now();
    let report = explore(args);
    let mut problems = report.problems();
    if let Some(file) = &args.check {
        let page = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        problems.extend(report.outdated(&page, &file.display().to_string()));
    }
    if let Some(file) = &args.json {
        write_json(file, &report.json(&problems))?;
    }
    if let Some(file) = &args.markdown {
        write(file, report.markdown().trim_end())?;
    }
    for problem in &problems {
        println!("FAILED {problem}");
    }
    println!(
        "{} states in {} scenarios, {} of {} mutants caught, {:.1} s",
        report.states(),
        report.scenarios.len(),
        report.caught(),
        report.mutants.len(),
        begin.elapsed().as_secs_f64()
    );
    Ok(match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn explore(args: &ProtocolArgs) -> Report {
    let named = |names: &[String], name: &str| names.iter().any(|one| one == name);
    let all = args.scenario.is_empty() && args.mutant.is_empty() && !args.traces;
    let mut report = Report {
        is_whole: all && !args.quick,
        ..Report::default()
    };
    for scenario in Scenario::ALL {
        let chosen = all && !(args.quick && scenario.is_long);
        if !chosen && !named(&args.scenario, scenario.name) {
            continue;
        }
        let begin = Instant::now();
        let model = Model {
            scenario: *scenario,
            mutant: None,
        };
        let found = model.search(u32::MAX);
        println!(
            "{:17} {:9} states, {:9} steps, depth {:3}, {:5.1} s   {}",
            scenario.name,
            found.states,
            found.steps,
            found.depth,
            begin.elapsed().as_secs_f64(),
            scenario.about
        );
        report.scenarios.push((*scenario, found));
    }
    for mutant in Mutant::ALL {
        if !all && !named(&args.mutant, mutant.name()) {
            continue;
        }
        let (run, also) = explore_mutant(*mutant);
        if let Some(run) = &run {
            println!(
                "mutant {:22} breaks {} after {} steps",
                mutant.name(),
                mutant.breaks().name(),
                run.steps.len()
            );
            if !all {
                println!("{run}");
            }
        }
        report.mutants.push((*mutant, run, also));
    }
    if all || args.traces {
        report.traces = traces(args.histories);
    }
    report
}

/// Replays histories of the simulator through the model.
#[cfg(rar_observed)]
fn traces(histories: u64) -> Vec<Traces> {
    use rar_protocol::traces::Wrong;

    let of_kind = |kind: &rar_protocol::traces::Kind| {
        let mut traces = Traces {
            name: kind.name,
            histories,
            events: 0,
            shown: 0,
            is_strict: kind.notices_a_missing_flush(1),
            diverged: 0,
            first: None,
            is_broken: kind.is_broken,
        };
        for seed in 1..=histories {
            match kind.check(seed) {
                Ok((events, shows)) => {
                    traces.events += events;
                    traces.shown += u64::from(shows);
                }
                Err(wrong) => {
                    // A broken unit has to be noticed by what it does.
                    traces.diverged += u64::from(matches!(wrong, Wrong::Differs(_)));
                    let first = || format!("seed {seed}, {wrong}");
                    traces.first.get_or_insert_with(first);
                }
            }
        }
        println!(
            "traces {:22} {histories} histories, {} events, {} to the point, {} diverge{}",
            kind.name,
            traces.events,
            traces.shown,
            traces.diverged,
            if kind.is_broken { ", as they must" } else { "" }
        );
        traces
    };
    rar_protocol::traces::KINDS.iter().map(of_kind).collect()
}

/// Without `--cfg rar_observed` there is nothing to replay.
#[cfg(not(rar_observed))]
fn traces(_: u64) -> Vec<Traces> {
    println!("traces: none (built without --cfg rar_observed); use cargo xtask protocol");
    Vec::new()
}

fn list() {
    for scenario in Scenario::ALL {
        let long = if scenario.is_long { ", long" } else { "" };
        println!("scenario {:24} {}{long}", scenario.name, scenario.about);
    }
    for mutant in Mutant::ALL {
        println!("mutant   {:24} {}", mutant.name(), mutant.about());
    }
    for invariant in Invariant::ALL {
        println!("{invariant:?}: {:?}", invariant.judged());
    }
}
