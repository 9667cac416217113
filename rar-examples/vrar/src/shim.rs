//! What the CPUs of the shim share.
#![expect(unsafe_code, reason = "finds the memory of other CPUs")]

use core::sync::atomic::{AtomicPtr, Ordering};

use crate::config::Config;
use crate::cpu::{Cpu, CpuMemory};
use crate::direct_map::DirectMap;
use crate::nested::NestedTables;
use crate::real_apic::RealApic;

/// An xAPIC addresses ids 0 to 254.
const CPUS: usize = 255;

/// The shim: one for the whole machine.
#[derive(Debug)]
pub struct Shim {
    config: Config,
    map: DirectMap,
    real: RealApic,
    nested: NestedTables,
    cpus: [AtomicPtr<CpuMemory>; CPUS],
}

impl Shim {
    /// Returns a shim without CPUs.
    ///
    /// # Safety
    ///
    /// 1. The direct map and the mapping of the local APIC are as [`Config`] says, in the page tables that each CPU has loaded when
    ///    it is launched. Those page tables are the host's for ever: they are never freed, and what they map of the kernel's
    ///    code, of its statics, of RAM and of the APIC never changes.
    /// 2. Physical memory is not the shim's to protect: the guest may write anywhere, also to the shim. The kernel does not.
    #[must_use]
    pub const unsafe fn new(config: Config) -> Self {
        Self {
            // SAFETY: the caller's promise 1.
            map: unsafe { DirectMap::new(config.direct_map) },
            // SAFETY: the caller's promise 1; that it is in xAPIC mode is checked at each launch.
            real: unsafe { RealApic::new(config.apic) },
            config,
            nested: NestedTables::new(),
            cpus: [const { AtomicPtr::new(core::ptr::null_mut()) }; CPUS],
        }
    }

    /// Returns the CPU with this APIC id; `None` if it was not launched.
    #[must_use]
    pub fn cpu(&self, apic_id: u32) -> Option<&'static Cpu> {
        let place = self.cpus.get(usize::try_from(apic_id).ok()?)?;
        memory(place)?.cpu()
    }

    /// Returns every launched CPU with its APIC id.
    pub fn cpus(&self) -> impl Iterator<Item = (u32, &'static Cpu)> {
        (0..)
            .zip(&self.cpus)
            .filter_map(|(id, place)| Some((id, memory(place)?.cpu()?)))
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn map(&self) -> DirectMap {
        self.map
    }

    pub(crate) const fn nested(&self) -> &NestedTables {
        &self.nested
    }

    pub(crate) const fn real(&self) -> RealApic {
        self.real
    }

    /// Makes a CPU known to the others; returns whether its id was free.
    pub(crate) fn add(&self, apic_id: u32, memory: &'static CpuMemory) -> bool {
        let place = usize::try_from(apic_id)
            .ok()
            .and_then(|id| self.cpus.get(id));
        place.is_some_and(|place| {
            let memory = core::ptr::from_ref(memory).cast_mut();
            // Release pairs with the Acquire in `memory`.
            place
                .compare_exchange(
                    core::ptr::null_mut(),
                    memory,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
        })
    }
}

fn memory(place: &AtomicPtr<CpuMemory>) -> Option<&'static CpuMemory> {
    // SAFETY: null, or stored by `add` from a 'static reference.
    unsafe { place.load(Ordering::Acquire).as_ref() }
}
