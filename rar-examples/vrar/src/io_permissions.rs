//! Which I/O ports leave the guest: those of the legacy interrupt controllers.

/// A bit for each port; behind them some bits for accesses that reach over the last port.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct IoPermissions([u8; 0x3000]);

pub(crate) static IO_PERMISSIONS: IoPermissions = IoPermissions::new();

impl IoPermissions {
    const fn new() -> Self {
        let mut map = [0; 0x3000];
        map[0x20 / 8] = 0b11;
        map[0xa0 / 8] = 0b11;
        Self(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine_pics::Half;

    #[test]
    fn only_the_controllers_leave_the_guest() {
        for port in 0..=u16::MAX {
            let bit = IO_PERMISSIONS.0[usize::from(port / 8)] >> (port % 8) & 1;
            assert_eq!(bit != 0, Half::of_port(port).is_some(), "{port:#x}");
        }
    }
}
