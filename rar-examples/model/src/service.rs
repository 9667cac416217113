//! When the handler runs, and how it changes the latch.

use core::sync::atomic::Ordering;

use crate::scan::Handler;
use crate::{
    Activity, Execution, HeldBy, InterruptFlag, LatchClear, NoRecord, Pass, PhysicalMemory,
    RarUnit, Recorder, SUCCESS, Scan, Serviced, Sleep, Tlb, Wake,
};

impl RarUnit {
    /// Serves a latched signal, if there is one and the CPU's state allows it.
    ///
    /// The simulator calls this between two instructions of the CPU. With the default knobs: the
    /// latch is cleared, then the own vector is scanned from 0 to the highest index; each byte that
    /// reads PENDING has its payload read, judged and executed, and gets its final value only then.
    /// Other bytes are left alone.
    pub fn service(
        &self,
        interrupts: InterruptFlag,
        memory: &impl PhysicalMemory,
        tlb: &mut impl Tlb,
    ) -> Serviced {
        self.service_recorded(interrupts, memory, tlb, &mut NoRecord)
    }

    /// Does what [`service`](Self::service) does and hands a record of every PENDING entry to
    /// `recorder`.
    pub fn service_recorded(
        &self,
        interrupts: InterruptFlag,
        memory: &impl PhysicalMemory,
        tlb: &mut impl Tlb,
        recorder: &mut impl Recorder,
    ) -> Serviced {
        if !self.answers() {
            return Serviced::Disabled;
        }
        if !self.pending() {
            return Serviced::Idle;
        }
        if let Some(reason) = self.held(interrupts) {
            if reason == HeldBy::Delay && self.knobs.faults.acked_while_delayed {
                self.acknowledge_all(memory);
            }
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
        let mut handler = Handler {
            unit: self,
            latched,
            memory,
            tlb,
        };
        let scans = if self.knobs.scan == Scan::Twice { 2 } else { 1 };
        for _ in 0..scans {
            handler.scan(&mut |execution: Execution| {
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
        if let Some(rest) = latched.rest() {
            self.latch.add(rest);
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
        let ignores_if = self.registers.ignores_if() && !self.knobs.faults.ignore_if_unheeded;
        if interrupts == InterruptFlag::Clear && !ignores_if {
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
}
