//! The counts in a trace: now and then while the guest runs, and all of them at its end.

use core::fmt;

use rar_vocabulary::{EntryKind, EntryVerdict, TraceLevel, UnitCounter};

use crate::cpu::Cpu;
use crate::guest::vcpu::{State, Vcpu};
use crate::processor::io_permissions::IO_PERMISSIONS;
use crate::processor::native;
use crate::shim::Shim;
use crate::trace::ends::RESET_CONTROL;
use crate::trace::tracer::About;
use crate::unit::counts::Counts;

impl Vcpu<'_> {
    /// Writes the counts of this CPU if they have changed and it is time.
    pub(crate) fn trace_counts(&mut self) {
        let shim = self.own.shim;
        if !shim.is_traced(TraceLevel::Offences) {
            return;
        }
        let (now, second) = (native::time_stamp(), shim.config().trace.ticks_per_second);
        let reported = &mut self.own.reported;
        if !reported.is_due(now, second) {
            return;
        }
        if reported.look(total(self.cpu.record().counts()), now, second) {
            shim.trace_counts(Whose::One(self.cpu));
        }
    }
}

impl Vcpu<'_> {
    /// Writes the summary if no interrupt can make any CPU run again, unless nothing was counted
    /// since the last one of this kind. Called before a wait.
    pub(crate) fn trace_rest(&self) {
        let shim = self.own.shim;
        if !shim.is_traced(TraceLevel::Offences) {
            return;
        }
        let rests = match self.own.state {
            State::Running => false,
            State::Halted => !self.vmcb.interrupts_enabled(),
            State::WaitsForStartup | State::Gone => true,
        };
        self.cpu.set_resting(rests);
        let all_rest = rests && shim.cpus().all(|(_, cpu)| cpu.is_resting());
        if all_rest && shim.reported_stop().look(Whose::All(shim).total()) {
            shim.trace_summary(format_args!("every CPU has stopped"));
        }
    }

    /// The guest runs.
    pub(crate) fn trace_run(&mut self) {
        if self.own.shim.is_traced(TraceLevel::Offences) {
            self.cpu.set_resting(false);
            self.watch_reset_control();
        }
    }

    /// Has writes of the reset control register looked at from the first count on.
    ///
    /// Until then a summary has nothing to say, and it costs much: the register lies within the
    /// four bytes of PCI's address register, so each access to PCI's configuration leaves the
    /// guest, too. An operating system does thousands of these while it boots.
    fn watch_reset_control(&mut self) {
        if !self.own.watches_resets && total(self.cpu.record().counts()) != 0 {
            self.own.watches_resets = true;
            IO_PERMISSIONS.watch(RESET_CONTROL);
        }
    }
}

/// Returns a number that changes whenever a count does.
fn total(counts: &Counts) -> u64 {
    let each = UnitCounter::ALL.iter().map(|counter| counts.get(*counter));
    each.fold(0, u64::wrapping_add)
}

impl Shim {
    /// Writes the counts of every CPU and their sums.
    pub(crate) fn trace_summary(&self, why: fmt::Arguments<'_>) {
        if !self.is_traced(TraceLevel::Offences) {
            return;
        }
        let level = TraceLevel::Offences;
        self.trace(level, About::Machine, format_args!("summary why=\"{why}\""));
        for (_, cpu) in self.cpus() {
            self.trace_counts(Whose::One(cpu));
        }
        self.trace_counts(Whose::All(self));
        self.trace(level, About::Machine, format_args!("end"));
    }

    fn trace_counts(&self, whose: Whose<'_>) {
        let (level, about) = (TraceLevel::Offences, whose.about());
        self.trace(level, about, format_args!("counts{}", Counters(whose)));
        for &kind in EntryKind::ALL {
            let entries = Entries { whose, kind };
            if !entries.is_empty() {
                self.trace(level, about, format_args!("{entries}"));
            }
        }
    }
}

/// Whose counts.
#[derive(Clone, Copy)]
enum Whose<'a> {
    One(&'a Cpu),
    All(&'a Shim),
}

impl Whose<'_> {
    fn about(self) -> About {
        match self {
            Self::One(cpu) => About::Cpu(cpu.apic_id()),
            Self::All(_) => About::Machine,
        }
    }

    /// Returns a number that changes whenever one of the counts does.
    fn total(self) -> u64 {
        self.sum(total)
    }

    fn sum(self, get: impl Fn(&Counts) -> u64) -> u64 {
        match self {
            Self::One(cpu) => get(cpu.record().counts()),
            Self::All(shim) => shim.cpus().map(|(_, cpu)| get(cpu.record().counts())).sum(),
        }
    }
}

/// The counters that are not 0, each with a blank before it.
struct Counters<'a>(Whose<'a>);

impl fmt::Display for Counters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UnitCounter::ALL.iter().try_for_each(|counter| {
            let sum = self.0.sum(|counts| counts.get(*counter));
            write_count(f, counter.name(), sum)
        })
    }
}

/// The entries of one kind, by verdict.
struct Entries<'a> {
    whose: Whose<'a>,
    kind: EntryKind,
}

impl Entries<'_> {
    fn of(&self, verdict: EntryVerdict) -> u64 {
        self.whose.sum(|counts| counts.entries(self.kind, verdict))
    }

    fn is_empty(&self) -> bool {
        let mut verdicts = EntryVerdict::ALL.iter();
        verdicts.all(|verdict| self.of(*verdict) == 0)
    }
}

impl fmt::Display for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entries kind={}", self.kind.name())?;
        EntryVerdict::ALL
            .iter()
            .try_for_each(|verdict| write_count(f, verdict.name(), self.of(*verdict)))
    }
}

fn write_count(f: &mut fmt::Formatter<'_>, name: &str, count: u64) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    write!(f, " {name}={count}")
}

#[cfg(test)]
mod tests {
    use rar_model::{Illegal, Outcome};

    use super::*;

    #[test]
    fn what_is_0_is_left_out() {
        let cpu = Cpu::new();
        cpu.set_apic_id(3);
        let whose = Whose::One(&cpu);
        let entries = |kind| Entries { whose, kind };
        assert_eq!(format!("counts{}", Counters(whose)), "counts");
        assert!(EntryKind::ALL.iter().all(|kind| entries(*kind).is_empty()));
        let before = total(cpu.record().counts());
        let counts = cpu.record().counts();
        counts.add_entry(2 << 8 | 2 << 32, Outcome::Performed);
        counts.add_entry(2 << 8 | 2 << 32, Outcome::Illegal(Illegal::ZeroPages));
        counts.add(UnitCounter::Merged);
        assert_eq!(
            Counters(whose).to_string(),
            " merged=1 entries=2 performed=1 refused=1 refused-no-pages=1"
        );
        assert_eq!(
            entries(EntryKind::InvpcidAll).to_string(),
            "entries kind=invpcid-all performed=1 refused=1"
        );
        assert!(entries(EntryKind::InvpcidPages).is_empty());
        assert_ne!(total(counts), before);
        assert_eq!(whose.about(), About::Cpu(3));
    }
}
