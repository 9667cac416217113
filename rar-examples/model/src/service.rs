//! The handler: scan, execute, answer.

use core::sync::atomic::Ordering;

use crate::latch::Latched;
use crate::resolve::execute;
use crate::{
    ACKED, Acked, Action, Activity, Execution, HeldBy, Illegal, InterruptFlag, Knobs, LatchClear,
    NoRecord, Outcome, PENDING, Pass, PhysicalMemory, RarUnit, Recorder, SUCCESS, Scan, ScanOrder,
    Serviced, Sleep, Tlb, Wake,
};

/// Bytes in an action vector, and bytes in a payload.
const LINE: u64 = 64;

impl RarUnit {
    /// Serves a latched signal, if there is one and the CPU's state allows it.
    ///
    /// The simulator calls this between two instructions of the CPU. With the default knobs: the latch is cleared, then the own vector
    /// is scanned from 0 to the highest index; each byte that reads PENDING has its payload read, judged and executed, and gets its
    /// final value only then. Other bytes are left alone.
    pub fn service(
        &self,
        interrupts: InterruptFlag,
        memory: &impl PhysicalMemory,
        tlb: &mut impl Tlb,
    ) -> Serviced {
        self.service_recorded(interrupts, memory, tlb, &mut NoRecord)
    }

    /// Does what [`service`](Self::service) does and hands a record of every PENDING entry to `recorder`.
    pub fn service_recorded(
        &self,
        interrupts: InterruptFlag,
        memory: &impl PhysicalMemory,
        tlb: &mut impl Tlb,
        recorder: &mut impl Recorder,
    ) -> Serviced {
        if !self.registers.is_enabled() {
            return Serviced::Disabled;
        }
        if !self.pending() {
            return Serviced::Idle;
        }
        if let Some(reason) = self.held(interrupts) {
            return Serviced::Held(reason);
        }
        let mut pass = Pass {
            succeeded: 0,
            failed: 0,
            unanswered: 0,
            wake: self.wake(),
        };
        let latched = match self.knobs.latch_clear {
            LatchClear::BeforeScan => self.latch.take(),
            LatchClear::AfterScan => self.latch.get(),
        };
        let scans = if self.knobs.scan == Scan::Twice { 2 } else { 1 };
        for _ in 0..scans {
            self.scan(latched, memory, tlb, &mut |execution: Execution| {
                match execution.outcome.status() {
                    Some(SUCCESS) => pass.succeeded += 1,
                    Some(_) => pass.failed += 1,
                    None => pass.unanswered += 1,
                }
                recorder.record(execution);
            });
        }
        if self.knobs.latch_clear == LatchClear::AfterScan {
            self.latch.take();
        }
        Serviced::Scanned(pass)
    }

    fn held(&self, interrupts: InterruptFlag) -> Option<HeldBy> {
        let activity = self.activity();
        let inhibited = match activity {
            Activity::Running => false,
            Activity::Halted => self.knobs.halted == Sleep::Hold,
            Activity::DeepSleep => self.knobs.deep_sleep == Sleep::Hold,
            Activity::Inhibited => true,
        };
        if inhibited {
            return Some(HeldBy::Activity(activity));
        }
        if interrupts == InterruptFlag::Clear && !self.registers.ignores_if() {
            return Some(HeldBy::InterruptFlag);
        }
        let delay = self.delay.load(Ordering::Acquire);
        if let Some(left) = delay.checked_sub(1) {
            self.delay.store(left, Ordering::Release);
            return Some(HeldBy::Delay);
        }
        None
    }

    fn wake(&self) -> Wake {
        let policy = match self.activity() {
            Activity::Halted => self.knobs.halted,
            Activity::DeepSleep => self.knobs.deep_sleep,
            Activity::Running | Activity::Inhibited => Sleep::Serve,
        };
        if policy == Sleep::ServeAndWake {
            self.set_activity(Activity::Running);
            return Wake::Woken;
        }
        Wake::AsBefore
    }

    fn scan(
        &self,
        latched: Latched,
        memory: &impl PhysicalMemory,
        tlb: &mut impl Tlb,
        report: &mut impl FnMut(Execution),
    ) {
        let vector = self.registers.vector();
        let mut snapshot = [0; 64];
        for (byte, index) in snapshot.iter_mut().zip(0..self.knobs.table.entries()) {
            if self.knobs.scan == Scan::Snapshot {
                *byte = memory.load_u8(vector + u64::from(index));
            }
        }
        for index in order(&self.knobs) {
            let byte = match self.knobs.scan {
                Scan::Snapshot => snapshot.get(usize::from(index)).copied(),
                Scan::Live | Scan::Twice => Some(memory.load_u8(vector + u64::from(index))),
            };
            if byte == Some(PENDING) {
                report(self.serve(index, latched, memory, tlb));
            }
        }
    }

    fn serve(
        &self,
        index: u8,
        latched: Latched,
        memory: &impl PhysicalMemory,
        tlb: &mut impl Tlb,
    ) -> Execution {
        let byte = self.registers.vector() + u64::from(index);
        let words = read_payload(memory, self.registers.table() + LINE * u64::from(index));
        let decoded = Action::decode(words, &self.knobs);
        let outcome = match self.faulty(index, latched) {
            Some(outcome) => outcome,
            None => self.perform(index, decoded, byte, memory, tlb),
        };
        if let Some(status) = outcome.status() {
            memory.store_u8(byte, status);
        }
        Execution {
            index,
            words,
            decoded,
            outcome,
        }
    }

    fn perform(
        &self,
        index: u8,
        decoded: Result<Action, Illegal>,
        byte: u64,
        memory: &impl PhysicalMemory,
        tlb: &mut impl Tlb,
    ) -> Outcome {
        if self.knobs.acked == Acked::WhileExecuting {
            memory.store_u8(byte, ACKED);
        }
        if has(self.knobs.faults.early_status, index) {
            memory.store_u8(byte, SUCCESS);
        }
        match decoded {
            Ok(action) => execute(action, &self.knobs, tlb),
            Err(illegal) => Outcome::Illegal(illegal),
        }
    }

    fn faulty(&self, index: u8, latched: Latched) -> Option<Outcome> {
        let faults = &self.knobs.faults;
        if has(faults.mute, index) {
            Some(Outcome::Unanswered)
        } else if has(faults.fail, index) {
            Some(Outcome::InjectedFailure)
        } else if has(faults.lie, index)
            || latched.is_by_itself() && has(faults.lie_to_itself, index)
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

fn read_payload(memory: &impl PhysicalMemory, address: u64) -> [u64; 4] {
    [0, 8, 16, 24].map(|offset| memory.load_u64(address + offset))
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
