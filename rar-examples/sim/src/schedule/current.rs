//! The CPU that the calling code plays.
#![expect(
    unsafe_code,
    reason = "driver code knows no simulator, so that the simulator is found through a \
     thread-local pointer"
)]

use std::cell::Cell;
use std::ptr::NonNull;

use corosensei::Yielder;

#[cfg(rar_observed)]
use crate::meter::Access;

/// What happens on a CPU between two instructions.
pub(crate) trait Boundary {
    /// Delivers what the CPU can take now: signals to its RAR unit, interrupts.
    fn deliver(&self, cpu: u32);

    /// The CPU accesses shared memory.
    #[cfg(rar_observed)]
    fn access(&self, cpu: u32, address: usize, access: Access);

    /// The CPU executes a locked instruction or a fence, which its buffered stores may not pass.
    #[cfg(rar_observed)]
    fn drain(&self, cpu: u32);

    /// Returns whether others run before the CPU's next access to shared memory.
    fn pauses(&self) -> bool;
}

/// The running CPU.
#[derive(Clone, Copy)]
struct Current {
    cpu: u32,
    boundary: NonNull<dyn Boundary>,
    place: NonNull<Place>,
}

/// The way back to the scheduler.
#[derive(Debug, Default)]
pub(crate) struct Place {
    way_back: Cell<WayBack>,
}

#[derive(Clone, Copy, Debug, Default)]
enum WayBack {
    /// A thread has none: the host's scheduler lets others run.
    #[default]
    Thread,
    Coroutine(NonNull<Yielder<(), ()>>),
    /// The coroutine was dropped early. Its destructors neither suspend nor take interrupts: a
    /// handler that waited for another CPU would wait forever.
    TornDown,
}

impl Place {
    /// Sets the way back. The coroutine calls this first.
    pub(crate) fn set(&self, yielder: &Yielder<(), ()>) {
        self.way_back
            .set(WayBack::Coroutine(NonNull::from(yielder)));
    }

    /// Clears the way back: the coroutine was dropped early, and its destructors run without a
    /// pause.
    pub(crate) fn clear(&self) {
        self.way_back.set(WayBack::TornDown);
    }
}

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`, which makes no step itself, without a pause, so that its reads of the driver's
/// memory are consistent.
pub(crate) fn alone<R>(body: impl FnOnce() -> R) -> R {
    let before = ALONE.replace(true);
    let result = body();
    ALONE.set(before);
    result
}

/// Plays `cpu` while `body` runs.
pub(crate) fn play<R>(
    cpu: u32,
    boundary: &(dyn Boundary + '_),
    place: &Place,
    body: impl FnOnce() -> R,
) -> R {
    struct Restore(Option<Current>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let boundary: *const (dyn Boundary + '_) = boundary;
    // SAFETY: only the lifetime in the type changes; the pointer is used while `body` runs, and
    // `boundary` is borrowed that long.
    let boundary: *const (dyn Boundary + 'static) = unsafe { std::mem::transmute(boundary) };
    let Some(boundary) = NonNull::new(boundary.cast_mut()) else {
        unreachable!("a reference is not null")
    };
    let _restore = Restore(CURRENT.replace(Some(Current {
        cpu,
        boundary,
        place: NonNull::from(place),
    })));
    body()
}

/// Returns the CPU that the caller plays, if any.
pub(crate) fn cpu() -> Option<u32> {
    CURRENT.get().map(|current| current.cpu)
}

/// Lets other CPUs run, then delivers signals and interrupts to this CPU.
pub(crate) fn step() {
    yield_now();
    if let Some(current) = CURRENT.get()
        // SAFETY: `play` borrows the place while this code, which it called, runs.
        && !matches!(unsafe { current.place.as_ref() }.way_back.get(), WayBack::TornDown)
    {
        // SAFETY: `play` borrows the boundary while this code, which it called, runs.
        unsafe { current.boundary.as_ref() }.deliver(current.cpu);
    }
}

/// Lets other CPUs run and delivers nothing; for microcode.
pub(crate) fn yield_now() {
    let Some(current) = CURRENT.get() else { return };
    // SAFETY: `play` borrows the place while this code, which it called, runs.
    match unsafe { current.place.as_ref() }.way_back.get() {
        // SAFETY: set by the coroutine that runs this code, which ends after the yielder's last use
        // and clears the place when it is dropped early.
        WayBack::Coroutine(yielder) => unsafe { yielder.as_ref() }.suspend(()),
        WayBack::Thread => std::thread::yield_now(),
        WayBack::TornDown => {}
    }
}

/// Meters an access of the driver.
#[cfg(rar_observed)]
pub(super) fn access(address: usize, access: Access) {
    if let Some(current) = CURRENT.get() {
        // SAFETY: as in `step`.
        unsafe { current.boundary.as_ref() }.access(current.cpu, address, access);
    }
}

/// Lets the buffered stores of the CPU reach memory.
#[cfg(rar_observed)]
pub(super) fn drain_stores() {
    if let Some(current) = CURRENT.get() {
        // SAFETY: as in `step`.
        unsafe { current.boundary.as_ref() }.drain(current.cpu);
    }
}

/// Before an access of the driver: sometimes a step.
#[cfg(rar_observed)]
pub(super) fn between_accesses() {
    if let Some(current) = CURRENT.get().filter(|_| !ALONE.get())
        // SAFETY: as in `step`.
        && unsafe { current.boundary.as_ref() }.pauses()
    {
        step();
    }
}
