//! What happens to a machine while tests run, without any fault of the driver.

use std::sync::atomic::{AtomicU64, Ordering};

use rar_suite::Disturbances;

/// What happens to a machine while tests run, without any fault of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// How many changes of an entry also empty their CPU's TLB, as a small TLB may evict.
    pub forgets: u64,
    /// How often a CPU that waits is paused, as by a hypervisor: when an interrupt is sent to it.
    pub pauses: u64,
    /// How many moments of that CPU a pause takes.
    pub moments: u32,
    /// Whether an NMI that no code asked for is counted at each pause.
    pub nmis: bool,
    /// Whether a CPU that leaves a guest forgets its translations, as the manual permits.
    pub exits_forget: bool,
    /// Whether a unit that a test makes deaf loses its signals; it holds them otherwise.
    pub loses_signals: bool,
}

impl Trouble {
    /// Nothing happens.
    pub const NONE: Self = Self {
        forgets: 0,
        pauses: 0,
        moments: 0,
        nmis: false,
        exits_forget: false,
        loses_signals: false,
    };
}

/// The trouble that is left.
#[derive(Debug)]
pub(super) struct TroubleLeft {
    trouble: Trouble,
    forgets: AtomicU64,
    pauses: AtomicU64,
    nmis: AtomicU64,
}

impl TroubleLeft {
    pub(super) const fn new(trouble: Trouble) -> Self {
        Self {
            trouble,
            forgets: AtomicU64::new(trouble.forgets),
            pauses: AtomicU64::new(trouble.pauses),
            nmis: AtomicU64::new(0),
        }
    }

    /// An entry was changed; returns whether its CPU forgets its translations.
    pub(super) fn forgets(&self) -> bool {
        take(&self.forgets)
    }

    /// A CPU has left a guest; returns whether it forgets its translations.
    pub(super) const fn forgets_at_exit(&self) -> bool {
        self.trouble.exits_forget
    }

    /// Returns whether a unit that is deaf loses its signals.
    pub(super) const fn loses_signals(&self) -> bool {
        self.trouble.loses_signals
    }

    /// Returns whether some pause is left.
    pub(super) fn may_pause(&self) -> bool {
        self.pauses.load(Ordering::SeqCst) > 0
    }

    /// An interrupt is sent to a CPU that waits; returns how many moments it does not run.
    pub(super) fn pause(&self) -> u32 {
        if !take(&self.pauses) {
            return 0;
        }
        self.nmis
            .fetch_add(u64::from(self.trouble.nmis), Ordering::SeqCst);
        self.trouble.moments
    }

    pub(super) fn disturbances(&self) -> Disturbances {
        Disturbances {
            nmis: self.nmis.load(Ordering::SeqCst),
            ..Disturbances::NONE
        }
    }
}

/// Takes one, if there is one.
fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}
