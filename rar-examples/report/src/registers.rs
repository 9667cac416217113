//! The registers of RAR, as they were read.

use serde::{Deserialize, Serialize};

/// What one or more CPUs with consecutive numbers have in the registers of RAR, before
/// anything was written.
///
/// CPU 0 has a record in every report; another CPU has one only if it differs from CPU 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    /// The first CPU.
    pub first_cpu: u32,
    /// How many CPUs have these values.
    pub cpus: u32,
    /// EDX of CPUID leaf 7, subleaf 0; `None` if there is no such leaf.
    pub cpuid_7_edx: Option<u32>,
    /// `IA32_CORE_CAPABILITIES`, 0xcf.
    pub core_capabilities: RegisterRead,
    /// `RAR_CONTROL`, 0xed.
    pub control: RegisterRead,
    /// `RAR_ACTION_VECTOR_BASE`, 0xee.
    pub action_vector_base: RegisterRead,
    /// `RAR_PAYLOAD_TABLE_BASE`, 0xef.
    pub payload_table_base: RegisterRead,
    /// `RAR_INFO`, 0xf0.
    pub info: RegisterRead,
}

impl Registers {
    /// Returns each register with its number and its name.
    #[must_use]
    pub const fn all(&self) -> [(u32, &'static str, RegisterRead); 5] {
        [
            (0xcf, "IA32_CORE_CAPABILITIES", self.core_capabilities),
            (0xed, "RAR_CONTROL", self.control),
            (0xee, "RAR_ACTION_VECTOR_BASE", self.action_vector_base),
            (0xef, "RAR_PAYLOAD_TABLE_BASE", self.payload_table_base),
            (0xf0, "RAR_INFO", self.info),
        ]
    }
}

/// What came of reading a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegisterRead {
    /// The register was not read.
    #[default]
    NotRead,
    /// RDMSR raised #GP: there is no such register.
    GeneralProtection,
    /// Its value.
    Value(u64),
}
