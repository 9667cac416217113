//! The ready [`X86Machine`]: what a signal costs from the set of targets to the interrupt command
//! register.
//!
//! Its WRMSR is privileged. In this process it is replaced by an instruction that does nothing, so
//! that the count stays.

use core::ffi::{c_int, c_void};
use core::num::NonZero;
use std::hint::black_box;

use rar_percpu::{CpuSet, LifeCycleError, NativeTlb};
use rar_regs::{Addressing, FakeCpu, LocalApic};
use rar_shootdown::{Machine, Message, NmiHandler, Policy, TscClock, X86Machine};

use crate::bed::{Answers, Bed};
use crate::count::Counter;
use crate::size::Size;

unsafe extern "C" {
    fn rar_regs_send_x2apic();
    fn rar_regs_send_x2apic_next();
    fn mprotect(address: *mut c_void, length: usize, protection: c_int) -> c_int;
}

const WRMSR: [u8; 2] = [0x0f, 0x30];
/// `xchg ax, ax`: one instruction of the same length.
const NOTHING: [u8; 2] = [0x66, 0x90];

/// How long a sender is at most.
const SENDER: usize = 64;
const PAGE: usize = 4096;
const READ_WRITE_EXECUTE: c_int = 7;

/// Counts a signal by each addressing.
pub(crate) fn count(counter: &mut Counter, size: Size) -> Result<(), LifeCycleError> {
    let name = format!("X86Machine, by cluster {size}");
    if !counter.wants(&name) {
        return Ok(());
    }
    for sender in [rar_regs_send_x2apic, rar_regs_send_x2apic_next] {
        replace_wrmsr(sender as *mut u8);
    }
    match size.words {
        1 => send::<1>(counter, &name, size),
        4 => send::<4>(counter, &name, size),
        _ => send::<16>(counter, &name, size),
    }
}

fn replace_wrmsr(sender: *mut u8) {
    let start = sender.map_addr(|address| address & !(PAGE - 1));
    // SAFETY: the pages hold code of this program, which goes on being executed. Nothing else runs.
    let unlocked = unsafe { mprotect(start.cast(), 2 * PAGE, READ_WRITE_EXECUTE) } == 0;
    if !unlocked {
        return;
    }
    // SAFETY: the function is in these pages, code follows it, and nothing else looks at it now.
    let code = unsafe { std::slice::from_raw_parts_mut(sender, SENDER) };
    let at = code.windows(2).position(|pair| pair == WRMSR);
    if let Some(pair) = at.and_then(|at| code.get_mut(at..at + 2)) {
        pair.copy_from_slice(&NOTHING);
    }
}

fn send<const WORDS: usize>(
    counter: &mut Counter,
    name: &str,
    size: Size,
) -> Result<(), LifeCycleError> {
    let bed = Bed::<WORDS>::new(size.targets, Answers::Microcode, Policy::new())?;
    let registers = FakeCpu::new().with_msr(0x1b, 0xfee0_0d00);
    // SAFETY: 1. to 3. no register is reached: see `replace_wrmsr`.
    let apic = unsafe { LocalApic::detect(&registers, |_| None) };
    // SAFETY: 1. to 3. nothing is flushed with it.
    let tlb = unsafe { NativeTlb::new() };
    let (Ok(apic), Some(khz)) = (apic, NonZero::new(2_000_000)) else {
        counter.fail(name, "no local APIC");
        return Ok(());
    };
    let clock = TscClock::from_khz(khz);
    let mut targets: CpuSet<WORDS> = bed.space.snapshot();
    targets.remove(bed.cpu.id());
    for (name, addressing) in [
        (name, Addressing::Cluster),
        (&format!("X86Machine, by id {size}"), Addressing::Physical),
    ] {
        // SAFETY: 1. to 3. as above: nothing is sent or flushed.
        let machine = unsafe { X86Machine::new(apic, tlb, clock, 0xe1, NmiHandler::Other) };
        let machine = machine.with_addressing(addressing);
        counter.case(name, || {
            let (machine, cpu, domain, targets) =
                black_box((&machine, &bed.cpu, bed.shootdown.domain(), &targets));
            machine.send(Message::Signal, cpu, domain, targets).is_ok()
        });
    }
    Ok(())
}
