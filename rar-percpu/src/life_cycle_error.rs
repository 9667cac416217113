//! Why a CPU could not take its next step.

use rar_regs::{AddressError, MsrFault, SupportError};

use crate::cpu_id::CpuId;
use crate::register_error::RegisterError;

/// Why a CPU could not come up, or not be disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LifeCycleError {
    /// The CPU cannot be registered.
    Register(RegisterError),
    /// The CPU was never registered with the domain.
    NotRegistered(CpuId),
    /// The CPU is online, or another value drives it, or a step of it is under way.
    Taken(CpuId),
    /// A step was taken on another CPU than the one the value belongs to.
    WrongCpu {
        /// The CPU that the value drives.
        driven: CpuId,
        /// The CPU that the code runs on.
        cpu: CpuId,
    },
    /// The CPU that the value belongs to was declared dead; its number may be another's by now.
    Dead(CpuId),
    /// A CPU whose microcode answers was to be marked as running a guest.
    GuestUnderRar(CpuId),
    /// This CPU does not have the RAR that the boot CPU was detected with.
    Support(SupportError),
    /// The domain refuses RAR units ([`Domain::refuse_units`](crate::Domain::refuse_units)).
    UnitsRefused(CpuId),
    /// The kernel knows no physical address for the memory.
    NoPhysicalAddress(SharedMemory),
    /// The memory's physical address cannot go into the register.
    Address(AddressError),
    /// Access to a register faulted.
    Msr(MsrFault),
    /// A register did not keep what was written, as on an emulator that swallows writes to
    /// registers it does not know.
    NotRetained {
        /// The register's address.
        msr: u32,
        /// What was written.
        written: u64,
        /// What was read back.
        read: u64,
    },
}

/// A piece of memory that a RAR unit reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SharedMemory {
    /// The payload table.
    PayloadTable,
    /// A CPU's action vector.
    ActionVector,
}

impl From<RegisterError> for LifeCycleError {
    fn from(error: RegisterError) -> Self {
        Self::Register(error)
    }
}

impl From<SupportError> for LifeCycleError {
    fn from(error: SupportError) -> Self {
        Self::Support(error)
    }
}

impl From<AddressError> for LifeCycleError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<MsrFault> for LifeCycleError {
    fn from(error: MsrFault) -> Self {
        Self::Msr(error)
    }
}

impl core::fmt::Display for LifeCycleError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotRegistered(cpu) => write!(
                f,
                "CPU {cpu} is not registered; call Domain::register first"
            ),
            Self::Taken(cpu) => {
                write!(
                    f,
                    "CPU {cpu} is online, or another value drives it; take it offline or drop that \
                     first"
                )
            }
            Self::WrongCpu { driven, cpu } => {
                write!(
                    f,
                    "CPU {cpu} cannot take a step of CPU {driven}; take it on CPU {driven}"
                )
            }
            Self::Dead(cpu) => {
                write!(
                    f,
                    "CPU {cpu} was declared dead; register it and bring it up anew"
                )
            }
            Self::GuestUnderRar(cpu) => {
                write!(
                    f,
                    "CPU {cpu} runs guests while its microcode answers; bring it online as a \
                     SoftwareCpu"
                )
            }
            Self::Support(error) => {
                write!(f, "this CPU does not have the RAR of the boot CPU: {error}")
            }
            Self::UnitsRefused(cpu) => {
                write!(
                    f,
                    "CPU {cpu} cannot use RAR: the domain refuses units, since CPUs disagree; \
                     bring it online as a SoftwareCpu"
                )
            }
            Self::NoPhysicalAddress(memory) => {
                write!(f, "the kernel gave no physical address for the {memory}")
            }
            Self::Register(error) => error.fmt(f),
            Self::Address(error) => error.fmt(f),
            Self::Msr(error) => error.fmt(f),
            Self::NotRetained { msr, written, read } => {
                write!(
                    f,
                    "MSR {msr:#x} did not keep {written:#x} but reads {read:#x}; there is no \
                     working RAR here"
                )
            }
        }
    }
}

impl core::fmt::Display for SharedMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::PayloadTable => "payload table",
            Self::ActionVector => "action vector",
        })
    }
}

impl core::error::Error for LifeCycleError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Register(error) => Some(error),
            Self::Support(error) => Some(error),
            Self::Address(error) => Some(error),
            Self::Msr(error) => Some(error),
            _ => None,
        }
    }
}

/// A step down that failed, with the value that would have taken it.
#[derive(Debug)]
pub struct StepError<T> {
    /// Why it failed.
    pub cause: LifeCycleError,
    /// The value that drives the CPU, in the state it was in.
    pub cpu: T,
}

impl<T> core::fmt::Display for StepError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.cause.fmt(f)
    }
}

impl<T: core::fmt::Debug> core::error::Error for StepError<T> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.cause.source()
    }
}
