//! The state of one unit: registers, latch, and how software reaches them.

use core::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use crate::latch::{Latch, Latched};
use crate::msr::Registers;
use crate::nth::EveryNth;
use crate::{Activity, GeneralProtection, Knobs, Loss, Sender, Signalled, Signals};

/// The RAR unit of one logical processor.
///
/// All methods take `&self`, so other threads can [`signal`](Self::signal) while the owner is in
/// [`service`](Self::service), as on real machines. Only the thread that plays the CPU writes its
/// registers, changes its activity or serves.
#[derive(Debug, Default)]
pub struct RarUnit {
    pub(crate) knobs: Knobs,
    pub(crate) registers: Registers,
    pub(crate) latch: Latch,
    pub(crate) delay: AtomicU16,
    pub(crate) entries: EveryNth,
    signals: EveryNth,
    activity: AtomicU8,
}

impl RarUnit {
    /// Returns a unit as after power-on: all registers zero, nothing latched, the CPU running.
    #[must_use]
    pub fn new(knobs: Knobs) -> Self {
        Self {
            knobs,
            ..Self::default()
        }
    }

    /// Returns the decisions of this unit.
    #[must_use]
    pub const fn knobs(&self) -> &Knobs {
        &self.knobs
    }

    /// Replaces the decisions, for faults that begin during a test. Registers and latch stay.
    pub const fn set_knobs(&mut self, knobs: Knobs) {
        self.knobs = knobs;
    }

    /// Returns what RDMSR reads.
    ///
    /// # Errors
    ///
    /// [`GeneralProtection`] for a register that is neither 0xcf nor 0xed..=0xf0.
    pub fn read_msr(&self, msr: u32) -> Result<u64, GeneralProtection> {
        self.registers.read(msr, &self.knobs)
    }

    /// Does what WRMSR does.
    ///
    /// # Errors
    ///
    /// [`GeneralProtection`] for an unknown or read-only register, for reserved bits (which include
    /// alignment and bits at or above MAXPHYADDR), and for a base register while ENABLE is 1. The
    /// register is unchanged then.
    pub fn write_msr(&self, msr: u32, value: u64) -> Result<(), GeneralProtection> {
        let answered = self.answers();
        self.registers.write(msr, value, &self.knobs)?;
        if answered && !self.answers() && self.knobs.at_disable == Signals::Drop {
            self.latch.take();
        }
        Ok(())
    }

    /// Takes a RAR message that another CPU sent; see [`signal_from`](Self::signal_from).
    pub fn signal(&self) -> Signalled {
        self.signal_from(Sender::Another)
    }

    /// Takes a RAR message from an APIC.
    ///
    /// RFLAGS.IF does not matter here: a signal is latched with IF=0 too.
    pub fn signal_from(&self, sender: Sender) -> Signalled {
        let faults = &self.knobs.faults;
        let disabled = !self.answers() && self.knobs.while_disabled == Signals::Drop;
        let inhibited =
            self.activity() == Activity::Inhibited && self.knobs.while_inhibited == Signals::Drop;
        let loss = match (disabled, inhibited) {
            (true, _) => Some(Loss::Disabled),
            (false, true) => Some(Loss::Inhibited),
            (false, false) => self
                .signals
                .is_due(faults.lose_every)
                .then_some(Loss::Fault),
        };
        if let Some(loss) = loss {
            return Signalled::Dropped(loss);
        }
        let mut signal = Latched::by(sender);
        if faults.signal_duplicated {
            signal = signal.twice();
        }
        if self.latch.add(signal).is_wanted() {
            if faults.signals_annihilate {
                self.latch.take();
                return Signalled::Dropped(Loss::Fault);
            }
            return Signalled::Merged;
        }
        self.delay.store(faults.delay, Ordering::Release);
        Signalled::Latched
    }

    /// Returns whether signals are served at all.
    pub(crate) fn answers(&self) -> bool {
        self.registers.is_enabled() || self.knobs.faults.serves_disabled
    }

    /// Returns whether a signal is latched.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.latch.get().is_wanted()
    }

    /// Does what INIT does: the latch is cleared; the registers follow their knob. The caller sets
    /// the activity.
    pub fn init(&self) {
        if !self.knobs.faults.latch_kept_at_init {
            self.latch.take();
        }
        self.registers.init(self.knobs.msrs_at_init);
    }

    /// Returns what the CPU is doing.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let code = self.activity.load(Ordering::Acquire);
        Activity::ALL
            .into_iter()
            .find(|activity| activity.code() == code)
            .unwrap_or(Activity::Running)
    }

    /// Sets the activity of the CPU.
    pub fn set_activity(&self, activity: Activity) {
        self.activity.store(activity.code(), Ordering::Release);
    }
}
