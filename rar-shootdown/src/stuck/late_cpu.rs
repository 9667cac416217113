//! What can be seen of one CPU that is late.

use rar_percpu::{
    ActionByte, ActionState, Answer, ApicId, CpuId, FlushStatus, Responder, SlotIndex,
};

use super::Stuck;

/// One late CPU of a [`Stuck`] flush, as it was when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct LateCpu {
    /// The CPU.
    pub cpu: CpuId,
    /// Its APIC id; `None` if it is no longer registered.
    pub apic_id: Option<ApicId>,
    /// Who answers for it.
    pub responder: Responder,
    /// Whether it takes part in flushes.
    pub is_online: bool,
    /// Whether it has done the full flush since the last look, or needs no flush any more: the next
    /// look sees that. What it has answered to entries is in `answer`.
    pub has_flushed: bool,
    /// What it has answered to the entries of the flush; `None` if it was not sent any. Once the
    /// flush is late, `Success` says no more than that the answers are final.
    pub answer: Option<Answer>,
    /// What was requested of it by generation, what it has done, and its modes; `None` if it is no
    /// longer registered.
    pub status: Option<FlushStatus>,
    /// How many bytes of its action vector are not final: entries of this flush and of others.
    pub open_entries: usize,
    /// Whether flushes that it has started itself hold slots: it may wait, too.
    pub holds_slots: bool,
}

impl LateCpu {
    pub(super) fn read<const WORDS: usize>(stuck: &Stuck<'_, WORDS>, cpu: CpuId) -> Self {
        let domain = stuck.domain;
        let state = domain.cpu(cpu);
        let answer = stuck
            .entries
            .filter(|entries| entries.open().contains(cpu))
            .map(|entries| entries.answer(cpu));
        let ticket = stuck.ticket;
        Self {
            cpu,
            apic_id: state.and_then(rar_percpu::PerCpu::apic_id),
            responder: state.map_or(Responder::None, rar_percpu::PerCpu::responder),
            is_online: domain.is_online(cpu),
            has_flushed: domain.needs_no_answer(cpu, stuck.since)
                || ticket.is_some_and(|ticket| domain.is_flushed(cpu, ticket)),
            answer,
            status: state.map(|state| state.generation().status()),
            open_entries: state.map_or(0, |state| {
                SlotIndex::all()
                    .filter(|slot| !state.vector().load(*slot).is_final())
                    .count()
            }),
            holds_slots: domain.holds_slots(cpu),
        }
    }

    /// Returns whether another CPU is in the same state.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let (cpu, apic_id) = (self.cpu, self.apic_id);
        *self
            == Self {
                cpu,
                apic_id,
                ..*other
            }
    }
}

/// The state without the CPU's name.
pub(super) struct State<'l>(pub(super) &'l LateCpu);

impl core::fmt::Display for State<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let late = self.0;
        f.write_str(match (late.is_online, late.responder) {
            (_, Responder::Microcode) => "RAR",
            (_, Responder::Software) => "software",
            _ => "no responder",
        })?;
        if !late.is_online {
            f.write_str(", offline")?;
        }
        match late.answer {
            None => {}
            Some(Answer::Success) => f.write_str(", entries answered")?,
            Some(Answer::Failure(slot)) => write!(f, ", slot {slot} FAILURE")?,
            Some(Answer::Open(slot, byte)) => {
                write!(f, ", slot {slot} {} ({:#04x})", name(byte), byte.0)?;
            }
        }
        if let Some(status) = late.status {
            write!(f, ", {status}")?;
        }
        match late.open_entries {
            1 => f.write_str(", 1 open entry")?,
            open => write!(f, ", {open} open entries")?,
        }
        if late.holds_slots {
            f.write_str(", own flushes in flight")?;
        }
        if late.has_flushed {
            f.write_str(", has flushed since")?;
        }
        Ok(())
    }
}

fn name(byte: ActionByte) -> &'static str {
    match byte.state() {
        Ok(ActionState::Success) => "SUCCESS",
        Ok(ActionState::Pending) => "PENDING",
        Ok(ActionState::Failure) => "FAILURE",
        Err(_) if byte.is_taken() => "in progress",
        Err(_) => "unknown",
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn each_byte_of_an_action_vector_has_its_name() {
        let names = [0, 1, 0x80, 0x40, 0x41, 0xff].map(|byte| name(ActionByte(byte)));
        let expected = ["SUCCESS", "PENDING", "FAILURE"];
        assert_eq!(names[..3], expected);
        assert_eq!(names[3..], ["in progress", "unknown", "unknown"]);
    }
}
