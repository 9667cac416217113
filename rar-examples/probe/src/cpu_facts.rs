//! What is true of one CPU.

use rar_regs::{
    CoreCapabilities, CpuSignature, Detection, ModelCheck, MsrFault, RarSupport, SupportError,
};

use crate::cpu_of_linux::CpuOfLinux;
use crate::registers::Registers;
use crate::{CpuNumber, Obstacle, System};

/// What is true of one CPU.
#[derive(Clone, Debug)]
pub(crate) struct CpuFacts {
    pub(crate) number: CpuNumber,
    /// `None` if the probe could not run there.
    pub(crate) signature: Option<CpuSignature>,
    pub(crate) microcode: Option<u64>,
    pub(crate) rar: Rar,
}

/// Whether a CPU has RAR.
#[derive(Clone, Debug)]
pub(crate) enum Rar {
    /// It has.
    Present {
        support: RarSupport,
        registers: Registers,
    },
    /// It has, and not the same as the first CPU.
    Differs {
        support: RarSupport,
        registers: Registers,
        why: SupportError,
    },
    /// It has not.
    Absent(SupportError),
    /// It says that it has, and a driver must refuse it.
    Refused(SupportError),
    /// It says that it has, and its `MSR_RAR_INFO` is 0, as a hypervisor answers that does not know
    /// the register.
    Blank,
    /// The probe could not find out.
    Unknown(Obstacle),
}

const BLANK: &str = "MSR_RAR_INFO is 0x0: one entry and no types (expected more), as a hypervisor \
                     answers that does not know the register; flush with interrupts";

impl CpuFacts {
    /// Asks the executing CPU. `first` is what was found on the CPU that was asked first.
    pub(crate) fn detect<S: System>(
        cpu: &CpuOfLinux<'_, S>,
        number: CpuNumber,
        first: Option<&RarSupport>,
    ) -> Self {
        Self {
            number,
            signature: Some(CpuSignature::detect(cpu)),
            microcode: None,
            rar: Rar::detect(cpu, first),
        }
    }

    /// Returns the facts of a CPU on which the probe could not run.
    pub(crate) const fn unknown(number: CpuNumber, obstacle: Obstacle) -> Self {
        Self {
            number,
            signature: None,
            microcode: None,
            rar: Rar::Unknown(obstacle),
        }
    }
}

impl Rar {
    fn detect<S: System>(cpu: &CpuOfLinux<'_, S>, first: Option<&RarSupport>) -> Self {
        // The kernel catches #GP(0), so an unlisted model may be asked too.
        let detection = Detection::new().models(ModelCheck::Any);
        let support = match detection.detect(cpu) {
            Ok(support) => support,
            Err(error) => return Self::without_support(cpu.take_obstacle(), error),
        };
        if support.info().bits() == 0 {
            return Self::Blank;
        }
        let registers = Registers::read(cpu, &support);
        match first.map(|first| first.check_cpu(cpu)) {
            Some(Err(why @ SupportError::CpuDisagrees { .. })) => Self::Differs {
                support,
                registers,
                why,
            },
            Some(Err(error)) => Self::without_support(cpu.take_obstacle(), error),
            Some(Ok(())) | None => Self::Present { support, registers },
        }
    }

    fn without_support(obstacle: Option<Obstacle>, error: SupportError) -> Self {
        match (obstacle, error) {
            (Some(obstacle), SupportError::Fault(_)) => Self::Unknown(obstacle),
            (
                _,
                SupportError::NoFeatureLeaf { .. }
                | SupportError::NoCoreCapabilities { .. }
                | SupportError::NoRarCapability { .. }
                // CPUID announces the register, and it is not there, as below some hypervisors.
                | SupportError::Fault(MsrFault {
                    msr: CoreCapabilities::MSR,
                    ..
                }),
            ) => Self::Absent(error),
            (_, error) => Self::Refused(error),
        }
    }

    /// Returns the proof, if the CPU has RAR.
    pub(crate) const fn support(&self) -> Option<&RarSupport> {
        match self {
            Self::Present { support, .. } | Self::Differs { support, .. } => Some(support),
            _ => None,
        }
    }

    /// Returns the registers, if the CPU has RAR.
    pub(crate) const fn registers(&self) -> Option<&Registers> {
        match self {
            Self::Present { registers, .. } | Self::Differs { registers, .. } => Some(registers),
            _ => None,
        }
    }

    /// Returns the sentence that says why the CPU's RAR cannot be used.
    pub(crate) fn why(&self) -> Option<String> {
        match self {
            Self::Present { .. } => None,
            Self::Differs { why, .. } => Some(why.to_string()),
            Self::Absent(error) | Self::Refused(error) => Some(error.to_string()),
            Self::Blank => Some(BLANK.to_owned()),
            Self::Unknown(obstacle) => Some(obstacle.to_string()),
        }
    }
}
