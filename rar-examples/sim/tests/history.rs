//! The simulator itself: its runs repeat, it finds violations, and it finds none where nothing is
//! broken.
#![expect(clippy::panic, reason = "a test ends at the first surprise")]

use std::ops::ControlFlow;
use std::time::Duration;

use rar_model::{Defect, Knobs};
use rar_sim::history::{
    Campaign, Episode, Finding, History, Op, Problem, Scheduler, Slot, Summary, problem,
};
use rar_sim::machine::{Addressing, Answering};

fn campaign(episode: Episode, seed: u64, steps: u64) -> Result<Summary, Box<(Finding, Summary)>> {
    let campaign = Campaign {
        episode,
        seed,
        steps,
        shrink: Duration::from_secs(20),
    };
    campaign.run(&mut |_| {})
}

/// Runs a campaign that must find nothing.
fn passes(episode: Episode, steps: u64) -> Summary {
    match campaign(episode, 1, steps) {
        Ok(summary) => summary,
        Err(failed) => panic!("{}", failed.0.what),
    }
}

/// At most how many operations a shrunk history has.
const SHORT: usize = 8;

fn broken(defect: Defect) -> Episode {
    let mut knobs = Knobs::DEFAULT;
    defect.apply(&mut knobs);
    Episode {
        knobs,
        ..Episode::new(2)
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| format!("{:?}", campaign(Episode::new(4), seed, 20_000));
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8), "another seed is another run");
}

/// The positive control: stale translations exist, and are used as long as that is legal.
#[test]
fn stale_translations_are_seen_before_the_flush_returns() {
    let summary = passes(Episode::new(4), 50_000);
    assert!(summary.tally.stale_uses > 0, "{summary:?}");
    assert!(summary.tally.freed > 0, "{summary:?}");
}

/// A full flush drops translations that the page tables still contain, which is counted; the flush
/// of one page drops that page.
#[test]
fn needless_drops_are_counted() {
    let slot = Slot::Small { region: 0, page: 0 };
    let touched = [(0, Op::Sweep), (0, Op::Remap { space: 0, slot })];
    let freed = [
        (0, Op::Sweep),
        (
            0,
            Op::FreeTable {
                space: 0,
                region: 0,
            },
        ),
    ];
    let needless = |ops: &[(u16, Op)]| {
        let history = History {
            seed: 1,
            ops: ops.to_vec(),
        };
        let quiet = Episode {
            speculation: 0,
            ..Episode::new(1)
        };
        let ending = quiet.run(&history);
        ending.map(|ending| (ending.tally.dropped, ending.tally.needless))
    };
    assert_eq!(needless(&touched), Ok((1, 0)), "the page itself");
    // The whole PCID: 6 pages of the freed table, and 6 + 2 others that are still mapped.
    assert_eq!(needless(&freed), Ok((14, 8)));
}

#[test]
fn a_broken_unit_is_found_cut_down_and_found_again() {
    // Shrinking takes thousands of runs: more of them where they are fast.
    let defects: &[Defect] = if cfg!(rar_observed) {
        &[
            Defect::SuccessWithoutFlush,
            Defect::OnePageTooFew,
            Defect::GlobalsKept,
            Defect::StructuresKept,
        ]
    } else {
        &[Defect::SuccessWithoutFlush]
    };
    for &defect in defects {
        let episode = broken(defect);
        // Shrinking ends when no single operation can be removed, so some histories stay long.
        let findings = (1..=5).map(|seed| match campaign(episode.clone(), seed, 1_000_000) {
            Ok(_) => panic!("{defect} is not found with seed {seed}"),
            Err(failed) => failed.0,
        });
        let mut shortest: Option<Finding> = None;
        for finding in findings {
            assert!(matches!(finding.what, Problem::Stale(_)), "{defect}");
            let length = finding.minimal.ops.len();
            if shortest
                .as_ref()
                .is_none_or(|found| length < found.minimal.ops.len())
            {
                shortest = Some(finding);
            }
            if length <= SHORT {
                break;
            }
        }
        let Some(finding) = shortest else {
            panic!("{defect} was looked for")
        };
        println!("{defect}: {}", finding.minimal_what);
        for (cpu, op) in &finding.minimal.ops {
            println!("  CPU {cpu}  {op:?}");
        }
        assert!(
            finding.minimal.ops.len() <= SHORT,
            "{defect}: {:?}",
            finding.minimal.ops
        );
        let again = problem(&episode.run(&finding.minimal));
        assert_eq!(again, Some(finding.minimal_what), "{defect}");
    }
}

#[test]
fn a_unit_that_never_answers_needs_the_fallback() {
    let Err(failed) = campaign(broken(Defect::NeverAnswers), 1, 1_000_000) else {
        panic!("a dead unit is not found")
    };
    assert!(
        matches!(failed.0.what, Problem::Fallback { fallbacks, .. } if fallbacks > 0),
        "{}",
        failed.0.what
    );
}

#[test]
fn every_machine_passes() {
    let four = Episode::new(4);
    for (what, episode) in [
        ("one CPU", Episode::new(1)),
        (
            "software",
            Episode {
                backend: Answering::Software,
                ..four.clone()
            },
        ),
        (
            "sparing units",
            Episode {
                knobs: Knobs::SPARING,
                ..four.clone()
            },
        ),
        (
            "clusters",
            Episode {
                addressing: Addressing::Cluster,
                ..Episode::new(20)
            },
        ),
        (
            "xAPIC",
            Episode {
                addressing: Addressing::Xapic,
                ..four
            },
        ),
    ] {
        let summary = passes(episode, 30_000);
        assert!(
            summary.flushes > 0 && summary.tally.accesses > 0,
            "{what}: {summary:?}"
        );
    }
}

#[test]
fn threads_are_a_scheduler_too() {
    let threads = Episode {
        scheduler: Scheduler::Threads,
        ..Episode::new(4)
    };
    let summary = passes(threads, 500);
    assert!(summary.flushes > 0 && summary.steps == 0, "{summary:?}");
}

/// Each CPU remaps a page of its own space, and each answers.
#[test]
fn there_may_be_1024_cpus() {
    let ops = [0, 500, 1023].map(|cpu| {
        let slot = Slot::Kernel { page: 0 };
        (cpu, Op::Remap { space: 0, slot })
    });
    let history = History {
        seed: 1,
        ops: ops.into(),
    };
    let mut most = 0;
    let ended = Episode::new(1024).run_watched(&history, &mut |machine, _| {
        most = most.max(machine.domain().online().len());
        ControlFlow::Continue(())
    });
    assert_eq!(problem(&ended), None);
    assert_eq!(most, 1024, "all were online at once");
    assert_eq!(ended.map(|ending| ending.flushes), Ok(3));
}

#[test]
fn a_campaign_does_everything() {
    let mixed = Episode {
        mixed: true,
        ..Episode::new(4)
    };
    let summary = passes(mixed, 300_000);
    assert!(
        summary.kinds.iter().all(|done| *done > 0),
        "{:?}",
        summary.kinds
    );
    let all: u64 = summary.kinds.iter().sum();
    assert!(
        summary.skipped < all / 4,
        "{} of {all} skipped",
        summary.skipped
    );
}
