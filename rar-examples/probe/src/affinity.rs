//! The CPUs on which a thread may run.

use std::io;

use crate::CpuNumber;

/// Bits of a word of the kernel's mask.
const WORD: usize = u64::BITS as usize;

/// Binds this thread to a CPU. When the call returns, the thread runs there.
///
/// The mask is as long as the CPU's number needs: masks of a fixed size end at CPU 1023.
pub(crate) fn stay_on(cpu: CpuNumber) -> io::Result<()> {
    let index = usize::try_from(cpu.0).map_err(io::Error::other)?;
    let mut mask = vec![0_u64; index / WORD + 1];
    if let Some(word) = mask.last_mut() {
        *word = 1 << (index % WORD);
    }
    let bytes = size_of_val(mask.as_slice());
    // SAFETY: the kernel reads `bytes` bytes from the mask, which are initialized and live until
    // after the call; thread 0 is the one that calls.
    let result = unsafe { libc::sched_setaffinity(0, bytes, mask.as_ptr().cast()) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
