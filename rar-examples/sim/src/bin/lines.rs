//! Moved cache lines for `cargo xtask bench`, as JSON: one case for each design at each point.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Prints the transfers of cache lines for each flush, by what the lines hold.
///
/// Exit codes: 0 every case was measured; 1 a case failed; 2 wrong usage.
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

    /// A case and its result.
    #[derive(Debug, Serialize)]
    pub(super) struct Measured {
        case: String,
        design: &'static str,
        initiators: u32,
        targets: u32,
        /// Why the point is not part of the grid.
        special: bool,
        /// Transfers for each flush.
        transfers: f64,
        /// The same by kind, without zeros.
        kinds: Vec<(&'static str, f64)>,
    }

    /// Measures the cases whose name contains a text, one per core at a time. Each has its own
    /// machine.
    pub(super) fn all(filter: &str) -> Vec<Measured> {
        let mut cases = Case::all();
        cases.retain(|case| case.to_string().contains(filter));
        let next = AtomicUsize::new(0);
        // Starts with the last: the largest cases are last, and would keep one core busy after the
        // others have ended.
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

    /// Rounds to a hundredth.
    fn rounded(value: f64) -> f64 {
        (value * 100.0).round() / 100.0
    }
}
