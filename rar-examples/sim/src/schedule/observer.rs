//! Meters every access of the driver to shared memory. At many of them other CPUs may run.

use std::sync::atomic::Ordering;

use rar_percpu::observed::{self, Access, Observer};

use super::current;
use crate::meter;

struct Everywhere;

impl Observer for Everywhere {
    fn before(&self, address: usize, access: Access) {
        current::between_accesses();
        match access {
            Access::Read => current::access(address, meter::Access::Read),
            Access::Write => current::access(address, meter::Access::Write),
            Access::Update => {
                current::drain_stores();
                current::access(address, meter::Access::Write);
            }
            Access::Fence(Ordering::SeqCst) => current::drain_stores(),
            Access::Fence(_) => {}
        }
    }
}

/// Observes the whole process from now on.
pub(crate) fn install() {
    observed::observe(&Everywhere);
}
