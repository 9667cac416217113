//! Runs of the test kernel that take minutes: many CPUs, APIC ids with holes, long storms.

use anyhow::Result;
use rar_harness::judged_run::require_pass;
use rar_harness::logs::Logs;
use rar_harness::process::Verbosity;
use rar_harness::run::{Run, Tests};
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, out, outln, results, setup, test_kernel};
use rar_vocabulary::Backend;

/// CPUs of the large machines, in one socket each: each flush under the shim is a world switch of
/// every CPU.
const MANY: [(Backend, &[u32]); 2] = [(Backend::Software, &[16, 32, 64]), (Backend::Vrar, &[16])];
/// CPUs and cores of a socket: ids 0 to 2, 4 to 6 and so on, and over a cluster of 16.
const HOLES: [(u32, u32); 2] = [(6, 3), (24, 6)];
/// CPUs under the shim that run these tests only: these take minutes already.
const CROWD: u32 = 64;
const OF_CROWD: [&str; 9] = [
    "one-page",
    "targets-change",
    "sleep-and-wake",
    "all-others-hung",
    "target-dies",
    "storm-interrupts-off",
    "storm-hotplug",
    "storm",
    "unit-storm",
];
/// CPUs under the shim that run these tests only: what units do where CPUs take long turns.
const IN_TURNS: u32 = 32;
const OF_TURNS: [&str; 7] = [
    "one-page",
    "sleep-and-wake",
    "unit-registers",
    "unit-signals-again",
    "unit-halted",
    "unit-prompt",
    "unit-registers-lost",
];
/// Flushes per CPU in the volume tests of these machines.
const VOLUME: u32 = 500;
/// CPUs of the long storms, and what `storm-hotplug` divides by sixteen.
const STORM: (u32, u32) = (8, 160_000);

/// Boots each, on both backends.
pub(crate) fn command(verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let qemu = setup::emulator(None, verbosity)?;
    let kernel = test_kernel::build(&workspace, &kernel::target(&workspace), verbosity)?;
    let logs = Logs::temporary()?;
    let judged = test_kernel::run_all(&qemu.path, &kernel, &runs(), &logs, verbosity)?;
    out!("{}", results::render(&judged));
    outln!("{}", results::count(&judged));
    require_pass(&judged)
}

fn runs() -> Vec<Run> {
    let named = |cpus, names: &[&str]| Run {
        tests: Tests::Named(names.iter().map(|&name| name.to_owned()).collect()),
        ..Run::functional(Backend::Vrar, cpus, VOLUME, 2)
    };
    let mut runs = vec![named(CROWD, &OF_CROWD), named(IN_TURNS, &OF_TURNS)];
    for (backend, many) in MANY {
        let functional = |cpus| Run::functional(backend, cpus, VOLUME, 2);
        runs.extend(many.iter().copied().map(functional));
        runs.extend(HOLES.map(|(cpus, cores)| Run {
            cores: Some(cores),
            ..functional(cpus)
        }));
        let (cpus, flushes) = STORM;
        runs.push(Run {
            tests: Tests::Named(vec!["storm-hotplug".to_owned()]),
            flushes,
            ..Run::new(backend, cpus)
        });
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_runs_on_both_backends() {
        let labels: Vec<_> = runs().iter().map(Run::label).collect();
        for label in [
            "software-64cpus-single-functional",
            "vrar-16cpus-single-functional",
            "vrar-64cpus-single-9-tests",
            "vrar-32cpus-single-7-tests",
            "vrar-6cpus-cores3-single-functional",
            "software-8cpus-single-storm-hotplug",
        ] {
            assert!(labels.iter().any(|each| each == label), "{labels:?}");
        }
        let whole = |run: &Run| run.cpus.is_multiple_of(run.cores.unwrap_or(1));
        assert!(runs().iter().all(whole));
    }
}
