//! The other CPUs wait for a start-up message when the guest begins, as firmware leaves them.

use rar_kernel::{apic, clock, irq, percpu, println, smp};

/// How long a CPU may take to stop: a host that is busy runs one of them at a time.
const MILLISECONDS: u64 = 10_000;
/// Without a shim nothing shows that a CPU has stopped; INIT is delivered in less.
const UNSEEN_MICROSECONDS: u64 = 50_000;

/// Resets all CPUs but this one, and waits until each has stopped. Interrupts of this one are
/// disabled from here on.
pub(crate) fn park_others() {
    irq::disable();
    let me = percpu::this().number();
    for cpu in smp::all().filter(|cpu| cpu.number() != me) {
        if let Err(error) = apic::send_init(cpu.apic_id()) {
            println!("carrier: CPU {}: {error}", cpu.number());
            continue;
        }
        let id = cpu.apic_id().get();
        let Some(parked) = rar_launch::shim().and_then(|shim| shim.cpu(id)) else {
            clock::delay_microseconds(UNSEEN_MICROSECONDS);
            continue;
        };
        if !clock::wait_until(MILLISECONDS, || parked.waits_for_startup()) {
            println!(
                "carrier: CPU {} does not wait for start-up after {MILLISECONDS} ms; its offences \
                 may be none of the guest's",
                cpu.number()
            );
        }
    }
}
