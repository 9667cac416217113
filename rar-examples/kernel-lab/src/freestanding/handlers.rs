//! The laboratory's handlers of interrupts.

use core::sync::atomic::Ordering;

use rar_kernel::{add_nmi_handler, percpu, set_interrupt_handler, vector as kernel_vector};

use super::cpu_notes::Heard;
use super::lab::current;
use super::{membership, nmi_work, vector};

/// Turns the interrupts to the [current] laboratory.
pub(crate) fn set() {
    set_interrupt_handler(kernel_vector::SOFTWARE_SIGNAL, |_| on_signal());
    set_interrupt_handler(kernel_vector::FALLBACK, |_| on_fallback());
    set_interrupt_handler(vector::OWN, |_| on_own_interrupt());
    set_interrupt_handler(vector::BARE, |_| on_bare_ipi());
    set_interrupt_handler(vector::SWITCH, |_| on_switch());
}

/// Adds the handlers of NMIs. Called once.
pub(crate) fn add_to_nmi() {
    let _has_room = add_nmi_handler(on_nmi) && add_nmi_handler(nmi_work::work);
}

/// Where units answer, a CPU without one gets the signal in vain: every test is to tell.
fn on_signal() {
    let cpu = percpu::pin();
    if let Some(lab) = current()
        && lab.notes(cpu.id()).hears(Heard::Signal)
        && lab.answers_by_handler(cpu.id())
    {
        let _served = lab.shootdown.serve(&cpu);
    }
}

fn on_fallback() {
    if let Some(lab) = current() {
        lab.serve_as_heard();
    }
}

/// The last resort, and what one measurement sends; it may have interrupted anything, and what it
/// calls may be nested in itself.
fn on_nmi() {
    if let Some(lab) = current() {
        lab.serve_in_nmi_as_heard();
    }
}

/// A CPU disagrees on RAR: software answers for this one from now on.
fn on_switch() {
    if let Some(lab) = current() {
        membership::switch_to_software(lab);
    }
}

fn on_own_interrupt() {
    if let Some(lab) = current() {
        lab.suite.on_interrupt(lab);
        lab.notes(percpu::this().id())
            .own
            .fetch_add(1, Ordering::Release);
    }
}

fn on_bare_ipi() {
    if let Some(lab) = current() {
        let count = &lab.notes(percpu::this().id()).bare_ipis;
        count.fetch_add(1, Ordering::Release);
    }
}
