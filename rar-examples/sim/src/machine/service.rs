//! When RAR units answer, with and without a scheduler.

use super::{Machine, Service};

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
