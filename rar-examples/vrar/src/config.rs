//! The configuration of the shim.

use core::ptr::NonNull;

use rar_model::Knobs;

use crate::trace::Trace;

/// The configuration of the shim; the same for every CPU.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Physical address `p` is mapped at `p + direct_map` in the page tables loaded at the launch,
    /// as far as the kernel needs memory, and in the host's from then on. A multiple of 1 GiB.
    pub direct_map: u64,
    /// The page of the local APIC, mapped uncached in the page tables loaded at the launch, and in
    /// the host's from then on. Not used where a launch finds the APIC in x2APIC mode.
    pub apic: NonNull<u32>,
    /// Where code and statics of the shim lie: the kernel's image.
    pub image: Image,
    /// The vector by which the shim calls another CPU out of its guest. No device may use it;
    /// guests may send it as they like.
    pub kick_vector: u8,
    /// The first vectors of the two legacy interrupt controllers at the first launch: they cannot
    /// be asked. From then on the guest may change them.
    pub pic_vectors: [u8; 2],
    /// CPUID leaf 1, EAX: the model that the guest sees. The vendor is Intel.
    pub signature: u32,
    /// The decisions of every RAR unit. MAXPHYADDR is replaced by what CPUID says.
    pub knobs: Knobs,
    /// The CPU whose unit has other knobs than the rest, if there is one.
    pub odd_unit: Option<OddUnit>,
    /// What becomes of the page of the local APIC.
    pub page: ApicPage,
    /// Whose name the guest finds in CPUID leaf 0x4000_0000.
    pub hypervisor: Hypervisor,
    /// What becomes of MONITOR and MWAIT.
    pub mwait: Mwait,
    /// What a triple fault of a guest comes to.
    pub triple_fault: TripleFault,
    /// What the shim writes about its units, and where.
    pub trace: Trace,
}

/// A unit that is not like the others: for tests of what a driver does on such a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OddUnit {
    /// The APIC id of its CPU.
    pub apic_id: u32,
    /// The decisions of this unit. MAXPHYADDR is replaced as for the others.
    pub knobs: Knobs,
}

/// What a triple fault of a guest comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripleFault {
    /// The CPU is gone, and the others live: for tests.
    LosesCpu,
    /// The shim resets the machine by port 0xcf9, as a PC does: a guest may want that.
    ResetsMachine,
}

/// Whose name the guest finds in CPUID leaf 0x4000_0000, where hypervisors have theirs. The shim's
/// own is in leaf 0x4000_0100 whatever this says: hypervisors may stand at steps of 0x100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypervisor {
    /// The machine's: leaves 0x4000_0000 to 0x4000_00ff are what the processor says.
    Machine,
    /// KVM's, without a feature. Linux goes to x2APIC mode without interrupt remapping only if a
    /// hypervisor that it knows is there.
    Kvm,
}

/// The virtual addresses of the kernel's image, with the shim's code and statics. The host maps it
/// there as it is mapped at the launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The first.
    pub start: u64,
    /// Behind the last.
    pub end: u64,
}

impl Image {
    /// All of the image is in the direct map, and it is not to be hidden.
    pub const IN_DIRECT_MAP: Self = Self { start: 0, end: 0 };
}

/// What becomes of MONITOR and MWAIT. QEMU's TCG has them, but its MWAIT ends at once: an idle loop
/// around it takes all of a host's core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mwait {
    /// They are the processor's: for a guest that tests what RAR does in a C-state.
    Shown,
    /// CPUID has none, and they raise #UD: for a guest that chooses its idle loop by CPUID, which
    /// is then HLT.
    Hidden,
}

/// What becomes of the page of the local APIC, which the guest can map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApicPage {
    /// Nothing: for a guest that goes to x2APIC mode before it sends anything, or is in it.
    Open,
    /// Nested paging takes it away, and the shim does what the guest's MOVs to it ask for. In
    /// x2APIC mode there is no page, but nested paging is on. Everything is slower.
    Trapped,
}

impl Config {
    /// A Sapphire Rapids.
    pub const SIGNATURE: u32 = 0x0008_06f8;
    /// The highest priority, and no vector that operating systems give to devices.
    pub const KICK_VECTOR: u8 = 0xfe;
    /// Behind the exceptions, as most kernels have them.
    pub const PIC_VECTORS: [u8; 2] = [0x20, 0x28];

    /// Returns the default for a kernel with this direct map and this mapping of the local APIC.
    #[must_use]
    pub const fn new(direct_map: u64, apic: NonNull<u32>) -> Self {
        Self {
            direct_map,
            apic,
            image: Image::IN_DIRECT_MAP,
            kick_vector: Self::KICK_VECTOR,
            pic_vectors: Self::PIC_VECTORS,
            signature: Self::SIGNATURE,
            knobs: Knobs::DEFAULT,
            odd_unit: None,
            page: ApicPage::Open,
            hypervisor: Hypervisor::Machine,
            mwait: Mwait::Shown,
            triple_fault: TripleFault::LosesCpu,
            trace: Trace::OFF,
        }
    }

    /// Returns the decisions of the unit of one CPU.
    pub(crate) fn knobs_of(&self, apic_id: u32) -> &Knobs {
        match &self.odd_unit {
            Some(odd) if odd.apic_id == apic_id => &odd.knobs,
            _ => &self.knobs,
        }
    }
}

#[expect(unsafe_code, reason = "a pointer to device registers")]
// SAFETY: the pointer names device registers that every CPU reaches at this address, each its own.
unsafe impl Send for Config {}
#[expect(unsafe_code, reason = "a pointer to device registers")]
// SAFETY: as for `Send`.
unsafe impl Sync for Config {}

#[cfg(test)]
mod tests {
    use rar_model::{Knobs, TableSize};

    use super::*;

    #[test]
    fn the_odd_unit_alone_has_other_knobs() {
        let mut config = Config::new(0, NonNull::dangling());
        let all = [0, 3, 7].map(|id| *config.knobs_of(id));
        assert_eq!(all, [Knobs::DEFAULT; 3]);
        let knobs = Knobs {
            table: TableSize::new(32).unwrap(),
            ..Knobs::DEFAULT
        };
        config.odd_unit = Some(OddUnit { apic_id: 3, knobs });
        let all = [0, 3, 7].map(|id| *config.knobs_of(id));
        assert_eq!(all, [Knobs::DEFAULT, knobs, Knobs::DEFAULT]);
    }
}
