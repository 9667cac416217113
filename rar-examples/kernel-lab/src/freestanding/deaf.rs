//! A unit of the processor that takes no signal.

use core::sync::atomic::Ordering;

use rar_kernel::percpu;
use rar_suite::{DeafTo, ENABLE, Platform as _, RarUnits as _, Register};

use super::lab::KernelLab;

/// Lets the unit of this CPU lose every signal, by its own register: a unit that is disabled drops
/// signals, and the driver does not look. Or lets the unit take them again.
///
/// A CPU that has left the domain keeps its unit disabled.
pub(crate) fn set(lab: &KernelLab, deaf_to: DeafTo) {
    let me = percpu::this().id();
    let before = &lab.notes(me).control;
    let Ok(now) = lab.read(Register::Control) else {
        return;
    };
    let is_enabled = now & ENABLE != 0;
    let wanted = if deaf_to != DeafTo::Nothing {
        if !is_enabled {
            return;
        }
        before.store(now, Ordering::Relaxed);
        now & !ENABLE
    } else {
        let before = before.swap(0, Ordering::Relaxed);
        if before == 0 || is_enabled || !lab.domain().online().contains(me) {
            return;
        }
        before
    };
    if lab.write(Register::Control, wanted).is_err() {
        lab.give_up(format_args!("CPU {me}: the unit's control register faults"));
    }
}
