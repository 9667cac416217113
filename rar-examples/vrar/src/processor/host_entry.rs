//! What the assembly of the world switch calls in the host.
#![expect(unsafe_code, reason = "called by assembly")]

use crate::cpu::HOST_FAULT;
use crate::cpu_memory::CpuMemory;
use crate::processor::world::World;

/// # Safety
///
/// The world is one that [`enter`](crate::processor::world::enter) was called with.
unsafe fn memory_of(world: *const World) -> &'static CpuMemory {
    // SAFETY: the caller's promise.
    let memory = unsafe { (*world).memory };
    // SAFETY: `enter` was promised that the world names the memory of its CPU, which lives forever.
    unsafe { &*memory.cast() }
}

/// Called by the assembly after each exit, with GIF clear.
#[unsafe(no_mangle)]
extern "C" fn rar_vrar_on_exit(world: *mut World) {
    // SAFETY: the assembly passes on what `enter` was called with.
    let memory = unsafe { memory_of(world) };
    // SAFETY: on this CPU, in the host, once: the assembly is the only caller.
    if let Some(mut vcpu) = unsafe { memory.vcpu() } {
        vcpu.on_exit();
    }
}

/// Called by the assembly when the host itself faults: the CPU is gone, and its guest sees no wrong
/// answer.
#[unsafe(no_mangle)]
extern "C" fn rar_vrar_on_mistake(world: *mut World, vector: u64, _stack: u64) -> ! {
    // SAFETY: as in `rar_vrar_on_exit`; only the shared part of the CPU is used.
    let memory = unsafe { memory_of(world) };
    if let Some(cpu) = memory.cpu() {
        cpu.note_gone(HOST_FAULT | vector);
    }
    loop {
        // With GIF clear nothing wakes it.
        // SAFETY: ends this CPU.
        unsafe { x86::halt() };
    }
}
