//! Which runs the options ask for.

use std::time::Duration;

use rar_harness::modes::Thread;
use rar_harness::run::{RACE_VOLUME, Run, Tests, VOLUME};
use rar_vocabulary::{Backend, TraceLevel};

use crate::qemu::QemuArgs;

/// Returns the runs that the options ask for.
pub(crate) fn runs(args: &QemuArgs) -> Vec<Run> {
    let mut runs = Vec::new();
    for &cpus in &args.cpus {
        let run = |thread, tests| Run {
            before: args.late_launch.then_some(Backend::Software),
            apic: args.apic,
            cores: args.cores,
            odd_table: args.odd_table,
            odd_joins: args.odd_joins,
            thread,
            tests,
            flushes: args.flushes.unwrap_or(if thread == Thread::Multi {
                RACE_VOLUME
            } else {
                VOLUME
            }),
            initiators: args.initiators,
            risky: args.risky,
            // Beside a run on one thread the race pass is for races alone.
            measure: args
                .measure
                .filter(|_| thread == Thread::Single || args.thread.is_some()),
            trace: args.trace.unwrap_or(TraceLevel::Off),
            deterministic: args.deterministic,
            timeout: args.timeout.map(Duration::from_secs),
            ..Run::new(args.backend.unwrap_or(Backend::Vrar), cpus)
        };
        match args.thread {
            thread if args.test.is_empty() && args.odd_table.is_some() => {
                runs.push(run(thread.unwrap_or(Thread::Single), Tests::by_software()));
            }
            thread if !args.test.is_empty() => {
                let tests = Tests::Named(args.test.clone());
                runs.push(run(thread.unwrap_or(Thread::Single), tests));
            }
            Some(Thread::Multi) => runs.push(run(Thread::Multi, Tests::Race)),
            Some(Thread::Single) => runs.push(run(Thread::Single, Tests::Functional)),
            None => {
                runs.push(run(Thread::Single, Tests::Functional));
                // A race needs two CPUs; a replay must not depend on host threads.
                if cpus > 1 && !args.deterministic {
                    runs.push(run(Thread::Multi, Tests::Race));
                }
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Subcommands};
    use rar_harness::modes::OddJoins;

    fn plan(args: &[&str]) -> Vec<Run> {
        let cli = Cli::try_parse_from(["xtask", "qemu"].iter().chain(args)).unwrap();
        let Subcommands::Qemu(args) = cli.command else {
            panic!()
        };
        runs(&args)
    }

    fn labels(args: &[&str]) -> Vec<String> {
        plan(args).iter().map(Run::label).collect()
    }

    #[test]
    fn the_default_is_functional_then_race() {
        assert_eq!(
            labels(&[]),
            ["vrar-4cpus-single-functional", "vrar-4cpus-multi-race"]
        );
        assert_eq!(labels(&["--cpus", "1"]), ["vrar-1cpus-single-functional"]);
        assert_eq!(labels(&["--thread", "multi"]), ["vrar-4cpus-multi-race"]);
        assert_eq!(labels(&["--test", "storm"]), ["vrar-4cpus-single-storm"]);
        assert_eq!(
            labels(&["--deterministic"]),
            ["vrar-4cpus-single-functional"]
        );
    }

    #[test]
    fn the_other_backend_by_name() {
        assert_eq!(
            labels(&["--backend", "software", "--cpus", "1"]),
            ["software-1cpus-single-functional"]
        );
        let xapic = plan(&["--apic", "xapic", "--cpus", "1"]);
        let xapic = xapic.first().unwrap();
        assert_eq!(xapic.label(), "vrar-xapic-1cpus-single-functional");
        assert!(xapic.kernel_command_line(2).ends_with(" apic=xapic"));
    }

    #[test]
    fn sockets_of_three_cores_leave_holes() {
        let holes = &plan(&["--cpus", "6", "--cores", "3", "--thread", "single"])[0];
        assert_eq!(holes.label(), "vrar-6cpus-cores3-single-functional");
        let unusual = plan(&["--cpus", "4"]);
        assert!(unusual.iter().all(|run| run.cores.is_none()));
    }

    #[test]
    fn options_reach_the_run() {
        let late = plan(&["--late-launch", "--thread", "single"]);
        assert_eq!(
            late[0].label(),
            "software-then-vrar-4cpus-single-functional"
        );
        let one = plan(&[
            "--test",
            "one-page,storm",
            "--flushes",
            "3",
            "--timeout",
            "5",
        ]);
        let line = one[0].kernel_command_line(2);
        assert_eq!(line, "test=one-page,storm flushes=3 backends=vrar");
        assert_eq!(one[0].deadline(2).as_secs(), 5);
        assert!(plan(&["--risky"])[0].risky);
        let odd = plan(&["--odd-table", "32", "--odd-joins", "late"]);
        let is_odd = |run: &Run| (run.odd_table, run.odd_joins) == (Some(32), OddJoins::Late);
        assert!(odd.iter().all(is_odd) && odd[0].tests == Tests::by_software());
        let traced = plan(&["--trace", "signals", "--keep-log"]);
        assert_eq!(traced[0].trace, TraceLevel::Signals);
    }
}
