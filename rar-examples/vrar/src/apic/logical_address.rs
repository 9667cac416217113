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

    /// Returns the address by which an xAPIC answers to the messages of devices that an x2APIC with
    /// this id answers to. They have 8 bits and name members 0 to 7 of cluster 0 (SDM vol. 3,
    /// "Logical Destination Mode in x2APIC Mode").
    pub(crate) fn of_x2apic(id: u32) -> Self {
        let member = if id < 8 { 1 << (24 + id) } else { 0 };
        Self {
            destination: member,
            format: u32::MAX,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apic::Apic;

    #[test]
    fn a_device_finds_an_x2apic_where_the_machine_has_an_xapic() {
        for id in 0..20 {
            let address = LogicalAddress::of_x2apic(id);
            for destination in 0..=u8::MAX {
                // Cluster 0, as an x2APIC reads 8 bits.
                let expected = id < 16 && u32::from(destination) & 1 << id != 0;
                assert_eq!(
                    address.is_named_by(destination),
                    expected,
                    "{id} {destination:#x}"
                );
            }
        }
    }

    #[test]
    fn the_machine_follows_the_mode() {
        let mut apic = Apic::new(3, 0xfee0_0800, 0, 0x1ff);
        apic.logical_mut().destination = 0x4000_0000;
        assert_eq!(apic.machine_logical().destination, 0x4000_0000);
        apic.write_base(0xfee0_0c00).unwrap();
        assert_eq!(apic.machine_logical().destination, 0x0800_0000);
        apic.write_base(0xfee0_0000).unwrap();
        apic.write_base(0xfee0_0800).unwrap();
        assert_eq!(apic.machine_logical(), LogicalAddress::RESET);
    }
}
