//! Whether this CPU has a RAR unit, and what its registers say.

use core::arch::x86_64::{__cpuid, __cpuid_count};

use rar_kernel::probe;
use rar_regs::{Detection, MsrFault, MsrOperation, NativeCpu, RarSupport};
pub use rar_regs::{ModelCheck, SupportError};

/// Finds out whether this CPU has a RAR unit, if its model counts as one that may. Later CPUs are
/// checked against the answer.
///
/// # Errors
///
/// [`SupportError`] says what is missing.
pub fn detect(models: ModelCheck) -> Result<RarSupport, SupportError> {
    // SAFETY: 1. All of this kernel runs in ring 0. 2. The proof is used on this machine only.
    let cpu = unsafe { NativeCpu::new() };
    match Detection::new().detect(&cpu) {
        Err(SupportError::UnlistedModel { .. }) if models == ModelCheck::Any => {}
        answer => return answer,
    }
    // The bit may mean something else there, and no detection survives the #GP.
    if enumerate().registers[3].is_none() {
        let fault = MsrFault {
            msr: 0xf0,
            access: MsrOperation::Read,
        };
        return Err(fault.into());
    }
    Detection::new().models(ModelCheck::Any).detect(&cpu)
}

/// What this CPU says of RAR: each register, or `None` where reading it raises #GP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// EDX of CPUID leaf 7, where there is one.
    pub cpuid_7_edx: Option<u32>,
    /// IA32_CORE_CAPABILITIES.
    pub core_capabilities: Option<u64>,
    /// IA32_RAR_CTRL, IA32_RAR_ACT_VEC, IA32_RAR_PAYLOAD_BASE, IA32_RAR_INFO.
    pub registers: [Option<u64>; 4],
}

impl Enumeration {
    /// Returns whether the registers announce RAR: bit 30 of EDX, bit 1 of IA32_CORE_CAPABILITIES,
    /// and an IA32_RAR_INFO that can be read.
    #[must_use]
    pub fn announces_rar(&self) -> bool {
        let [.., info] = self.registers;
        let is_set = |word: Option<u64>, bit: u32| word.is_some_and(|word| word >> bit & 1 != 0);
        is_set(self.cpuid_7_edx.map(u64::from), 30)
            && is_set(self.core_capabilities, 1)
            && info.is_some()
    }
}

/// Reads the RAR registers of this CPU, whether or not detection accepts them.
#[must_use]
pub fn enumerate() -> Enumeration {
    // SAFETY: reading the register has no side effect, and where it does not exist the #GP is
    // caught.
    let read = |register| unsafe { probe::read_register(register) };
    let leaves = __cpuid(0).eax;
    Enumeration {
        cpuid_7_edx: (leaves >= 7).then(|| __cpuid_count(7, 0).edx),
        core_capabilities: read(0xcf),
        registers: [0xed, 0xee, 0xef, 0xf0].map(read),
    }
}
