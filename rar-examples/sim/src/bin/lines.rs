//! What `cargo xtask bench` shows of moved cache lines, as JSON: one case for each design at each point.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Prints the transfers of cache lines for each flush, by what the lines hold.
///
/// Exit codes: 0 every case was measured, 1 something failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "lines", max_term_width = 110)]
struct Args {
    /// Measure only cases whose name contains this
    filter: Option<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(rar_observed))]
fn run(args: &Args) -> Result<()> {
    anyhow::bail!(
        "the accesses of the driver are not seen in this build (got {args:?}, expected --cfg \
         rar_observed); `cargo xtask bench --lines` makes the right one"
    )
}

#[cfg(rar_observed)]
fn run(args: &Args) -> Result<()> {
    let filter = args.filter.as_deref().unwrap_or_default();
    let cases = measured::all(filter);
    println!("{}", serde_json::to_string_pretty(&cases)?);
    Ok(())
}

#[cfg(rar_observed)]
mod measured {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use rar_sim::lines::{Case, measure};
    use rar_sim::meter::Kind;
    use serde::Serialize;

    /// A case and what it gave.
    #[derive(Debug, Serialize)]
    pub(super) struct Measured {
        case: String,
        design: &'static str,
        initiators: u32,
        targets: u32,
        /// What is special about the point: it is not of the grid.
        special: bool,
        /// Transfers for each flush.
        transfers: f64,
        /// The same by kind, without those of which there is none.
        kinds: Vec<(&'static str, f64)>,
    }

    /// Measures the cases whose name contains a text, as many at once as there are cores. Each has a machine of its own.
    pub(super) fn all(filter: &str) -> Vec<Measured> {
        let mut cases = Case::all();
        cases.retain(|case| case.to_string().contains(filter));
        let next = AtomicUsize::new(0);
        // From the last on: the largest come last, and would keep one core busy when the others have ended.
        let take = || {
            let taken = next.fetch_add(1, Ordering::Relaxed);
            let index = cases.len().checked_sub(taken + 1)?;
            Some((index, *cases.get(index)?))
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut all: Vec<_> = thread::scope(|scope| {
            let work = || {
                std::iter::from_fn(take)
                    .map(|(index, case)| (index, measured(case)))
                    .collect::<Vec<_>>()
            };
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            let parts = workers.into_iter().map(|worker| match worker.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            parts.flatten().collect()
        });
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, case)| case).collect()
    }

    fn measured(case: Case) -> Measured {
        let (figures, point) = (measure(case.design, case.point), case.point);
        let kinds = Kind::ALL.map(|kind| (kind.name(), rounded(figures.of(kind))));
        Measured {
            case: case.to_string(),
            design: case.design.name(),
            initiators: point.initiators,
            targets: point.targets,
            special: point.is_special(),
            transfers: rounded(figures.per_flush()),
            kinds: kinds.into_iter().filter(|(_, each)| *each > 0.0).collect(),
        }
    }

    /// To a hundredth.
    fn rounded(value: f64) -> f64 {
        (value * 100.0).round() / 100.0
    }
}
