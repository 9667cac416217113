//! What happens when a vector is taken.

use core::arch::global_asm;
use core::sync::atomic::Ordering;

use super::trap_frame::TrapFrame;
use super::{interrupt_handlers, probe, user_mode, vector};
use crate::NMI_VECTOR;
use crate::freestanding::int::word;
use crate::freestanding::{apic, nmi, panic, percpu, pic, strays};

global_asm!(include_str!("trap.s"), options(att_syntax));

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

const DOUBLE_FAULT: u8 = 8;
const MACHINE_CHECK: u8 = 18;
const GENERAL_PROTECTION: u8 = 13;
const PAGE_FAULT: u8 = 14;
const FIRST_OF_APIC: u8 = 16;
/// In IA32_MCG_STATUS: a machine check is being handled.
const IN_PROGRESS: u64 = 1 << 2;

/// Called by `trap.s` with interrupts disabled, on the stack of the vector.
#[unsafe(no_mangle)]
extern "C" fn rar_kernel_on_trap(frame: &mut TrapFrame) {
    let number = u8::try_from(frame.vector).unwrap_or(u8::MAX);
    match number {
        NMI_VECTOR => on_nmi(),
        // What user mode does wrong ends it; a double fault and a machine check are not its doing.
        0..32 if user_mode::is_user(frame) && !matches!(number, DOUBLE_FAULT | MACHINE_CHECK) => {
            user_mode::end(frame, u64::MAX)
        }
        // Interrupts are disabled in user mode.
        vector::USER_END if user_mode::is_user(frame) => user_mode::end(frame, frame.rax),
        // A local APIC accepts vectors from 0x10 on.
        FIRST_OF_APIC..32 if is_interrupt(number) => strays::count(number),
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
        // A masked line of the legacy controllers still has spurious interrupts, and so has the
        // local APIC; they want no acknowledgement. A device's interrupt of that vector does.
        pic::FIRST_VECTOR..0x30 | vector::SPURIOUS | vector::USER_END => {
            if apic::end_if_in_service(number) {
                strays::count(number);
            }
        }
        _ => {
            percpu::this().make_detour();
            let known = interrupt_handlers::call(number, frame);
            apic::end_of_interrupt();
            if !known && !matches!(number, vector::WAKE | vector::TIMER) {
                strays::count(number);
            }
        }
    }
}

/// Returns whether an interrupt has the vector of an exception, and ends it.
fn is_interrupt(number: u8) -> bool {
    let machine_check = number == MACHINE_CHECK && {
        // SAFETY: reading the register has no side effect.
        let status = unsafe { probe::read_register(x86::msr::IA32_MCG_STATUS) };
        status.is_some_and(|status| status & IN_PROGRESS != 0)
    };
    !machine_check && apic::end_if_in_service(number)
}

const WRMSR: [u8; 2] = [0x0f, 0x30];
/// `IA32_RAR_CTRL` to `IA32_RAR_PAYLOAD_BASE`.
const RAR_REGISTERS: core::ops::RangeInclusive<u64> = 0xed..=0xef;

/// Whether the fault is a write that a RAR register refuses. It is skipped: the writer reads the
/// register back.
fn is_rar_write(frame: &TrapFrame) -> bool {
    let code: *const [u8; 2] = core::ptr::with_exposed_provenance(word(frame.rip));
    // SAFETY: the processor has just fetched the instruction there, and code is readable.
    RAR_REGISTERS.contains(&(frame.rcx & 0xffff_ffff)) && unsafe { code.read() } == WRMSR
}

fn on_nmi() {
    percpu::this().make_detour();
    let depth = percpu::this().nmi_depth();
    depth.fetch_add(1, Ordering::Relaxed);
    panic::freeze_if_wanted();
    nmi::handle();
    depth.fetch_sub(1, Ordering::Relaxed);
}
