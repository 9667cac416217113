//! RDMSR and WRMSR of the registers that the shim presents.

use rar_model::{
    ACTION_VECTOR_BASE, CONTROL, CORE_CAPABILITIES, GeneralProtection, INFO, MsrOperation, PENDING,
    PhysicalMemory,
};
use rar_vocabulary::{TraceLevel, UnitCounter};

use crate::apic::register_effect::{Refused, RegisterEffect};
use crate::bits::low;
use crate::guest::vcpu::Vcpu;
use crate::instruction::length::opcode;
use crate::processor::permissions::{APIC_BASE, EFER, X2APIC_FIRST, X2APIC_LAST};
use crate::processor::vmcb::event;
use crate::trace::lines::RegisterWrite;
use crate::unit::offence::Offence;

const EFER_LONG_MODE_ENABLE: u64 = 1 << 8;
const EFER_LONG_MODE_ACTIVE: u64 = 1 << 10;
const EFER_SVME: u64 = 1 << 12;
/// SCE, LME, LMA, NXE, FFXSR: what a processor without SVM may have.
const EFER_KNOWN: u64 = 1 << 0 | EFER_LONG_MODE_ENABLE | EFER_LONG_MODE_ACTIVE | 1 << 11 | 1 << 14;
const CR0_PAGING: u64 = 1 << 31;
const ENABLE: u64 = 1 << 31;

impl Vcpu<'_> {
    pub(crate) fn msr(&mut self) {
        let msr = low(self.world.rcx);
        let (opcode, done) = if self.vmcb.exit_info_1 & 1 == 0 {
            let done = self.read(msr).map(|value| {
                self.vmcb.rax = u64::from(low(value));
                self.world.rdx = value >> 32;
            });
            (opcode::RDMSR, done)
        } else {
            let value = u64::from(low(self.vmcb.rax)) | self.world.rdx << 32;
            (opcode::WRMSR, self.write(msr, value))
        };
        match done {
            Ok(()) => self.skip_opcode(opcode),
            Err(Refused) => self.own.event = event::GENERAL_PROTECTION,
        }
    }

    fn read(&self, msr: u32) -> Result<u64, Refused> {
        match msr {
            CORE_CAPABILITIES | CONTROL..=INFO => self
                .unit
                .read_msr(msr)
                .map_err(|fault| self.refused_register(fault)),
            APIC_BASE => Ok(self.own.apic.base()),
            X2APIC_FIRST..=X2APIC_LAST => self.own.apic.read(msr, &self.own.real),
            EFER => Ok(self.vmcb.efer & !EFER_SVME),
            // The registers of SVM, and numbers outside the permission map.
            _ => Err(Refused),
        }
    }

    fn write(&mut self, msr: u32, value: u64) -> Result<(), Refused> {
        match msr {
            CORE_CAPABILITIES | CONTROL..=INFO => self.write_unit(msr, value),
            APIC_BASE => {
                let effect = self.own.apic.write_base(value)?;
                self.carry_out(effect);
                self.publish_logical();
                Ok(())
            }
            X2APIC_FIRST..=X2APIC_LAST => self.write_apic(msr, value),
            EFER => self.write_efer(value),
            _ => Err(Refused),
        }
    }

    fn write_unit(&mut self, msr: u32, value: u64) -> Result<(), Refused> {
        let done = self.unit.write_msr(msr, value);
        let write = RegisterWrite {
            number: msr,
            value,
            done,
        };
        self.trace(TraceLevel::Signals, format_args!("{write}"));
        done.map_err(|fault| self.refused_register(fault))?;
        self.cpu.record().counts().add(UnitCounter::RegisterWrites);
        if msr == CONTROL && value & ENABLE != 0 {
            self.look_at_vector();
        }
        Ok(())
    }

    /// An entry that is pending when RAR is enabled has no owner: it would be executed at the first
    /// signal.
    fn look_at_vector(&self) {
        let Ok(vector) = self.unit.read_msr(ACTION_VECTOR_BASE) else {
            return;
        };
        let memory = self.cpu.memory(self.own.shim.map());
        let pending = |slot: &u64| memory.load_u8(vector + slot) == PENDING;
        if let Some(slot) = (0..64).find(pending) {
            self.offend(
                Offence::EnabledWithPending,
                format_args!("slot={slot} why=\"its action byte is PENDING\""),
            );
        }
    }

    fn refused_register(&self, fault: GeneralProtection) -> Refused {
        let GeneralProtection {
            msr,
            operation,
            cause,
        } = fault;
        let offence = Offence::Register;
        match operation {
            MsrOperation::Read => {
                self.offend(offence, format_args!("number={msr:#x} why=\"{cause}\""));
            }
            MsrOperation::Write(value) => self.offend(
                offence,
                format_args!("number={msr:#x} value={value:#x} why=\"{cause}\""),
            ),
        }
        Refused
    }

    fn write_apic(&mut self, msr: u32, value: u64) -> Result<(), Refused> {
        let effect = self.own.apic.write(msr, value, &self.own.real)?;
        self.carry_out(effect);
        Ok(())
    }

    /// Does what the write of an APIC register asks for.
    pub(crate) fn carry_out(&mut self, effect: RegisterEffect) {
        match effect {
            RegisterEffect::Nothing => {}
            RegisterEffect::EndsAtMachine(ends) => self.own.real.end_of_interrupts(ends),
            RegisterEffect::Command(command) => self.send(&command),
            RegisterEffect::SelfInterrupt(vector) => self.cpu.mailbox.post_vector(vector),
        }
    }

    /// The guest's EFER has no SVM, and yet SVME stays set, as VMRUN demands.
    fn write_efer(&mut self, value: u64) -> Result<(), Refused> {
        let old = self.vmcb.efer;
        let paging = self.vmcb.cr0 & CR0_PAGING != 0;
        let switches = (value ^ old) & EFER_LONG_MODE_ENABLE != 0;
        if value & !EFER_KNOWN != 0 || (paging && switches) {
            return Err(Refused);
        }
        let active = old & EFER_LONG_MODE_ACTIVE;
        self.vmcb.efer = value & !EFER_LONG_MODE_ACTIVE | active | EFER_SVME;
        Ok(())
    }
}
