use core::cell::RefCell;

use super::*;

/// A machine's pair, and the levels of its lines.
struct Machine(RefCell<Inner>);

struct Inner {
    chips: [Pic; 2],
    up: [u8; 2],
    levels: [u8; 2],
}

impl Machine {
    fn new() -> Self {
        Self(RefCell::new(Inner {
            chips: [Pic::new(0x08), Pic::new(0x70)],
            up: [0; 2],
            levels: [0; 2],
        }))
    }

    fn raise(&self, line: usize) {
        let inner = &mut *self.0.borrow_mut();
        inner.up[line / 8] |= 1 << (line % 8);
        inner.chips[line / 8].requested |= 1 << (line % 8);
    }

    fn lower(&self, line: usize) {
        let inner = &mut *self.0.borrow_mut();
        inner.up[line / 8] &= !(1 << (line % 8));
        let level = inner.levels[line / 8];
        inner.chips[line / 8].requested &= !(level & 1 << (line % 8));
    }

    fn edge(&self, line: usize) {
        self.raise(line);
        self.lower(line);
    }

    /// Acknowledges as a processor does; `None` if nothing interrupts.
    fn acknowledge(&self) -> Option<u8> {
        let inner = &mut *self.0.borrow_mut();
        let [master, slave] = &mut inner.chips;
        let cascade = u8::from(slave.pending(0, 0).is_some()) << 2;
        let mut input = master.pending(cascade, 0)?;
        master.acknowledge(input);
        let mut vector = master.vector(input);
        let mut half = 0;
        if input == 2 {
            (half, input) = (1, slave.pending(0, 0)?);
            slave.acknowledge(input);
            vector = slave.vector(input);
        }
        inner.chips[half].requested |= inner.levels[half] & inner.up[half] & 1 << input;
        Some(vector)
    }
}

impl Ports for Machine {
    fn read(&self, port: u16) -> u8 {
        let inner = &*self.0.borrow();
        match port {
            0x4d0 => inner.levels[0],
            0x4d1 => inner.levels[1],
            0x21 => inner.chips[0].masked,
            0xa1 => inner.chips[1].masked,
            _ => {
                let chip = &inner.chips[usize::from(port == 0xa0)];
                match chip.shown() {
                    Shown::InService => chip.in_service,
                    _ => chip.requested,
                }
            }
        }
    }

    fn write(&self, port: u16, value: u8) {
        let inner = &mut *self.0.borrow_mut();
        let half = usize::from(port >= 0xa0);
        if port & 1 != 0 {
            inner.chips[half].write_data(value);
        } else if inner.chips[half].write_command(value) == Written::Reset {
            inner.chips[half].requested = inner.levels[half] & inner.up[half];
        }
    }
}

/// The guest's programs.
struct Guest {
    machine: Machine,
    pics: Pics,
}

impl Guest {
    /// A pair that was taken over and then initialised as a BIOS does.
    fn bios() -> Self {
        let mut guest = Self {
            machine: Machine::new(),
            pics: Pics::new([0x20, 0x28]),
        };
        assert!(guest.pics.take_over(&guest.machine));
        guest.initialise(0x08, 0x70);
        guest
    }

    fn initialise(&mut self, master: u8, slave: u8) {
        for (half, words) in [
            (Half::Master, [master, 4, 1, 0]),
            (Half::Slave, [slave, 2, 1, 0]),
        ] {
            self.write(half, 0, 0x11);
            for word in words {
                self.write(half, 1, word);
            }
        }
    }

    fn write(&mut self, half: Half, port: u16, value: u8) {
        self.pics.write(half, port, value, &self.machine);
    }

    fn read(&mut self, half: Half, port: u16) -> u8 {
        self.pics.read(half, port, &self.machine)
    }

    /// The host takes what the machine has.
    fn take(&mut self) {
        for _ in 0..16 {
            let Some(vector) = self.machine.acknowledge() else {
                return;
            };
            assert!(vector >= 32, "{vector:#x} is an exception of the host");
            self.pics
                .take(Line::of_vector(vector).unwrap(), &self.machine);
        }
        panic!("a line that asks again and again");
    }

    fn next(&self) -> Option<u8> {
        self.pics.next().map(|(_, vector)| vector)
    }

    /// The guest takes the next interrupt.
    fn accept(&mut self) -> Option<u8> {
        let (line, vector) = self.pics.next()?;
        self.pics.acknowledge(line, &self.machine);
        Some(vector)
    }

    fn end(&mut self, half: Half) {
        self.write(half, 0, 0x20);
        if half == Half::Slave {
            self.write(Half::Master, 0, 0x20);
        }
    }
}

#[test]
fn vectors_are_the_guests_and_the_machine_has_none_of_an_exception() {
    let mut guest = Guest::bios();
    guest.machine.edge(0);
    guest.machine.edge(12);
    guest.take();
    assert_eq!(guest.accept(), Some(0x08));
    assert_eq!(guest.next(), None, "until its end");
    guest.end(Half::Master);
    assert_eq!(guest.accept(), Some(0x74));
    // The next tick is taken meanwhile.
    guest.machine.edge(0);
    guest.take();
    assert_eq!(guest.accept(), Some(0x08));
    guest.end(Half::Master);
    guest.end(Half::Slave);
    assert_eq!(guest.next(), None);
    for half in [Half::Master, Half::Slave] {
        guest.write(half, 0, 0x0b);
        assert_eq!(guest.read(half, 0), 0);
        assert_eq!(half.in_service(&guest.machine), 0);
    }
}

#[test]
fn what_waits_can_be_masked_moved_and_forgotten() {
    let mut guest = Guest::bios();
    guest.machine.edge(0);
    guest.machine.edge(1);
    guest.take();
    assert_eq!(guest.next(), Some(0x08));
    guest.write(Half::Master, 1, 0x01);
    assert_eq!(guest.next(), Some(0x09));
    guest.write(Half::Master, 1, 0xff);
    assert_eq!(guest.next(), None);
    assert_eq!(guest.read(Half::Master, 0) & 3, 3, "requested");
    guest.write(Half::Master, 1, 0x00);
    assert_eq!(guest.next(), Some(0x08));
    guest.initialise(0x20, 0x28);
    assert_eq!(guest.next(), None, "forgotten");
    guest.machine.edge(1);
    guest.take();
    assert_eq!(guest.next(), Some(0x21));
}

#[test]
fn the_machine_forgets_with_the_guest() {
    let mut guest = Guest::bios();
    guest.write(Half::Master, 1, 0xff);
    guest.machine.edge(3);
    guest.take();
    assert_eq!(guest.read(Half::Master, 0), 8, "latched at the machine");
    guest.write(Half::Master, 0, 0x11);
    guest.machine.edge(4);
    guest.take();
    assert_eq!(guest.next(), None, "being initialised");
    for word in [0x20, 4, 1] {
        guest.write(Half::Master, 1, word);
    }
    guest.take();
    assert_eq!(guest.next(), Some(0x24), "not 0x23");
}

#[test]
fn a_level_triggered_line_asks_until_it_is_down() {
    let mut guest = Guest::bios();
    guest.machine.0.borrow_mut().levels = [0, 0b1100];
    guest.machine.raise(10);
    guest.take();
    assert_eq!(guest.accept(), Some(0x72));
    guest.take();
    guest.end(Half::Slave);
    guest.take();
    assert_eq!(guest.accept(), Some(0x72), "still up");
    guest.machine.lower(10);
    guest.end(Half::Slave);
    guest.take();
    assert_eq!(guest.next(), None);
    // Down before the guest has taken it.
    guest.machine.raise(11);
    guest.take();
    assert_eq!(guest.next(), Some(0x73));
    guest.machine.lower(11);
    guest.pics.settle(&guest.machine);
    assert_eq!(guest.next(), None);
    guest.machine.raise(11);
    guest.take();
    assert_eq!(guest.next(), Some(0x73), "no longer masked");
}

#[test]
fn spurious_interrupts_and_those_of_devices_are_none() {
    let mut guest = Guest::bios();
    for vector in [0xd0, 0xd7, 0xdf] {
        guest
            .pics
            .take(Line::of_vector(vector).unwrap(), &guest.machine);
        assert_eq!(guest.next(), None, "{vector:#x}");
    }
    // A spurious one of the slave is in service at the master.
    guest.machine.0.borrow_mut().chips[0].in_service = 4;
    guest
        .pics
        .take(Line::of_vector(0xdf).unwrap(), &guest.machine);
    assert_eq!(guest.machine.0.borrow().chips[0].in_service, 0);
    assert_eq!([0xcf, 0xe0].map(Line::of_vector), [None, None]);
}

#[test]
fn probing_finds_a_pair() {
    let mut guest = Guest::bios();
    for half in [Half::Master, Half::Slave] {
        guest.write(half, 1, 0xfb);
        assert_eq!(guest.read(half, 1), 0xfb);
    }
    assert_eq!(Half::Master.mask(&guest.machine), 0xfb);
}

#[test]
fn a_poll_acknowledges() {
    let mut guest = Guest::bios();
    guest.machine.edge(1);
    guest.take();
    guest.write(Half::Master, 0, 0x0c);
    assert_eq!(guest.read(Half::Master, 0), 0x81);
    assert_eq!(guest.next(), None);
    guest.write(Half::Master, 0, 0x0c);
    assert_eq!(guest.read(Half::Master, 0), 0);
}

#[test]
fn a_poll_is_the_next_read_of_either_port() {
    let mut guest = Guest::bios();
    let masked = guest.read(Half::Master, 1);
    guest.machine.edge(1);
    guest.take();
    guest.write(Half::Master, 0, 0x0c);
    assert_eq!(guest.read(Half::Master, 1), 0x81);
    assert_eq!(guest.next(), None);
    assert_eq!(guest.read(Half::Master, 1), masked);
}

#[test]
fn the_pair_is_taken_over_as_it_is() {
    let machine = Machine::new();
    {
        let chips = &mut machine.0.borrow_mut().chips;
        (chips[0].masked, chips[1].masked) = (0xb8, 0x2e);
        chips[0].in_service = 1;
        chips[1].requested = 1;
    }
    let mut pics = Pics::new([0x08, 0x70]);
    assert!(pics.take_over(&machine));
    assert_eq!(
        (Half::Master.mask(&machine), Half::Slave.mask(&machine)),
        (0xb8, 0x2e)
    );
    assert_eq!(pics.next(), None, "the timer is in service");
    pics.write(Half::Master, 0, 0x20, &machine);
    assert_eq!(pics.next().map(|(_, vector)| vector), Some(0x70));
    assert!(!pics.take_over(&machine));
}
