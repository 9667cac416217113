//! Back to the firmware's boot, with the shim below.

use core::convert::Infallible;

use rar_carrier::Options;
use rar_kernel::Kernel;

/// Starts the firmware's next boot device as a guest.
pub(crate) fn boot(
    _kernel: &Kernel,
    _options: &Options,
) -> Result<Infallible, crate::guest::BootError> {
    Err(crate::guest::BootError::Other(
        "option chain: not there yet; give a payload",
    ))
}
