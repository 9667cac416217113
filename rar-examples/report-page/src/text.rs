//! Values as people read them.

use rar_report::{
    ApicMode, EndReason, EventKind, Firmware, Outcome, RegisterRead, Registers, TscSource,
};

/// Returns an outcome as one line.
pub(crate) fn outcome(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Holds => "holds".to_owned(),
        Outcome::Violated { initiator, why } => {
            format!("violated: {why} (initiator CPU {initiator})")
        }
        Outcome::Observed(what) => format!("observed: {what}"),
        Outcome::NotRun(why) => format!("not run: {why}"),
    }
}

/// Returns the style of an outcome.
pub(crate) const fn class(outcome: &Outcome<'_>) -> &'static str {
    match outcome {
        Outcome::Holds => "holds",
        Outcome::Violated { .. } => "violated",
        Outcome::Observed(_) => "observed",
        Outcome::NotRun(_) => "not-run",
    }
}

/// Returns what came of reading a register.
pub(crate) fn register(read: RegisterRead) -> String {
    match read {
        RegisterRead::NotRead => "not read".to_owned(),
        RegisterRead::GeneralProtection => "#GP".to_owned(),
        RegisterRead::Value(value) => format!("{value:#x}"),
    }
}

/// Returns EDX of CPUID leaf 7.
pub(crate) fn cpuid_7_edx(registers: &Registers) -> String {
    let edx = registers.cpuid_7_edx;
    edx.map_or_else(|| "no such leaf".to_owned(), |edx| format!("{edx:#x}"))
}

pub(crate) const fn apic(mode: ApicMode) -> &'static str {
    match mode {
        ApicMode::None => "none found",
        ApicMode::Xapic => "xAPIC",
        ApicMode::X2apic => "x2APIC",
        ApicMode::X2apicByFirmware => "x2APIC, on at boot",
    }
}

pub(crate) const fn tsc_source(source: TscSource) -> &'static str {
    match source {
        TscSource::Unknown => "source unknown",
        TscSource::CpuidCrystal => "CPUID 0x15",
        TscSource::CpuidBase => "CPUID 0x16",
        TscSource::Hypervisor => "the hypervisor",
        TscSource::Pit => "compared with the PIT",
        TscSource::AcpiTimer => "compared with the ACPI timer",
        TscSource::Hpet => "compared with the HPET",
    }
}

pub(crate) const fn firmware(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Unknown => "unknown",
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
    }
}

pub(crate) const fn event(kind: EventKind) -> &'static str {
    match kind {
        EventKind::CpuMissing => "CPU did not come online",
        EventKind::CpuSilent => "CPU stopped answering",
        EventKind::Hung => "test did not end",
        EventKind::Exception => "unexpected exception",
        EventKind::OptionIgnored => "option ignored",
        EventKind::BackendUnavailable => "backend not available",
        EventKind::Note => "note",
    }
}

pub(crate) const fn end(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Complete => "everything chosen was run",
        EndReason::Deadline => "the time for the run was over",
        EndReason::Hung => "a test hung",
        EndReason::CpusLost => "too many CPUs stopped answering",
        EndReason::Fault => "the program failed",
    }
}

/// Returns a number of pages.
pub(crate) fn pages(pages: u32) -> String {
    match pages {
        0 => "everything".to_owned(),
        1 => "1 page".to_owned(),
        more => format!("{more} pages"),
    }
}

/// Returns a number of targets.
pub(crate) fn targets(targets: u32) -> String {
    match targets {
        1 => "1 target".to_owned(),
        more => format!("{more} targets"),
    }
}

/// Returns a number of tests.
pub(crate) fn tests(tests: usize) -> String {
    match tests {
        1 => "1 test".to_owned(),
        more => format!("{more} tests"),
    }
}
