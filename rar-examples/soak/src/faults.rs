//! Faults, and the effect that the driver promises for each.

use core::sync::atomic::Ordering;

use rar_percpu::CpuId;
use rar_suite::Platform;
use rar_vocabulary::{Backend, SoakFault};

use crate::accounts::{BY_GENERATION, DEMOTIONS, ERRORS, FALLBACKS, of, only, since};
use crate::doing::Doing;
use crate::failure::Kind;
use crate::frames::Freed;
use crate::leader::Leader;
use crate::mood::Mood;
use crate::order::Order;
use crate::plan::Plan;
use crate::tally::add;

/// The most flushes that a CPU stays offline for.
const MOST_AWAY: u32 = 8;

/// What was seen of a fault: whether the driver did as it promises, and a number for the report.
pub(crate) struct Seen {
    pub(crate) as_promised: bool,
    pub(crate) number: u64,
}

impl<L: Platform> Leader<'_, '_, L> {
    /// Chooses a fault for the next flush, and the CPU that bears it.
    pub(crate) fn choose_fault(&mut self) -> Option<(SoakFault, u32)> {
        if self.cpu.cpus() < 2 || self.away.is_some() {
            return None;
        }
        let distance = 1 + self.random.below(self.cpu.cpus() - 1);
        let victim = (self.cpu.me + distance) % self.cpu.cpus();
        let has_units = self.cpu.platform.units().is_some();
        if self.random.one_in(self.options.offline_every) {
            let fault = match has_units && self.random.one_in(2) {
                true => SoakFault::Suspended,
                false => SoakFault::Offline,
            };
            return Some((fault, victim));
        }
        // The others need the CPU where the flush expects it.
        if self.mood == Mood::Wandering || !self.random.one_in(self.options.fault_every) {
            return None;
        }
        let fault = match self.random.below(12) {
            0..3 => SoakFault::DeafToSignals,
            3..5 => SoakFault::DeafToEverything,
            5..7 if has_units => SoakFault::RegistersLost,
            7..9 if self.can_crash(victim) => SoakFault::Dead,
            _ => SoakFault::InterruptsOff,
        };
        let without_nmi = self.by_software() && !self.cpu.platform.has_nmi();
        // Nothing reaches such a CPU before it enables interrupts.
        let may_hang = fault == SoakFault::InterruptsOff && without_nmi;
        (!may_hang).then_some((fault, victim))
    }

    fn can_crash(&self, victim: u32) -> bool {
        let crash = self.cpu.platform.crash();
        crash.is_ok_and(|crash| crash.can_crash(CpuId::new(victim)))
    }

    fn by_software(&self) -> bool {
        self.cpu.platform.backend() == Backend::Software
    }

    /// Makes a flush that meets a fault, and judges what the driver does about it.
    pub(crate) fn flush_with_fault(&mut self, fault: SoakFault, victim: u32, plan: &Plan) {
        let shared = self.cpu.shared;
        let word = self.prepare(plan, Some((fault, victim)));
        self.count_from_here();
        let freed = self.cpu.change(plan);
        let mut seen = match fault {
            SoakFault::DeafToEverything | SoakFault::Dead => {
                self.flush_in_vain(fault, plan, freed, victim)
            }
            _ => {
                let flushed = self.cpu.flush(plan, freed, &mut self.random);
                let seen = self.look_at(fault, victim, flushed.is_ok());
                shared.flushed.store(word, Ordering::Release);
                match flushed {
                    Ok(freed) => self.finish(plan, &freed),
                    Err(late) => self.wait_again(plan, late),
                }
                seen
            }
        };
        if is_away(fault) && seen.as_promised {
            self.away = Some((victim, 1 + self.random.below(MOST_AWAY)));
        } else {
            self.start_if_dead(victim);
            self.recover();
            // A unit that was silent is used again.
            seen.as_promised &= !self.cpu.is_demoted(victim);
        }
        self.account_for(fault, victim, plan, &seen);
        self.count_from_here();
    }

    fn recover(&self) {
        self.order(Order::Recover);
        self.cpu.platform.shootdown().domain().reclaim_slots();
    }

    /// Counts a fault whose round is over, unless the host disturbed the round.
    pub(crate) fn account_for(&self, fault: SoakFault, victim: u32, plan: &Plan, seen: &Seen) {
        let tally = &self.cpu.shared.tally;
        if !seen.as_promised && self.cpu.lost_time_since(self.counted_at) {
            add(&tally.pauses, 1);
            return;
        }
        tally.injected(fault);
        if seen.as_promised {
            tally.accounted(fault);
        } else {
            let (kind, doing) = (Kind::Unaccounted, Doing::Fault(fault));
            let place = (plan.space, 0);
            self.cpu.fail_as(kind, doing, victim, place, 1, seen.number);
        }
    }

    /// Looks at what the driver did in a flush that has returned.
    fn look_at(&self, fault: SoakFault, victim: u32, succeeded: bool) -> Seen {
        let counted = since(&self.cpu.counters(), &self.counted);
        let fallbacks = of(&counted, FALLBACKS);
        let by_fallback = fallbacks > 0 && only(&counted, &[FALLBACKS, DEMOTIONS]);
        let as_promised = match fault {
            SoakFault::Offline | SoakFault::Suspended => {
                let domain = self.cpu.platform.shootdown().domain();
                !domain.is_online(CpuId::new(victim)) && only(&counted, &[])
            }
            SoakFault::DeafToSignals | SoakFault::DeafToEverything => by_fallback,
            SoakFault::RegistersLost => by_fallback && self.cpu.is_demoted(victim),
            // Its flush is no round of its own.
            SoakFault::UnitsRefused | SoakFault::Dead => false,
            SoakFault::InterruptsOff => {
                // The flush has returned although the CPU still spins: an NMI reached it, or its
                // unit ignores whether interrupts are enabled.
                let spins = self.cpu.shared.post(victim).spins.load(Ordering::Acquire);
                let means = match self.by_software() {
                    true => by_fallback,
                    false => only(&counted, &[]),
                };
                spins && means
            }
        };
        Seen {
            as_promised: as_promised && succeeded,
            number: fallbacks,
        }
    }

    /// The flush must fail and name the CPU; a second wait ends once the CPU hears again, or is
    /// declared dead.
    fn flush_in_vain(&mut self, fault: SoakFault, plan: &Plan, freed: Freed, victim: u32) -> Seen {
        let cpu = CpuId::new(victim);
        let crash = self.cpu.platform.crash().ok();
        let crash = crash.filter(|_| fault == SoakFault::Dead);
        if let Some(crash) = crash {
            let has_crashed = || crash.has_crashed(cpu);
            self.cpu.wait_until("a CPU that crashes", has_crashed);
        }
        let flushed = self.cpu.flush_in_vain(plan, freed);
        let named = flushed.as_ref().err().and_then(|late| late.cpu);
        match crash {
            Some(crash) => crash.bury(cpu),
            None => {
                self.order(Order::Recover);
            }
        }
        match flushed {
            Ok(freed) => self.finish(plan, &freed),
            Err(late) => self.wait_again(plan, late),
        }
        let counted = since(&self.cpu.counters(), &self.counted);
        let expected = [FALLBACKS, DEMOTIONS, ERRORS, BY_GENERATION];
        Seen {
            as_promised: named == Some(cpu)
                && of(&counted, ERRORS) == 1
                && only(&counted, &expected),
            number: of(&counted, ERRORS),
        }
    }

    /// Starts a CPU that was declared dead: it comes online as a new one.
    fn start_if_dead(&self, victim: u32) {
        let cpu = CpuId::new(victim);
        if let Ok(crash) = self.cpu.platform.crash()
            && crash.has_crashed(cpu)
        {
            crash.start(cpu);
        }
    }

    /// One flush less until the CPU that is away comes back.
    pub(crate) fn count_down(&mut self) {
        match self.away {
            Some((victim, 0)) => self.bring_back(victim),
            Some((victim, left)) => self.away = Some((victim, left - 1)),
            None => {}
        }
    }

    /// Lets the CPU that is offline come online again.
    pub(crate) fn bring_back(&mut self, victim: u32) {
        self.away = None;
        self.start_if_dead(victim);
        self.order(Order::Recover);
        let domain = self.cpu.platform.shootdown().domain();
        if !domain.is_online(CpuId::new(victim)) {
            let (kind, doing) = (Kind::Unaccounted, Doing::Fault(SoakFault::Offline));
            let place = (self.cpu.space(), 0);
            self.cpu.fail_as(kind, doing, victim, place, 1, 0);
        }
    }
}

/// Whether the CPU that bears a fault stays away for some flushes.
const fn is_away(fault: SoakFault) -> bool {
    matches!(
        fault,
        SoakFault::Offline | SoakFault::Suspended | SoakFault::Dead
    )
}
