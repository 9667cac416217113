//! The kinds of lines in a trace, with their fields.

use core::fmt;

use rar_model::{
    ACTION_VECTOR_BASE, CONTROL, CORE_CAPABILITIES, Execution, GeneralProtection, INFO,
    InterruptFlag, Knob, Knobs, Outcome, PAYLOAD_TABLE_BASE, SUCCESS,
};
use rar_vocabulary::EntryVerdict;

use crate::config::{ApicPage, Config};
use crate::unit::counts::verdict;

/// The number of the format.
const FORMAT: u32 = 1;

/// The lines that come before all others.
pub(crate) struct Begin<'a>(pub(crate) &'a Config);

impl Begin<'_> {
    pub(crate) fn lines(&self, mut write: impl FnMut(fmt::Arguments<'_>)) {
        let Config {
            trace, page, knobs, ..
        } = self.0;
        let apic = match page {
            ApicPage::Open => "open",
            ApicPage::Trapped => "trapped",
        };
        write(format_args!(
            "begin format={FORMAT} level={} ticks={} apic={apic}",
            trace.level.name(),
            trace.ticks_per_second
        ));
        write_knobs(knobs, &Knobs::DEFAULT, &mut write);
    }
}

/// The line that says that a CPU became a guest, and those about its unit, if that is not like the
/// others.
pub(crate) struct Launch<'a> {
    pub(crate) config: &'a Config,
    pub(crate) apic_id: u32,
    pub(crate) cpus: usize,
}

impl Launch<'_> {
    pub(crate) fn lines(&self, mut write: impl FnMut(fmt::Arguments<'_>)) {
        write(format_args!("launch cpus={}", self.cpus));
        let own = self.config.knobs_of(self.apic_id);
        write_knobs(own, &self.config.knobs, &mut write);
    }
}

/// Writes the knobs that are not as in `usual`.
fn write_knobs(knobs: &Knobs, usual: &Knobs, write: &mut impl FnMut(fmt::Arguments<'_>)) {
    for knob in Knob::all().filter(|knob| !knob.is_same(knobs, usual)) {
        write(format_args!(
            "knob name={} value={} default={}",
            knob.name(),
            knob.value(knobs),
            knob.value(&Knobs::DEFAULT)
        ));
    }
}

/// The quadwords of a payload.
pub(crate) struct Words(pub(crate) [u64; 4]);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth] = self.0;
        write!(f, "words={first:#x},{second:#x},{third:#x},{fourth:#x}")
    }
}

/// A write of a RAR register, and what came of it.
pub(crate) struct RegisterWrite {
    pub(crate) number: u32,
    pub(crate) value: u64,
    pub(crate) done: Result<(), GeneralProtection>,
}

impl fmt::Display for RegisterWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, value, .. } = self;
        let name = register_name(*number);
        write!(f, "msr number={number:#x} name={name} value={value:#x} ")?;
        match self.done {
            Ok(()) => f.write_str("result=done"),
            Err(fault) => write!(f, "result=gp why=\"{}\"", fault.cause),
        }
    }
}

/// Returns the name that Intel gives a register.
const fn register_name(number: u32) -> &'static str {
    match number {
        CORE_CAPABILITIES => "IA32_CORE_CAPABILITIES",
        CONTROL => "MSR_RAR_CONTROL",
        ACTION_VECTOR_BASE => "MSR_RAR_ACTION_VECTOR_BASE",
        PAYLOAD_TABLE_BASE => "MSR_RAR_PAYLOAD_TABLE_BASE",
        INFO => "MSR_RAR_INFO",
        _ => "unknown",
    }
}

/// An entry that a unit executed.
pub(crate) struct Entry {
    pub(crate) execution: Execution,
    /// The hash of the payload when a signal announced it, and when it was executed.
    pub(crate) announced: Option<u64>,
    pub(crate) hash: u64,
    pub(crate) cr3: u64,
    pub(crate) interrupts: InterruptFlag,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Execution {
            index,
            words,
            decoded,
            outcome,
        } = self.execution;
        let [control, ..] = words;
        let [_, kind, _, _, subtype, ..] = control.to_le_bytes();
        let subtype = subtype & 0b111;
        write!(f, "entry slot={index} type={kind} subtype={subtype} ")?;
        if let Ok(action) = decoded {
            write!(f, "what=\"{action}\" ")?;
        }
        let verdict = verdict(outcome);
        write!(f, "verdict={} ", verdict.name())?;
        if verdict != EntryVerdict::Performed {
            write!(f, "why=\"{outcome}\" ")?;
        }
        let byte = match outcome.status() {
            Some(SUCCESS) => "success",
            Some(_) => "failure",
            None => "pending",
        };
        let payload = match self.announced {
            None => "unannounced",
            Some(announced) if announced == self.hash => "same",
            Some(_) => "changed",
        };
        let flag = u8::from(self.interrupts == InterruptFlag::Set);
        let (cr3, words) = (self.cr3, Words(words));
        write!(
            f,
            "byte={byte} payload={payload} if={flag} cr3={cr3:#x} {words}"
        )
    }
}

impl Entry {
    /// Returns why the unit refused it, if it did: an offence.
    pub(crate) fn refused(&self) -> Option<Outcome> {
        let outcome = self.execution.outcome;
        (verdict(outcome) == EntryVerdict::Refused).then_some(outcome)
    }

    /// Returns whether the payload was changed after a signal announced it: an offence.
    pub(crate) fn is_changed(&self) -> bool {
        self.announced
            .is_some_and(|announced| announced != self.hash)
    }
}

#[cfg(test)]
mod tests;
