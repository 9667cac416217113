//! What the carrier and the shim keep, taken away from the guest.

use rar_carrier::GuestRam;
use rar_kernel::println;

use crate::hand_over::Kept;

/// Names to the shim what the guest is to lose, and says what comes of it.
pub(crate) fn hide(ram: &GuestRam) -> Kept {
    let mut kept = Kept::Exposed;
    for &(start, end) in ram.kept() {
        match rar_launch::shim().map(|shim| shim.hide(start..end)) {
            Some(Ok(())) => {
                kept = Kept::Hidden;
                println!("carrier: keeps {start:#x} to {end:#x}, hidden from the guest");
            }
            Some(Err(why)) => {
                println!("carrier: keeps {start:#x} to {end:#x}, which the guest can reach: {why}");
            }
            None => {}
        }
    }
    kept
}
