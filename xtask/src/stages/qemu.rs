//! The stage that boots the test kernel, and two smaller ones, in QEMU.

use anyhow::Result;
use rar_harness::judged_run::require_pass;
use rar_harness::logs::Logs;
use rar_harness::modes::{Apic, OddJoins, Thread};
use rar_harness::process::Verbosity;
use rar_harness::run::{RACE_VOLUME, Run, Tests};
use rar_harness::setup::Qemu;
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, minimal_kernel, out, results, test_kernel};
use rar_vocabulary::Backend;

use super::ended::Done;
use crate::example;

/// What executes remote flushes in `cargo xtask test`, and flushes per CPU in the storm: under the
/// shim each costs some world switches.
const BACKENDS: [(Backend, u32); 2] = [(Backend::Software, 20_000), (Backend::Vrar, 5_000)];

/// Flushes per CPU where each access to the APIC is a world switch and an instruction to decode.
const XAPIC_VOLUME: u32 = 1_000;

/// Flushes per CPU of each backend where two share a boot.
const LATE_VOLUME: u32 = 500;

/// Entries of the last CPU's table where CPUs disagree, and flushes per CPU.
const ODD_ENTRIES: u8 = 32;
const ODD_VOLUME: u32 = 1_000;

/// Boots every kernel.
pub(super) fn run(workspace: &Workspace, qemu: &Qemu, verbosity: Verbosity) -> Result<Done> {
    let kernel = test_kernel::build(workspace, &kernel::target(workspace), verbosity)?;
    let run = |backend, cpus, thread, tests, flushes| Run {
        thread,
        tests,
        flushes,
        ..Run::new(backend, cpus)
    };
    let mut runs = Vec::new();
    for (backend, volume) in BACKENDS {
        let single = |cpus, tests| run(backend, cpus, Thread::Single, tests, volume);
        let race = |cpus| run(backend, cpus, Thread::Multi, Tests::Race, RACE_VOLUME);
        runs.extend([1, 2, 4].map(|cpus| single(cpus, Tests::Brief)));
        runs.push(single(8, Tests::Functional));
        runs.extend([2, 4].map(race));
    }
    runs.push(Run {
        apic: Apic::Xapic,
        ..run(Backend::Vrar, 2, Thread::Single, Tests::Brief, XAPIC_VOLUME)
    });
    // What comes before the shim is launched late is run above at length.
    runs.push(Run {
        before: Some(Backend::Software),
        ..run(Backend::Vrar, 2, Thread::Single, Tests::Brief, LATE_VOLUME)
    });
    // CPUs that disagree on RAR: the same machine without that is the third run of the shim.
    runs.extend([OddJoins::With, OddJoins::Late].map(|joins| Run {
        odd_table: Some(ODD_ENTRIES),
        odd_joins: joins,
        ..run(
            Backend::Vrar,
            4,
            Thread::Single,
            Tests::by_software(),
            ODD_VOLUME,
        )
    }));
    let reports = test_kernel::run_all(&qemu.path, &kernel, &runs, &Logs::temporary()?, verbosity)?;
    out!("{}", results::render(&reports));
    let example = example::check(workspace, qemu, verbosity);
    let minimal = minimal_kernel::boot(workspace, qemu, verbosity).map(drop);
    let names = BACKENDS.map(|(backend, _)| backend.to_string());
    let note = format!(
        "{} boots, backends {}, the shim in another workspace, the kernel of the porting guide",
        runs.len(),
        names.join(" and ")
    );
    Ok(Done {
        tests: results::count(&reports),
        note,
        failure: require_pass(&reports).and(example).and(minimal).err(),
    })
}
