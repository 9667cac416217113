//! Draws machines by seeds, reads each on the host, boots each, and judges what it says.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, iter};

use anyhow::{Context as _, Error, Result, bail};
use fastrand::Rng;
use rar_firmware::{Change, HandOver};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::guest::{self, Finished};
use rar_harness::modes::Thread;
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::run::escape;
use rar_harness::setup::{self, Qemu};
use rar_harness::text::tail;
use rar_harness::workspace::Workspace;
use rar_harness::{outln, parallel, progress};

use super::guest_memory::{CPUS, GuestMemory, INFORMATION, MEMORY, REGION, hand_over};
use super::host_check::read;
use super::judge::faults;
use super::prediction::{Fate, predict};
use super::start_file::{redirect, start_code};
use crate::boot;

/// Most machines of one call.
pub const MOST: u32 = 10_000;

/// What runs: every test, small storms, interrupts only.
const LINE: &str = "run=quick backends=software flushes=50 initiators=1 measure=off \
    page-seconds=0 end=debug-exit";
/// Machines that a seed draws before it gives up: most can be booted.
const DRAWS: u32 = 100;
const LIMIT: Duration = Duration::from_secs(120);
/// How many lines of a failed boot are shown.
const TAIL: usize = 12;

/// A machine.
struct Machine {
    /// Without one: the machine without changes.
    seed: Option<u64>,
    changes: Vec<Change>,
    /// What QEMU loads.
    bytes: Vec<u8>,
    fate: Fate,
    /// Machines that were drawn and read before, and cannot be judged by a boot.
    passed_over: u32,
}

/// What one boot came to.
struct Row {
    seed: Option<u64>,
    name: String,
    wrong: Option<String>,
    notes: usize,
    refused: bool,
    passed_over: u32,
}

impl Machine {
    /// Makes the machine without changes.
    fn right(entry: u32) -> Result<Self> {
        Self::with(None, Vec::new(), entry, 0)
    }

    /// Draws machines until one can be booted.
    fn of_seed(seed: u64, entry: u32) -> Result<Self> {
        let mut rng = Rng::with_seed(seed);
        for passed_over in 0..DRAWS {
            let machine = Self::with(Some(seed), HandOver::changes(&mut rng), entry, passed_over)?;
            if !matches!(machine.fate, Fate::NotBootable(..)) {
                return Ok(machine);
            }
        }
        bail!("seed {seed}: none of {DRAWS} machines can be booted")
    }

    /// Makes a machine, and reads it.
    fn with(seed: Option<u64>, changes: Vec<Change>, entry: u32, passed_over: u32) -> Result<Self> {
        let information = u32::try_from(INFORMATION).unwrap_or(u32::MAX);
        let handed = hand_over(LINE).with(&changes);
        let memory = GuestMemory::new(&start_code(entry, information), &handed);
        let fate = read(predict, &memory, &handed, LINE).map_err(|why| {
            let message = format!("{}: {why}\n{}", name(seed, &changes), repeat(seed));
            Error::from(Fault::new(Reason::Failed, message))
        })?;
        Ok(Self {
            seed,
            changes,
            bytes: memory.loaded().to_vec(),
            fate,
            passed_over,
        })
    }
}

fn name(seed: Option<u64>, changes: &[Change]) -> String {
    match seed {
        Some(seed) => format!("seed {seed} {changes:?}"),
        None => "no change".to_owned(),
    }
}

/// Says how a failure is repeated.
fn repeat(seed: Option<u64>) -> String {
    let seed = seed.map_or_else(String::new, |seed| format!(" --seed {seed}"));
    format!("`cargo xtask image --mutated 1{seed}` repeats it")
}

/// Reads and boots `count` machines with the seeds from `seed` on, and before them the machine
/// without changes. Fails unless each boot says what its bytes make the readers say.
///
/// # Errors
///
/// A boot is not as it must be, or the kernel cannot be built or booted.
pub fn command(count: u32, seed: u64, qemu: Option<&Path>, verbosity: Verbosity) -> Result<()> {
    let emulator = setup::emulator(qemu, verbosity)?;
    let elf = boot::build_kernel(&Workspace::this()?, verbosity)?;
    let folder = tempfile::Builder::new().prefix("rar-mutated-").tempdir();
    let folder = folder.context("cannot create a folder for temporary files")?;
    let bytes = fs::read(&elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let (kernel, entry) = redirect(&bytes, REGION)?;
    let path = folder.path().join("kernel");
    fs::write(&path, kernel).with_context(|| format!("cannot write {}", path.display()))?;
    let seeds = (0..u64::from(count)).map(|more| Some(seed.wrapping_add(more)));
    let seeds: Vec<_> = iter::once(None).chain(seeds).collect();
    let begin = Instant::now();
    let rows = parallel::each(&seeds, parallel::cores(), |_, seed| {
        let machine = match *seed {
            Some(seed) => Machine::of_seed(seed, entry)?,
            None => Machine::right(entry)?,
        };
        let row = boot(&machine, &path, folder.path(), &emulator, verbosity)?;
        let said = row.wrong.as_deref().unwrap_or("ok");
        progress::line(&format!("{}: {said}", row.name));
        Ok(row)
    })?;
    conclude(&rows, begin.elapsed())
}

fn conclude(rows: &[Row], took: Duration) -> Result<()> {
    let passed_over: u32 = rows.iter().map(|row| row.passed_over).sum();
    let notes: usize = rows.iter().map(|row| row.notes).sum();
    let refused = rows.iter().filter(|row| row.refused).count();
    outln!(
        "{} machines were read on the host, {} of them booted in {:.0} s: {notes} notes as \
         predicted, {refused} refused as predicted",
        rows.len() + usize::try_from(passed_over).unwrap_or(usize::MAX),
        rows.len(),
        took.as_secs_f64()
    );
    let mut wrong = Vec::new();
    for row in rows {
        let Some(why) = &row.wrong else { continue };
        wrong.push(format!("{}: {why}\n{}", row.name, repeat(row.seed)));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Fault::new(Reason::Failed, wrong.join("\n")).into()),
    }
}

/// Makes one boot and judges it.
fn boot(
    machine: &Machine,
    kernel: &Path,
    folder: &Path,
    emulator: &Qemu,
    verbosity: Verbosity,
) -> Result<Row> {
    let name = name(machine.seed, &machine.changes);
    let number = machine
        .seed
        .map_or_else(String::new, |seed| seed.to_string());
    let handed = folder.join(format!("handed-over{number}"));
    fs::write(&handed, &machine.bytes)
        .with_context(|| format!("cannot write {}", handed.display()))?;
    let cmd = qemu(&emulator.path, kernel, &handed)?;
    let finished = guest::run(&cmd, LIMIT, verbosity, |_| {})?;
    let _gone = fs::remove_file(&handed);
    let wrong = faults(&machine.fate, &finished);
    let (notes, refused) = match &machine.fate {
        Fate::Runs(expected) => (expected.notes.len(), false),
        _ => (0, true),
    };
    Ok(Row {
        seed: machine.seed,
        name,
        wrong: (!wrong.is_empty()).then(|| explain(&wrong, &machine.fate, &finished)),
        notes,
        refused,
        passed_over: machine.passed_over,
    })
}

fn explain(wrong: &[String], fate: &Fate, finished: &Finished) -> String {
    let lines = finished.transcript.lines.iter().map(String::as_str);
    let plain = lines.filter(|line| !line.starts_with('@'));
    format!(
        "{}\n  predicted: {fate:?}\n{} {}",
        wrong.join("; "),
        tail("console", plain, TAIL),
        finished.stderr.trim()
    )
}

fn qemu(emulator: &Path, kernel: &Path, handed: &PathBuf) -> Result<Cmd> {
    let cmd = guest::bare(emulator, "q35", "max", Thread::Single)?
        .args(["-smp", &CPUS.to_string()])
        .args(["-m", &format!("{MEMORY}M")])
        .args(["-vga", "std", "-serial", "stdio"])
        .args(["-kernel", utf8(kernel)?]);
    let file = escape(utf8(handed)?);
    Ok(cmd.args([
        "-device",
        &format!("loader,file={file},addr={REGION:#x},force-raw=on"),
    ]))
}
