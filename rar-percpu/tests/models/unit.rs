//! The RAR unit of one CPU, as microcode plays it: plain loads and stores, no exchange.

use core::ptr::from_ref;

use loom::sync::atomic::{AtomicU8, Ordering};
use rar_payload::Operation;
use rar_percpu::fake::{FakeAddresses, pinned};
use rar_percpu::{ActionState, ActionVector, CpuId, LocalTlb, PerCpu, RarCpu, SlotIndex};
use rar_regs::{Detection, FakeCpu, InterruptPolicy};

use crate::models::World;

/// Brings a CPU online whose unit answers.
pub(crate) fn bring_online(world: World, cpu: CpuId, registers: &'static FakeCpu) {
    let pinned = pinned(cpu.get());
    let support = Detection::new().detect(registers).unwrap();
    let detected = RarCpu::detect(world.domain, &pinned, support, registers).unwrap();
    let configured = detected.configure(&pinned, &FakeAddresses).unwrap();
    // SAFETY: a fake follows no address.
    let enabled = unsafe { configured.bring_online(&pinned, InterruptPolicy::IgnoreIf, world.tlb) };
    core::mem::forget(enabled.unwrap());
}

/// Carries out what it finds pending, once through the vector.
pub(crate) fn scan(world: World, memory: &PerCpu, cpu: CpuId) {
    for slot in SlotIndex::first(SlotIndex::COUNT) {
        let byte = byte(memory.vector(), slot);
        // Every load of x86 is an Acquire, every store a Release.
        if byte.load(Ordering::Acquire) == ActionState::Pending as u8 {
            let payload = world.domain.table().load(slot);
            let operation = Operation::decode(&payload).unwrap();
            world.tlb.flush(&pinned(cpu.get()), &operation).unwrap();
            assert_eq!(
                world.domain.table().load(slot),
                payload,
                "a slot was reused while a unit worked on it"
            );
            byte.store(ActionState::Success as u8, Ordering::Release);
        }
    }
}

fn byte(vector: &ActionVector, slot: SlotIndex) -> &AtomicU8 {
    let bytes = from_ref(vector).cast::<[AtomicU8; SlotIndex::COUNT]>();
    // SAFETY: the vector is `repr(C)` and begins with this array.
    let bytes = unsafe { &*bytes };
    &bytes[slot.get()]
}
