//! What each CPU does first: it becomes a guest of the shim.

use core::sync::atomic::{AtomicU32, Ordering};

use rar_carrier::{ApicMode, Options};
use rar_kernel::{Arrival, CommandLine, Once, clock, log, percpu, smp};
use rar_vrar::{ApicPage, Hypervisor, LaunchError, Mwait, Trace, TripleFault};

use crate::fail;

/// The first CPU that could not be launched, and why.
static REFUSED: Once<(u32, Option<LaunchError>)> = Once::new();
static LAUNCHED: AtomicU32 = AtomicU32::new(0);

/// Makes the CPU that calls it a guest of the shim; the first one makes the shim.
pub(crate) fn arrive(arrival: Arrival<'_>) {
    if matches!(arrival, Arrival::Boot { .. }) {
        return;
    }
    if let Arrival::First {
        command_line,
        local_apic,
        ..
    } = arrival
    {
        // The debug console is the trace's.
        log::leave_port();
        make(command_line, local_apic);
    }
    match rar_launch::launch() {
        Some(Ok(())) => {
            LAUNCHED.fetch_add(1, Ordering::Relaxed);
        }
        refused => {
            let _first = REFUSED.set((percpu::this().number(), refused.and_then(Result::err)));
            if matches!(arrival, Arrival::First { .. }) {
                check();
            }
        }
    }
}

fn make(line: &CommandLine, local_apic: u64) {
    let options = match Options::read(line) {
        Ok(options) => options,
        Err(error) => fail(format_args!("{error}")),
    };
    let made = rar_launch::make(local_apic, |config| {
        // In both modes, so that nested paging hides what the guest must not touch, and so that no
        // guest sends INIT by the page of an xAPIC, which would take a CPU out of the shim.
        config.page = ApicPage::Trapped;
        // What a guest that wants to begin again by it expects.
        config.triple_fault = TripleFault::ResetsMachine;
        // Linux goes to x2APIC mode only below a hypervisor that it knows.
        config.hypervisor = match options.apic {
            ApicMode::Xapic => Hypervisor::Machine,
            ApicMode::X2apic => Hypervisor::Kvm,
        };
        config.knobs = options.knobs;
        config.mwait = Mwait::Hidden;
        if let Some(defect) = options.defect {
            defect.apply(&mut config.knobs);
        }
        config.trace = Trace::new(options.trace, 1000 * clock::ticks_per_millisecond());
    });
    if let Err(error) = made {
        fail(format_args!("the shim cannot start: {error}"));
    }
}

/// Ends the machine if a CPU of it did not start: a guest could start it outside of the shim.
pub(crate) fn check_all() {
    check();
    if let Some(id) = smp::cpus().and_then(|cpus| cpus.missing().first()) {
        fail(format_args!(
            "the CPU with APIC id {id} did not start, so the guest would start it without a RAR \
             unit; give the machine more memory or fewer CPUs (QEMU: -m 512M, -smp 2)"
        ));
    }
}

/// Ends the machine unless every CPU so far is a guest of the shim.
pub(crate) fn check() {
    let Some((cpu, why)) = REFUSED.get() else {
        let online = smp::cpus().map_or(1, smp::Cpus::online);
        if LAUNCHED.load(Ordering::Relaxed) < online {
            fail(format_args!("a CPU has not become a guest of the shim"));
        }
        return;
    };
    match why {
        Some(LaunchError::NoSvm) => fail(format_args!(
            "CPU {cpu} has no SVM, which the shim needs; start QEMU with -cpu max, or add +svm \
             to -cpu"
        )),
        Some(LaunchError::ApicMode) => fail(format_args!(
            "CPU {cpu}: the local APIC is disabled; start QEMU with -cpu max, or leave -apic away"
        )),
        Some(why) => fail(format_args!("CPU {cpu} cannot be launched: {why}")),
        None => fail(format_args!(
            "CPU {cpu}: no memory for the shim; give the machine more memory (QEMU: -m 512M)"
        )),
    }
}
