//! Kernels in QEMU, built from this workspace: for mutants of what no process may execute.

use rar_harness::judged_run::require_pass;
use rar_harness::logs::Logs;
use rar_harness::modes::Apic;
use rar_harness::process::Verbosity;
use rar_harness::run::{Run, Tests};
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, minimal_kernel, setup, test_kernel};
use rar_vocabulary::Backend;

/// Flushes per CPU in the volume tests: what a mutant breaks shows at once.
const VOLUME: u32 = 200;

/// The kernel of the porting guide, which sends through the ready machine; then both ways to flush,
/// and both kinds of APIC.
#[test]
#[ignore = "needs QEMU; `cargo xtask mutants` runs it"]
fn both_kernels_pass() {
    let workspace = Workspace::this().unwrap();
    let verbosity = Verbosity::Normal;
    let qemu = setup::emulator(None, verbosity).unwrap();
    minimal_kernel::boot(&workspace, &qemu, verbosity).unwrap();
    let kernel = test_kernel::build(&workspace, &kernel::target(&workspace), verbosity).unwrap();
    let run = |backend, cpus, apic| Run {
        tests: Tests::Brief,
        flushes: VOLUME,
        apic,
        ..Run::new(backend, cpus)
    };
    let runs = [
        run(Backend::Software, 4, Apic::X2apic),
        run(Backend::Software, 2, Apic::Xapic),
        run(Backend::Vrar, 2, Apic::X2apic),
    ];
    let logs = Logs::temporary().unwrap();
    let reports = test_kernel::run_all(&qemu.path, &kernel, &runs, &logs, verbosity).unwrap();
    assert_eq!(reports.len(), runs.len());
    require_pass(&reports).unwrap();
}
