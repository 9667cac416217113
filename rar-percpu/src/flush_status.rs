//! What a CPU's flush generation says about it, for who looks for the reason of a late answer.

use crate::generation::Ticket;

/// One reading of a CPU's [`FlushGeneration`](crate::FlushGeneration).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct FlushStatus {
    /// The newest full flush that was requested of the CPU; number 0 if none was.
    pub requested: Ticket,
    /// The newest full flush that it has completed; number 0 if it has completed none.
    pub completed: Ticket,
    /// Whether it is in lazy TLB mode.
    pub is_lazy: bool,
    /// Whether it runs a guest.
    pub is_in_guest: bool,
    /// Whether its RAR unit fell silent, so that its vector is armed no more.
    pub is_demoted: bool,
    /// Whether its registers may not hold what they should.
    pub is_distrusted: bool,
}

impl core::fmt::Display for FlushStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let modes = [
            (self.is_lazy, "lazy, "),
            (self.is_in_guest, "in a guest, "),
            (self.is_demoted, "unit silent, "),
            (self.is_distrusted, "registers unverified, "),
        ];
        for (_, mode) in modes.iter().filter(|(is_on, _)| *is_on) {
            f.write_str(mode)?;
        }
        let (requested, completed) = (self.requested.number(), self.completed.number());
        match requested {
            0 => f.write_str("no full flush requested"),
            _ => write!(f, "full flush {requested} requested, {completed} done"),
        }
    }
}
