//! Which I/O ports leave the guest: those of the legacy interrupt controllers, and those at which a
//! trace looks.

use core::sync::atomic::{AtomicU8, Ordering};

/// A bit for each port; behind them some bits for accesses that reach over the last port.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct IoPermissions([AtomicU8; 0x3000]);

pub(crate) static IO_PERMISSIONS: IoPermissions = IoPermissions::new();

impl IoPermissions {
    const fn new() -> Self {
        let mut map = [const { AtomicU8::new(0) }; 0x3000];
        map[0x20 / 8] = AtomicU8::new(0b11);
        map[0xa0 / 8] = AtomicU8::new(0b11);
        Self(map)
    }

    /// Lets accesses to this port leave the guest from now on.
    pub(crate) fn watch(&self, port: u16) {
        if let Some(byte) = self.0.get(usize::from(port / 8)) {
            // Only the bit counts.
            byte.fetch_or(1 << (port % 8), Ordering::Relaxed);
        }
    }

    /// Leaves accesses to this port to the guest again.
    pub(crate) fn leave(&self, port: u16) {
        if let Some(byte) = self.0.get(usize::from(port / 8)) {
            // As in `watch`.
            byte.fetch_and(!(1 << (port % 8)), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::machine_pics::Half;

    #[test]
    fn only_the_controllers_leave_the_guest() {
        let map = IoPermissions::new();
        let leaves = |port: u16| {
            let byte = map.0[usize::from(port / 8)].load(Ordering::Relaxed);
            byte >> (port % 8) & 1 != 0
        };
        let of_controllers = |port| Half::of_port(port).is_some();
        for port in 0..=u16::MAX {
            assert_eq!(leaves(port), of_controllers(port), "{port:#x}");
        }
        for port in [0x64, 0xcf9, u16::MAX] {
            map.watch(port);
        }
        map.leave(0xcf9);
        for port in 0..=u16::MAX {
            let expected = of_controllers(port) || [0x64, u16::MAX].contains(&port);
            assert_eq!(leaves(port), expected, "{port:#x}");
        }
    }
}
