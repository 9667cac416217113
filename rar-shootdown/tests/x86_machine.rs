//! What the ready machine decides before it writes a register, which a host cannot.
#![cfg(all(target_arch = "x86_64", not(rar_loom)))]
#![expect(
    unsafe_code,
    reason = "the promises of a kernel, about registers that nothing writes"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::num::NonZero;
use std::ptr::NonNull;

use rar_percpu::fake::pinned;
use rar_percpu::{ApicId, CpuId, CpuSet, Domain, NativeTlb, PerCpu};
use rar_regs::{Addressing, CpuidResult, FakeCpu, LocalApic};
use rar_shootdown::{Machine, Message, NmiHandler, NotSent, TscClock, X86Machine};

const MESSAGES: [Message; 4] = [
    Message::Signal,
    Message::SecondSignal,
    Message::Interrupt,
    Message::Nmi,
];

/// A machine in xAPIC mode, whose commands name no APIC id above 0xfe.
fn machine(nmi: NmiHandler) -> X86Machine {
    let page = NonNull::from(Box::leak(Box::new([0_u32; 1024]))).cast();
    let cpu = FakeCpu::new().with_msr(0x1b, 0xfee0_0900);
    // SAFETY: no test sends to an APIC id that a command can name, so no register is written.
    let apic = unsafe { LocalApic::detect(&cpu, |_| Some(page)) }.unwrap();
    // SAFETY: as above; and no test flushes.
    let tlb = unsafe { NativeTlb::new() };
    let clock = TscClock::from_khz(NonZero::new(1_000_000).unwrap());
    // SAFETY: as above.
    unsafe { X86Machine::new(apic, tlb, clock, 0xf0, nmi) }
}

/// CPUs 0 to 2; a command can name only the first.
fn domain() -> Domain<1> {
    let domain = Domain::new();
    for (cpu, apic_id) in [(0, 1), (1, 0x100), (2, 0x101)] {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(cpu), ApicId::new(apic_id), memory)
            .unwrap();
    }
    domain
}

#[test]
fn a_target_that_no_command_can_name_is_named_in_the_error() {
    let (machine, domain) = (machine(NmiHandler::Serves), domain());
    for (targets, first) in [(&[1][..], 1), (&[2], 2), (&[1, 2], 1)] {
        let targets = CpuSet::of(targets.iter().copied().map(CpuId::new)).unwrap();
        for message in MESSAGES {
            let sent = machine.send(message, &pinned(0), &domain, &targets);
            let unreachable = NotSent::Unreachable(CpuId::new(first));
            assert_eq!(sent, Err(unreachable), "{message:?}");
        }
    }
}

#[test]
fn an_nmi_is_sent_only_to_a_handler_that_serves() {
    let (domain, none) = (domain(), CpuSet::new());
    for (nmi, by_nmi) in [
        (NmiHandler::Serves, Ok(())),
        (NmiHandler::Other, Err(NotSent::Unsupported)),
    ] {
        let machine = machine(nmi);
        let send = |message| machine.send(message, &pinned(0), &domain, &none);
        assert_eq!(MESSAGES.map(send), [Ok(()), Ok(()), Ok(()), by_nmi]);
    }
}

#[test]
fn the_clock_runs_at_the_ratio_that_the_cpu_tells() {
    let leaf = |eax, ebx, ecx| CpuidResult {
        eax,
        ebx,
        ecx,
        edx: 0,
    };
    for (denominator, numerator) in [(1, 100), (2, 200), (3, 300)] {
        let cpu = FakeCpu::new()
            .with_cpuid(0, 0, leaf(0x16, 0, 0))
            .with_cpuid(0x15, 0, leaf(denominator, numerator, 24_000_000));
        let clock = TscClock::from_cpuid(&cpu).unwrap();
        let second = clock.nanoseconds(2_400_000_000);
        assert!(second.abs_diff(1_000_000_000) < 10, "{second}");
    }
}

#[test]
fn the_clock_is_the_time_stamp_counter_and_addressing_is_the_kernels_to_choose() {
    let machine = machine(NmiHandler::Other);
    let now = || Machine::<1>::now(&machine).as_nanos();
    let before = now();
    assert!(before > 0 && now() >= before);
    let shown = format!("{:?}", machine.with_addressing(Addressing::Physical));
    assert!(shown.contains("addressing: Physical"), "{shown}");
}
