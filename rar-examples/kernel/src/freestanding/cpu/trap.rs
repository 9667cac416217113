//! What happens when a vector is taken.

use core::arch::global_asm;
use core::fmt;
use core::sync::atomic::Ordering;

use super::{handlers, probe, user, vector};
use crate::freestanding::{apic, lab, lost, nmi, panic, percpu, pic};

global_asm!(include_str!("trap.s"), options(att_syntax));

/// The registers of the interrupted code, as `trap.s` saves them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields are the registers of their names")]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  rip {:016x}  rsp {:016x}  rflags {:08x}  cs {:02x}  ss {:02x}",
            self.rip, self.rsp, self.rflags, self.cs, self.ss
        )?;
        writeln!(
            f,
            "  rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}",
            self.rax, self.rbx, self.rcx, self.rdx
        )?;
        writeln!(
            f,
            "  rsi {:016x}  rdi {:016x}  rbp {:016x}  r8  {:016x}",
            self.rsi, self.rdi, self.rbp, self.r8
        )?;
        writeln!(
            f,
            "  r9  {:016x}  r10 {:016x}  r11 {:016x}  r12 {:016x}",
            self.r9, self.r10, self.r11, self.r12
        )?;
        write!(
            f,
            "  r13 {:016x}  r14 {:016x}  r15 {:016x}",
            self.r13, self.r14, self.r15
        )
    }
}

const fn name(vector: u8) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD error",
        20 => "virtualization exception",
        21 => "control protection exception",
        _ => "exception",
    }
}

const NMI: u8 = 2;
const DOUBLE_FAULT: u8 = 8;
const MACHINE_CHECK: u8 = 18;
const GENERAL_PROTECTION: u8 = 13;
const PAGE_FAULT: u8 = 14;

/// Called by `trap.s` with interrupts disabled, on the stack of the vector.
#[unsafe(no_mangle)]
extern "C" fn rar_kernel_on_trap(frame: &mut TrapFrame) {
    let number = u8::try_from(frame.vector).unwrap_or(u8::MAX);
    match number {
        NMI => on_nmi(),
        // What user mode does wrong ends it; a double fault and a machine check are not its doing.
        0..32 if user::is_user(frame) && !matches!(number, DOUBLE_FAULT | MACHINE_CHECK) => {
            user::end(frame, u64::MAX)
        }
        vector::USER_END => user::end(frame, frame.rax),
        GENERAL_PROTECTION | PAGE_FAULT if let Some(landing) = probe::landing(frame.rip) => {
            frame.rip = landing
        }
        GENERAL_PROTECTION if is_rar_write(frame) => {
            defmt::error!("WRMSR {=u64:#x} is refused", frame.rcx);
            frame.rip += WRMSR.len() as u64;
        }
        0..32 => {
            // SAFETY: ring 0; reading CR2 has no effect.
            let cr2 = unsafe { x86::controlregs::cr2() };
            panic::die(
                format_args!(
                    "{} (vector {number}, error code {:#x}, cr2 {cr2:#x})",
                    name(number),
                    frame.error_code
                ),
                Some(frame),
            )
        }
        // A masked line of the legacy controllers still has spurious interrupts; they want no acknowledgement.
        pic::FIRST_VECTOR..0x30 | vector::SPURIOUS => {}
        _ => {
            handlers::call(number, frame);
            apic::end_of_interrupt();
        }
    }
}

const WRMSR: [u8; 2] = [0x0F, 0x30];
/// `IA32_RAR_CTRL` to `IA32_RAR_PAYLOAD_BASE`.
const RAR_REGISTERS: core::ops::RangeInclusive<u64> = 0xED..=0xEF;

/// Whether the fault is a write that a RAR register refuses. It is skipped: whoever wrote reads the register back.
fn is_rar_write(frame: &TrapFrame) -> bool {
    let code: *const [u8; 2] =
        core::ptr::with_exposed_provenance(crate::freestanding::address::word(frame.rip));
    // SAFETY: the processor has just fetched the instruction there, and code is readable.
    RAR_REGISTERS.contains(&(frame.rcx & 0xFFFF_FFFF)) && unsafe { code.read() } == WRMSR
}

fn on_nmi() {
    let depth = percpu::this().nmi_depth();
    depth.fetch_add(1, Ordering::Relaxed);
    lost::answer_if_asked();
    panic::freeze_if_wanted();
    lab::on_nmi();
    nmi::work();
    depth.fetch_sub(1, Ordering::Relaxed);
}
