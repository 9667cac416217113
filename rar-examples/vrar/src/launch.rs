//! The late launch: a CPU that runs becomes the guest of the shim, and notices nothing.
#![expect(unsafe_code, reason = "turns the running CPU into a guest")]

use rar_model::{Knobs, RarUnit};
use rar_vocabulary::TraceLevel;

use crate::apic::Apic;
use crate::apic::real_apic::{self, RealApic};
use crate::config::{ApicPage, Config, Mwait};
use crate::cpu_memory::CpuMemory;
use crate::error::LaunchError;
use crate::guest::cpuid::{self, Leaf};
use crate::guest::vcpu::{State, VcpuState};
use crate::memory::spaces::{Machine, SPACES};
use crate::memory::tables::LargestPage;
use crate::processor::gdt;
use crate::processor::idt;
use crate::processor::io_permissions::{IO_PERMISSIONS, IoPermissions};
use crate::processor::native::{self, Masked};
use crate::processor::permissions::{
    APIC_BASE, EFER, PERMISSIONS, Permissions, VM_CR, VM_HSAVE_PA,
};
use crate::processor::vmcb::{
    FLUSH_ALL, INTERCEPT_MWAIT, INTERCEPT_SVM, Vmcb, intercept_1, interrupt_control,
};
use crate::processor::world;
use crate::shim::Shim;
use crate::trace::lines::Launch;
use crate::trace::reported::Reported;
use crate::trace::tracer::About;
use crate::unit::ASID;

const EFER_SVME: u64 = 1 << 12;
const VM_CR_SVMDIS: u64 = 1 << 4;
const APIC_BASE_MODE: u64 = 0b11 << 10;
const APIC_BASE_ENABLE: u64 = 1 << 11;
const APIC_BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Physical addresses of what the processor reads.
struct Places {
    vmcb: u64,
    host_save: u64,
    permissions: u64,
    io_permissions: u64,
    /// The host's top page table.
    host: u64,
    /// The top nested page table, if there is nested paging.
    nested: Option<u64>,
}

impl Shim {
    /// Makes the CPU that calls it a guest of the shim: it goes on behind this call, in the same
    /// page tables and the same memory, with a RAR unit.
    ///
    /// Interrupts stay as they are. Call it once on each CPU, before it asks CPUID whether there is
    /// RAR.
    ///
    /// # Errors
    ///
    /// [`LaunchError`]: nothing has changed, and the kernel goes on without.
    ///
    /// # Safety
    ///
    /// 1. Ring 0, 64-bit mode, CR4.OSFXSR set.
    /// 2. The promises to [`Shim::new`] hold.
    /// 3. No device uses the kick vector of the configuration.
    pub unsafe fn launch(&'static self, memory: &'static CpuMemory) -> Result<(), LaunchError> {
        // SAFETY: 1. ring 0.
        let _masked = unsafe { Masked::new() };
        // SAFETY: 1. ring 0.
        unsafe { self.check()? };
        // SAFETY: exists on every CPU with a local APIC, and every 64-bit CPU has one.
        let apic_base = unsafe { native::read_msr(APIC_BASE) };
        let places = self.places(memory, apic_base)?;
        if !memory.take() {
            return Err(LaunchError::MemoryTaken);
        }
        // SAFETY: the mode is this CPU's, and the shim keeps it; the promise to `Shim::new`.
        let real = unsafe { RealApic::new(self.config().apic, apic_base) };
        let id = real.id();
        if !self.add(id, memory.shared()) {
            memory.give_back();
            return Err(LaunchError::ApicId(id));
        }
        let apic = guest_apic(real, id, apic_base);
        memory.shared().mailbox.set_logical(apic.logical());
        let own = VcpuState {
            shim: self,
            apic,
            real,
            state: State::Running,
            nmi: false,
            event: 0,
            offered: None,
            reported: Reported::default(),
            watches_resets: false,
        };
        // SAFETY: the memory was taken just now.
        unsafe { memory.prepare(own, RarUnit::new(knobs(self.config().knobs_of(id)))) };
        real.open();
        self.pics().with(|pics| {
            if pics.take_over(&native::MachinePorts) {
                self.pics().set_taker(id);
            }
        });
        self.watch_ports();
        let cpus = self.cpus().count();
        let launch = Launch {
            config: self.config(),
            apic_id: id,
            cpus,
        };
        launch.lines(|line| self.trace(TraceLevel::Offences, About::Cpu(id), line));
        // SAFETY: 1. and the memory is this CPU's.
        unsafe { become_guest(memory, &places, self.config()) };
        Ok(())
    }

    /// Asks whether the CPU that calls it can be launched, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] says what a launch would fail on.
    ///
    /// # Safety
    ///
    /// Ring 0.
    pub unsafe fn check(&self) -> Result<(), LaunchError> {
        check_svm(native::cpuid, || {
            // SAFETY: VM_CR exists where SVM does.
            unsafe { native::read_msr(VM_CR) }
        })?;
        // SAFETY: exists on every CPU with a local APIC, and every 64-bit CPU has one.
        let apic_base = unsafe { native::read_msr(APIC_BASE) };
        if apic_base & APIC_BASE_ENABLE == 0 {
            return Err(LaunchError::ApicMode);
        }
        check_paging(self.config().page, largest_page(), nested_paging())
    }

    /// Finds everything by the page tables that are loaded, and sees to it that the host's lead to
    /// the same.
    fn places(&self, memory: &'static CpuMemory, apic_base: u64) -> Result<Places, LaunchError> {
        let physical = |address| self.map().physical(address);
        let [physical_address_bits, ..] = native::cpuid(0x8000_0008, 0).eax.to_le_bytes();
        let machine = Machine {
            levels: self.map().levels(),
            physical_address_bits: u32::from(physical_address_bits),
            largest: largest_page(),
            apic: (apic_base & APIC_BASE_MODE == APIC_BASE_ENABLE)
                .then_some(apic_base & APIC_BASE_ADDRESS),
        };
        SPACES.make_ready(self.config(), machine, physical)?;
        let both = |address: usize| {
            let address = address as u64;
            let place = physical(address).filter(|place| SPACES.host.find(address) == Some(*place));
            place.ok_or(LaunchError::NotMapped(address))
        };
        let whole = |start: usize, size: usize| {
            (start..start + size)
                .step_by(4096)
                .chain([start + size - 1])
                .try_for_each(|page| both(page).map(drop))
        };
        whole(core::ptr::from_ref(memory).addr(), size_of::<CpuMemory>())?;
        whole(core::ptr::from_ref(self).addr(), size_of::<Self>())?;
        both(usize::try_from(world::stubs()).unwrap_or(0))?;
        let in_one_piece = |start: usize, size: usize| {
            let first = both(start)?;
            for (page, place) in (start..start + size)
                .step_by(4096)
                .zip((first..).step_by(4096))
            {
                if both(page)? != place {
                    return Err(LaunchError::NotMapped(page as u64));
                }
            }
            Ok(first)
        };
        let permissions = core::ptr::from_ref(&PERMISSIONS).addr();
        let io_permissions = core::ptr::from_ref(&IO_PERMISSIONS).addr();
        Ok(Places {
            vmcb: both(memory.vmcb().addr())?,
            host_save: both(memory.host_save().addr())?,
            permissions: in_one_piece(permissions, size_of::<Permissions>())?,
            io_permissions: in_one_piece(io_permissions, size_of::<IoPermissions>())?,
            host: SPACES.host.top(),
            nested: match self.config().page {
                ApicPage::Open => None,
                ApicPage::Trapped => Some(SPACES.nested()),
            },
        })
    }
}

fn largest_page() -> LargestPage {
    match native::cpuid(0x8000_0001, 0).edx >> 26 & 1 {
        0 => LargestPage::Mebibytes2,
        _ => LargestPage::Gibibyte,
    }
}

fn nested_paging() -> NestedPaging {
    match native::cpuid(0x8000_000a, 0).edx & 1 {
        0 => NestedPaging::Missing,
        _ => NestedPaging::Present,
    }
}

/// Whether the processor has nested paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NestedPaging {
    Missing,
    Present,
}

/// Asks whether the CPU has the paging that the configuration needs.
fn check_paging(
    page: ApicPage,
    largest: LargestPage,
    nested: NestedPaging,
) -> Result<(), LaunchError> {
    match (page, largest, nested) {
        (ApicPage::Open, ..) => Ok(()),
        (ApicPage::Trapped, _, NestedPaging::Missing) => Err(LaunchError::NoNestedPaging),
        (ApicPage::Trapped, LargestPage::Mebibytes2, _) => Err(LaunchError::NoLargePages),
        (ApicPage::Trapped, LargestPage::Gibibyte, NestedPaging::Present) => Ok(()),
    }
}

/// Asks whether SVM is there and unlocked, and whether the shim is.
fn check_svm(cpuid: impl Fn(u32, u32) -> Leaf, vm_cr: impl Fn() -> u64) -> Result<(), LaunchError> {
    let own = cpuid(cpuid::OWN_LEAF, 0);
    if [own.ebx, own.ecx, own.edx] == cpuid::OWN_NAME {
        return Err(LaunchError::AlreadyLaunched);
    }
    if cpuid(0x8000_0000, 0).eax < 0x8000_0001 || cpuid(0x8000_0001, 0).ecx & cpuid::SVM == 0 {
        return Err(LaunchError::NoSvm);
    }
    if vm_cr() & VM_CR_SVMDIS != 0 {
        return Err(LaunchError::SvmLocked);
    }
    Ok(())
}

fn guest_apic(real: RealApic, id: u32, base: u64) -> Apic {
    let [task_priority, ..] = real.read(real_apic::TASK_PRIORITY).to_le_bytes();
    let mut apic = Apic::new(id, base, task_priority, real.read(real_apic::SPURIOUS));
    *apic.logical_mut() = real.logical();
    apic
}

fn knobs(wanted: &Knobs) -> Knobs {
    let [physical_address_bits, ..] = native::cpuid(0x8000_0008, 0).eax.to_le_bytes();
    Knobs {
        physical_address_bits,
        ..*wanted
    }
}

/// # Safety
///
/// As [`Shim::launch`], with interrupts disabled; the memory belongs to this CPU and is prepared.
unsafe fn become_guest(memory: &'static CpuMemory, places: &Places, config: &Config) {
    // SAFETY: EFER exists on every 64-bit CPU.
    let efer = unsafe { native::read_msr(EFER) };
    // SAFETY: SVME changes nothing but that SVM instructions work.
    unsafe { native::write_msr(EFER, efer | EFER_SVME) };
    // SAFETY: a page that nothing else uses.
    unsafe { native::write_msr(VM_HSAVE_PA, places.host_save) };
    // SAFETY: this CPU's, and the guest does not run yet.
    let vmcb = unsafe { &mut *memory.vmcb() };
    // SAFETY: ring 0 in 64-bit mode.
    unsafe { native::capture(vmcb) };
    control(vmcb, places, config.mwait);
    if let Some(top) = places.nested {
        vmcb.nested_control = 1;
        vmcb.nested_cr3 = top;
        // SAFETY: exists on every 64-bit CPU.
        vmcb.pat = unsafe { native::read_msr(x86::msr::IA32_PAT) };
    }
    // SAFETY: as the VMCB.
    let world = unsafe { &mut *memory.world() };
    world.vmcb = places.vmcb;
    world.memory = core::ptr::from_ref(memory).cast();
    // SAFETY: as the VMCB.
    let gates = unsafe { &mut *memory.gates() };
    *gates = idt::gates(world::stubs(), gdt::CODE);
    // SAFETY: filled in just now, and the memory stays forever.
    unsafe { native::load_idt(gates) };
    // SAFETY: ring 0, and captured above.
    unsafe { native::load_gdt() };
    // SAFETY: 1. to 5. as made above; interrupts are disabled by the caller.
    unsafe { world::enter(world, vmcb, memory.stack_top(), places.host) };
}

fn control(vmcb: &mut Vmcb, places: &Places, mwait: Mwait) {
    vmcb.intercept_1 = intercept_1::INTR
        | intercept_1::CPUID
        | intercept_1::HLT
        | intercept_1::INVLPGA
        | intercept_1::PORT
        | intercept_1::MSR
        | intercept_1::SHUTDOWN;
    vmcb.intercept_2 = match mwait {
        Mwait::Shown => INTERCEPT_SVM,
        Mwait::Hidden => INTERCEPT_SVM | INTERCEPT_MWAIT,
    };
    vmcb.msr_permissions = places.permissions;
    vmcb.io_permissions = places.io_permissions;
    vmcb.asid = ASID;
    vmcb.tlb_control = FLUSH_ALL;
    vmcb.interrupt_control = interrupt_control::V_INTR_MASKING;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(svm: bool, own: bool, vm_cr: u64) -> Result<(), LaunchError> {
        let cpuid = |leaf, _| {
            let [ebx, ecx, edx] = if own { cpuid::OWN_NAME } else { [0; 3] };
            match leaf {
                cpuid::OWN_LEAF => Leaf {
                    eax: 0,
                    ebx,
                    ecx,
                    edx,
                },
                _ => Leaf {
                    eax: 0x8000_0008,
                    ebx: 0,
                    ecx: if svm { cpuid::SVM } else { 0 },
                    edx: 0,
                },
            }
        };
        check_svm(cpuid, || vm_cr)
    }

    #[test]
    fn svm_must_be_there_unlocked_and_the_shim_not() {
        assert_eq!(check(true, false, 0), Ok(()));
        assert_eq!(check(false, false, 0), Err(LaunchError::NoSvm));
        assert_eq!(check(true, false, 0x18), Err(LaunchError::SvmLocked));
        assert_eq!(check(false, true, 0), Err(LaunchError::AlreadyLaunched));
    }

    #[test]
    fn only_nested_paging_needs_large_pages() {
        let none = NestedPaging::Missing;
        let nested = NestedPaging::Present;
        let (small, large) = (LargestPage::Mebibytes2, LargestPage::Gibibyte);
        for (page, largest, nested, expected) in [
            (ApicPage::Open, small, none, Ok(())),
            (ApicPage::Open, large, none, Ok(())),
            (ApicPage::Trapped, large, nested, Ok(())),
            (
                ApicPage::Trapped,
                large,
                none,
                Err(LaunchError::NoNestedPaging),
            ),
            (
                ApicPage::Trapped,
                small,
                none,
                Err(LaunchError::NoNestedPaging),
            ),
            (
                ApicPage::Trapped,
                small,
                nested,
                Err(LaunchError::NoLargePages),
            ),
        ] {
            let found = check_paging(page, largest, nested);
            assert_eq!(found, expected, "{page:?} {largest:?} {nested:?}");
        }
    }
}
