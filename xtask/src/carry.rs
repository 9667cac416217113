//! `cargo xtask carry`: a kernel, unmodified, on CPUs that have RAR.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use rar_carrier_harness::boot::{self, Booted, Show, Watch};
use rar_carrier_harness::carrier_words::UnitArgs;
use rar_carrier_harness::case_run;
use rar_carrier_harness::catalogue;
use rar_carrier_harness::debian::{self, StockKernel};
use rar_carrier_harness::iso;
use rar_carrier_harness::judge::{Expected, Offences, judge_steps};
use rar_carrier_harness::linux::{DONE, End, Initrd};
use rar_carrier_harness::machine::{self, MachineArgs, Network};
use rar_carrier_harness::module;
use rar_carrier_harness::payload::{Carrier, Payload, Way, check_file};
use rar_carrier_harness::terminal::Keyboard;
use rar_carrier_harness::trace_table;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::setup::{self, Install};
use rar_harness::workspace::Workspace;
use rar_harness::{interrupt, outln, progress};
use rar_vocabulary::TraceLevel;

/// What names a kernel of Debian instead of a file; a release may follow a colon.
const DEBIAN: &str = "debian";
/// What names the initrd that is made here instead of a file.
const BUSYBOX: &str = "busybox";

/// What names the module of this repository instead of a file.
const OWN_MODULE: &str = "rar_check";

/// What a Linux with such an initrd is told before the words of the user: a panic ends the run.
const LINUX_LINE: &str = "console=ttyS0 panic=-1";

/// The options that runs of the catalogue choose themselves.
const OF_ONE_RUN: [&str; 26] = [
    "kernel",
    "initrd",
    "append",
    "chain",
    "modules",
    "files",
    "commands",
    "cpus",
    "memory",
    "machine",
    "cpu",
    "disk",
    "thread",
    "more",
    "apic",
    "defect",
    "knobs",
    "preset",
    "trace_level",
    "words",
    "iso",
    "no_shim",
    "trace",
    "texts",
    "offences",
    "timeout",
];
/// The options that mean nothing to an image that is not booted.
const OF_A_BOOT: [&str; 15] = [
    "chain", "cases", "no_shim", "cpus", "memory", "machine", "cpu", "disk", "thread", "more",
    "qemu", "trace", "texts", "offences", "timeout",
];

#[derive(Args, Clone, Debug)]
pub(crate) struct CarryArgs {
    /// The kernel: a file (Linux, PVH or multiboot2), `debian` for Debian's newest one, or
    /// `debian:RELEASE`
    #[arg(long, value_name = "FILE", required_unless_present_any = ["chain", "cases", "iso"])]
    pub(crate) kernel: Option<String>,
    /// Its initrd: a file, or `busybox` for one that is made here (Debian's kernels get it anyway)
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub(crate) initrd: Option<String>,
    /// Words of its command line (may be given again)
    #[arg(
        long,
        value_name = "WORDS",
        requires = "kernel",
        allow_hyphen_values = true
    )]
    pub(crate) append: Vec<String>,
    /// Boot whatever the BIOS finds on --disk instead of a kernel
    #[arg(long, requires = "disk", conflicts_with = "kernel")]
    pub(crate) chain: bool,
    /// Load this module once Linux is up (may be given again); `rar_check` is that of this
    /// repository, built for Debian's kernel
    #[arg(long = "module", value_name = "FILE", requires = "kernel")]
    pub(crate) modules: Vec<PathBuf>,
    /// Put this file into Linux's path (may be given again)
    #[arg(long = "file", value_name = "FILE", requires = "kernel")]
    pub(crate) files: Vec<PathBuf>,
    /// Run this command once Linux is up (may be given again); the machine goes off afterwards
    #[arg(long = "run", value_name = "COMMAND", requires = "kernel")]
    pub(crate) commands: Vec<String>,
    /// Make these runs of the catalogue instead, and judge each
    #[arg(long = "case", value_name = "NAME,...", value_delimiter = ',',
          value_parser = catalogue::names(), conflicts_with_all = OF_ONE_RUN)]
    pub(crate) cases: Vec<String>,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    #[command(flatten)]
    pub(crate) units: UnitArgs,
    /// Boot nothing, but write an image for QEMU with a menu: with --kernel on it,
    /// or with one that lies in the folder `rar` of a disk
    #[arg(long, value_name = "FILE", conflicts_with_all = OF_A_BOOT)]
    pub(crate) iso: Option<PathBuf>,
    /// Boot without the shim: no RAR, to compare
    #[arg(long)]
    pub(crate) no_shim: bool,
    /// Keep the whole trace in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Expect this text on the console (may be given again); once all were shown the guest has 3
    /// seconds to end
    #[arg(long = "expect", value_name = "TEXT")]
    pub(crate) texts: Vec<String>,
    /// Expect this number of offences of the driver: none, some, any or a number
    /// [default: none; any if the trace is off, which counts none]
    #[arg(long, value_name = "COUNT")]
    pub(crate) offences: Option<Offences>,
    /// End the machine after this many seconds
    #[arg(long, value_name = "SECS", default_value_t = 600,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
}

/// Runs `cargo xtask carry`.
pub(crate) fn command(args: &CarryArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let keyboard = Keyboard::of_this_command();
    let offences = expected_offences(args)?;
    if let Some(output) = &args.iso {
        return write_iso(args, &workspace, keyboard, output, verbosity);
    }
    if !args.cases.is_empty() {
        return cases(&args.cases, args.machine.qemu.as_deref(), verbosity);
    }
    if let Some(disk) = &args.machine.disk {
        check_file(disk)?;
    }
    let qemu = setup::emulator(args.machine.qemu.as_deref(), verbosity)?;
    let hint = args.kernel.as_deref();
    let hint = hint.and_then(|kernel| debian::hint(kernel, &qemu.version, &args.machine.cpu));
    if let Some(hint) = hint {
        progress::line(&hint);
    }
    let payload = match &args.kernel {
        Some(kernel) => Some(payload(kernel, args, &workspace, keyboard, verbosity)?),
        None => None,
    };
    let carrier = match args.no_shim {
        true => None,
        false => Some(boot::build_carrier(&workspace, verbosity)?),
    };
    let carrier = carrier.as_deref().map(|elf| Carrier {
        elf,
        units: &args.units,
    });
    let way = match (&payload, carrier) {
        (Some((payload, _)), Some(carrier)) => Way::Carried(payload, carrier),
        (Some((payload, _)), None) => Way::Bare(payload),
        (None, Some(carrier)) => Way::Chained(carrier),
        (None, None) => Way::BareDisk,
    };
    let own_init = payload.as_ref().is_some_and(|(_, init)| *init == Init::Own);
    let network = match own_init {
        true => Network::Isolated,
        false => Network::None,
    };
    let folder = tempfile::Builder::new().prefix("rar-carry-").tempdir();
    let folder = folder.context("cannot create a folder for temporary files")?;
    let trace = folder.path().join("trace");
    let start = way.start(folder.path())?;
    let cmd = machine::command(&qemu.path, &args.machine, &start, network, &trace)?;
    let watch = Watch {
        limit: Duration::from_secs(args.timeout),
        until: args.texts.clone(),
        trace: args.trace.clone(),
        keyboard,
        show: Show::All,
    };
    let booted = boot::run(&cmd, &trace, &watch, verbosity)?;
    report(&booted, args.units.trace_level);
    interrupt::check_output()?;
    let mut expected = Expected {
        texts: args.texts.clone(),
        offences,
    };
    if own_init && args.texts.is_empty() {
        expected.texts.push(DONE.to_owned());
    }
    expected.judge(&booted)?;
    if own_init && args.texts.is_empty() {
        judge_steps(&booted)?;
    }
    Ok(())
}

/// Writes an image instead of booting.
fn write_iso(
    args: &CarryArgs,
    workspace: &Workspace,
    keyboard: Keyboard,
    output: &Path,
    verbosity: Verbosity,
) -> Result<()> {
    setup::boot_loader(Install::Allowed, verbosity)?;
    let payload = match &args.kernel {
        Some(kernel) => Some(payload(kernel, args, workspace, keyboard, verbosity)?.0),
        None => None,
    };
    let elf = boot::build_carrier(workspace, verbosity)?;
    let carrier = Carrier {
        elf: &elf,
        units: &args.units,
    };
    iso::write(carrier, payload.as_ref(), output, verbosity)?;
    outln!("{}: boots QEMU by BIOS and UEFI", output.display());
    Ok(())
}

/// Makes the runs of these names.
pub(crate) fn cases(names: &[String], qemu: Option<&Path>, verbosity: Verbosity) -> Result<()> {
    let emulator = setup::emulator(qemu, verbosity)?;
    let cases = catalogue::chosen(names);
    let made = case_run::run_all(&cases, &Workspace::this()?, &emulator, verbosity)?;
    outln!("{}", made.counts);
    made.failure.map_or(Ok(()), Err)
}

/// Returns how many offences are expected; without a trace there is no number to compare.
fn expected_offences(args: &CarryArgs) -> Result<Offences> {
    match (args.units.trace_level, args.offences) {
        (TraceLevel::Off, None | Some(Offences::Any)) => Ok(Offences::Any),
        (TraceLevel::Off, Some(_)) => {
            let message = "--offences: no offence is counted with --trace-level off; \
                           --trace-level offences costs least";
            Err(Fault::new(Reason::Usage, message).into())
        }
        (_, offences) => Ok(offences.unwrap_or_default()),
    }
}

fn report(booted: &Booted, level: TraceLevel) {
    match level {
        TraceLevel::Off => outln!("the trace is off: what the driver did is not known"),
        _ => outln!("{}", trace_table::render(&booted.tally)),
    }
    outln!(
        "{:.1} s, {:.1} s of processor time for the machine",
        booted.time.as_secs_f64(),
        booted.user_time.as_secs_f64()
    );
}

/// Whose first program a Linux runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Init {
    /// That of the initrd that is made here.
    Own,
    /// Any other.
    Foreign,
}

/// Returns what is carried.
fn payload(
    kernel: &str,
    args: &CarryArgs,
    workspace: &Workspace,
    keyboard: Keyboard,
    verbosity: Verbosity,
) -> Result<(Payload, Init)> {
    let cache = debian::cache(workspace);
    let stock = match kernel.split_once(':') {
        _ if kernel == DEBIAN => Some(debian::kernel(None, &cache, verbosity)?),
        Some((DEBIAN, release)) => Some(debian::kernel(Some(release), &cache, verbosity)?),
        _ => {
            check_file(Path::new(kernel))?;
            None
        }
    };
    let init = match (&args.initrd, &stock) {
        (Some(word), _) if word == BUSYBOX => Init::Own,
        (None, Some(_)) => Init::Own,
        _ => Init::Foreign,
    };
    let mut words = Vec::new();
    let initrd = match (init, &args.initrd) {
        (Init::Own, _) => {
            words.push(LINUX_LINE.to_owned());
            let busybox = debian::busybox(&cache, verbosity)?;
            let mut initrd = own_initrd(args, busybox, stock.as_ref(), keyboard);
            for module in &mut initrd.modules {
                if *module == Path::new(OWN_MODULE) {
                    *module = own_module(stock.as_ref(), workspace, verbosity)?;
                }
            }
            Some(initrd.pack()?)
        }
        (Init::Foreign, file) => {
            check_needs_own_init(args)?;
            let file = file.as_deref().map(Path::new);
            file.map(read).transpose()?
        }
    };
    words.extend_from_slice(&args.append);
    let kernel = match stock {
        Some(stock) => {
            outln!("Debian's kernel {}", stock.release);
            stock.image
        }
        None => PathBuf::from(kernel),
    };
    let payload = Payload {
        kernel,
        initrd,
        line: words.join(" "),
    };
    Ok((payload, init))
}

fn own_initrd(
    args: &CarryArgs,
    busybox: PathBuf,
    stock: Option<&StockKernel>,
    keyboard: Keyboard,
) -> Initrd {
    let is_attended =
        keyboard == Keyboard::Terminal && args.commands.is_empty() && args.texts.is_empty();
    Initrd {
        busybox,
        drivers: stock.map_or_else(Vec::new, |stock| stock.drivers.clone()),
        modules: args.modules.clone(),
        files: args.files.clone(),
        commands: args.commands.clone(),
        end: match is_attended {
            true => End::Shell,
            false => End::PowerOff,
        },
    }
}

/// Builds the module of this repository.
fn own_module(
    stock: Option<&StockKernel>,
    workspace: &Workspace,
    verbosity: Verbosity,
) -> Result<PathBuf> {
    let Some(stock) = stock else {
        let message = format!(
            "--module {OWN_MODULE} is built for Debian's kernels only; build it against yours as \
             rar-examples/linux/README.md says, and name the file"
        );
        return Err(Fault::new(Reason::Usage, message).into());
    };
    module::for_stock(&stock.release, workspace, verbosity)
}

fn check_needs_own_init(args: &CarryArgs) -> Result<()> {
    if args.modules.is_empty() && args.files.is_empty() && args.commands.is_empty() {
        return Ok(());
    }
    let message = "--module, --file and --run need the initrd that is made here; \
                   add --initrd busybox";
    Err(Fault::new(Reason::Usage, message).into())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
