//! Peers that read, that stop, that come back; clocks that jump and stand still.

use std::cell::{Cell, RefCell};

use super::*;

/// A port with room for some bytes, and a peer.
struct Port {
    /// Bytes that it takes before the peer must read.
    room: Cell<u64>,
    /// Microseconds after which the peer has read a byte; `None` if it does not read.
    reads: Cell<Option<u64>>,
    read_at: Cell<u64>,
    now: Cell<u64>,
    /// Microseconds from look to look.
    look: u64,
    /// What is added to the clock at a look.
    jump: Cell<u64>,
    stands_still: bool,
    looks: Cell<u64>,
    line: RefCell<Vec<u8>>,
}

impl Port {
    fn new(room: u64, reads: Option<u64>) -> Self {
        Self {
            room: Cell::new(room),
            reads: Cell::new(reads),
            read_at: Cell::new(0),
            now: Cell::new(0),
            look: 1,
            jump: Cell::new(0),
            stands_still: false,
            looks: Cell::new(0),
            line: RefCell::new(Vec::new()),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.line.borrow().clone()).unwrap()
    }
}

impl SerialPort for Port {
    fn is_empty(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        self.now.set(self.now.get() + self.look);
        if let Some(after) = self.reads.get()
            && self.room.get() == 0
            && self.now.get() >= self.read_at.get() + after
        {
            self.room.set(1);
        }
        self.room.get() > 0
    }

    fn put(&self, byte: u8) {
        self.room.set(self.room.get() - 1);
        self.read_at.set(self.now.get());
        self.line.borrow_mut().push(byte);
    }

    fn microseconds(&self) -> u64 {
        let time = if self.stands_still { 0 } else { self.now.get() };
        time + self.jump.get()
    }

    fn pause(&self) {}
}

fn send(transmitter: &Transmitter, port: &Port, text: &str) -> Sent {
    transmitter.send_line(port, format_args!("{text}"))
}

#[test]
fn a_peer_that_reads_gets_every_line() {
    // 115,200 and 9,600 baud; a quick run prints as much.
    for byte in [87, 1_042] {
        let (transmitter, mut port) = (Transmitter::new(), Port::new(1, Some(byte)));
        port.look = 10;
        let line = |number: u32| format!("{number:78}");
        for number in 0..1_000 {
            assert_eq!(send(&transmitter, &port, &line(number)), Sent::Whole);
        }
        assert_eq!(transmitter.loss(), None);
        let lines: Vec<_> = (0..1_000).map(|number| line(number) + "\r\n").collect();
        assert_eq!(port.text(), lines.concat());
    }
}

#[test]
fn a_peer_that_never_reads_costs_the_advance_once() {
    let (transmitter, port) = (Transmitter::new(), Port::new(4_096, None));
    let text = "x".repeat(78);
    let sent: Vec<_> = (0..1_000)
        .map(|_| send(&transmitter, &port, &text))
        .collect();
    let whole = sent.iter().filter(|sent| **sent == Sent::Whole).count();
    assert_eq!(whole, 51);
    assert_eq!(sent[whole], Sent::GaveUp);
    assert!(sent[whole + 1..].iter().all(|sent| *sent == Sent::Dropped));
    // Looks that found room cost a microsecond as well.
    let waited = port.now.get() - 4_096 - 1_000;
    assert!(waited <= Transmitter::ADVANCE + 10, "{waited}");
    let loss = transmitter.loss().unwrap();
    assert_eq!((loss.times, loss.lines), (1, 949));
    assert_eq!(
        loss.to_string(),
        "serial: given up, the peer of the port did not read; 949 lines were dropped"
    );
}

#[test]
fn a_peer_that_comes_back_gets_whole_lines_and_the_number_of_the_others() {
    let (transmitter, port) = (Transmitter::new(), Port::new(3, None));
    assert_eq!(send(&transmitter, &port, "cut"), Sent::GaveUp);
    assert_eq!(send(&transmitter, &port, "dropped"), Sent::Dropped);
    assert!(transmitter.is_given_up());
    port.reads.set(Some(87));
    assert_eq!(send(&transmitter, &port, "last"), Sent::Whole);
    assert!(!transmitter.is_given_up());
    assert_eq!(
        port.text(),
        "cut\r\nserial: 2 lines are missing here\r\nlast\r\n"
    );
    let loss = transmitter.loss().unwrap();
    assert_eq!((loss.times, loss.lines), (1, 2));
}

#[test]
fn a_peer_that_reads_now_and_then_costs_no_more_than_its_bytes_earn() {
    let (transmitter, port) = (Transmitter::new(), Port::new(16, Some(700_000)));
    let mut waited = 0;
    for _ in 0..10_000 {
        let begin = port.now.get();
        send(&transmitter, &port, "a line of a record");
        waited += port.now.get() - begin;
        port.now.set(port.now.get() + 1_000);
    }
    let bytes = u64::try_from(port.line.borrow().len()).unwrap();
    // Each look at the port takes a microsecond, whether it waits or not.
    let most = Transmitter::ADVANCE + bytes * (Transmitter::PER_BYTE + 2) + 10_000;
    assert!(bytes < 200 && waited <= most, "{bytes} {waited}");
    let loss = transmitter.loss().unwrap();
    assert!(loss.times > 1 && loss.lines > 9_000, "{loss:?}");
    assert!(loss.to_string().starts_with("serial: given up "));
}

#[test]
fn a_host_that_stops_its_guest_is_no_deaf_peer() {
    // Each look at the clock is a second later, and the peer takes a minute for a byte.
    let (transmitter, mut port) = (Transmitter::new(), Port::new(1, Some(60_000_000)));
    port.look = 1_000_000;
    assert_eq!(send(&transmitter, &port, "a"), Sent::Whole);
}

#[test]
fn what_the_port_takes_at_the_last_look_is_not_given_up() {
    for (late, sent) in [(2, Sent::Whole), (3, Sent::GaveUp)] {
        let port = Port::new(1, Some(Transmitter::ADVANCE + late));
        assert_eq!(send(&Transmitter::new(), &port, ""), sent, "{late}");
    }
}

#[test]
fn a_clock_that_stands_still_or_jumps_back_ends_the_wait_all_the_same() {
    const CREDIT: u64 = 20_000;
    let (transmitter, mut port) = (Transmitter::new(), Port::new(0, None));
    transmitter.credit.store(CREDIT, Ordering::Relaxed);
    port.stands_still = true;
    assert_eq!(send(&transmitter, &port, "a"), Sent::GaveUp);
    let most = u64::from(FASTEST_LOOKS) * CREDIT + 10;
    assert!(port.looks.get() <= most);

    let (transmitter, port) = (Transmitter::new(), Port::new(0, None));
    port.jump.set(1 << 40);
    assert_eq!(send(&transmitter, &port, "a"), Sent::GaveUp);
    assert!(port.looks.get() <= Transmitter::ADVANCE + 10);
}
