//! A kernel that is booted on machines of several sizes.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::atomic::{AtomicU64, Ordering};

use rar_shape_hardware::fake::{on_cpu, power_on, while_idling};
use rar_shape_hardware::{Frame, Tlb, cached, read};
use rar_shape_per_cpu_blocks::flush::{AddressSpace, Kernel, WORDS};
use rar_shape_per_cpu_blocks::machine::{DynMachine, Interrupts};
use rar_shootdown::rar_payload::{PageRange, PageSize, Pcid};
use rar_shootdown::rar_percpu::{ApicId, CpuId, CpuSet, Domain, PinnedCpu, RegisterError};
use rar_shootdown::{Instant, Machine, Message, NotSent};

const ADDRESS: u64 = 0x5000_0000;

/// The APIC ids of a machine whose CPU numbers run the other way.
const APIC_IDS: [u32; 3] = [2, 1, 0];

fn booted(machine: &'static DynMachine) -> &'static Kernel {
    let kernel = Kernel::boot(machine, &APIC_IDS.map(ApicId::new)).unwrap();
    for apic_id in APIC_IDS {
        let _stays_online = on_cpu(apic_id, || kernel.bring_online()).unwrap();
    }
    kernel
}

/// An address space that CPUs 0 and 1 use, in which CPU 1 has a stale translation: the page table
/// maps the page no more. Returns it with the frame put back.
fn stale_on_cpu_1(kernel: &Kernel) -> (AddressSpace, u64) {
    let space = kernel.new_space();
    for cpu in [0, 1] {
        assert!(space.mask.set(CpuId::new(cpu)));
    }
    let frame = Frame::allocate().unwrap();
    let number = frame.number();
    space.table.map(ADDRESS, frame);
    assert_eq!(on_cpu_1(&space), Some(number));
    let frame = space.table.unmap(ADDRESS).unwrap();
    assert_eq!(
        on_cpu_1(&space),
        Some(number),
        "positive control: without a flush the translation stays"
    );
    assert!(!Frame::is_free(number));
    space.table.map(ADDRESS, frame);
    (space, number)
}

fn page() -> PageRange {
    PageRange::page(ADDRESS, PageSize::Size4K).unwrap()
}

/// What CPU 1, which has APIC id 1, reads.
fn on_cpu_1(space: &AddressSpace) -> Option<u64> {
    on_cpu(1, || read(&space.table, Pcid::ZERO, ADDRESS))
}

#[test]
fn the_cpus_of_the_kernels_own_mask_are_flushed_through_their_own_blocks() {
    let _machine = power_on(|| {});
    let kernel = booted(&Interrupts);
    let (space, number) = stale_on_cpu_1(kernel);
    // CPU 2 has APIC id 0. It is not in the mask and keeps its translation.
    assert_eq!(
        on_cpu(0, || read(&space.table, Pcid::ZERO, ADDRESS)),
        Some(number)
    );

    // CPU 0 has APIC id 2.
    let unmap = || on_cpu(2, || kernel.unmap(&space, page()));
    let frame = while_idling(1, || kernel.on_flush_interrupt(), unmap);
    assert_eq!(on_cpu_1(&space), None);
    assert!(!Frame::is_free(number), "the caller has it");
    drop(frame.unwrap().unwrap());
    assert!(Frame::is_free(number));
    let on_cpu_2 = cached(0, Pcid::ZERO, ADDRESS);
    assert_eq!(on_cpu_2, Some(number), "it was not flushed");
}

/// A machine that is chosen at boot. It counts its messages.
struct Counting {
    sent: AtomicU64,
}

impl Machine<WORDS> for Counting {
    type Tlb = Tlb;

    fn tlb(&self) -> &Tlb {
        &Tlb
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
    ) -> Result<(), NotSent> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        Interrupts.send(message, cpu, domain, targets)
    }

    fn now(&self) -> Instant {
        Machine::<WORDS>::now(&Interrupts)
    }
}

#[test]
fn the_machine_is_picked_at_boot() {
    let _machine = power_on(|| {});
    let counting: &'static Counting = Box::leak(Box::new(Counting {
        sent: AtomicU64::new(0),
    }));
    let kernel = booted(counting);
    let (space, number) = stale_on_cpu_1(kernel);
    let unmap = || on_cpu(2, || kernel.unmap(&space, page()));
    let frame = while_idling(1, || kernel.on_flush_interrupt(), unmap);
    assert_eq!(on_cpu_1(&space), None);
    assert_eq!(counting.sent.load(Ordering::Relaxed), 1);
    drop(frame.unwrap());
    assert!(Frame::is_free(number));
}

#[test]
fn a_machine_with_more_cpus_than_the_sets_have_room_for_is_refused() {
    let _machine = power_on(|| {});
    let ids: Vec<_> = (0..1025).map(ApicId::new).collect();
    let refused = Kernel::boot(&Interrupts, &ids).err();
    let cpu = CpuId::new(1024);
    let capacity = 1024;
    assert_eq!(refused, Some(RegisterError::NoRoom { cpu, capacity }));
    let kernel = Kernel::boot(&Interrupts, &ids[..70]).unwrap();
    let mask = kernel.new_space().mask;
    assert!(mask.set(CpuId::new(69)) && !mask.set(CpuId::new(128)));
}
