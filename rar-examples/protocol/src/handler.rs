//! The steps of `Domain::answer`, in an interrupt handler, in an NMI handler above it, in a spin.

use crate::invariant::Invariant;
use crate::model::Model;
use crate::mutant::Mutant;
use crate::state::{
    At, Byte, DEMOTED, DISTRUSTED, Frame, Mask, Responder, SLOTS, Stage, State, Target, bit, has,
};
use crate::transition::Transition;

impl Model {
    /// Begins a call of `answer`.
    pub(crate) fn enter(&self, next: &mut State, t: usize, what: Transition) -> bool {
        let target = &mut next.targets[t];
        let depth = usize::from(target.depth);
        match what {
            Transition::TakeInterrupt => {
                let disabled = self.scenario.each_other && next.initiators[t].at != At::Done;
                if !target.irq || depth != 0 || disabled || !target.has_interrupts_enabled() {
                    return false;
                }
                target.irq = false;
            }
            Transition::TakeNmi => {
                let above = depth.checked_sub(1).map(|top| target.frames[top]);
                if !target.nmi || target.is_dead() || above.is_some_and(|frame| frame.nmi) {
                    return false;
                }
                target.nmi = false;
            }
            Transition::ServeInSpin => {
                let spins = matches!(next.initiators[t].at, At::Await | At::Wait);
                if !self.scenario.each_other || !spins || depth != 0 || !target.has_work() {
                    return false;
                }
                if self.is(Mutant::SpinServesNothing) {
                    return false;
                }
            }
            _ => return false,
        }
        if target.known && target.is_asked() {
            let stage = match target.responder {
                Responder::Software => Stage::Scan,
                _ => Stage::Newest,
            };
            target.frames[depth] = Frame {
                stage,
                nmi: what == Transition::TakeNmi,
                ..Frame::default()
            };
            target.depth += 1;
        }
        true
    }

    /// Makes a step of the newest call of `answer`.
    pub(crate) fn serve(&self, next: &mut State, t: usize, what: Transition, to: usize) -> bool {
        let changed = next.changed;
        let payload = next.payload;
        let target = &mut next.targets[t];
        let Some(top) = usize::from(target.depth).checked_sub(1) else {
            return false;
        };
        let frame = &mut target.frames[top];
        match (what, frame.stage) {
            (Transition::ScanVector, Stage::Scan) => {
                frame.scan = in_use(&target.bytes);
                frame.stage = if frame.scan == 0 {
                    Stage::Newest
                } else {
                    Stage::Take
                };
            }
            (Transition::TakeEntry, Stage::Take) if has(frame.scan, to) => {
                frame.scan &= !bit(to);
                let byte = &mut target.bytes[to];
                let pending = *byte == Byte::Pending;
                let takes = pending || self.is(Mutant::TakesWithoutExchange);
                if takes {
                    *byte = Byte::Taken;
                    frame.taken |= bit(to);
                }
                if frame.scan == 0 {
                    frame.stage = self.after_finish(frame.taken);
                }
                if takes && !pending {
                    next.breaks(Invariant::I11);
                }
            }
            (Transition::FlushEntry, Stage::Entry) if has(frame.taken, to) => {
                if let Some(flush) = usize::from(payload[to]).checked_sub(1) {
                    target.stale &= !bit(flush);
                }
                frame.work = to as u8 + 1;
                frame.stage = Stage::Finish;
                if self.is(Mutant::AnswersBeforeFlush) {
                    self.finished(frame, to);
                }
            }
            (Transition::FinishEntry, Stage::Finish) if has(frame.taken, to) => {
                let flushed = usize::from(frame.work) == to + 1;
                if !flushed && !self.is(Mutant::AnswersBeforeFlush) {
                    return false;
                }
                let byte = &mut target.bytes[to];
                if *byte == Byte::Taken {
                    *byte = Byte::Success;
                }
                if self.is(Mutant::AnswersBeforeFlush) {
                    frame.stage = Stage::Entry;
                } else {
                    self.finished(frame, to);
                }
                let enabled = target.unit.enabled;
                if !flushed {
                    next.breaks(Invariant::I4);
                }
                if enabled {
                    next.breaks(Invariant::I3);
                }
            }
            (Transition::ReadNewest, Stage::Newest) => {
                if target.newest > target.completed {
                    frame.newest = target.newest;
                    frame.stage = Stage::FlushAll;
                } else {
                    target.after_generation();
                }
            }
            (Transition::FlushAll, Stage::FlushAll) => {
                frame.stage = Stage::Publish;
                target.stale &= !changed;
            }
            (Transition::Complete, Stage::Publish) => {
                let read = match self.is(Mutant::CompletesNewer) {
                    true => target.newest,
                    false => frame.newest,
                };
                target.completed = target.completed.max(read);
                target.after_generation();
            }
            (Transition::LookQuiet, Stage::Quiet) => {
                if target.bytes.iter().all(|byte| byte.is_final()) {
                    frame.stage = Stage::Promote;
                } else {
                    target.pop();
                }
            }
            (Transition::Promote, Stage::Promote) => {
                frame.stage = Stage::CountPromotion;
                if !target.promote() {
                    target.pop();
                }
            }
            (Transition::CountPromotion, Stage::CountPromotion) => {
                target.pop();
                next.exceptions = next.exceptions.wrapping_sub(1);
            }
            _ => return false,
        }
        true
    }

    fn after_finish(&self, taken: Mask) -> Stage {
        match (taken, self.is(Mutant::AnswersBeforeFlush)) {
            (0, _) => Stage::Newest,
            (_, false) => Stage::Entry,
            (_, true) => Stage::Finish,
        }
    }

    fn finished(&self, frame: &mut Frame, slot: usize) {
        frame.taken &= !bit(slot);
        frame.work = 0;
        frame.stage = self.after_finish(frame.taken);
    }
}

/// Returns the slots whose byte is not SUCCESS.
pub(crate) fn in_use(bytes: &[Byte; SLOTS]) -> Mask {
    let used = (0..SLOTS).filter(|slot| bytes[*slot] != Byte::Success);
    used.fold(0, |set, slot| set | bit(slot))
}

impl Target {
    /// Whether the vector or the generation holds work: as `is_asked`, without the promotion.
    pub(crate) fn has_work(&self) -> bool {
        self.responder == Responder::Software && in_use(&self.bytes) != 0
            || self.newest > self.completed
    }

    /// As `is_asked` in `responder.rs`.
    fn is_asked(&self) -> bool {
        self.has_work() || self.is_trusted_when_quiet()
    }

    fn is_trusted_when_quiet(&self) -> bool {
        self.flags & (DEMOTED | DISTRUSTED) == DEMOTED
    }

    /// Goes on behind the generation: to the promotion, or back.
    fn after_generation(&mut self) {
        if self.is_trusted_when_quiet() {
            let top = usize::from(self.depth) - 1;
            self.frames[top].stage = Stage::Quiet;
        } else {
            self.pop();
        }
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.frames[usize::from(self.depth)] = Frame::default();
    }

    /// As `FlushGeneration::promote`; returns whether that is news.
    pub(crate) fn promote(&mut self) -> bool {
        let news = self.flags & DEMOTED != 0;
        self.flags &= !(DEMOTED | DISTRUSTED);
        news
    }
}
