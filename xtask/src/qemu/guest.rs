//! Runs QEMU to its end or its deadline, and reads its console meanwhile.

use crate::cli::Thread;
use crate::qemu::judge::Ending;
use crate::qemu::records::{Line, Record, Transcript};
use anyhow::{Context as _, Result, bail};
use rar_harness::interrupt;
use rar_harness::process::{Cmd, Verbosity, utf8};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A console that prints no line end is cut here, so that a mad guest does not eat the host's memory.
const LONGEST_LINE: u64 = 1 << 20;

/// After the guest ended, its pipes may hold a little more, but not for ever.
const DRAIN: Duration = Duration::from_secs(5);

/// Returns QEMU's command with what every boot has: no configuration of the machine, the user or a default device may change it, stale
/// translations are seen with TCG only, and the guest ends by itself.
pub(crate) fn bare(qemu: &Path, machine: &str, cpu: &str, thread: Thread) -> Result<Cmd> {
    let accelerator = format!("tcg,thread={thread}");
    Ok(Cmd::new(utf8(qemu)?)
        .args(["-no-user-config", "-nodefaults", "-display", "none"])
        .arg("-no-reboot")
        .args(["-machine", machine, "-accel", &accelerator, "-cpu", cpu])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]))
}

/// A run that ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What the guest said.
    pub(crate) transcript: Transcript,
    /// How QEMU ended.
    pub(crate) ending: Ending,
    /// What QEMU itself had to say.
    pub(crate) stderr: String,
}

/// Runs `qemu`; `watch` sees each record as it comes.
pub(crate) fn run(
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
            eprintln!("{}", line.text);
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
            break ending(status)?;
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

fn ending(status: ExitStatus) -> Result<Ending> {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ok(Ending::Exited(code)),
        (None, Some(signal)) => Ok(Ending::Signalled(signal)),
        (None, None) => bail!("QEMU ended in no known way: {status}"),
    }
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
    use crate::qemu::records::tests::{START, TEST};

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
        let begin = Instant::now();
        let finished = guest(
            &format!("echo '{START}'; exec sleep 100"),
            Duration::from_millis(300),
        );
        assert!(matches!(finished.ending, Ending::TimedOut(_)));
        assert!(begin.elapsed() < Duration::from_secs(20));
        assert_eq!(finished.transcript.records.len(), 1);
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
