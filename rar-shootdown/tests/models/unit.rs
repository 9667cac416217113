//! The RAR unit of one CPU, as microcode plays it: plain loads and stores, no exchange.

use core::ptr::from_ref;

use loom::sync::atomic::{AtomicU8, Ordering};
use rar_payload::Operation;
use rar_percpu::fake::{FakeAddresses, pinned};
use rar_percpu::{ActionState, ActionVector, CpuId, Enabled, LocalTlb, RarCpu, SlotIndex};
use rar_regs::{Detection, FakeCpu, InterruptPolicy};

use crate::models::World;

/// Returns the registers of a CPU with RAR. Made before a model runs: they are too large for the
/// stack that loom gives it.
pub(crate) fn registers() -> &'static FakeCpu {
    Box::leak(Box::new(FakeCpu::with_rar(1)))
}

/// Brings a CPU online whose unit answers.
pub(crate) fn bring_online(
    world: World,
    cpu: u32,
    registers: &'static FakeCpu,
) -> RarCpu<'static, &'static FakeCpu, Enabled, 1> {
    let pinned = pinned(cpu);
    world.register(cpu);
    let support = Detection::new().detect(registers).unwrap();
    let detected = RarCpu::detect(world.domain(), &pinned, support, registers).unwrap();
    let configured = detected.configure(&pinned, &FakeAddresses).unwrap();
    // SAFETY: a fake follows no address.
    let enabled =
        unsafe { configured.bring_online(&pinned, InterruptPolicy::IgnoreIf, world.tlbs()) };
    enabled.unwrap()
}

/// Carries out what it finds pending, once through the vector; returns how many entries it found.
pub(crate) fn scan(world: World, cpu: u32) -> u32 {
    let vector = world.domain().cpu(CpuId::new(cpu)).unwrap().vector();
    let mut found = 0;
    for slot in SlotIndex::first(SlotIndex::COUNT) {
        // Every load of x86 is an Acquire, every store a Release.
        if byte(vector, slot).load(Ordering::Acquire) == ActionState::Pending as u8 {
            let payload = world.domain().table().load(slot);
            let operation = Operation::decode(&payload).unwrap();
            world.tlbs().flush(&pinned(cpu), &operation).unwrap();
            assert_eq!(
                world.domain().table().load(slot),
                payload,
                "a slot was reused while a unit worked on it"
            );
            byte(vector, slot).store(ActionState::Success as u8, Ordering::Release);
            found += 1;
        }
    }
    found
}

fn byte(vector: &ActionVector, slot: SlotIndex) -> &AtomicU8 {
    let bytes = from_ref(vector).cast::<[AtomicU8; SlotIndex::COUNT]>();
    // SAFETY: the vector is `repr(C)` and begins with this array.
    let bytes = unsafe { &*bytes };
    &bytes[slot.get()]
}
