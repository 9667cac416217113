//! Each CPU on its way up.

use rar_kernel::{Once, SpinLock, percpu};
use rar_shootdown::rar_percpu::{
    LifeCycleError, OnlineCpu, PerCpu, PhysicalAddressOf, PinnedCpu, RarCpu, SoftwareCpu,
};
use rar_shootdown::rar_regs::{Detection, InterruptPolicy, NativeCpu, RarSupport, SupportError};

use crate::guard::Pinned;
use crate::shootdown::KernelShootdown;

/// What microcode and others share of each CPU. All zero, so it could lie in the kernel's own
/// per-CPU blocks as well.
static MEMORY: [PerCpu; 64] = [const { PerCpu::new() }; 64];

type Online = OnlineCpu<'static, NativeCpu, 1>;

/// The value that drives each CPU, kept for the day it goes offline.
static ONLINE: [SpinLock<Option<Online>>; 64] = [const { SpinLock::new(None) }; 64];

/// Whether this machine has RAR: asked once, on the boot CPU. Every other CPU is checked against
/// the answer.
static SUPPORT: Once<Option<RarSupport>> = Once::new();

/// Looks for RAR; the error says why software answers instead.
pub(crate) fn detect() -> Result<u8, SupportError> {
    // SAFETY: 1. Ring 0. 2. The proof is used on this machine only.
    let cpu = unsafe { NativeCpu::new() };
    let support = Detection::new().minimum_entries(8).detect(&cpu);
    SUPPORT.set(support.ok());
    support.map(|support| support.entries())
}

/// Brings the CPU online that runs it.
pub(crate) fn bring_online(shootdown: &'static KernelShootdown) -> Result<(), LifeCycleError> {
    let pinned = Pinned::new();
    let cpu = pinned.cpu();
    let (Some(memory), Some(place)) = (MEMORY.get(cpu.id().index()), ONLINE.get(cpu.id().index()))
    else {
        return Err(LifeCycleError::NotRegistered(cpu.id()));
    };
    let (domain, tlb) = (shootdown.domain(), shootdown.tlb());
    domain.register(cpu.id(), percpu::this().apic_id(), memory)?;
    let online = match SUPPORT.get().copied().flatten() {
        Some(support) => enable(shootdown, &cpu, support)?,
        None => SoftwareCpu::bring_online(domain, &cpu, tlb)?.into(),
    };
    *place.lock() = Some(online);
    Ok(())
}

/// If a later CPU fails here the CPUs disagree: then bring all of them up without RAR.
fn enable(
    shootdown: &'static KernelShootdown,
    cpu: &PinnedCpu<'_>,
    support: RarSupport,
) -> Result<Online, LifeCycleError> {
    // SAFETY: 1. Ring 0. 2. `RarCpu::detect` checks this CPU against the proof.
    let registers = unsafe { NativeCpu::new() };
    let unit = RarCpu::detect(shootdown.domain(), cpu, support, registers)?;
    let unit = unit.configure(cpu, &OneToOne)?;
    let (policy, tlb) = (InterruptPolicy::IgnoreIf, shootdown.tlb());
    // SAFETY: 1. Nothing resets the CPU in between. 2. Domain and memory are never given back. 3.
    // No code of this kernel keeps translations by disabling interrupts.
    Ok(unsafe { unit.bring_online(cpu, policy, tlb) }?.into())
}

/// Where this kernel's statics lie: it is mapped one to one.
struct OneToOne;

// SAFETY: statics are mapped one to one, physically contiguous, write-back, and never move.
unsafe impl PhysicalAddressOf for OneToOne {
    fn physical_address_of(&self, virtual_address: *const (), _bytes: usize) -> Option<u64> {
        Some(virtual_address.addr() as u64)
    }
}
