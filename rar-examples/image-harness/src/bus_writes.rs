//! Stores to a guest's physical addresses while it runs, as a device or a management controller
//! makes them: through QEMU's qtest protocol.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::qemu_socket;

/// Where a message-signalled interrupt for APIC id 0 is written (SDM vol. 3, "Message Address
/// Register Format"); bits 19:12 are the id.
const MESSAGES: u64 = 0xfee0_0000;
/// Delivery mode NMI (SDM vol. 3, "Message Data Register Format").
const NMI: u32 = 0x400;
/// The trigger mode is level, and the level is assert.
const LEVEL: u32 = 0xc000;

/// A store of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) address: u64,
    pub(crate) value: u32,
}

impl Store {
    /// An NMI.
    pub(crate) const fn nmi(apic_id: u8) -> Self {
        Self::message(apic_id, NMI)
    }

    /// A level-triggered interrupt: the CPU tells every I/O APIC of its end.
    pub(crate) const fn level(apic_id: u8, vector: u8) -> Self {
        Self::message(apic_id, LEVEL | vector as u32)
    }

    /// An interrupt with these message data: the low 8 bits are the vector.
    pub(crate) const fn message(apic_id: u8, data: u32) -> Self {
        Self {
            address: MESSAGES | (apic_id as u64) << 12,
            value: data,
        }
    }
}

/// Stores that repeat from the first record of the kernel on, so after it has taken the machine
/// over, until the guest ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BusWrites {
    pub(crate) stores: &'static [Store],
    /// From one round of all stores to the next.
    pub(crate) every: Duration,
}

/// Makes the stores until the guest has ended.
#[derive(Debug)]
pub(crate) struct BusWriter {
    /// Whether the first record was told.
    has_begun: bool,
    /// Reports the first record, and by its end that of the guest.
    guest: Sender<()>,
    thread: JoinHandle<Result<u64>>,
}

impl BusWriter {
    /// Connects to QEMU once it has started, and makes the stores from the first record on.
    pub(crate) fn start(socket: PathBuf, writes: BusWrites) -> Self {
        let (guest, told) = channel();
        let thread = thread::spawn(move || write(&socket, &writes, &told));
        Self {
            has_begun: false,
            guest,
            thread,
        }
    }

    /// The guest has sent a record.
    pub(crate) fn on_record(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            // The thread may have ended with QEMU.
            let _gone = self.guest.send(());
        }
    }

    /// Ends it when QEMU has ended; returns how many rounds of stores were made.
    ///
    /// # Errors
    ///
    /// QEMU did not take a store.
    pub(crate) fn finish(self) -> Result<u64> {
        drop(self.guest);
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => bail!("the thread that stores into the guest panicked"),
        }
    }
}

fn write(socket: &Path, writes: &BusWrites, guest: &Receiver<()>) -> Result<u64> {
    let mut bus = Bus::connect(socket)?;
    if guest.recv().is_err() {
        return Ok(0);
    }
    let mut rounds = 0;
    loop {
        for store in writes.stores {
            if !bus.store(*store)? {
                return Ok(rounds);
            }
        }
        rounds += 1;
        if guest.recv_timeout(writes.every) == Err(RecvTimeoutError::Disconnected) {
            return Ok(rounds);
        }
    }
}

/// A connection to QEMU's qtest protocol.
struct Bus {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Bus {
    fn connect(socket: &Path) -> Result<Self> {
        let stream = qemu_socket::connect(socket, "qtest")?;
        let writer = stream.try_clone()?;
        Ok(Self {
            reader: BufReader::new(stream),
            writer,
        })
    }

    /// Makes a store; returns whether QEMU still runs.
    fn store(&mut self, Store { address, value }: Store) -> Result<bool> {
        if writeln!(self.writer, "writel {address:#x} {value:#x}").is_err() {
            return Ok(false);
        }
        loop {
            let mut line = String::new();
            // The guest may end at any time, and QEMU with it.
            match self.reader.read_line(&mut line) {
                Ok(0) => return Ok(false),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Ok(false);
                }
                read => drop(read.context("QEMU does not answer a store")?),
            }
            match line.trim() {
                "OK" => return Ok(true),
                // Inputs of interrupt controllers are told in between.
                told if told.starts_with("IRQ ") => {}
                refusal => bail!("QEMU refuses a store to {address:#x}: {refusal}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    const WRITES: BusWrites = BusWrites {
        stores: &[Store::nmi(3), Store::level(1, 0x30)],
        every: Duration::from_millis(1),
    };

    /// Plays QEMU: answers each of some stores; returns what it was asked.
    fn answers(listener: &UnixListener, answers: &[&str]) -> Vec<String> {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut asked = Vec::new();
        for answer in answers {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            asked.push(line.trim().to_owned());
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
        asked
    }

    fn with_qemu(begin: bool, said: &'static [&str]) -> (Vec<String>, Result<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bus");
        let listener = UnixListener::bind(&socket).unwrap();
        let qemu = thread::spawn(move || answers(&listener, said));
        let mut writer = BusWriter::start(socket, WRITES);
        if begin {
            writer.on_record();
            writer.on_record();
        }
        let asked = if begin {
            qemu.join().unwrap()
        } else {
            Vec::new()
        };
        (asked, writer.finish())
    }

    #[test]
    fn rounds_of_stores_go_on_until_qemu_ends() {
        let ok = &["OK\n", "IRQ raise 4\nOK\n", "OK\n"];
        let (asked, rounds) = with_qemu(true, ok);
        let [nmi, level] = ["writel 0xfee03000 0x400", "writel 0xfee01000 0xc030"];
        assert_eq!(asked, [nmi, level, nmi]);
        assert_eq!(rounds.unwrap(), 1);
    }

    #[test]
    fn nothing_is_stored_before_the_first_record() {
        assert_eq!(with_qemu(false, &[]).1.unwrap(), 0);
    }

    #[test]
    fn a_refusal_is_an_error() {
        let why = with_qemu(true, &["FAIL Unknown command\n"]).1.unwrap_err();
        assert!(why.to_string().contains("0xfee03000: FAIL"), "{why}");
    }
}
