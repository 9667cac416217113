//! The logical address of an xAPIC.

/// By what logical address an xAPIC is reached: 8 bits, flat or cluster by cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogicalAddress {
    pub(crate) destination: u32,
    pub(crate) format: u32,
}

impl LogicalAddress {
    pub(crate) const RESET: Self = Self {
        destination: 0,
        format: u32::MAX,
    };

    /// Returns whether a message with this destination is for the APIC (SDM vol. 3, "Logical
    /// Destination Mode").
    pub(crate) fn is_named_by(self, destination: u8) -> bool {
        let own = self.destination >> 24;
        let wanted = u32::from(destination);
        let members = own & wanted & 0xf != 0;
        match self.format >> 28 {
            0xf => own & wanted != 0,
            _ => (own >> 4 == wanted >> 4 || wanted >> 4 == 0xf) && members,
        }
    }
}
