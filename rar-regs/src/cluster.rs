//! A set of CPUs that one x2APIC interrupt command can reach.

use core::num::NonZeroU16;

use crate::{ApicId, DestinationError};

/// Up to 16 CPUs of one x2APIC cluster: the destination of a single interrupt command in logical
/// mode.
///
/// In x2APIC mode the hardware derives the logical address from the ID: bits 19:4 are the cluster,
/// bits 3:0 the member (SDM vol. 3, Logical Destination Mode in x2APIC Mode; documented). A set
/// always has a member.
///
/// # Examples
///
/// ```
/// use rar_regs::{ApicId, ClusterMembers, X2apicIcr};
///
/// # fn main() -> Result<(), rar_regs::DestinationError> {
/// let targets = [0x20, 0x21, 0x2f, 0x30].map(ApicId::new);
/// let mut words = [None; 4];
/// let mut used = words.iter_mut();
/// let mut group = ClusterMembers::new(targets[0])?;
/// for &target in &targets[1..] {
///     if !group.try_add(target) {
///         *used.next().unwrap() = Some(X2apicIcr::rar_cluster(group));
///         group = ClusterMembers::new(target)?;
///     }
/// }
/// *used.next().unwrap() = Some(X2apicIcr::rar_cluster(group));
///
/// assert_eq!(words[0].unwrap().bits(), 0x0002_8003_0000_0b00);
/// assert_eq!(words[1].unwrap().bits(), 0x0003_0001_0000_0b00);
/// assert_eq!(words[2], None);
/// # Ok(())
/// # }
/// ```
///
/// Where flag 19 of the FADT is set (ACPI 6.5, FORCE_APIC_PHYSICAL_DESTINATION_MODE), commands to
/// clusters may be lost: send to one CPU at a time there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClusterMembers {
    cluster: u16,
    members: u16,
}

impl ClusterMembers {
    /// Returns the set that holds this one CPU.
    ///
    /// # Errors
    ///
    /// [`DestinationError::Broadcast`] for the broadcast ID, [`DestinationError::NoCluster`] for an
    /// ID above `0xf_ffff`: the logical address has room for 20 bits of it.
    pub fn new(id: ApicId) -> Result<Self, DestinationError> {
        if id == ApicId::X2APIC_BROADCAST {
            return Err(DestinationError::Broadcast { id });
        }
        let cluster =
            u16::try_from(id.get() >> 4).map_err(|_| DestinationError::NoCluster { id })?;
        Ok(Self {
            cluster,
            members: 1 << (id.get() & 0xf),
        })
    }

    /// Returns the set of these members of a cluster; `None` if they are all of cluster `0xffff`,
    /// which is the broadcast address.
    #[must_use]
    #[inline]
    pub const fn from_parts(cluster: u16, members: NonZeroU16) -> Option<Self> {
        let members = members.get();
        if cluster == u16::MAX && members == u16::MAX {
            return None;
        }
        Some(Self { cluster, members })
    }

    /// Adds a CPU and returns whether the set now holds it; if not, it starts a set of its own.
    ///
    /// `false` means that the CPU belongs to another cluster, has no logical address, or would turn
    /// the destination into the broadcast address `0xffff_ffff` (the sixteenth member of cluster
    /// `0xffff`).
    #[must_use = "a CPU that was not added gets no signal from this set"]
    pub fn try_add(&mut self, id: ApicId) -> bool {
        let Ok(Self { cluster, members }) = Self::new(id) else {
            return false;
        };
        let grown = Self {
            cluster,
            members: self.members | members,
        };
        if cluster != self.cluster || grown.destination() == ApicId::X2APIC_BROADCAST.get() {
            return false;
        }
        *self = grown;
        true
    }

    /// Returns the number of the cluster.
    #[must_use]
    pub const fn cluster(self) -> u16 {
        self.cluster
    }

    /// Returns the members, bit `n` for the CPU whose ID ends in `n`. Never zero.
    #[must_use]
    pub const fn members(self) -> u16 {
        self.members
    }

    /// Returns the 32-bit logical destination: cluster in bits 31:16, members in bits 15:0.
    #[must_use]
    pub fn destination(self) -> u32 {
        u32::from(self.cluster) << 16 | u32::from(self.members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_one_cluster_share_a_set() {
        let mut set = ClusterMembers::new(ApicId::new(0x45)).unwrap();
        assert!(set.try_add(ApicId::new(0x40)));
        assert!(set.try_add(ApicId::new(0x45)));
        assert!(set.try_add(ApicId::new(0x4f)));
        assert!(!set.try_add(ApicId::new(0x3f)));
        assert!(!set.try_add(ApicId::new(0x50)));
        assert!(!set.try_add(ApicId::new(0x10_0045)));
        assert_eq!((set.cluster(), set.members()), (4, 0x8021));
        assert_eq!(set.destination(), 0x0004_8021);
    }

    #[test]
    fn parts_name_every_set_but_the_broadcast() {
        let members = |bits| NonZeroU16::new(bits).unwrap();
        let set = ClusterMembers::from_parts(4, members(0x8021)).unwrap();
        assert_eq!(set.destination(), 0x0004_8021);
        assert!(ClusterMembers::from_parts(0xffff, members(0x7fff)).is_some());
        assert_eq!(ClusterMembers::from_parts(0xffff, members(0xffff)), None);
    }

    #[test]
    fn ids_without_a_logical_address_are_refused() {
        let id = ApicId::new(0x12_3450);
        assert_eq!(
            ClusterMembers::new(id),
            Err(DestinationError::NoCluster { id })
        );
        let id = ApicId::X2APIC_BROADCAST;
        assert_eq!(
            ClusterMembers::new(id),
            Err(DestinationError::Broadcast { id })
        );
    }

    #[test]
    fn the_highest_id_with_a_logical_address() {
        let set = ClusterMembers::new(ApicId::new(0xf_ffff)).unwrap();
        assert_eq!(set.destination(), 0xffff_8000);
        assert!(ClusterMembers::new(ApicId::new(0x10_0000)).is_err());
    }

    #[test]
    fn a_full_last_cluster_never_becomes_a_broadcast() {
        let mut set = ClusterMembers::new(ApicId::new(0xf_fff0)).unwrap();
        for member in 1..15 {
            assert!(set.try_add(ApicId::new(0xf_fff0 + member)));
        }
        assert!(!set.try_add(ApicId::new(0xf_ffff)));
        assert_eq!(set.destination(), 0xffff_7fff);

        let mut set = ClusterMembers::new(ApicId::new(0xffe0)).unwrap();
        for member in 1..16 {
            assert!(set.try_add(ApicId::new(0xffe0 + member)));
        }
        assert_eq!(set.destination(), 0x0ffe_ffff);
    }
}
