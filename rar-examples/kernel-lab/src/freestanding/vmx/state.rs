//! What the VMCS holds: a guest that is the host itself, except its stack and where it begins (SDM
//! vol. 3, "Virtual Machine Control Structures").

use x86::bits64::vmx::vmwrite;
use x86::dtables::DescriptorTablePointer;
use x86::vmx::VmFail;
use x86::vmx::vmcs::{control, guest, host};

use super::capabilities::Controls;

/// Present, accessed and usable: 64-bit code, data, and a busy 64-bit TSS; and a segment that is
/// not usable.
const CODE_RIGHTS: u64 = 0xa09b;
const DATA_RIGHTS: u64 = 0xc093;
const TSS_RIGHTS: u64 = 0x008b;
const UNUSABLE: u64 = 1 << 16;
const ALL: u64 = 0xffff_ffff;
/// The bits of RFLAGS that are set: the one that always is, and IF.
const RFLAGS: u64 = 0x202;
const DR7: u64 = 0x400;

/// What this CPU runs with.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) cr0: u64,
    pub(super) cr3: u64,
    pub(super) cr4: u64,
    pub(super) code: u16,
    pub(super) data: u16,
    pub(super) task: u16,
    pub(super) gs_base: u64,
    pub(super) gdt: DescriptorTablePointer<u64>,
    pub(super) idt: DescriptorTablePointer<u64>,
}

/// Where the guest begins and where it leaves to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    pub(super) begin: u64,
    pub(super) stack: u64,
    pub(super) exit: u64,
}

impl Host {
    /// The base of the TSS, from its descriptor.
    fn task_base(&self) -> u64 {
        let index = usize::from(self.task >> 3);
        let descriptor = self.gdt.base.wrapping_add(index).cast::<[u64; 2]>();
        // SAFETY: the GDT is loaded, mapped forever, and has the two entries of the descriptor in
        // TR.
        let [low, high] = unsafe { descriptor.read() };
        low >> 16 & 0x00ff_ffff | (low >> 56) << 24 | high << 32
    }
}

/// Writes every field of the current VMCS but the host's stack.
///
/// # Safety
///
/// This CPU is in VMX operation and has a current VMCS. Entering the guest is another matter.
pub(super) unsafe fn write(
    controls: Controls,
    vpid: u16,
    of: &Host,
    ways: Ways,
) -> Result<(), VmFail> {
    let task_base = of.task_base();
    let table = |pointer: &DescriptorTablePointer<u64>| {
        (pointer.base.addr() as u64, u64::from(pointer.limit))
    };
    let ((gdt, gdt_limit), (idt, idt_limit)) = (table(&of.gdt), table(&of.idt));
    let (code, data, task) = (u64::from(of.code), u64::from(of.data), u64::from(of.task));
    let fields = [
        (control::PINBASED_EXEC_CONTROLS, controls.pin),
        (control::PRIMARY_PROCBASED_EXEC_CONTROLS, controls.primary),
        (
            control::SECONDARY_PROCBASED_EXEC_CONTROLS,
            controls.secondary,
        ),
        (control::VMEXIT_CONTROLS, controls.exit),
        (control::VMENTRY_CONTROLS, controls.entry),
        (control::VPID, u64::from(vpid)),
        (control::EXCEPTION_BITMAP, 0),
        (control::PAGE_FAULT_ERR_CODE_MASK, 0),
        (control::PAGE_FAULT_ERR_CODE_MATCH, 0),
        (control::CR3_TARGET_COUNT, 0),
        (control::VMEXIT_MSR_STORE_COUNT, 0),
        (control::VMEXIT_MSR_LOAD_COUNT, 0),
        (control::VMENTRY_MSR_LOAD_COUNT, 0),
        (control::VMENTRY_INTERRUPTION_INFO_FIELD, 0),
        (control::CR0_GUEST_HOST_MASK, 0),
        (control::CR4_GUEST_HOST_MASK, 0),
        (guest::LINK_PTR_FULL, u64::MAX),
        (guest::IA32_DEBUGCTL_FULL, 0),
        (guest::INTERRUPTIBILITY_STATE, 0),
        (guest::ACTIVITY_STATE, 0),
        (guest::PENDING_DBG_EXCEPTIONS, 0),
        (guest::CR0, of.cr0),
        (guest::CR3, of.cr3),
        (guest::CR4, of.cr4),
        (guest::DR7, DR7),
        (guest::RSP, ways.stack),
        (guest::RIP, ways.begin),
        (guest::RFLAGS, RFLAGS),
        (guest::CS_SELECTOR, code),
        (guest::CS_ACCESS_RIGHTS, CODE_RIGHTS),
        (guest::CS_BASE, 0),
        (guest::CS_LIMIT, ALL),
        (guest::SS_SELECTOR, data),
        (guest::SS_ACCESS_RIGHTS, DATA_RIGHTS),
        (guest::SS_BASE, 0),
        (guest::SS_LIMIT, ALL),
        (guest::DS_SELECTOR, data),
        (guest::DS_ACCESS_RIGHTS, DATA_RIGHTS),
        (guest::DS_BASE, 0),
        (guest::DS_LIMIT, ALL),
        (guest::ES_SELECTOR, data),
        (guest::ES_ACCESS_RIGHTS, DATA_RIGHTS),
        (guest::ES_BASE, 0),
        (guest::ES_LIMIT, ALL),
        (guest::FS_SELECTOR, 0),
        (guest::FS_ACCESS_RIGHTS, UNUSABLE),
        (guest::FS_BASE, 0),
        (guest::FS_LIMIT, 0),
        (guest::GS_SELECTOR, 0),
        (guest::GS_ACCESS_RIGHTS, UNUSABLE),
        (guest::GS_BASE, of.gs_base),
        (guest::GS_LIMIT, 0),
        (guest::LDTR_SELECTOR, 0),
        (guest::LDTR_ACCESS_RIGHTS, UNUSABLE),
        (guest::LDTR_BASE, 0),
        (guest::LDTR_LIMIT, 0),
        (guest::TR_SELECTOR, task),
        (guest::TR_ACCESS_RIGHTS, TSS_RIGHTS),
        (guest::TR_BASE, task_base),
        (guest::TR_LIMIT, 103),
        (guest::GDTR_BASE, gdt),
        (guest::GDTR_LIMIT, gdt_limit),
        (guest::IDTR_BASE, idt),
        (guest::IDTR_LIMIT, idt_limit),
        (guest::IA32_SYSENTER_CS, 0),
        (guest::IA32_SYSENTER_ESP, 0),
        (guest::IA32_SYSENTER_EIP, 0),
        (host::CR0, of.cr0),
        (host::CR3, of.cr3),
        (host::CR4, of.cr4),
        (host::CS_SELECTOR, code),
        (host::SS_SELECTOR, data),
        (host::DS_SELECTOR, data),
        (host::ES_SELECTOR, data),
        (host::FS_SELECTOR, 0),
        (host::GS_SELECTOR, 0),
        (host::TR_SELECTOR, task),
        (host::FS_BASE, 0),
        (host::GS_BASE, of.gs_base),
        (host::TR_BASE, task_base),
        (host::GDTR_BASE, gdt),
        (host::IDTR_BASE, idt),
        (host::IA32_SYSENTER_CS, 0),
        (host::IA32_SYSENTER_ESP, 0),
        (host::IA32_SYSENTER_EIP, 0),
        (host::RIP, ways.exit),
    ];
    for (field, value) in fields {
        // SAFETY: there is a current VMCS; a field that does not exist is an error.
        unsafe { vmwrite(field, value) }?;
    }
    Ok(())
}

/// Returns the address of an assembly label.
pub(super) fn label(of: unsafe extern "C" fn()) -> u64 {
    (of as *const ()).addr() as u64
}
