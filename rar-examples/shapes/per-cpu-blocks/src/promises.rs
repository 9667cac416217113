//! The blocks, and what this kernel promises. Everything else is checked by the compiler.
#![expect(
    unsafe_code,
    reason = "a block is found through a register, and memory is freed on the word of the guard"
)]

use alloc::alloc::{alloc_zeroed, handle_alloc_error};
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::from_ref;
use core::sync::atomic::{AtomicU32, Ordering};

use rar_shape_hardware::{gs_base, set_gs_base, this_cpu};
use rar_shootdown::rar_percpu::{ApicId, CpuGuard, CpuId, PerCpu};

/// What the kernel keeps for one CPU. All bytes zero is a CPU that has not booted.
#[repr(C)]
#[derive(Debug)]
pub struct CpuBlock {
    number: AtomicU32,
    /// How many guards live on this CPU. The scheduler moves nothing away until it is zero.
    preemption_disabled: AtomicU32,
    rar: PerCpu,
}

/// What the CPU that boots uses until it has loaded its own block.
static FIRST_BLOCK: CpuBlock = CpuBlock {
    number: AtomicU32::new(0),
    preemption_disabled: AtomicU32::new(0),
    rar: PerCpu::new(),
};

impl CpuBlock {
    /// Returns the memory that flushes of this CPU need.
    #[must_use]
    pub fn rar(&self) -> &PerCpu {
        &self.rar
    }

    /// Returns the block of the CPU that the code runs on.
    fn this() -> &'static Self {
        // SAFETY: 1. only `load_own_block` sets the GS base, to a block that is never freed; 2. the
        // block is made of atomics.
        unsafe { gs_base().cast::<Self>().as_ref() }.unwrap_or(&FIRST_BLOCK)
    }
}

/// Allocates a zeroed block, which is never freed.
#[must_use]
pub fn allocate_block(cpu: CpuId) -> &'static CpuBlock {
    let layout = Layout::new::<CpuBlock>();
    // SAFETY: 1. the layout is not empty.
    let memory = unsafe { alloc_zeroed(layout) }.cast::<CpuBlock>();
    // SAFETY: 1. the memory is aligned, as large as a block and never freed; 2. all bytes zero is a
    // valid block, `PerCpu` included.
    let Some(block) = (unsafe { memory.as_ref() }) else {
        handle_alloc_error(layout)
    };
    block.number.store(cpu.get(), Ordering::Relaxed);
    block
}

/// Finds the block of the CPU that the code runs on by its APIC id, and has the CPU use it.
pub fn load_own_block(blocks: &[&'static CpuBlock]) {
    let apic_id = Some(ApicId::new(this_cpu()));
    let own = blocks.iter().find(|block| block.rar.apic_id() == apic_id);
    if let Some(block) = own {
        set_gs_base(from_ref::<CpuBlock>(block).cast_mut().cast());
    }
}

/// While this lives, the scheduler moves no code away from this CPU.
#[derive(Debug)]
pub struct DisabledPreemption {
    block: &'static CpuBlock,
    not_send: PhantomData<*const ()>,
}

/// Disables preemption.
#[must_use]
pub fn disable_preemption() -> DisabledPreemption {
    // A kernel finds and counts in one instruction, `INC GS:[..]`.
    let block = CpuBlock::this();
    block.preemption_disabled.fetch_add(1, Ordering::Relaxed);
    DisabledPreemption {
        block,
        not_send: PhantomData,
    }
}

impl Drop for DisabledPreemption {
    fn drop(&mut self) {
        let count = &self.block.preemption_disabled;
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

// SAFETY: 1. preemption is disabled while the guard lives, and the guard is not `Send`; 2. the
// block is that of this CPU.
unsafe impl CpuGuard for DisabledPreemption {
    fn cpu(&self) -> CpuId {
        CpuId::new(self.block.number.load(Ordering::Relaxed))
    }
}
