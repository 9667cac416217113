#![doc = include_str!("../README.md")]
#![no_std]
// On a host there is nothing to build.
#![cfg(feature = "freestanding")]

use core::ptr::NonNull;

use rar_kernel::frames::{self, PAGE};
use rar_kernel::int::word;
use rar_kernel::paging::{self, MapError};
use rar_kernel::{Once, exit, power};
use rar_vrar::{Config, CpuMemory, EndPorts, LaunchError, Shim};

static SHIM: Once<Shim> = Once::new();

/// Makes the shim, with the changes that `configure` makes to the usual configuration. `apic` is
/// the physical address of the local APICs.
///
/// # Errors
///
/// The registers of the local APIC cannot be mapped.
pub fn make(apic: u64, configure: impl FnOnce(&mut Config)) -> Result<(), MapError> {
    paging::map_device(apic, PAGE)?;
    let registers = NonNull::new(core::ptr::with_exposed_provenance_mut(word(apic)))
        .ok_or(MapError::OutOfReach { address: apic })?;
    let mut config = Config::new(0, registers);
    configure(&mut config);
    config.trace.ends = EndPorts {
        sleep: power::sleep_control(),
        exit: Some(exit::DEVICE),
    };
    (config.direct_map, config.apic) = (0, registers);
    // SAFETY: 1. RAM is mapped one to one where CPUs are launched, and so is the APIC since just
    // now. 2. The image stays, memory for CPUs is never given back, and nothing in this kernel
    // writes to memory that is not its own.
    let shim = unsafe { Shim::new(config) };
    let _first = SHIM.set(shim);
    Ok(())
}

/// Returns the shim, once it was made.
#[must_use]
pub fn shim() -> Option<&'static Shim> {
    SHIM.get()
}

/// Launches the CPU that calls it, in the kernel's own space, and says what came of it; `None`
/// without a shim, or without memory for it.
pub fn launch() -> Option<Result<(), LaunchError>> {
    let shim = SHIM.get()?;
    let memory = new_memory()?;
    // SAFETY: 1. ring 0 with SSE enabled. 2. As promised in `make`: CPUs start in the kernel's
    // space. 3. No device of this kernel has a vector at all.
    Some(unsafe { shim.launch(memory) })
}

/// A function of its own: a frame for this much memory, aligned to pages, must not become part of a
/// function that mostly returns early (LLVM then forgets to set the frame up).
#[inline(never)]
fn new_memory() -> Option<&'static CpuMemory> {
    frames::alloc_static(CpuMemory::new())
}
