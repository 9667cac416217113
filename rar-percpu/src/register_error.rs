//! Why a CPU could not be registered.

use rar_regs::ApicId;

use crate::cpu_id::CpuId;

/// Why [`Domain::register`](crate::Domain::register) or
/// [`Domain::unregister`](crate::Domain::unregister) refused a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RegisterError {
    /// The domain's sets have no bit for the CPU.
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
    /// The CPU number is registered with other memory, or another CPU registers with it at this
    /// moment.
    OtherMemory {
        /// The CPU that was to be registered.
        cpu: CpuId,
    },
    /// The memory is another CPU's, or was once: it stays with one number of one domain.
    MemoryInUse {
        /// The CPU that was to be registered.
        cpu: CpuId,
    },
    /// The CPU is not registered.
    NotRegistered {
        /// The CPU that was to be unregistered.
        cpu: CpuId,
    },
    /// The CPU is online, or a value drives it.
    Driven {
        /// The CPU that was to be unregistered.
        cpu: CpuId,
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
                    "CPU {cpu} has no room in a domain of {capacity} CPUs; use a larger WORDS"
                )
            }
            Self::Broadcast { cpu, apic_id } => {
                write!(f, "CPU {cpu} cannot have {apic_id}: that is the broadcast")
            }
            Self::OtherApicId {
                cpu,
                registered,
                requested,
            } => {
                write!(
                    f,
                    "CPU {cpu} is registered with {registered}, not {requested}"
                )
            }
            Self::OtherMemory { cpu } => {
                write!(
                    f,
                    "CPU {cpu} is registered with other memory; unregister it first"
                )
            }
            Self::MemoryInUse { cpu } => {
                write!(
                    f,
                    "CPU {cpu} cannot have this memory: another CPU or another domain has it, or \
                     had it"
                )
            }
            Self::NotRegistered { cpu } => write!(f, "CPU {cpu} is not registered"),
            Self::Driven { cpu } => {
                write!(
                    f,
                    "CPU {cpu} is online or on its way; take it offline and drop what drives it \
                     first"
                )
            }
            Self::ApicIdTaken {
                cpu,
                other,
                apic_id,
            } => {
                write!(f, "CPU {cpu} cannot take {apic_id}: CPU {other} has it")
            }
        }
    }
}

impl core::error::Error for RegisterError {}
