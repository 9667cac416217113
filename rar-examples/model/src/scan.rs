//! The handler: scan, execute, answer.

use crate::latch::Latched;
use crate::resolve::execute;
use crate::{
    ACKED, Acked, Action, Execution, Illegal, Knobs, Outcome, PENDING, PhysicalMemory, RarUnit,
    SUCCESS, Scan, ScanOrder, ServedEntries, Tlb,
};

/// Bytes in a payload.
const PAYLOAD: u64 = 64;

/// The state of the handler during one call.
pub(crate) struct Handler<'a, M, T> {
    pub(crate) unit: &'a RarUnit,
    pub(crate) latched: Latched,
    pub(crate) memory: &'a M,
    pub(crate) tlb: &'a mut T,
}

impl RarUnit {
    /// Turns every PENDING byte into 0x02.
    pub(crate) fn acknowledge_all(&self, memory: &impl PhysicalMemory) {
        for index in 0..self.knobs.table.entries() {
            let byte = self.byte_of(index);
            if memory.load_u8(byte) == PENDING {
                memory.store_u8(byte, ACKED);
            }
        }
    }

    /// Returns the physical address of an action byte.
    fn byte_of(&self, index: u8) -> u64 {
        let shift = self.knobs.faults.vector_shift;
        self.registers.vector() + u64::from(shift) + u64::from(index)
    }

    /// Returns the physical address of the payload that belongs to an action byte.
    fn payload_of(&self, index: u8) -> u64 {
        let shift = self.knobs.faults.payload_shift;
        self.registers.table() + PAYLOAD * (u64::from(shift) + u64::from(index))
    }

    fn waits(&self, byte: u8) -> bool {
        byte == PENDING || byte == ACKED && self.knobs.faults.acked_while_delayed
    }
}

impl<M: PhysicalMemory, T: Tlb> Handler<'_, M, T> {
    /// Visits every byte once and reports each entry that was waiting.
    pub(crate) fn scan(&mut self, report: &mut impl FnMut(Execution)) {
        let (unit, memory) = (self.unit, self.memory);
        let knobs = &unit.knobs;
        let mut snapshot = [0; 64];
        for (byte, index) in snapshot.iter_mut().zip(0..knobs.table.entries()) {
            if knobs.scan == Scan::Snapshot {
                *byte = memory.load_u8(unit.byte_of(index));
            }
        }
        let waits = |index: &u8| {
            let byte = match knobs.scan {
                Scan::Snapshot => snapshot.get(usize::from(*index)).copied(),
                Scan::Live | Scan::Twice => Some(memory.load_u8(unit.byte_of(*index))),
            };
            byte.is_some_and(|byte| unit.waits(byte))
        };
        let mut order = order(knobs);
        let serve = |index| {
            let execution = self.execute(index);
            report(execution);
            if let Some(status) = execution.outcome.status() {
                memory.store_u8(unit.byte_of(index), status);
            }
        };
        match knobs.faults.served_entries {
            ServedEntries::All => order.filter(waits).for_each(serve),
            ServedEntries::First => order.find(waits).into_iter().for_each(serve),
            ServedEntries::Highest => order.filter(waits).max().into_iter().for_each(serve),
            ServedEntries::UpToGap => order.take_while(waits).for_each(serve),
        }
    }

    /// Does all except storing the final byte.
    fn execute(&mut self, index: u8) -> Execution {
        let byte = self.unit.byte_of(index);
        let payload = self.unit.payload_of(index);
        let words = [0, 8, 16, 24].map(|offset| self.memory.load_u64(payload + offset));
        let mut knobs = self.unit.knobs;
        knobs.linear = self.tlb.linear_width().unwrap_or(knobs.linear);
        let decoded = Action::decode(words, &knobs);
        let outcome = match self.faulty(index) {
            Some(outcome) => outcome,
            None => self.perform(index, decoded, byte),
        };
        Execution {
            index,
            words,
            decoded,
            outcome,
        }
    }

    fn perform(&mut self, index: u8, decoded: Result<Action, Illegal>, byte: u64) -> Outcome {
        if self.unit.knobs.acked == Acked::WhileExecuting {
            self.memory.store_u8(byte, ACKED);
        }
        if has(self.unit.knobs.faults.early_status, index) {
            self.memory.store_u8(byte, SUCCESS);
        }
        match decoded {
            Ok(action) => execute(action, &self.unit.knobs, self.tlb),
            Err(illegal) => Outcome::Illegal(illegal),
        }
    }

    fn faulty(&self, index: u8) -> Option<Outcome> {
        let faults = &self.unit.knobs.faults;
        if has(faults.mute, index) {
            Some(Outcome::Unanswered)
        } else if has(faults.fail, index) || self.unit.entries.is_due(faults.fail_every) {
            Some(Outcome::InjectedFailure)
        } else if has(faults.lie, index)
            || self.latched.is_by_itself() && has(faults.lie_to_itself, index)
        {
            Some(Outcome::SuccessWithoutFlush)
        } else {
            None
        }
    }
}

fn has(mask: u64, index: u8) -> bool {
    mask >> index & 1 != 0
}

/// Returns every index once, in the order of the knobs.
fn order(knobs: &Knobs) -> impl Iterator<Item = u8> + use<> {
    let entries = knobs.table.entries();
    let order = knobs.order;
    (0..entries).map(move |position| match order {
        ScanOrder::Ascending => position,
        ScanOrder::Descending => entries - 1 - position,
        ScanOrder::From(first) => (first % entries + position) % entries,
    })
}
