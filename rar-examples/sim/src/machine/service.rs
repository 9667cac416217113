//! When RAR units answer, with and without a scheduler.

use super::Machine;

/// When the RAR units answer, and interrupts are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Between two instructions of their CPU. A test that runs no CPU calls
    /// [`Machine::end_instruction`].
    Boundary,
    /// Within the signal; for tests that run no CPU.
    Prompt,
    /// Whenever the driver spins: one chance for each CPU a round; for tests that run no CPU.
    Polled,
}

impl<const TLB: usize> Machine<'_, TLB> {
    /// A signal or an interrupt has reached a CPU.
    pub(super) fn reaches(&self, cpu: u32) {
        if self.config.service == Service::Prompt {
            let _served = self.end_instruction(cpu);
        }
    }

    /// The driver spins.
    pub(super) fn serve_polled(&self) {
        if self.config.service == Service::Polled {
            (0..self.cpus()).for_each(|cpu| {
                let _served = self.end_instruction(cpu);
            });
        }
    }
}
