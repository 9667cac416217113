//! CPUs that crash, are declared dead, and are started again.

use rar_percpu::CpuId;

/// CPUs that can crash for a test. One CPU is crashed at a time.
pub trait Crash: Sync {
    /// Returns whether this CPU can be reset and started again. The boot CPU of a bare machine goes
    /// to the firmware instead.
    fn can_crash(&self, cpu: CpuId) -> bool;

    /// Crashes this CPU while it is online: it halts with interrupts disabled and answers nothing,
    /// not even an NMI, and its RAR unit serves no signal.
    ///
    /// Returns after another CPU has called [`start`](Self::start). The TLB is empty then, the unit
    /// is as INIT has left it, and the CPU is in no domain:
    /// [`come_online`](crate::Platform::come_online) registers it.
    fn crash(&self);

    /// Returns whether that CPU has crashed.
    fn has_crashed(&self, cpu: CpuId) -> bool;

    /// Resets a crashed CPU by INIT, after which it waits for start-up, and declares it dead in the
    /// domain ([`Domain::declare_dead`](rar_percpu::Domain::declare_dead)).
    fn bury(&self, cpu: CpuId);

    /// Starts a CPU that was declared dead.
    fn start(&self, cpu: CpuId);
}
