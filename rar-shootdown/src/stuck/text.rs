//! The report in lines of text.

use core::fmt::{Display, Formatter, Result};

use rar_percpu::{CpuId, CpuSet};

use super::late_cpu::State;
use super::operation_text::InWords;
use super::{Attempt, LateCpu, Stuck};
use crate::machine::Message;

impl<const WORDS: usize> Display for Stuck<'_, WORDS> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (waiter, cpus) = (self.waiter, Ranges(self.late));
        let count = self.late.len();
        let micros = self.waited().as_micros();
        write!(
            f,
            "TLB flush: CPU {waiter} has waited {} ms for {cpus}",
            Millis(micros)
        )?;
        if count > 1 {
            write!(f, " ({count} CPUs)")?;
        }
        for (slot, operation) in self.operations() {
            write!(f, "\n  slot {slot}: {}", InWords(operation))?;
        }
        if let Some(ticket) = self.ticket {
            write!(f, "\n  full flush {}: requested", ticket.number())?;
        }
        for attempt in self.attempts() {
            write!(f, "\n  {attempt}")?;
        }
        for_each_run(self.late_cpus(), |first, last| {
            write!(f, "\n  ")?;
            write_range(f, first.cpu, last.cpu)?;
            if let (true, Some(apic_id)) = (first.cpu == last.cpu, first.apic_id) {
                write!(f, " (APIC id {:#x})", apic_id.get())?;
            }
            write!(f, ": {}", State(&first))
        })
    }
}

/// The same without lines.
#[cfg(feature = "defmt")]
impl<const WORDS: usize> defmt::Format for Stuck<'_, WORDS> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (count, waited) = (self.late.len(), self.waited());
        let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        defmt::write!(
            f,
            "TLB flush: {} has waited {} ms for {} CPUs",
            self.waiter,
            millis,
            count
        );
        for (slot, operation) in self.operations() {
            defmt::write!(f, "; {}: {}", slot, operation);
        }
        for attempt in self.attempts() {
            defmt::write!(f, "; {}", attempt);
        }
        let _always_ok = for_each_run(self.late_cpus(), |first, last| {
            defmt::write!(f, "; to {}: {}", last.cpu, first);
            Ok(())
        });
    }
}

impl Display for Attempt {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let message = match self.message {
            Message::Signal => "signal",
            Message::SecondSignal => "second signal",
            Message::Interrupt => "interrupt",
            Message::Nmi => "NMI",
        };
        let after = Millis(self.after_micros.into());
        match self.sent {
            Ok(()) => write!(f, "{message}: last sent at {after} ms"),
            Err(cause) => write!(f, "{message}: not sent at {after} ms, {cause}"),
        }
    }
}

/// Microseconds, shown as milliseconds.
struct Millis(u128);

impl Display for Millis {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// The members of a set, those in a row as a range.
struct Ranges<'s, const WORDS: usize>(&'s CpuSet<WORDS>);

impl<const WORDS: usize> Display for Ranges<'_, WORDS> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut separator = "";
        let mut cpus = self.0.iter().peekable();
        if cpus.peek().is_none() {
            return f.write_str("no CPU");
        }
        while let Some(first) = cpus.next() {
            let mut last = first;
            // Not by `next_if`, which can panic.
            while let Some(next) = cpus.peek().filter(|next| follows(last, **next)) {
                last = *next;
                cpus.next();
            }
            f.write_str(separator)?;
            write_range(f, first, last)?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Calls `show` with the first and the last of each run of late CPUs that follow one another in the
/// same state.
fn for_each_run(
    late: impl Iterator<Item = LateCpu>,
    mut show: impl FnMut(LateCpu, LateCpu) -> Result,
) -> Result {
    let mut late = late.peekable();
    while let Some(first) = late.next() {
        let mut last = first;
        let goes_on =
            |last: LateCpu, next: &LateCpu| follows(last.cpu, next.cpu) && next.is_alike(&first);
        while let Some(next) = late.peek().filter(|next| goes_on(last, next)) {
            last = *next;
            late.next();
        }
        show(first, last)?;
    }
    Ok(())
}

fn follows(cpu: CpuId, next: CpuId) -> bool {
    cpu.get().checked_add(1) == Some(next.get())
}

fn write_range(f: &mut Formatter<'_>, first: CpuId, last: CpuId) -> Result {
    if first == last {
        write!(f, "CPU {first}")
    } else {
        write!(f, "CPUs {first}-{last}")
    }
}
