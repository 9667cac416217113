//! Privileged instructions of the host.
#![expect(unsafe_code, reason = "privileged instructions")]

use core::arch::asm;

use x86::dtables::DescriptorTablePointer;

use crate::guest::cpuid::Leaf;
use crate::legacy::machine_pics::Ports;
use crate::processor::gdt;
use crate::processor::vmcb::{Segment, Vmcb};

/// The reset control register of every PC chipset with PCI.
const RESET_PORT: u16 = 0xcf9;
const RESET_KIND_HARD: u8 = 1 << 1;
const RESET_NOW: u8 = 1 << 2;

unsafe extern "C" {
    fn rar_vrar_write_msr(register: u32, value: u64);
    fn rar_vrar_send_x2apic(command: u64);
}

pub(crate) fn cpuid(leaf: u32, subleaf: u32) -> Leaf {
    let result = x86::cpuid::native_cpuid::cpuid_count(leaf, subleaf);
    Leaf {
        eax: result.eax,
        ebx: result.ebx,
        ecx: result.ecx,
        edx: result.edx,
    }
}

/// Resets the machine, where it has the usual register for that; returns where not.
pub(crate) fn reset_machine() {
    for value in [RESET_KIND_HARD, RESET_KIND_HARD | RESET_NOW] {
        write_port(RESET_PORT, value);
    }
}

/// # Safety
///
/// Ring 0, and the register exists.
pub(crate) unsafe fn read_msr(register: u32) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { x86::msr::rdmsr(register) }
}

/// # Safety
///
/// Ring 0, the register exists, the value is legal, and what it changes keeps memory as Rust sees
/// it.
pub(crate) unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { rar_vrar_write_msr(register, value) }
}

/// Sends an interrupt command, after everything that was stored before.
///
/// # Safety
///
/// Ring 0 and x2APIC mode, and the receiver can take it.
pub(crate) unsafe fn send_x2apic(command: u64) {
    // SAFETY: the caller's promise.
    unsafe { rar_vrar_send_x2apic(command) }
}

/// Returns the time stamp counter.
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: the host runs in ring 0, where the instruction works whatever CR4.TSD says.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Writes text to an I/O port, byte by byte, in one instruction.
pub(crate) fn write_text(port: u16, text: &str) {
    // SAFETY: called in the host, hence in ring 0; the port takes bytes, as `Shim::new` was
    // promised, and the instruction reads only the text.
    unsafe {
        asm!(
            "rep outsb",
            in("dx") port,
            inout("rsi") text.as_ptr() => _,
            inout("rcx") text.len() => _,
            options(nostack, preserves_flags, readonly),
        );
    }
}

pub(crate) fn read_port(port: u16) -> u8 {
    // SAFETY: called in the host, for the guest of this CPU or for the interrupt controllers.
    unsafe { x86::io::inb(port) }
}

pub(crate) fn write_port(port: u16, value: u8) {
    // SAFETY: as above.
    unsafe { x86::io::outb(port, value) }
}

/// Reads 1, 2 or 4 bytes from a port.
pub(crate) fn input(port: u16, bytes: u8) -> u32 {
    match bytes {
        // SAFETY: called in the host, for the guest of this CPU.
        1 => u32::from(unsafe { x86::io::inb(port) }),
        // SAFETY: as above.
        2 => u32::from(unsafe { x86::io::inw(port) }),
        // SAFETY: as above.
        _ => unsafe { x86::io::inl(port) },
    }
}

/// Writes 1, 2 or 4 bytes to a port.
pub(crate) fn output(port: u16, bytes: u8, value: u32) {
    let [first, second, ..] = value.to_le_bytes();
    match bytes {
        // SAFETY: called in the host, for the guest of this CPU.
        1 => unsafe { x86::io::outb(port, first) },
        // SAFETY: as above.
        2 => unsafe { x86::io::outw(port, u16::from_le_bytes([first, second])) },
        // SAFETY: as above.
        _ => unsafe { x86::io::outl(port, value) },
    }
}

/// The ports of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachinePorts;

impl Ports for MachinePorts {
    fn read(&self, port: u16) -> u8 {
        read_port(port)
    }

    fn write(&self, port: u16, value: u8) {
        write_port(port, value);
    }
}

/// Invalidates one page of the guest's address space on this CPU.
pub(crate) fn invalidate_page(address: u64, asid: u32) {
    // SAFETY: called in the host, where EFER.SVME is set; dropping a translation changes no memory.
    unsafe {
        asm!(
            "invlpga rax, ecx",
            in("rax") address,
            in("ecx") asid,
            options(nostack, preserves_flags),
        );
    }
}

/// Loads what VMRUN leaves from the VMCB at this physical address: FS, GS, TR, LDTR and the
/// registers of system calls.
pub(crate) fn load_rest(vmcb: u64) {
    // SAFETY: called in the host, which uses none of these, with the address of its own VMCB.
    unsafe { asm!("vmload rax", in("rax") vmcb, options(nostack, preserves_flags, readonly)) };
}

/// Fills in the guest's registers as they are on this CPU, except RSP, RIP and RFLAGS.
///
/// # Safety
///
/// Ring 0 in 64-bit mode.
pub(crate) unsafe fn capture(vmcb: &mut Vmcb) {
    // SAFETY: ring 0; reading control registers has no effect.
    unsafe {
        vmcb.cr0 = x86::controlregs::cr0().bits() as u64;
    }
    // SAFETY: as above.
    vmcb.cr2 = unsafe { x86::controlregs::cr2() } as u64;
    // SAFETY: as above.
    vmcb.cr3 = unsafe { x86::controlregs::cr3() };
    // SAFETY: as above.
    vmcb.cr4 = unsafe { x86::controlregs::cr4() }.bits() as u64;
    vmcb.dr6 = 0xffff_0ff0;
    vmcb.dr7 = 0x400;
    // SAFETY: EFER exists on every 64-bit CPU.
    vmcb.efer = unsafe { read_msr(x86::msr::IA32_EFER) };
    let mut table = DescriptorTablePointer::<u64>::default();
    // SAFETY: stores the pointer to the table.
    unsafe { x86::dtables::sgdt(&mut table) };
    vmcb.gdtr = table_register(&table);
    // SAFETY: as above.
    unsafe { x86::dtables::sidt(&mut table) };
    vmcb.idtr = table_register(&table);
    vmcb.cs = flat(x86::segmentation::cs().bits(), 0x0a9b);
    vmcb.ss = flat(x86::segmentation::ss().bits(), 0x0c93);
    vmcb.ds = flat(x86::segmentation::ds().bits(), 0x0c93);
    vmcb.es = flat(x86::segmentation::es().bits(), 0x0c93);
}

fn table_register(table: &DescriptorTablePointer<u64>) -> Segment {
    let (limit, base) = (table.limit, table.base);
    Segment {
        limit: u32::from(limit),
        base: base.addr() as u64,
        ..Segment::ZERO
    }
}

/// A segment of 64-bit code in ring 0; a null selector has no attributes.
fn flat(selector: u16, attributes: u16) -> Segment {
    Segment {
        selector,
        attributes: if selector < 4 { 0 } else { attributes },
        limit: u32::MAX,
        base: 0,
    }
}

/// Loads the interrupt descriptor table.
///
/// # Safety
///
/// The gates lead to handlers, and the table stays forever.
pub(crate) unsafe fn load_idt(gates: &'static [[u64; 2]; 256]) {
    // SAFETY: the caller's promise.
    unsafe { x86::dtables::lidt(&DescriptorTablePointer::new(gates)) };
}

/// Loads the host's own global descriptor table, and its segments.
///
/// # Safety
///
/// Ring 0 in 64-bit mode. What ran before needs its segments only as the VMCB has kept them.
pub(crate) unsafe fn load_gdt() {
    // SAFETY: a static that describes flat segments.
    unsafe { x86::dtables::lgdt(&DescriptorTablePointer::new(&gdt::TABLE)) };
    // SAFETY: the selectors name what the table just loaded holds; the far return goes on behind
    // it, on the same stack. FS and GS keep their bases.
    unsafe {
        asm!(
            "push {code}",
            "lea {next}, [rip + 2f]",
            "push {next}",
            "retfq",
            "2:",
            "mov ds, {data:e}",
            "mov es, {data:e}",
            "mov ss, {data:e}",
            code = in(reg) u64::from(gdt::CODE),
            data = in(reg) u32::from(gdt::DATA),
            next = out(reg) _,
            options(preserves_flags),
        );
    }
}

/// Interrupts disabled while it lives; then as before.
pub(crate) struct Masked {
    enabled: bool,
}

impl Masked {
    /// # Safety
    ///
    /// Ring 0.
    pub(crate) unsafe fn new() -> Self {
        let enabled = x86::bits64::rflags::read().contains(x86::bits64::rflags::RFlags::FLAGS_IF);
        // SAFETY: ring 0.
        unsafe { x86::irq::disable() };
        Self { enabled }
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        if self.enabled {
            // SAFETY: ring 0 by the promise to `new`, and they were enabled before.
            unsafe { x86::irq::enable() };
        }
    }
}
