//! What the CPUs of the shim share.
#![expect(unsafe_code, reason = "finds other CPUs")]

use core::sync::atomic::{AtomicPtr, Ordering};

use crate::config::Config;
use crate::cpu::Cpu;
use crate::legacy::shared_pics::SharedPics;
use crate::memory::direct_map::DirectMap;
use crate::trace::reported::ReportedStop;
use crate::trace::tracer::Tracer;

/// The most CPUs of a machine.
const CPUS: usize = 1024;

/// The shim: one for the whole machine.
#[derive(Debug)]
pub struct Shim {
    config: Config,
    map: DirectMap,
    pics: SharedPics,
    tracer: Tracer,
    reported_stop: ReportedStop,
    /// In the order of their launches.
    cpus: [AtomicPtr<Cpu>; CPUS],
}

impl Shim {
    /// Returns a shim without CPUs.
    ///
    /// # Safety
    ///
    /// 1. The direct map, the image and the mapping of the local APIC are as [`Config`] says, in
    ///    the page tables that each CPU has loaded when it is launched. Nothing of those tables is
    ///    needed after the launch.
    /// 2. Code and statics of the shim, this shim and the [`CpuMemory`](crate::CpuMemory) of its
    ///    CPUs keep their place in physical memory, and nothing else writes to them, ever.
    /// 3. If there is a trace, its port takes bytes and does nothing else with them.
    #[must_use]
    pub const unsafe fn new(config: Config) -> Self {
        Self {
            // SAFETY: the caller's promise 1 until the launch; then the host's own tables.
            map: unsafe { DirectMap::new(config.direct_map) },
            pics: SharedPics::new(config.pic_vectors),
            config,
            tracer: Tracer::new(),
            reported_stop: ReportedStop::new(),
            cpus: [const { AtomicPtr::new(core::ptr::null_mut()) }; CPUS],
        }
    }

    /// Returns the CPU with this APIC id; `None` if it was not launched.
    #[must_use]
    pub fn cpu(&self, apic_id: u32) -> Option<&'static Cpu> {
        let (_, cpu) = self.cpus().find(|(id, _)| *id == apic_id)?;
        Some(cpu)
    }

    /// Returns every launched CPU with its APIC id.
    pub fn cpus(&self) -> impl Iterator<Item = (u32, &'static Cpu)> {
        self.all()
            .filter(|cpu| cpu.unit().is_some())
            .map(|cpu| (cpu.apic_id(), cpu))
    }

    /// Returns every CPU that has come so far: they fill the places without gaps.
    fn all(&self) -> impl Iterator<Item = &'static Cpu> {
        self.cpus.iter().map_while(cpu)
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn pics(&self) -> &SharedPics {
        &self.pics
    }

    pub(crate) const fn map(&self) -> DirectMap {
        self.map
    }

    pub(crate) const fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    pub(crate) const fn reported_stop(&self) -> &ReportedStop {
        &self.reported_stop
    }

    /// Adds a CPU; returns whether its id was free, and a place.
    pub(crate) fn add(&self, apic_id: u32, cpu: &'static Cpu) -> bool {
        if self.all().any(|cpu| cpu.apic_id() == apic_id) {
            return false;
        }
        cpu.set_apic_id(apic_id);
        let cpu = core::ptr::from_ref(cpu).cast_mut();
        self.cpus.iter().any(|place| {
            // Release pairs with the Acquire in `cpu`.
            place
                .compare_exchange(
                    core::ptr::null_mut(),
                    cpu,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
        })
    }
}

fn cpu(place: &AtomicPtr<Cpu>) -> Option<&'static Cpu> {
    // SAFETY: null, or stored by `add` from a 'static reference.
    unsafe { place.load(Ordering::Acquire).as_ref() }
}
