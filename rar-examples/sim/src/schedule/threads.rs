//! CPUs as threads of the host: true concurrency, no replay.

use super::current::{Boundary, Place, play};

/// Runs `body` for each of `cpus` CPUs on a thread of its own, and returns when all have ended.
pub(crate) fn run_threads(
    cpus: u32,
    boundary: &(dyn Boundary + Sync),
    body: &(dyn Fn(u32) + Sync),
) {
    std::thread::scope(|scope| {
        for cpu in 0..cpus {
            scope.spawn(move || play(cpu, boundary, &Place::default(), || body(cpu)));
        }
    });
}
