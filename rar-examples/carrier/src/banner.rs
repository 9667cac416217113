//! What the carrier says of the machine and of itself.

use rar_carrier::{ApicMode, Options};
use rar_kernel::{Kernel, println, smp};
use rar_vrar::{Knob, Knobs, TraceLevel};

/// Prints what is to be done on which machine.
pub(crate) fn print(kernel: &Kernel, options: &Options) {
    let cpus = smp::cpus().map_or(1, smp::Cpus::online);
    let apic = match options.apic {
        ApicMode::Xapic => "xAPIC, trapped",
        ApicMode::X2apic => "x2APIC",
    };
    println!(
        "rar-carrier {}: {cpus} CPUs with a RAR unit each, below the guest; {apic}",
        env!("CARGO_PKG_VERSION")
    );
    let knobs = &options.knobs;
    let defect = options.defect.map_or("none", |defect| defect.name());
    println!(
        "carrier: unit: {} entries, payload types {:#b}, defect {defect}",
        knobs.table.entries(),
        knobs.reported_types,
    );
    for knob in Knob::all().filter(|knob| !knob.is_same(knobs, &Knobs::DEFAULT)) {
        println!("carrier: knob {}={}", knob.name(), knob.value(knobs));
    }
    let from = match kernel.loader() {
        "" => "the command line of the emulator (PVH)",
        loader => loader,
    };
    println!(
        "carrier: started by {from}, words {:?}",
        kernel.command_line().as_str()
    );
    if options.trace != TraceLevel::Off {
        println!("carrier: the trace is on port 0xe9 (QEMU: -debugcon file:trace.log)");
    }
}
