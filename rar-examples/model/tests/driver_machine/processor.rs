//! One CPU: its unit, its interrupt flag, and its registers as the driver reaches them.
#![expect(
    unsafe_code,
    reason = "register access is a promise, kept here by the model's rules"
)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, RwLock};
use std::thread::Thread;

use rar_model::{Execution, InterruptFlag, Knobs, RarUnit};
use rar_regs::{Cpuid, CpuidResult, MsrAccess, MsrFault, MsrOperation};

/// What a [`Board`](super::Board) knows of one CPU.
#[derive(Debug)]
pub(crate) struct Processor {
    pub(crate) unit: RwLock<RarUnit>,
    /// Held by microcode and by WRMSR: neither runs within the other.
    pub(crate) instruction: Mutex<()>,
    pub(crate) apic_id: u32,
    /// The fallback interrupt is requested.
    pub(crate) interrupt: AtomicBool,
    pub(crate) interrupts_on: AtomicBool,
    /// How many more rounds of somebody's spin an invalidation of the unit takes.
    pub(crate) stall: AtomicU32,
    /// What the unit executed, the first few thousand.
    pub(crate) record: Mutex<Vec<Execution>>,
    /// Every register write that did not fault.
    pub(crate) writes: Mutex<Vec<(u32, u64)>>,
    pub(crate) faults: AtomicU32,
    /// The thread that plays the microcode, if there is one.
    pub(crate) thread: OnceLock<Thread>,
}

impl Processor {
    pub(crate) fn new(knobs: Knobs, apic_id: u32) -> Self {
        Self {
            unit: RwLock::new(RarUnit::new(knobs)),
            instruction: Mutex::new(()),
            apic_id,
            interrupt: AtomicBool::new(false),
            interrupts_on: AtomicBool::new(true),
            stall: AtomicU32::new(0),
            record: Mutex::new(Vec::new()),
            writes: Mutex::new(Vec::new()),
            faults: AtomicU32::new(0),
            thread: OnceLock::new(),
        }
    }

    pub(crate) fn interrupt_flag(&self) -> InterruptFlag {
        if self.interrupts_on.load(Ordering::Acquire) {
            InterruptFlag::Set
        } else {
            InterruptFlag::Clear
        }
    }

    fn fault(&self, msr: u32, access: MsrOperation) -> MsrFault {
        self.faults.fetch_add(1, Ordering::AcqRel);
        MsrFault { msr, access }
    }
}

/// RDMSR, WRMSR and CPUID of one CPU, a Sapphire Rapids whose RAR registers are those of its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers<'b>(pub(crate) &'b Processor);

// SAFETY:
// 1. to 3. The unit takes the whole value or faults, and changes nothing then.
// 4. A lock is taken across both functions.
// 5. No exception comes out of `read`: it is an error.
unsafe impl MsrAccess for Registers<'_> {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        let _instruction = self.0.instruction.lock().unwrap();
        let value = self.0.unit.read().unwrap().read_msr(msr);
        value.map_err(|_| self.0.fault(msr, MsrOperation::Read))
    }

    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        let _instruction = self.0.instruction.lock().unwrap();
        let written = self.0.unit.read().unwrap().write_msr(msr, value);
        written.map_err(|_| self.0.fault(msr, MsrOperation::Write))?;
        self.0.writes.lock().unwrap().push((msr, value));
        Ok(())
    }
}

impl Cpuid for Registers<'_> {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let physical = u32::from(self.0.unit.read().unwrap().knobs().physical_address_bits);
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
