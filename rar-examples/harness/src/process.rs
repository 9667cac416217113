//! External commands: built as data, printed with `-v` so that they can be pasted into a shell,
//! then run.

mod collect;
mod quote;
mod room;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use self::collect::collect;
use self::quote::quote;
use crate::exit_code::{Fault, Reason};
use crate::{errln, interrupt, parent_death};

/// How much of external commands is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Only a live line or the name of each step.
    Normal,
    /// Each external command, and everything it prints.
    Verbose,
}

impl Verbosity {
    /// Returns whether commands and their output are shown.
    #[must_use]
    pub const fn is_verbose(self) -> bool {
        matches!(self, Self::Verbose)
    }
}

/// An external command as data.
#[derive(Clone, Debug)]
pub struct Cmd {
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    unset: Vec<String>,
    dir: Option<PathBuf>,
}

impl Cmd {
    /// Returns a command without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            unset: Vec::new(),
            dir: None,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.env.push((key.to_owned(), value.into()));
        self
    }

    /// Removes an environment variable.
    pub fn unset(mut self, key: &str) -> Self {
        self.unset.push(key.to_owned());
        self
    }

    /// Sets the working directory.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Returns the command as a line for a shell.
    pub fn line(&self) -> String {
        let mut words = Vec::new();
        if !self.env.is_empty() || !self.unset.is_empty() {
            words.push("env".to_owned());
            words.extend(self.unset.iter().map(|key| format!("-u {key}")));
        }
        words.extend(
            self.env
                .iter()
                .map(|(key, value)| format!("{key}={}", quote(value))),
        );
        words.push(quote(&self.program));
        words.extend(self.args.iter().map(|arg| quote(arg)));
        let line = words.join(" ");
        match &self.dir {
            Some(dir) => format!("(cd {} && {line})", quote(&dir.to_string_lossy())),
            None => line,
        }
    }

    /// Starts the command with no input and both outputs piped.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn spawn(&self, verbosity: Verbosity) -> Result<Running> {
        self.start(Stdio::null(), verbosity)
    }

    /// Starts the command with input and both outputs piped.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn spawn_with_input(&self, verbosity: Verbosity) -> Result<Running> {
        self.start(Stdio::piped(), verbosity)
    }

    fn start(&self, input: Stdio, verbosity: Verbosity) -> Result<Running> {
        if verbosity.is_verbose() {
            errln!("$ {}", self.line());
        }
        self.check_program()?;
        let mut command = parent_death::command(&self.program);
        command.args(&self.args);
        for key in &self.unset {
            command.env_remove(key);
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.program))?;
        Ok(Running(child))
    }

    fn check_program(&self) -> Result<()> {
        let found = match self.program.contains('/') {
            true => is_executable(Path::new(&self.program)) || self.dir.is_some(),
            false => find_program(&self.program).is_some(),
        };
        ensure!(found, "cannot start `{}`: no such program", self.program);
        Ok(())
    }

    /// Runs the command to its end and returns everything it printed.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or the user interrupted it.
    pub fn capture(&self, verbosity: Verbosity) -> Result<Captured> {
        let mut running = self.spawn(verbosity)?;
        let all = Arc::new(Mutex::new(String::new()));
        let out = running
            .0
            .stdout
            .take()
            .map(|pipe| collect(pipe, verbosity, Arc::clone(&all)));
        let err = running
            .0
            .stderr
            .take()
            .map(|pipe| collect(pipe, verbosity, Arc::clone(&all)));
        let status = running.wait()?;
        let stdout = out
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        drop(err.and_then(|reader| reader.join().ok()));
        let both = all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Captured {
            status,
            stdout,
            both,
        })
    }

    /// Runs the command to its end and returns everything it printed, if it succeeded.
    ///
    /// # Errors
    ///
    /// As [`capture`](Self::capture); or the command did not succeed: the error shows the command
    /// and what it printed.
    pub fn require(&self, verbosity: Verbosity) -> Result<Captured> {
        let captured = self.capture(verbosity)?;
        if captured.status.success() {
            return Ok(captured);
        }
        if let Some(lack) = room::lack_of_room(&captured.both) {
            let message = format!("{}: {lack}; -v shows the command", self.program);
            return Err(Fault::new(Reason::Environment, message).into());
        }
        let shown = if verbosity.is_verbose() {
            String::new()
        } else {
            format!("\n{}", captured.both.trim_end())
        };
        let what = describe(captured.status);
        Err(Fault::new(Reason::Failed, format!("{what}: {}{shown}", self.line())).into())
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Captured {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output alone.
    pub stdout: String,
    /// Both outputs in the order in which they came.
    pub both: String,
}

/// A child that does not outlive its guard.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// Waits for the end; Ctrl-C is an error, and dropping the guard then ends the child.
    fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait().context("cannot wait for a command")? {
                return Ok(status);
            }
            interrupt::check()?;
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the child has ended already, which is what is wanted.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Returns how a command ended, in words.
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without a code".to_owned(),
    }
}

/// Returns the first program of that name in PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

/// Returns whether `file` is a file that may be executed.
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Returns a path as text.
///
/// # Errors
///
/// The path is not UTF-8: the error names it.
pub fn utf8(path: &(impl AsRef<OsStr> + ?Sized)) -> Result<&str> {
    let path = path.as_ref();
    path.to_str().with_context(|| {
        format!(
            "the path {} is not UTF-8; use another folder",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::reason_of;

    #[test]
    fn a_printed_command_can_be_pasted() {
        let cmd = Cmd::new("qemu")
            .args(["-append", "test=one flushes=2"])
            .env("A", "b c")
            .dir(Path::new("/x y"));
        assert_eq!(
            cmd.line(),
            "(cd '/x y' && env A='b c' qemu -append 'test=one flushes=2')"
        );
        assert_eq!(Cmd::new("a").unset("B").line(), "env -u B a");
        assert_eq!(
            Cmd::new("a").env("F", "-x\u{1f}-y").line(),
            r"env F=$'-x\x1f-y' a"
        );
    }

    #[test]
    fn failure_shows_the_command_and_its_output() {
        let error = Cmd::new("sh")
            .args(["-c", "echo out; echo err >&2; exit 3"])
            .require(Verbosity::Normal)
            .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("exit code 3: sh -c"), "{text}");
        assert!(text.contains("out") && text.contains("err"), "{text}");
    }

    #[test]
    fn a_full_disk_is_one_sentence_about_the_machine() {
        for says in [
            "x: No space left on device",
            "Image size 9623s exceeds free space on media 32s",
        ] {
            let error = Cmd::new("sh")
                .args(["-c", "echo \"$0\" >&2; exit 1", says])
                .require(Verbosity::Normal)
                .unwrap_err();
            assert_eq!(reason_of(&error), Reason::Environment);
            assert_eq!(
                error.to_string(),
                "sh: a disk is full; -v shows the command"
            );
        }
    }

    #[test]
    fn death_by_a_signal_is_not_success() {
        let error = Cmd::new("sh")
            .args(["-c", "kill -9 $$"])
            .require(Verbosity::Normal)
            .unwrap_err();
        assert!(
            error.to_string().starts_with("killed by signal 9"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Cmd::new("no-such-program-here")
            .capture(Verbosity::Normal)
            .unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"));
        assert!(find_program("no-such-program-here").is_none());
        assert!(find_program("sh").is_some());
    }

    #[test]
    fn outputs_are_kept_apart_and_together() {
        let captured = Cmd::new("sh")
            .args(["-c", "echo out; echo err >&2"])
            .capture(Verbosity::Normal)
            .unwrap();
        assert_eq!(captured.stdout, "out\n");
        assert!(captured.both.contains("out\n") && captured.both.contains("err\n"));
    }
}
