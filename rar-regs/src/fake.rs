//! A CPU made of memory, for tests and examples.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::access_log::AccessLog;
use crate::{
    CoreCapabilities, Cpuid, CpuidResult, MsrAccess, MsrFault, MsrOperation, MsrRecord,
    RarActionVectorBase, RarControl, RarInfo, RarPayloadTableBase, Vendor,
};

/// How many registers and CPUID leaves a fake can hold.
const REGISTERS: usize = 32;
const LEAVES: usize = 16;

/// A CPU made of memory: a file of registers with CPUID answers and a log, no more.
///
/// It knows no rule of any register: it takes every value, and nothing serves requests. An access
/// to a register that was not put there gives [`MsrFault`], and a CPUID leaf that was not put there
/// answers zeros.
///
/// One fake is one CPU, so one thread at a time may execute on it. Others may look at registers and
/// log at any time; the log is published with each record (Release), and looking at it synchronises
/// (Acquire).
///
/// # Examples
///
/// ```
/// use rar_regs::{Detection, FakeCpu, InterruptPolicy, RarControl};
///
/// let cpu = FakeCpu::with_rar(63);
/// let support = Detection::new().detect(&cpu)?;
/// // SAFETY: nothing reads memory through a fake's registers.
/// unsafe { RarControl::enabled(InterruptPolicy::IgnoreIf).write(&cpu, &support) }?;
/// assert_eq!(cpu.msr(RarControl::MSR), Some(0xc000_0000));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct FakeCpu {
    registers: [Option<Register>; REGISTERS],
    leaves: [Option<Leaf>; LEAVES],
    log: AccessLog,
}

struct Register {
    msr: u32,
    value: AtomicU64,
}

#[derive(Clone, Copy)]
struct Leaf {
    leaf: u32,
    subleaf: u32,
    result: CpuidResult,
}

impl FakeCpu {
    /// Returns a CPU without registers and CPUID leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            registers: [const { None }; REGISTERS],
            leaves: [None; LEAVES],
            log: AccessLog::new(),
        }
    }

    /// Returns a Sapphire Rapids with RAR after reset: `index` is the highest payload table index
    /// (63 on the parts that were described), the payload types are unknown, physical addresses
    /// have 46 bits.
    #[must_use]
    pub fn with_rar(index: u8) -> Self {
        Self::new()
            .with_signature(Vendor::INTEL, 0x0008_06f8)
            .with_cpuid(
                7,
                0,
                CpuidResult {
                    edx: 1 << 30,
                    ..CpuidResult::default()
                },
            )
            .with_physical_address_width(46)
            .with_msr(CoreCapabilities::MSR, 1 << 1)
            .with_msr(RarControl::MSR, 0)
            .with_msr(RarActionVectorBase::MSR, 0)
            .with_msr(RarPayloadTableBase::MSR, 0)
            .with_msr(RarInfo::MSR, u64::from(index) << 32)
    }

    /// Adds a register, or replaces its value. The 33rd register is not added, so it faults when
    /// accessed.
    #[must_use]
    pub fn with_msr(mut self, msr: u32, value: u64) -> Self {
        let is_this =
            |slot: &&mut Option<Register>| slot.as_ref().is_some_and(|own| own.msr == msr);
        if let Some(slot) = self.registers.iter_mut().find(is_this) {
            *slot = Some(Register {
                msr,
                value: AtomicU64::new(value),
            });
        } else if let Some(slot) = self.registers.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(Register {
                msr,
                value: AtomicU64::new(value),
            });
        }
        self
    }

    /// Removes a register: it faults when accessed.
    #[must_use]
    pub fn without_msr(mut self, msr: u32) -> Self {
        for slot in &mut self.registers {
            if slot.as_ref().is_some_and(|own| own.msr == msr) {
                *slot = None;
            }
        }
        self
    }

    /// Adds a CPUID answer, or replaces it. The 17th is not added, so it answers zeros.
    #[must_use]
    pub fn with_cpuid(mut self, leaf: u32, subleaf: u32, result: CpuidResult) -> Self {
        let is_this = |slot: &&mut Option<Leaf>| {
            slot.is_some_and(|own| (own.leaf, own.subleaf) == (leaf, subleaf))
        };
        if let Some(slot) = self.leaves.iter_mut().find(is_this) {
            *slot = Some(Leaf {
                leaf,
                subleaf,
                result,
            });
        } else if let Some(slot) = self.leaves.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(Leaf {
                leaf,
                subleaf,
                result,
            });
        }
        self
    }

    /// Sets CPUID leaves 0 (highest leaf 7) and 1: the vendor, and family, model and stepping as
    /// EAX of leaf 1.
    #[must_use]
    pub fn with_signature(self, vendor: Vendor, eax: u32) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = vendor.bytes();
        let leaf_0 = CpuidResult {
            eax: 7,
            ebx: u32::from_le_bytes([a, b, c, d]),
            edx: u32::from_le_bytes([e, f, g, h]),
            ecx: u32::from_le_bytes([i, j, k, l]),
        };
        self.with_cpuid(0, 0, leaf_0).with_cpuid(
            1,
            0,
            CpuidResult {
                eax,
                ..CpuidResult::default()
            },
        )
    }

    /// Sets the physical address width that CPUID leaf `0x8000_0008` reports, legal or not.
    #[must_use]
    pub fn with_physical_address_width(self, bits: u8) -> Self {
        let eax = |eax| CpuidResult {
            eax,
            ..CpuidResult::default()
        };
        self.with_cpuid(0x8000_0000, 0, eax(0x8000_0008))
            .with_cpuid(0x8000_0008, 0, eax(bits.into()))
    }

    /// Returns the value of a register, unlogged, or `None` if there is no such register.
    #[must_use]
    pub fn msr(&self, msr: u32) -> Option<u64> {
        self.register(msr)
            .map(|own| own.value.load(Ordering::Acquire))
    }

    /// Changes a register behind the software's back, unlogged: as firmware, a reset or another
    /// revision would.
    ///
    /// # Errors
    ///
    /// [`MsrFault`] if there is no such register.
    pub fn set_msr(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        let own = self.register(msr).ok_or(MsrFault {
            msr,
            access: MsrOperation::Write,
        })?;
        own.value.store(value, Ordering::Release);
        Ok(())
    }

    /// Returns all logged accesses, oldest first. The log holds the first 256 accesses.
    pub fn log(&self) -> impl Iterator<Item = MsrRecord> {
        self.log.iter()
    }

    /// Returns the logged reads, oldest first.
    pub fn reads(&self) -> impl Iterator<Item = MsrRecord> {
        self.log()
            .filter(|record| record.access == MsrOperation::Read)
    }

    /// Returns the logged writes, oldest first.
    pub fn writes(&self) -> impl Iterator<Item = MsrRecord> {
        self.log()
            .filter(|record| record.access == MsrOperation::Write)
    }

    /// Returns how many accesses came after the log was full.
    #[must_use]
    pub fn unlogged(&self) -> usize {
        self.log.lost()
    }

    /// Empties the log.
    pub fn clear_log(&self) {
        self.log.clear();
    }

    fn register(&self, msr: u32) -> Option<&Register> {
        self.registers.iter().flatten().find(|own| own.msr == msr)
    }
}

// SAFETY: 1. a read returns what the register of this CPU holds; 2. a write stores the whole value;
// 3. a register that is not there gives the fault and nothing changes; 4. the values are atomics,
// loaded with Acquire and stored with Release, and no hardware looks at memory on behalf of a fake,
// so no access can be moved to any harm;
// 5. no exception comes out of `read`.
unsafe impl MsrAccess for FakeCpu {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        let access = MsrOperation::Read;
        let outcome = self.msr(msr).ok_or(MsrFault { msr, access });
        let value = outcome.unwrap_or(0);
        self.log.push(MsrRecord {
            msr,
            access,
            value,
            faulted: outcome.is_err(),
        });
        outcome
    }

    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        let outcome = self.set_msr(msr, value);
        let access = MsrOperation::Write;
        self.log.push(MsrRecord {
            msr,
            access,
            value,
            faulted: outcome.is_err(),
        });
        outcome
    }
}

impl Cpuid for FakeCpu {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let mut leaves = self.leaves.iter().flatten();
        leaves
            .find(|own| (own.leaf, own.subleaf) == (leaf, subleaf))
            .map_or_else(CpuidResult::default, |own| own.result)
    }
}

impl Default for FakeCpu {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for own in self.registers.iter().flatten() {
            map.entry(&format_args!("{:#x}", own.msr), &own.value);
        }
        map.finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for FakeCpu {
    fn format(&self, f: defmt::Formatter<'_>) {
        for own in self.registers.iter().flatten() {
            defmt::write!(
                f,
                "{=u32:#x}: {=u64:#x} ",
                own.msr,
                own.value.load(Ordering::Acquire)
            );
        }
    }
}

#[cfg(test)]
mod tests;
