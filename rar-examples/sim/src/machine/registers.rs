//! RDMSR, WRMSR and CPUID of one CPU.
#![expect(
    unsafe_code,
    reason = "register access is a promise, kept here by the model's rules"
)]

use std::sync::atomic::Ordering;

use rar_regs::{Cpuid, CpuidResult, MsrAccess, MsrFault, MsrOperation};

use super::{Cpu, Machine};
use crate::schedule::step;

/// The registers of one CPU: a Sapphire Rapids whose RAR registers are those of its unit.
#[derive(Clone, Copy, Debug)]
pub struct Registers<'c, const TLB: usize>(&'c Cpu<TLB>);

impl<const TLB: usize> Machine<'_, TLB> {
    /// Returns the registers of a CPU.
    ///
    /// # Panics
    ///
    /// If the machine has no such CPU.
    #[must_use]
    pub fn registers(&self, cpu: u32) -> Registers<'_, TLB> {
        Registers(self.cpu(cpu))
    }
}

impl<const TLB: usize> Registers<'_, TLB> {
    fn fault(&self, msr: u32, access: MsrOperation) -> MsrFault {
        self.0.faults.fetch_add(1, Ordering::AcqRel);
        MsrFault { msr, access }
    }
}

// SAFETY:
// 1. to 3. The unit takes the whole value or faults, and changes nothing then.
// 4. Both functions call the scheduler, which is opaque to the compiler.
// 5. `read` returns an exception as an error.
unsafe impl<const TLB: usize> MsrAccess for Registers<'_, TLB> {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        step();
        let value = self.0.with_unit(|unit| unit.read_msr(msr));
        value.map_err(|_| self.fault(msr, MsrOperation::Read))
    }

    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        step();
        let written = self.0.with_unit(|unit| unit.write_msr(msr, value));
        written.map_err(|_| self.fault(msr, MsrOperation::Write))?;
        self.0.note_write(msr, value);
        Ok(())
    }
}

impl<const TLB: usize> Cpuid for Registers<'_, TLB> {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let physical = self
            .0
            .with_unit(|unit| u32::from(unit.knobs().physical_address_bits));
        let [eax, ebx, ecx, edx] = match (leaf, subleaf) {
            (0, _) => [0x20, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
            (1, _) => [0x0008_06f8, self.0.apic_id << 24, 0x7ffe_fbff, 0xbfeb_fbff],
            // EDX 30: IA32_CORE_CAPABILITIES exists.
            (7, 0) => [2, 0xf3bf_bfbf, 0xbbc1_7ffe, 0xffdd_4432],
            (0x8000_0000, _) => [0x8000_0008, 0, 0, 0],
            (0x8000_0008, _) => [57 << 8 | physical, 0x200, 0, 0],
            // An Intel CPU answers for unknown leaves with the highest basic one: not zero.
            _ => [7; 4],
        };
        CpuidResult { eax, ebx, ecx, edx }
    }
}
