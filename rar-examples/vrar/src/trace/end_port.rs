//! Accesses of the guest to the ports by which it ends, where a trace looks at them, and to the
//! port of the trace, which is not the guest's.

use rar_vocabulary::TraceLevel;

use crate::bits::low;
use crate::guest::vcpu::Vcpu;
use crate::instruction::code::CodeSize;
use crate::legacy::machine_pics::Half;
use crate::legacy::port_access::StringRegisters;
use crate::processor::io_permissions::IO_PERMISSIONS;
use crate::processor::native;
use crate::shim::Shim;
use crate::trace::ends::PortWrite;

/// Of `exit_info_1` at an access to a port.
const IN: u8 = 1 << 0;
const STRING: u8 = 1 << 2;

impl Shim {
    /// Has accesses to the ports of a trace leave the guest, if there is a trace.
    pub(crate) fn watch_ports(&self) {
        if self.is_traced(TraceLevel::Offences) {
            self.trace_ports()
                .for_each(|port| IO_PERMISSIONS.watch(port));
        }
    }

    fn trace_ports(&self) -> impl Iterator<Item = u16> + use<> {
        let trace = self.config().trace;
        trace.ends.ports().chain([trace.port])
    }
}

impl Vcpu<'_> {
    /// Passes an access to a port on to the machine, and writes the summary of the trace before one
    /// that ends the guest. Returns whether the access was passed on: those to the legacy interrupt
    /// controllers are not.
    pub(crate) fn pass_port(&mut self) -> bool {
        let [what, _, first, second, ..] = self.vmcb.exit_info_1.to_le_bytes();
        let port = u16::from_le_bytes([first, second]);
        // One bit for each size: 1, 2, 4 bytes.
        let bytes = what >> 4 & 7;
        let reached = (0..u16::from(bytes)).map(|place| port.wrapping_add(place));
        if reached.clone().any(|port| Half::of_port(port).is_some()) {
            return false;
        }
        let (shim, trace) = (self.own.shim, self.own.shim.config().trace);
        // A guest that looks for a debug console finds none: its bytes would tear lines.
        let is_hidden = reached.clone().any(|port| port == trace.port);
        if what & STRING != 0 {
            if is_hidden && what & IN == 0 {
                self.pass_over_output();
            } else {
                // No guest ends by one: it may have the port for itself, and execute it again.
                reached.for_each(|port| IO_PERMISSIONS.leave(port));
            }
            return true;
        }
        if what & IN != 0 {
            let value = if is_hidden {
                u32::MAX
            } else {
                native::input(port, bytes)
            };
            self.vmcb.rax = merged(self.vmcb.rax, u64::from(value), bytes);
        } else if !is_hidden {
            let value = low(merged(0, self.vmcb.rax, bytes));
            if let Some(end) = trace.ends.end(PortWrite { port, bytes, value }) {
                shim.trace_summary(format_args!("{end}"));
            }
            native::output(port, bytes, value);
        }
        self.end_port_access();
        true
    }

    /// Goes on behind an OUTS as if its bytes were written.
    fn pass_over_output(&mut self) {
        let size = CodeSize::of(self.vmcb.efer, self.vmcb.cs.attributes);
        let before = StringRegisters {
            rcx: self.world.rcx,
            rsi: self.world.rsi,
        };
        let after = before.after_output(self.vmcb.exit_info_1, size, self.vmcb.rflags);
        (self.world.rcx, self.world.rsi) = (after.rcx, after.rsi);
        self.end_port_access();
    }

    /// Goes on behind the instruction, whose end the processor has told.
    pub(crate) fn end_port_access(&mut self) {
        self.vmcb.rip = self.vmcb.exit_info_2;
        // What an instruction without an own length clears.
        self.skip(0);
    }
}

/// Returns a register whose low bytes an instruction has written; 4 bytes clear the rest.
const fn merged(register: u64, value: u64, bytes: u8) -> u64 {
    let mask = match bytes {
        1 => 0xff,
        2 => 0xffff,
        _ => return value & 0xffff_ffff,
    };
    register & !mask | value & mask
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn an_input_changes_as_much_as_the_instruction_does() {
        let all = u64::MAX;
        assert_eq!(merged(all, 0x1234_5678, 1), 0xffff_ffff_ffff_ff78);
        assert_eq!(merged(all, 0x1234_5678, 2), 0xffff_ffff_ffff_5678);
        assert_eq!(merged(all, 0x1234_5678, 4), 0x1234_5678);
        assert_eq!(merged(0, all, 2), 0xffff);
    }
}
