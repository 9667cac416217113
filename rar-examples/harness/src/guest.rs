//! Runs QEMU to its end or its deadline, and reads its console meanwhile.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::ending::Ending;
use crate::modes::Thread;
use crate::process::{Cmd, Verbosity, utf8};
use crate::records::{Line, Record, Transcript};
use crate::{errln, interrupt};

/// A console that prints no line end is cut here, so that a mad guest does not eat the host's
/// memory.
const LONGEST_LINE: u64 = 1 << 20;

/// How long the pipes of a guest that ended are read.
const DRAIN: Duration = Duration::from_secs(5);

/// Returns QEMU's command with what every boot has.
///
/// # Errors
///
/// The path of QEMU is not UTF-8.
pub fn bare(qemu: &Path, machine: &str, cpu: &str, thread: Thread) -> Result<Cmd> {
    Ok(Cmd::new(utf8(qemu)?)
        // Files of the user or of the distribution must not change the machine.
        .arg("-no-user-config")
        // Default devices slow the boot down, and some of them interrupt.
        .arg("-nodefaults")
        // No window: a guest that has a screen is photographed through the monitor.
        .args(["-display", "none"])
        // A triple fault ends QEMU instead of starting the guest again.
        .arg("-no-reboot")
        .args(["-machine", machine])
        // Only TCG shows stale translations: KVM's shadow paging hides them.
        .args(["-accel", &format!("tcg,thread={thread}")])
        .args(["-cpu", cpu])
        // The guest ends QEMU by itself: it writes its verdict to this port.
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]))
}

/// A run that ended.
#[derive(Debug)]
pub struct Finished {
    /// What the guest said.
    pub transcript: Transcript,
    /// How QEMU ended.
    pub ending: Ending,
    /// What QEMU itself had to say.
    pub stderr: String,
}

/// Runs `qemu` to its end or to the time limit; `watch` sees each record as it comes.
///
/// # Errors
///
/// QEMU cannot be started, or the user interrupted it.
pub fn run(
    qemu: &Cmd,
    limit: Duration,
    verbosity: Verbosity,
    mut watch: impl FnMut(&Record),
) -> Result<Finished> {
    let mut running = qemu.spawn(verbosity)?;
    let stdout = running.0.stdout.take().context("QEMU has no output")?;
    let stderr = running
        .0
        .stderr
        .take()
        .context("QEMU has no error output")?;
    let lines = read_lines(stdout);
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        drop(stderr.take(LONGEST_LINE).read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });

    let mut transcript = Transcript::default();
    let mut take = |line: Line, transcript: &mut Transcript| {
        if verbosity.is_verbose() {
            errln!("{}", line.text);
        }
        if let Some(record) = transcript.push(line) {
            watch(record);
        }
    };
    let begin = Instant::now();
    let ending = loop {
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => take(line, &mut transcript),
            Err(RecvTimeoutError::Timeout) => {}
            // The console is closed: QEMU is about to end.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(5)),
        }
        interrupt::check()?;
        if let Some(status) = running.0.try_wait().context("cannot wait for QEMU")? {
            break Ending::of(status)?;
        }
        if begin.elapsed() >= limit {
            break Ending::TimedOut(limit);
        }
    };
    // Ends a QEMU that hangs, which closes the pipes.
    drop(running);
    let drain = Instant::now();
    while let Ok(line) = lines.recv_timeout(DRAIN.saturating_sub(drain.elapsed())) {
        take(line, &mut transcript);
    }
    let stderr = errors.join().unwrap_or_default();
    Ok(Finished {
        transcript,
        ending,
        stderr,
    })
}

fn read_lines(pipe: impl Read + Send + 'static) -> Receiver<Line> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        loop {
            let mut bytes = Vec::new();
            let length = reader
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut bytes);
            if !length.is_ok_and(|length| length > 0) {
                return;
            }
            let complete = bytes.ends_with(b"\n");
            let text = String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\r', '\n'])
                .to_owned();
            if sender.send(Line { text, complete }).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{START, TEST};

    fn guest(script: &str, limit: Duration) -> Finished {
        run(
            &Cmd::new("sh").args(["-c", script]),
            limit,
            Verbosity::Normal,
            |_| {},
        )
        .unwrap()
    }

    #[test]
    fn console_and_exit_code_are_read() {
        let script = format!("printf '%s\\r\\n%s\\n' 'hello' '{START}'; echo oops >&2; exit 33");
        let finished = guest(&script, Duration::from_secs(30));
        assert_eq!(finished.ending, Ending::Exited(33));
        assert_eq!(finished.transcript.lines.first().unwrap(), "hello");
        assert_eq!(finished.transcript.records.len(), 1);
        assert_eq!(finished.stderr, "oops\n");
    }

    #[test]
    fn a_hung_guest_is_killed_at_its_deadline() {
        // A guest that is not killed exits by itself.
        let script = format!("echo '{START}'; exec sleep 1000");
        // On a busy host the shell may not have begun at the first deadlines.
        let said = [300, 3_000, 30_000, 300_000].into_iter().any(|limit| {
            let finished = guest(&script, Duration::from_millis(limit));
            assert!(matches!(finished.ending, Ending::TimedOut(_)));
            finished.transcript.records.len() == 1
        });
        assert!(said, "what a guest said before its deadline is lost");
    }

    #[test]
    fn death_by_a_signal_is_seen() {
        let finished = guest("kill -11 $$", Duration::from_secs(30));
        assert_eq!(finished.ending, Ending::Signalled(11));
    }

    #[test]
    fn a_record_cut_by_death_is_malformed() {
        let cut = TEST.get(..40).unwrap();
        let finished = guest(
            &format!("printf '%s' '{cut}'; exit 33"),
            Duration::from_secs(30),
        );
        assert_eq!(finished.transcript.malformed.len(), 1);
    }
}
