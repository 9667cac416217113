//! Each access to a RAR register fails once, at each step of a CPU's life, and each kind of address
//! is refused.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::cell::Cell;

use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{
    ApicId, CpuId, Domain, LifeCycleError, PerCpu, PhysicalAddressOf, RarCpu, Responder,
    SharedMemory, Verified,
};
use rar_regs::{
    Cpuid, CpuidResult, Detection, FakeCpu, InterruptPolicy, MsrAccess, MsrFault, MsrOperation,
};

const CONTROL: u32 = 0xed;
const VECTOR: u32 = 0xee;
const TABLE: u32 = 0xef;
const ENABLED: u64 = 0xc000_0000;

/// What happens to one access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// It faults.
    Faults,
    /// A write is forgotten, or a read returns something else.
    Lies,
}

/// Registers that fail at one access to a RAR register.
struct Registers<'d> {
    cpu: FakeCpu,
    domain: &'d Domain<1>,
    defect: Defect,
    /// How many accesses come before the one that goes wrong.
    left: Cell<Option<usize>>,
    accesses: Cell<usize>,
}

impl core::fmt::Debug for Registers<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.cpu.fmt(f)
    }
}

impl<'d> Registers<'d> {
    fn new(domain: &'d Domain<1>, defect: Defect, left: Option<usize>) -> Self {
        Self {
            // As firmware or a previous kernel may leave them.
            cpu: FakeCpu::with_rar(63)
                .with_msr(CONTROL, ENABLED)
                .with_msr(VECTOR, 0x7000)
                .with_msr(TABLE, 0x8000),
            domain,
            defect,
            left: Cell::new(left),
            accesses: Cell::new(0),
        }
    }

    /// Whether this access to a register is the one that goes wrong.
    fn goes_wrong(&self, msr: u32) -> bool {
        if ![CONTROL, VECTOR, TABLE].contains(&msr) {
            return false;
        }
        self.accesses.set(self.accesses.get() + 1);
        match self.left.get() {
            Some(0) => {
                self.left.set(None);
                true
            }
            left => {
                self.left.set(left.map(|left| left - 1));
                false
            }
        }
    }

    fn control(&self) -> u64 {
        self.cpu.msr(CONTROL).unwrap()
    }

    /// What has to hold whenever a register is written.
    fn check_write(&self, msr: u32) {
        let cpu = CpuId::new(0);
        let is_demoted = self
            .domain
            .cpu(cpu)
            .is_some_and(|state| state.generation().is_demoted());
        assert!(
            !self.domain.is_online(cpu) || is_demoted,
            "register {msr:#x} is written while the CPU may be armed"
        );
        if msr != CONTROL {
            assert_eq!(
                self.control(),
                0,
                "register {msr:#x} is written under an enabled unit"
            );
        }
    }
}

// SAFETY: a fake: nothing is behind its registers.
unsafe impl MsrAccess for &Registers<'_> {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        if !self.goes_wrong(msr) {
            // SAFETY: as the caller promised.
            return unsafe { self.cpu.read(msr) };
        }
        match self.defect {
            Defect::Faults => Err(MsrFault {
                msr,
                access: MsrOperation::Read,
            }),
            Defect::Lies => Ok(self.cpu.msr(msr).unwrap() ^ 1 << 12),
        }
    }

    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        self.check_write(msr);
        if !self.goes_wrong(msr) {
            // SAFETY: as the caller promised.
            return unsafe { self.cpu.write(msr, value) };
        }
        match self.defect {
            Defect::Faults => Err(MsrFault {
                msr,
                access: MsrOperation::Write,
            }),
            Defect::Lies => Ok(()),
        }
    }
}

impl Cpuid for &Registers<'_> {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        self.cpu.cpuid(leaf, subleaf)
    }
}

/// Where a run of a life met its defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Failed {
    Nowhere,
    Configure,
    BringOnline,
    Verify,
    TakeOffline,
}

/// Runs one life with a defect at one access, and checks the state after each step; returns which
/// step failed.
fn live(defect: Defect, left: Option<usize>) -> (Failed, usize) {
    let (domain, tlb, cpu) = (Domain::<1>::new(), FakeTlb::<1>::new(), pinned(0));
    let memory: &'static PerCpu = Box::leak(Box::new(PerCpu::new()));
    domain.register(cpu.id(), ApicId::new(0), memory).unwrap();
    let registers = Registers::new(&domain, defect, left);
    let support = Detection::new().detect(&&registers).unwrap();
    let outcome = steps(&domain, memory, support, &registers, &tlb);
    // Whatever has failed: a second life works, and ends with the unit off.
    let again = steps(&domain, memory, support, &registers, &tlb);
    assert_eq!(again, Failed::Nowhere, "after {outcome:?}");
    assert_eq!(domain.free_and_quarantined_slots(), (64, 0));
    (outcome, registers.accesses.get())
}

fn steps(
    domain: &Domain<1>,
    memory: &'static PerCpu,
    support: rar_regs::RarSupport,
    registers: &Registers<'_>,
    tlb: &FakeTlb<1>,
) -> Failed {
    let cpu = pinned(0);
    let is_off = || {
        assert!(!domain.is_online(cpu.id()));
        assert_eq!(memory.responder(), Responder::None);
        assert_eq!(registers.control(), 0, "RAR is disabled");
    };
    let full = tlb.full_flushes(cpu.id());
    let detected = RarCpu::detect(domain, &cpu, support, registers).unwrap();
    let Ok(configured) = detected.configure(&cpu, &rar_percpu::fake::FakeAddresses) else {
        is_off();
        return Failed::Configure;
    };
    is_off();
    // SAFETY: a host; nothing follows the addresses.
    let up = unsafe { configured.bring_online(&cpu, InterruptPolicy::IgnoreIf, tlb) };
    let Ok(enabled) = up else {
        is_off();
        assert_eq!(tlb.full_flushes(cpu.id()), full, "it was never online");
        return Failed::BringOnline;
    };
    let is_up = || {
        assert!(domain.is_online(cpu.id()));
        assert_eq!(memory.responder(), Responder::Microcode);
        assert_eq!(registers.control(), ENABLED);
        assert!(!memory.generation().is_demoted());
    };
    is_up();
    let mut failed = Failed::Nowhere;
    assert!(domain.demote(cpu.id()));
    match enabled.verify(&cpu, tlb) {
        Ok(verified) => assert_eq!(verified, Verified::Restored),
        Err(_) => {
            failed = Failed::Verify;
            assert!(domain.is_online(cpu.id()) && memory.generation().is_demoted());
            assert_eq!(registers.control(), 0, "RAR is disabled");
            // A quiet vector is no sign of a unit that works.
            assert!(memory.vector().is_quiet());
            assert!(!domain.answer(&cpu, tlb).promoted);
            assert!(memory.generation().is_demoted());
            assert_eq!(enabled.verify(&cpu, tlb), Ok(Verified::Restored));
        }
    }
    is_up();
    // SAFETY: a host; the CPU uses no translation.
    let down = unsafe { enabled.take_offline(&cpu, tlb) };
    let detected = down.unwrap_or_else(|refused| {
        failed = Failed::TakeOffline;
        assert!(domain.is_online(cpu.id()) && memory.generation().is_demoted());
        assert_eq!(memory.responder(), Responder::Microcode);
        assert!(!domain.answer(&cpu, tlb).promoted);
        // SAFETY: a host; the CPU uses no translation.
        unsafe { refused.cpu.take_offline(&cpu, tlb) }.unwrap()
    });
    drop(detected);
    is_off();
    assert!(!memory.generation().is_demoted());
    failed
}

#[test]
fn every_access_to_a_register_may_fail_at_every_step() {
    let (control, in_two_lives) = live(Defect::Faults, None);
    assert_eq!(control, Failed::Nowhere);
    let accesses = in_two_lives / 2;
    assert!(accesses >= 20, "{accesses}");
    for defect in [Defect::Faults, Defect::Lies] {
        let mut failed: Vec<_> = (0..accesses)
            .map(|left| live(defect, Some(left)).0)
            .collect();
        // A register that holds already what is written, or a read that finds nothing amiss, lets a
        // step pass.
        failed.sort_unstable();
        failed.dedup();
        assert_eq!(
            failed,
            [
                Failed::Nowhere,
                Failed::Configure,
                Failed::BringOnline,
                Failed::Verify,
                Failed::TakeOffline
            ],
            "{defect:?}: a step never failed"
        );
    }
}

/// Physical addresses, or none, by the length of what is asked for.
struct Frames {
    table: Option<u64>,
    vector: Option<u64>,
}

// SAFETY: no microcode runs on a host, so that nothing follows the address.
unsafe impl PhysicalAddressOf for Frames {
    fn physical_address_of(&self, virtual_address: *const (), bytes: usize) -> Option<u64> {
        match bytes {
            4096 => {
                assert!(virtual_address.addr() % 4096 == 0);
                self.table
            }
            64 => {
                assert!(virtual_address.addr() % 64 == 0);
                self.vector
            }
            other => panic!("asked for {other} bytes: the table has 4,096, a vector 64"),
        }
    }
}

#[test]
fn an_address_that_is_missing_or_does_not_fit_its_register_leaves_rar_disabled() {
    let (good_table, good_vector) = (Some(0x5000), Some(0x6040));
    // The fake's physical addresses have 46 bits.
    let beyond = Some(1 << 46);
    for (table, vector, refused) in [
        (good_table, good_vector, None),
        (Some((1 << 46) - 4096), Some((1 << 46) - 64), None),
        (None, good_vector, Some(Some(SharedMemory::PayloadTable))),
        (good_table, None, Some(Some(SharedMemory::ActionVector))),
        (beyond, good_vector, Some(None)),
        (good_table, beyond, Some(None)),
        (Some(0x5800), good_vector, Some(None)),
        (Some(0x5040), good_vector, Some(None)),
        (good_table, Some(0x6020), Some(None)),
        (good_table, Some(0x6041), Some(None)),
    ] {
        let (domain, cpu) = (Domain::<1>::new(), pinned(0));
        let memory: &'static PerCpu = Box::leak(Box::new(PerCpu::new()));
        domain.register(cpu.id(), ApicId::new(0), memory).unwrap();
        let registers = Registers::new(&domain, Defect::Faults, None);
        let support = Detection::new().detect(&&registers).unwrap();
        let frames = Frames { table, vector };
        let detected = RarCpu::detect(&domain, &cpu, support, &registers).unwrap();
        let outcome = detected.configure(&cpu, &frames).map(drop);
        let case = format!("{table:x?}, {vector:x?}: {outcome:?}");
        match refused {
            None => assert!(outcome.is_ok(), "{case}"),
            Some(Some(memory)) => {
                assert_eq!(
                    outcome,
                    Err(LifeCycleError::NoPhysicalAddress(memory)),
                    "{case}"
                );
            }
            Some(None) => {
                assert!(matches!(outcome, Err(LifeCycleError::Address(_))), "{case}");
            }
        }
        assert_eq!(registers.control(), 0, "{case}");
        assert!(!domain.is_online(cpu.id()), "{case}");
        let bases = [TABLE, VECTOR].map(|msr| registers.cpu.msr(msr));
        let expected = match refused {
            None => [table, vector],
            Some(_) => [Some(0x8000), Some(0x7000)],
        };
        assert_eq!(bases, expected, "{case}");
    }
}
