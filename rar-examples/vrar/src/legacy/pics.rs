//! The pair of legacy interrupt controllers as the guest has programmed it.
//!
//! The host takes an interrupt of the [machine's pair](crate::legacy::machine_pics), ends it there
//! at once, and requests it here. The guest initialises, masks, acknowledges and ends this pair, so
//! an interrupt that the guest has not taken is one that it can still mask or forget.

use crate::legacy::machine_pics::{CASCADE, FIRST_VECTOR, Half, Ports};
use crate::legacy::pic::{Pic, Shown, Written};

/// An input of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    half: Half,
    input: u8,
}

impl Line {
    /// Returns the line to which the machine's pair gives this vector.
    pub(crate) fn of_vector(vector: u8) -> Option<Self> {
        let (half, input) = match vector.checked_sub(FIRST_VECTOR)? {
            input @ 0..8 => (Half::Master, input),
            input @ 8..16 => (Half::Slave, input - 8),
            _ => return None,
        };
        Some(Self { half, input })
    }
}

/// One controller, and the machine's.
#[derive(Clone, Copy, Debug)]
struct Controller {
    pic: Pic,
    /// Level-triggered inputs that are masked at the machine until the guest has ended them.
    blocked: u8,
    /// What the machine's mask is.
    machine_mask: u8,
}

impl Controller {
    const fn new(vector: u8) -> Self {
        Self {
            pic: Pic::new(vector),
            blocked: 0,
            machine_mask: u8::MAX,
        }
    }

    fn take_over(&mut self, half: Half, ports: &impl Ports) {
        self.pic.masked = half.mask(ports);
        self.pic.in_service = half.in_service(ports);
        // Level-triggered lines ask again.
        self.pic.requested = half.requested(ports) & !half.levels(ports);
        if half == Half::Master {
            self.pic.requested &= !(1 << CASCADE);
        }
        half.initialise(ports);
    }

    /// Gives the machine's controller the mask that the guest's state demands.
    fn settle(&mut self, half: Half, ports: &impl Ports) {
        let waiting = self.blocked & self.pic.requested;
        if waiting != 0 {
            // A level-triggered line that is down again asks no more.
            self.pic.requested &= !(waiting & !half.requested(ports));
        }
        self.blocked &= self.pic.requested | self.pic.in_service;
        let mask = if self.pic.is_ready() {
            self.pic.masked | self.blocked
        } else {
            u8::MAX
        };
        if mask != self.machine_mask {
            half.set_mask(mask, ports);
            self.machine_mask = mask;
        }
    }
}

/// The pair.
#[derive(Clone, Debug)]
pub(crate) struct Pics {
    master: Controller,
    slave: Controller,
    is_ours: bool,
}

impl Pics {
    /// Returns a pair with these vectors.
    pub(crate) const fn new([master, slave]: [u8; 2]) -> Self {
        Self {
            master: Controller::new(master),
            slave: Controller::new(slave),
            is_ours: false,
        }
    }

    /// Takes the machine's pair over, once; returns whether this was the time. The guest goes on
    /// with the masks and with what is in service.
    pub(crate) fn take_over(&mut self, ports: &impl Ports) -> bool {
        if self.is_ours {
            return false;
        }
        self.is_ours = true;
        self.master.take_over(Half::Master, ports);
        self.slave.take_over(Half::Slave, ports);
        self.settle(ports);
        true
    }

    /// Requests the interrupt of the machine's pair that the host has taken, and ends it there.
    /// Nothing is requested for a spurious one, or one that did not come from there.
    pub(crate) fn take(&mut self, line: Line, ports: &impl Ports) {
        let bit = 1 << line.input;
        let cascade = match line.half {
            Half::Master => 0,
            Half::Slave => Half::Master.in_service(ports) & 1 << CASCADE,
        };
        if line.half.in_service(ports) & bit != 0 {
            let controller = self.controller(line.half);
            controller.pic.requested |= bit;
            controller.blocked |= line.half.levels(ports) & bit;
            // Masked before the end: a line that is still up would ask again.
            self.settle(ports);
            line.half.end(line.input, ports);
        }
        // Also for a spurious interrupt of the slave, which is a real one of the master.
        if cascade != 0 {
            Half::Master.end(CASCADE, ports);
        }
    }

    /// Returns the line whose interrupt the processor takes next, with its vector.
    pub(crate) fn next(&self) -> Option<(Line, u8)> {
        let slave = self.slave.pic.pending(0, 0);
        let cascade = u8::from(slave.is_some()) << CASCADE;
        let master = self.master.pic.pending(cascade, 1 << CASCADE)?;
        let (half, input) = match slave {
            Some(input) if master == CASCADE => (Half::Slave, input),
            _ => (Half::Master, master),
        };
        let vector = match half {
            Half::Master => self.master.pic.vector(input),
            Half::Slave => self.slave.pic.vector(input),
        };
        Some((Line { half, input }, vector))
    }

    /// The processor takes the interrupt of the line.
    pub(crate) fn acknowledge(&mut self, line: Line, ports: &impl Ports) {
        if line.half == Half::Slave {
            self.master.pic.acknowledge(CASCADE);
        }
        self.controller(line.half).pic.acknowledge(line.input);
        self.settle(ports);
    }

    /// Returns whether an interrupt may end without a command of the guest.
    pub(crate) fn ends_by_itself(&self) -> bool {
        self.master.pic.ends_by_itself()
    }

    /// Reads a port: 0 for commands, 1 for data.
    pub(crate) fn read(&mut self, half: Half, port: u16, ports: &impl Ports) -> u8 {
        let cascade = match half {
            Half::Master => u8::from(self.slave.pic.pending(0, 0).is_some()) << CASCADE,
            Half::Slave => 0,
        };
        let pic = &mut self.controller(half).pic;
        // A poll is the next read, of whichever port (Intel 8259A data sheet, "Poll Command").
        match pic.shown() {
            Shown::InService | Shown::Requested if port != 0 => pic.masked,
            Shown::InService => pic.in_service,
            // With what the machine's holds back, being masked.
            Shown::Requested => pic.requested | cascade | half.requested(ports),
            Shown::Poll => {
                pic.end_poll();
                let Some(input) = pic.pending(cascade, 1 << CASCADE) else {
                    return 0;
                };
                pic.acknowledge(input);
                self.settle(ports);
                1 << 7 | input
            }
        }
    }

    /// Writes a port: 0 for commands, 1 for data.
    pub(crate) fn write(&mut self, half: Half, port: u16, value: u8, ports: &impl Ports) {
        let controller = self.controller(half);
        if port != 0 {
            controller.pic.write_data(value);
        } else if controller.pic.write_command(value) == Written::Reset {
            // The machine's forgets, too, what it has latched.
            half.initialise(ports);
            (controller.blocked, controller.machine_mask) = (0, u8::MAX);
        }
        self.settle(ports);
    }

    /// Looks whether level-triggered lines that wait are still up, and gives the machine's pair its
    /// masks.
    pub(crate) fn settle(&mut self, ports: &impl Ports) {
        self.master.settle(Half::Master, ports);
        self.slave.settle(Half::Slave, ports);
    }

    fn controller(&mut self, half: Half) -> &mut Controller {
        match half {
            Half::Master => &mut self.master,
            Half::Slave => &mut self.slave,
        }
    }
}

#[cfg(test)]
mod tests;
