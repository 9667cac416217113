//! A CPU that bears a fault.

use core::sync::atomic::Ordering;

use rar_suite::{DeafTo, Platform, Register};
use rar_vocabulary::SoakFault;

use crate::doing::Doing;
use crate::failure::Kind;
use crate::follower::Follower;
use crate::layout::ALL;
use crate::order::{Order, order_of};
use crate::state::FAULT;

impl<L: Platform> Follower<'_, '_, L> {
    /// Bears the fault of the order until it is to recover; returns that order.
    pub(crate) fn bear(&mut self, word: u64) -> u64 {
        let (cpu, platform) = (self.cpu, self.cpu.platform);
        let fault = cpu.shared.fault.load(Ordering::Acquire) as usize;
        self.forget();
        match SoakFault::ALL.get(fault) {
            Some(fault @ (SoakFault::Offline | SoakFault::Suspended)) => {
                platform.go_offline();
                if *fault == SoakFault::Suspended {
                    self.lose_registers(*fault);
                }
                let recovered = self.until_recovery(word);
                platform.come_online();
                // Its space may live no longer, or under another PCID.
                cpu.reschedule(&mut self.random);
                if !cpu.is_lazy() {
                    (0..ALL).for_each(|page| cpu.load(page));
                }
                recovered
            }
            Some(SoakFault::DeafToSignals) => self.be_deaf(DeafTo::Signals, word),
            Some(SoakFault::DeafToEverything) => self.be_deaf(DeafTo::Everything, word),
            Some(SoakFault::InterruptsOff) => self.spin(word),
            Some(fault @ SoakFault::RegistersLost) => {
                self.lose_registers(*fault);
                let recovered = self.until_recovery(word);
                self.bring_unit_back();
                recovered
            }
            Some(SoakFault::Dead) => self.die(word),
            Some(SoakFault::UnitsRefused) | None => word,
        }
    }

    /// Crashes until another CPU has buried and started this one, and comes online as a new one.
    fn die(&mut self, word: u64) -> u64 {
        let platform = self.cpu.platform;
        self.obey(word);
        if let Ok(crash) = platform.crash() {
            crash.crash();
            platform.come_online();
        }
        self.cpu.reschedule(&mut self.random);
        self.until_recovery(word)
    }

    fn be_deaf(&self, deaf_to: DeafTo, word: u64) -> u64 {
        let platform = self.cpu.platform;
        platform.set_deaf_to(deaf_to);
        let mut recovered = self.until_recovery(word);
        platform.set_deaf_to(DeafTo::Nothing);
        if deaf_to == DeafTo::Everything {
            // The flush has failed. It ends while this CPU answers again.
            recovered = self.until_recovery(recovered);
        }
        self.bring_unit_back();
        recovered
    }

    fn bring_unit_back(&self) {
        self.cpu.serve();
        if self.cpu.is_demoted(self.cpu.me) {
            self.cpu.platform.verify_unit();
        }
    }

    /// The registers of this CPU's unit become what they are at power-on.
    fn lose_registers(&self, fault: SoakFault) {
        let Some(units) = self.cpu.platform.units() else {
            return;
        };
        for register in [
            Register::Control,
            Register::ActionVectorBase,
            Register::PayloadTableBase,
        ] {
            let lost = units.write(register, 0).and_then(|()| units.read(register));
            if lost != Ok(0) {
                let (doing, place) = (Doing::Fault(fault), (self.cpu.space(), 0));
                let found = lost.unwrap_or(FAULT);
                let kind = Kind::Unaccounted;
                self.cpu.fail_as(kind, doing, self.cpu.me, place, 0, found);
            }
        }
    }

    /// Spins with interrupts disabled until the flush has returned or failed.
    fn spin(&self, word: u64) -> u64 {
        let (cpu, platform) = (self.cpu, self.cpu.platform);
        // Not the driver's timeouts: they count no time in which the host runs no CPU.
        let most = platform.timeout_seconds() * 1_000_000_000 / 2;
        platform.disable_interrupts();
        cpu.post().spins.store(true, Ordering::Release);
        self.obey(word);
        let begun = platform.now().as_nanos();
        let mut last = cpu.first_look();
        let mut is_over = || {
            let spent = cpu.look_again(&mut last).saturating_sub(begun);
            cpu.shared.flushed.load(Ordering::Acquire) >= word || spent > most
        };
        while !is_over() {
            platform.relax();
        }
        cpu.post().spins.store(false, Ordering::Release);
        platform.enable_interrupts();
        self.until_recovery(word)
    }

    /// Says that the order is obeyed, and waits for the one to recover.
    fn until_recovery(&self, word: u64) -> u64 {
        self.obey(word);
        let mut newest = word;
        self.cpu.wait_until("the order to recover", || {
            newest = self.cpu.shared.order.word();
            newest > word && order_of(newest) == Order::Recover
        });
        newest
    }
}
