//! The other CPUs wait for a start-up message when the guest begins, as firmware leaves them.

use rar_kernel::{apic, clock, irq, percpu, println, smp};

/// INIT is delivered in less, also by a shim on a host that is busy.
const INIT_MILLISECONDS: u64 = 50;

/// Resets all CPUs but this one. Interrupts of this one are disabled from here on.
pub(crate) fn park_others() {
    irq::disable();
    let me = percpu::this().number();
    let mut others = 0;
    for cpu in smp::all().filter(|cpu| cpu.number() != me) {
        match apic::send_init(cpu.apic_id()) {
            Ok(()) => others += 1,
            Err(error) => println!("carrier: CPU {}: {error}", cpu.number()),
        }
    }
    if others > 0 {
        clock::delay_microseconds(1000 * INIT_MILLISECONDS);
    }
}
