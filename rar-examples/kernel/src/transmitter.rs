//! The transmitter of a serial port whose peer may never read: how long a kernel waits for it.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// What a transmitter needs of the port, and of the machine.
pub trait SerialPort {
    /// Returns whether the port takes a byte.
    fn is_empty(&self) -> bool;
    /// Hands over a byte.
    fn put(&self, byte: u8);
    /// Returns the time.
    fn microseconds(&self) -> u64;
    /// Lets a short time pass.
    fn pause(&self) {
        core::hint::spin_loop();
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The port took it.
    Whole,
    /// The port took a part of it, and was given up.
    GaveUp,
    /// The port was given up before, and still takes nothing.
    Dropped,
}

/// What was lost because the peer of the port did not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialLoss {
    /// How often the port was given up.
    pub times: u32,
    /// The lines that were cut or dropped.
    pub lines: u64,
}

impl fmt::Display for SerialLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { times, lines } = self;
        match times {
            1 => f.write_str("serial: given up")?,
            _ => write!(f, "serial: given up {times} times")?,
        }
        write!(
            f,
            ", the peer of the port did not read; {lines} lines were dropped"
        )
    }
}

/// Sends lines, and gives the port up instead of waiting without end.
///
/// All waiting together lasts at most [`ADVANCE`](Self::ADVANCE), and [`PER_BYTE`](Self::PER_BYTE)
/// more for each byte that the port took: 87 us is what a byte takes at 115,200 baud. A port that
/// was given up gets one look for each line, and the whole line if it takes bytes again: a peer
/// that reads by the end of a run gets the report, which comes last.
#[derive(Debug)]
pub struct Transmitter {
    /// Microseconds that may still be waited.
    credit: AtomicU64,
    given_up: AtomicBool,
    /// Lines of the gap that is open.
    missing: AtomicU64,
    times: AtomicU32,
    lines: AtomicU64,
}

/// One look counts for at most this: a host that stops its guest for seconds, or a clock that
/// jumps, is no peer that does not read.
const LONGEST_LOOK: u64 = 10_000;
/// As many looks count for a microsecond at least, so that a clock that stands still ends no wait
/// too late.
const FASTEST_LOOKS: u32 = 16;

// Orderings: one CPU prints at a time. Where two do, since one of them lost patience with the
// other, the counts may be a little wrong and no more.
impl Transmitter {
    /// Microseconds of waiting that need no byte: longer than a reader on a busy host is away.
    pub const ADVANCE: u64 = 2_000_000;
    /// Microseconds of waiting that a byte earns: twice its time at 9,600 baud.
    pub const PER_BYTE: u64 = 2_000;

    /// Returns a transmitter that was never given up.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            credit: AtomicU64::new(Self::ADVANCE),
            given_up: AtomicBool::new(false),
            missing: AtomicU64::new(0),
            times: AtomicU32::new(0),
            lines: AtomicU64::new(0),
        }
    }

    /// Sends one line, with a line end of two bytes.
    pub fn send_line(&self, port: &impl SerialPort, text: fmt::Arguments<'_>) -> Sent {
        if self.is_given_up() {
            if !port.is_empty() {
                self.count_line();
                return Sent::Dropped;
            }
            self.given_up.store(false, Ordering::Relaxed);
        }
        let missing = self.missing.swap(0, Ordering::Relaxed);
        let mut line = Line {
            transmitter: self,
            port,
        };
        let told = match missing {
            0 => Ok(()),
            // The first of them was cut.
            _ => writeln!(line, "\nserial: {missing} lines are missing here"),
        };
        let sent = told
            .and_then(|()| line.write_fmt(text))
            .and_then(|()| line.write_char('\n'));
        if self.is_given_up() {
            self.missing.fetch_add(missing, Ordering::Relaxed);
            self.count_line();
            return Sent::GaveUp;
        }
        // Formatting that fails leaves a part of the line, and there is nowhere to say it.
        let _ = sent;
        Sent::Whole
    }

    /// Returns whether the port was given up, and took no byte since.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Returns what was lost, if the port was ever given up.
    #[must_use]
    pub fn loss(&self) -> Option<SerialLoss> {
        let loss = SerialLoss {
            times: self.times.load(Ordering::Relaxed),
            lines: self.lines.load(Ordering::Relaxed),
        };
        (loss.times > 0).then_some(loss)
    }

    fn count_line(&self) {
        self.missing.fetch_add(1, Ordering::Relaxed);
        self.lines.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends a byte; returns whether the port took it in time.
    fn send(&self, port: &impl SerialPort, byte: u8) -> bool {
        if !port.is_empty() && !self.wait(port) {
            self.given_up.store(true, Ordering::Relaxed);
            self.times.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        port.put(byte);
        let credit = self.credit.load(Ordering::Relaxed) + Self::PER_BYTE;
        self.credit
            .store(credit.min(Self::ADVANCE), Ordering::Relaxed);
        true
    }

    /// Waits until the port takes a byte or the credit is used up; returns whether it does.
    fn wait(&self, port: &impl SerialPort) -> bool {
        let mut last = port.microseconds();
        let mut still = 0;
        loop {
            port.pause();
            if port.is_empty() {
                return true;
            }
            let now = port.microseconds();
            let mut step = now.saturating_sub(last).min(LONGEST_LOOK);
            last = now;
            still = if step == 0 { still + 1 } else { 0 };
            if still == FASTEST_LOOKS {
                (step, still) = (1, 0);
            }
            let credit = self.credit.load(Ordering::Relaxed).saturating_sub(step);
            self.credit.store(credit, Ordering::Relaxed);
            if credit == 0 {
                return port.is_empty();
            }
        }
    }
}

impl Default for Transmitter {
    fn default() -> Self {
        Self::new()
    }
}

/// Text on its way; an error is a port that was given up.
struct Line<'l, P> {
    transmitter: &'l Transmitter,
    port: &'l P,
}

impl<P: SerialPort> fmt::Write for Line<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let sent = byte != b'\n' || self.transmitter.send(self.port, b'\r');
            if !sent || !self.transmitter.send(self.port, byte) {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
