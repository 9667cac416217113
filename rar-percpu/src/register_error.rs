//! Why a CPU could not be registered.

use rar_regs::ApicId;

use crate::cpu_id::CpuId;

/// Why [`Domain::register`](crate::Domain::register) refused a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RegisterError {
    /// The domain has no per-CPU memory, or no bit in its sets, for the CPU.
    NoRoom {
        /// The CPU that was to be registered.
        cpu: CpuId,
        /// How many CPUs the domain has room for.
        capacity: usize,
    },
    /// The APIC id is the broadcast, which is no CPU's own.
    Broadcast {
        /// The CPU that was to be registered.
        cpu: CpuId,
        /// The APIC id.
        apic_id: ApicId,
    },
    /// The CPU number is registered with another APIC id.
    OtherApicId {
        /// The CPU that was to be registered.
        cpu: CpuId,
        /// The APIC id it has.
        registered: ApicId,
        /// The APIC id that was asked for.
        requested: ApicId,
    },
    /// Another CPU number is registered with this APIC id.
    ApicIdTaken {
        /// The CPU that was to be registered.
        cpu: CpuId,
        /// The CPU that has the APIC id.
        other: CpuId,
        /// The APIC id.
        apic_id: ApicId,
    },
}

impl core::fmt::Display for RegisterError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::NoRoom { cpu, capacity } => {
                write!(
                    f,
                    "CPU {cpu} has no room in a domain of {capacity} CPUs; give it more per-CPU memory or a larger WORDS"
                )
            }
            Self::Broadcast { cpu, apic_id } => {
                write!(
                    f,
                    "CPU {cpu} cannot have APIC id {apic_id}: that is the broadcast"
                )
            }
            Self::OtherApicId {
                cpu,
                registered,
                requested,
            } => {
                write!(
                    f,
                    "CPU {cpu} is registered with APIC id {registered}, not {requested}"
                )
            }
            Self::ApicIdTaken {
                cpu,
                other,
                apic_id,
            } => {
                write!(
                    f,
                    "CPU {cpu} cannot take APIC id {apic_id}: CPU {other} has it"
                )
            }
        }
    }
}

impl core::error::Error for RegisterError {}
