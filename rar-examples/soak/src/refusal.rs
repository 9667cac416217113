//! The last fault of a soak: all units are refused.

use rar_suite::Platform;
use rar_vocabulary::SoakFault;

use crate::accounts::{only, since};
use crate::faults::Seen;
use crate::leader::Leader;
use crate::order::Order;

/// How many flushes follow.
const FLUSHES: u32 = 24;

impl<L: Platform> Leader<'_, '_, L> {
    /// Refuses the units while a flush is in the air, and flushes on in software: without any
    /// fallback.
    pub(crate) fn refuse_units(&mut self) {
        let cpu = self.cpu;
        let domain = cpu.platform.shootdown().domain();
        self.move_on();
        let plan = cpu.choose(&mut self.random);
        self.prepare(&plan, None);
        let (before, begun) = (cpu.counters(), cpu.platform.now().as_nanos());
        let freed = cpu.change(&plan);
        let pending = cpu.start(&plan, freed);
        domain.refuse_units();
        self.order(Order::Switch);
        cpu.platform.switch_to_software();
        match cpu.wait(pending) {
            Ok(freed) => self.finish(&plan, &freed),
            Err(late) => self.wait_again(&plan, late),
        }
        for _ in 0..FLUSHES {
            if cpu.shared.failure.is_set() {
                break;
            }
            self.flush_once();
        }
        self.end();
        let counted = since(&cpu.counters(), &before);
        let seen = Seen {
            as_promised: domain.answered_by_units().is_empty() && only(&counted, &[]),
            number: counted.iter().sum(),
        };
        self.counted_at = begun;
        self.account_for(SoakFault::UnitsRefused, cpu.me, &plan, &seen);
    }
}
