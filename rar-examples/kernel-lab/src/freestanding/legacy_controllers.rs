//! The legacy interrupt controllers, programmed as an operating system does.

/// The vectors where the kernel keeps them, masked.
const KERNEL_VECTORS: [u8; 2] = [0x20, 0x28];
const PORTS: [u16; 2] = [0x20, 0xa0];
const WIRING: [u8; 2] = [4, 2];
const INITIALISE: u8 = 0x11;
const END: u8 = 0x20;
const SHOW_REQUESTED: u8 = 0x0a;
const SHOW_IN_SERVICE: u8 = 0x0b;
/// The timer and the slave, of the master; the clock, of the slave.
const OPEN: [u8; 2] = [!0b101, !0b1];

/// Who ends an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// A command.
    ByCommand,
    /// The controller, as soon as the processor has taken it.
    ByItself,
}

/// A register of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// What is requested.
    Requested,
    /// What is in service.
    InService,
}

/// Gives the controllers these first vectors, with all lines open.
pub fn initialise(vectors: [u8; 2], ends: Ends) {
    let mode = match ends {
        Ends::ByCommand => 1,
        Ends::ByItself => 3,
    };
    for ((command, vector), wiring) in PORTS.into_iter().zip(vectors).zip(WIRING) {
        write(command, INITIALISE);
        for value in [vector, wiring, mode] {
            write(command + 1, value);
        }
    }
    open();
}

/// Lets the interval timer and the clock through.
pub fn open() {
    for (command, mask) in PORTS.into_iter().zip(OPEN) {
        write(command + 1, mask);
    }
}

/// Holds all lines back.
pub fn mask() {
    for command in PORTS {
        write(command + 1, u8::MAX);
    }
}

/// Leaves the controllers as the kernel had them.
pub fn give_back() {
    initialise(KERNEL_VECTORS, Ends::ByCommand);
    mask();
}

/// Ends the interrupt in service at the master.
pub fn end_master() {
    let [master, _] = PORTS;
    write(master, END);
}

/// Ends the interrupts in service at the slave and the master.
pub fn end_slave() {
    let [_, slave] = PORTS;
    write(slave, END);
    end_master();
}

/// Reads a register of the master.
#[must_use]
pub fn read_master(register: Register) -> u8 {
    let [master, _] = PORTS;
    write(
        master,
        match register {
            Register::Requested => SHOW_REQUESTED,
            Register::InService => SHOW_IN_SERVICE,
        },
    );
    // SAFETY: ring 0; the controllers do not touch memory.
    unsafe { x86::io::inb(master) }
}

fn write(port: u16, value: u8) {
    // SAFETY: as above.
    unsafe { x86::io::outb(port, value) };
}
