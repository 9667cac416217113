//! The register writes behind the steps of [`RarCpu`].
#![expect(unsafe_code, reason = "microcode follows what these registers say")]

use rar_regs::{MsrAccess, RarActionVectorBase, RarControl, RarPayloadTableBase};

use crate::life_cycle_error::LifeCycleError;
use crate::rar_cpu::{Bases, RarCpu};

impl<A: MsrAccess, S, const WORDS: usize> RarCpu<'_, A, S, WORDS> {
    /// Writes the control register and reads it back. After an error RAR is disabled, as far as the
    /// register can be written.
    pub(crate) fn write_control(&self, control: RarControl) -> Result<(), LifeCycleError> {
        let written = self.try_write_control(control);
        if written.is_err() {
            // SAFETY: as in `try_write_control`; a disabled unit follows no address. A second fault
            // changes nothing.
            let _faulted = unsafe { RarControl::DISABLED.write(&self.registers, &self.support) };
        }
        written
    }

    fn try_write_control(&self, control: RarControl) -> Result<(), LifeCycleError> {
        // SAFETY:
        // 1. Ring 0 and 2. the register exists: `support`, which detection alone makes, and which
        //    this CPU was checked against.
        // 3. The value is legal: `RarControl` sets defined bits only.
        // 4. The memory stays: disabling needs none, and enabling is reached through
        //    `RarCpu::bring_online`, whose caller promised it.
        unsafe { control.write(&self.registers, &self.support) }?;
        self.control_is(control)
    }

    /// Writes both address registers and reads them back. RAR is disabled on this CPU when it is
    /// called.
    pub(crate) fn write_bases(&self, bases: Bases) -> Result<(), LifeCycleError> {
        let Bases { vector, table } = bases;
        // SAFETY: 1. and 2. as in `write_control`; 3. the value was checked when it was made; 4.
        // RAR is disabled here, so that nothing follows the address before `RarCpu::bring_online`,
        // or `verify` after it.
        unsafe { vector.write(&self.registers, &self.support) }?;
        // SAFETY: as for the vector.
        unsafe { table.write(&self.registers, &self.support) }?;
        self.bases_are(bases)
    }

    /// Reads both address registers, and returns an error if one holds something else.
    pub(crate) fn bases_are(&self, Bases { vector, table }: Bases) -> Result<(), LifeCycleError> {
        self.holds(RarActionVectorBase::MSR, vector.bits())?;
        self.holds(RarPayloadTableBase::MSR, table.bits())
    }

    /// Reads the control register, and returns an error if it holds something else.
    pub(crate) fn control_is(&self, control: RarControl) -> Result<(), LifeCycleError> {
        self.holds(RarControl::MSR, control.bits())
    }

    fn holds(&self, msr: u32, written: u64) -> Result<(), LifeCycleError> {
        let read = self.read_back(msr)?;
        if read == written {
            return Ok(());
        }
        Err(LifeCycleError::NotRetained { msr, written, read })
    }

    fn read_back(&self, msr: u32) -> Result<u64, LifeCycleError> {
        // SAFETY: 1. and 2. as in `write_control`: the RAR registers exist here, and reading them
        // has no effect.
        Ok(unsafe { self.registers.read(msr) }?)
    }
}
