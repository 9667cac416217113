//! The answer in one word, which is also the exit code.

use crate::cpu_facts::{CpuFacts, Rar};

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All CPUs have the same RAR, and the model is listed.
    Usable,
    /// No CPU has RAR.
    Absent,
    /// The probe could not find out.
    Unknown,
    /// Some CPUs have RAR and others do not, or not the same.
    Disagree,
    /// All CPUs say that they have RAR, and a driver refuses the model or the registers.
    Refused,
}

impl Verdict {
    /// Returns the exit code of the program.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usable => 0,
            Self::Absent => 1,
            Self::Unknown => 3,
            Self::Disagree => 4,
            Self::Refused => 5,
        }
    }

    /// Judges all CPUs. A disagreement that was seen counts more than a CPU that was not.
    pub(crate) fn of(cpus: &[CpuFacts]) -> Self {
        let any = |kind: fn(&Rar) -> bool| cpus.iter().any(|cpu| kind(&cpu.rar));
        let present = any(|rar| matches!(rar, Rar::Present { .. }));
        let absent = any(|rar| matches!(rar, Rar::Absent(_)));
        let refused = any(|rar| matches!(rar, Rar::Refused(_) | Rar::Blank));
        let unlisted = cpus.iter().any(|cpu| {
            let listed = cpu.signature.and_then(rar_regs::CpuSignature::listed);
            cpu.rar.support().is_some() && listed.is_none()
        });
        let kinds = [present, absent, refused]
            .iter()
            .filter(|kind| **kind)
            .count();
        if kinds > 1 || any(|rar| matches!(rar, Rar::Differs { .. })) {
            Self::Disagree
        } else if kinds == 0 || any(|rar| matches!(rar, Rar::Unknown(_))) {
            Self::Unknown
        } else if absent {
            Self::Absent
        } else if refused || unlisted {
            Self::Refused
        } else {
            Self::Usable
        }
    }
}
