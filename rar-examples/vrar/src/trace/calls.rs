//! What each part of the shim says to the trace.

use core::fmt;

use rar_vocabulary::TraceLevel;

use crate::cpu::NESTED_PAGE_FAULT;
use crate::guest::vcpu::Vcpu;
use crate::shim::Shim;
use crate::trace::lines::{Entry, Words};
use crate::trace::tracer::About;
use crate::unit::offence::Offence;

/// The exit code of a triple fault.
const SHUTDOWN: u64 = 0x7f;

impl Shim {
    /// Returns whether a trace has lines of this level.
    pub(crate) fn is_traced(&self, level: TraceLevel) -> bool {
        self.config().trace.level >= level
    }

    /// Writes an offence; `details` are its fields.
    pub(crate) fn trace_offence(
        &self,
        about: About,
        offence: Offence,
        details: fmt::Arguments<'_>,
    ) {
        self.trace(
            TraceLevel::Offences,
            about,
            format_args!("offence kind={} {details}", offence.name()),
        );
    }

    /// Writes an entry, and the offences in it.
    pub(crate) fn trace_entry(&self, about: About, entry: &Entry) {
        if !self.is_traced(TraceLevel::Offences) {
            return;
        }
        self.trace(TraceLevel::All, about, format_args!("{entry}"));
        let (slot, words) = (entry.execution.index, Words(entry.execution.words));
        if let Some(why) = entry.refused() {
            let details = format_args!("slot={slot} why=\"{why}\" {words}");
            self.trace_offence(about, Offence::RefusedEntry, details);
        }
        if entry.is_changed() {
            let why = "another payload than the signal announced";
            let details = format_args!("slot={slot} why=\"{why}\" {words}");
            self.trace_offence(about, Offence::ChangedPayload, details);
        }
    }

    /// Writes a line if the trace has its level; `line` is its kind and fields.
    #[inline]
    pub(crate) fn trace(&self, level: TraceLevel, about: About, line: fmt::Arguments<'_>) {
        if self.is_traced(level) {
            self.tracer().write_line(self.config(), about, line);
        }
    }
}

impl Vcpu<'_> {
    /// Writes a line about this CPU.
    pub(crate) fn trace(&self, level: TraceLevel, line: fmt::Arguments<'_>) {
        let about = About::Cpu(self.cpu.apic_id());
        self.own.shim.trace(level, about, line);
    }

    /// Writes that the guest of this CPU is no more.
    pub(crate) fn trace_gone(&self, exit: u64) {
        if let Some(code) = self.cpu.undecoded() {
            return self.trace(
                TraceLevel::Offences,
                format_args!("gone exit={exit:#x} why=\"an access that is not emulated, {code}\""),
            );
        }
        let why = match exit {
            SHUTDOWN => "a triple fault",
            NESTED_PAGE_FAULT => "an access to memory that is not the guest's",
            _ => "an exit that the shim does not know",
        };
        self.trace(
            TraceLevel::Offences,
            format_args!("gone exit={exit:#x} why=\"{why}\""),
        );
    }

    /// Counts an offence of this CPU and writes it.
    pub(crate) fn offend(&self, offence: Offence, details: fmt::Arguments<'_>) {
        self.cpu.record().offence(offence);
        let about = About::Cpu(self.cpu.apic_id());
        self.own.shim.trace_offence(about, offence, details);
    }
}
