//! The flusher and the queue of flights.
#![forbid(unsafe_code)]

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::mem::take;

use rar_shape_hardware::{Frame, SpinLock};
use rar_shootdown::Pending;
use rar_shootdown::rar_payload::Request;
use rar_shootdown::rar_percpu::{AtomicCpuSet, CpuGuard, PinnedCpu};

use crate::machine::{Kernel, SHOOTDOWN, WORDS};

/// A flush in flight, with the frames that wait for its end.
type Flight = Pending<'static, Kernel, Vec<Frame>, WORDS>;

/// Flights without a waiter.
static FLIGHTS: SpinLock<VecDeque<Flight>> = SpinLock::new(VecDeque::new());

/// Collects what is to be flushed on the CPUs of one address space.
#[derive(Debug)]
pub struct TlbFlusher<'a, G: CpuGuard> {
    guard: G,
    targets: &'a AtomicCpuSet<WORDS>,
    requests: Vec<Request>,
    frames: Vec<Frame>,
    dispatched: Vec<Flight>,
}

impl<'a, G: CpuGuard> TlbFlusher<'a, G> {
    /// Returns a flusher for the CPUs that have the address space loaded.
    pub const fn new(guard: G, targets: &'a AtomicCpuSet<WORDS>) -> Self {
        Self {
            guard,
            targets,
            requests: Vec::new(),
            frames: Vec::new(),
            dispatched: Vec::new(),
        }
    }

    /// Notes a request, and the frame that it makes free. The page table has changed already.
    pub fn issue(&mut self, request: Request, frame: Option<Frame>) {
        self.requests.push(request);
        self.frames.extend(frame);
    }

    /// Starts the flush of what was issued, and does not wait for it.
    pub fn dispatch(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let cpu = PinnedCpu::from_guard(&self.guard);
        let frames = take(&mut self.frames);
        let flight = SHOOTDOWN.start(&cpu, &self.requests, self.targets, frames);
        self.requests.clear();
        self.dispatched.push(flight);
    }

    /// Waits for all dispatched flights, then frees their frames.
    ///
    /// The frames of a flight that does not end are leaked, which [`Kernel`] reports.
    pub fn sync(&mut self) {
        let cpu = PinnedCpu::from_guard(&self.guard);
        for flight in self.dispatched.drain(..) {
            drop(flight.wait_or_leak(&cpu));
        }
    }
}

/// Leaves unfinished flights to the worker.
impl<G: CpuGuard> Drop for TlbFlusher<'_, G> {
    fn drop(&mut self) {
        self.dispatch();
        FLIGHTS.lock(spin_loop).extend(self.dispatched.drain(..));
    }
}

/// Polls each flight in the queue once and frees the frames of those that have ended. Returns how
/// many flights are left.
pub fn poll_flights(guard: &impl CpuGuard) -> usize {
    let cpu = PinnedCpu::from_guard(guard);
    // Nothing is polled, and nothing freed, under the lock.
    let flights = take(&mut *FLIGHTS.lock(spin_loop));
    for flight in flights {
        match flight.try_wait(&cpu) {
            Ok(frames) => drop(frames),
            Err(flight) => FLIGHTS.lock(spin_loop).push_back(flight),
        }
    }
    FLIGHTS.lock(spin_loop).len()
}
