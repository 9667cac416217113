//! The machine's pair of legacy interrupt controllers. The host drives it; the guest sees
//! [`crate::legacy::pics`].

/// The vectors of the machine's pair: none that an exception of the host has. A device may have
/// them, too; the registers say whose interrupt came.
pub(crate) const FIRST_VECTOR: u8 = 0xd0;
/// The master's input that is the slave's output.
pub(crate) const CASCADE: u8 = 2;
/// Of the master, and of the slave: which inputs are level-triggered.
const LEVELS: u16 = 0x4d0;
/// Commands.
const INITIALISE: u8 = 0x11;
const SHOW_REQUESTED: u8 = 0x0a;
const SHOW_IN_SERVICE: u8 = 0x0b;
const END: u8 = 0x60;
/// The mode of a PC, with ends.
const MODE: u8 = 1;

/// Ports of the machine.
pub(crate) trait Ports {
    fn read(&self, port: u16) -> u8;
    fn write(&self, port: u16, value: u8);
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Master,
    Slave,
}

impl Half {
    /// Returns the half that has this port, and the port's number in it: 0 for commands, 1 for
    /// data.
    pub(crate) fn of_port(port: u16) -> Option<(Self, u16)> {
        match port {
            0x20 | 0x21 => Some((Self::Master, port & 1)),
            0xa0 | 0xa1 => Some((Self::Slave, port & 1)),
            _ => None,
        }
    }

    fn command(self) -> u16 {
        match self {
            Self::Master => 0x20,
            Self::Slave => 0xa0,
        }
    }

    fn data(self) -> u16 {
        self.command() + 1
    }

    /// Initialises the controller, with all inputs masked.
    pub(crate) fn initialise(self, ports: &impl Ports) {
        let (vector, wiring) = match self {
            Self::Master => (FIRST_VECTOR, 1 << CASCADE),
            Self::Slave => (FIRST_VECTOR + 8, CASCADE),
        };
        ports.write(self.command(), INITIALISE);
        for value in [vector, wiring, MODE, u8::MAX] {
            ports.write(self.data(), value);
        }
    }

    pub(crate) fn mask(self, ports: &impl Ports) -> u8 {
        ports.read(self.data())
    }

    pub(crate) fn set_mask(self, mask: u8, ports: &impl Ports) {
        ports.write(self.data(), mask);
    }

    pub(crate) fn requested(self, ports: &impl Ports) -> u8 {
        ports.write(self.command(), SHOW_REQUESTED);
        ports.read(self.command())
    }

    pub(crate) fn in_service(self, ports: &impl Ports) -> u8 {
        ports.write(self.command(), SHOW_IN_SERVICE);
        ports.read(self.command())
    }

    pub(crate) fn end(self, input: u8, ports: &impl Ports) {
        ports.write(self.command(), END | input);
    }

    /// Returns which inputs are level-triggered.
    pub(crate) fn levels(self, ports: &impl Ports) -> u8 {
        // Timer, keyboard, cascade; clock, coprocessor: no PC has them level-triggered.
        match self {
            Self::Master => ports.read(LEVELS) & !0x07,
            Self::Slave => ports.read(LEVELS + 1) & !0x21,
        }
    }
}
