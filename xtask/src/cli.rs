//! The command line.

use crate::image::machines;
use crate::questions::QuestionsArgs;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use rar_harness::exit_code::EXIT_CODES;
use rar_harness::parallel::Cores;
use rar_vocabulary::Backend;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Builds, tests and runs everything in this workspace.
///
/// The two commands that matter: `cargo xtask test` checks everything, `cargo xtask qemu` boots the test kernel on
/// several CPUs and shows a TLB shootdown test by test. Both install QEMU first where they may.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    /// Print each external command, ready to be pasted into a shell, and everything it prints
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Subcommands,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Subcommands {
    /// Check everything: layering, format, lints, docs, host tests, oldest Rust, packages, loom models, simulator, defects, kernels, QEMU on 1 to 8 CPUs, boot image, instructions of a flush
    ///
    /// Goes on after a failed stage where that makes sense, ends with a table of stages and times and the line
    /// `N passed, N failed`, which counts stages, host tests and QEMU test runs. The stage msrv is skipped if the
    /// machine has no such toolchain and cannot get one; named by --stage, it then fails with exit code 3.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --stage clippy --stage docs"
    )]
    Test(TestArgs),
    /// Boot the test kernel in QEMU and judge every test (the main job)
    ///
    /// Always runs under TCG: with KVM's shadow paging a stale translation is never seen, so nothing would be tested.
    /// By default one CPU count runs the functional list and the volume tests with `thread=single`; on 2 and more
    /// CPUs a short race pass with `thread=multi` follows.
    #[command(after_help = "\
Examples:
  cargo xtask qemu
  cargo xtask qemu --cpus 1,2,4,8 --json out.json
  cargo xtask qemu --backend software
  cargo xtask qemu --test one-page --thread multi -v
  cargo xtask qemu --test storm --flushes 100000 --timeout 600 --keep-log logs
  cargo xtask qemu --deterministic --test storm
  cargo xtask qemu --sabotage skip-flush

Exit codes: see `cargo xtask --help`.")]
    Qemu(QemuArgs),
    /// Boot the kernel of the porting guide on two CPUs: stale before, new after, frame freed
    ///
    /// On both backends: software answers on QEMU's CPUs as they are, microcode on CPUs with a RAR unit by the shim.
    #[command(after_help = "Examples:\n  cargo xtask minimal\n  cargo xtask minimal -v")]
    Minimal(MinimalArgs),
    /// Build the boot image that validates RAR on a machine; with --run, boot it in QEMU
    ///
    /// One hybrid ISO file for BIOS and UEFI, CD and USB stick, from the same ELF file that `qemu -kernel` boots.
    /// Prints its size, its SHA-256 and the command that writes it to a stick.
    #[command(after_help = "\
Examples:
  cargo xtask image
  cargo xtask image --run bios --options 'run=quick end=debug-exit'
  cargo xtask image --run usb --cpus 16 --screenshots shots
  cargo xtask image --netboot tftp-root
  cargo xtask image --machines no-svm,least
  cargo xtask image --machines all
  cargo xtask image --defect success-without-flush
  cargo xtask image --defect all

Exit codes: see `cargo xtask --help`; with --run the kernel's own verdict counts.")]
    Image(ImageArgs),
    /// Boot the image in Bochs, which plays Intel processors with PCIDs, SMEP and SMAP, and judge every test in software
    ///
    /// QEMU has no PCIDs, so this is where the code for them runs. Bochs is slow, and not part of `cargo xtask test`.
    #[command(after_help = "\
Examples:
  cargo xtask bochs
  cargo xtask bochs --cpus 2 --model corei7_skylake_x")]
    Bochs(BochsArgs),
    /// Find QEMU and GRUB, and install what is missing where that needs no question
    #[command(after_help = "Examples:\n  cargo xtask setup\n  cargo xtask setup --check")]
    Setup(SetupArgs),
    /// Explore the interleavings of the slot, wait and responder code with loom, then check that its mutants fail
    #[command(after_help = "\
Examples:
  cargo xtask loom
  cargo xtask loom --list
  cargo xtask loom --filter nested_responder

A mutant is a patch in rar-examples/sabotage with the header `Kind: loom`; its named test must fail by its own
assertion. LOOM_MAX_PREEMPTIONS and loom's other variables reach the models.")]
    Loom(LoomArgs),
    /// Run random histories on a simulated machine and judge every access (`--help` after it shows its options)
    #[command(
        disable_help_flag = true,
        after_help = "\
Examples:
  cargo xtask sim --help
  cargo xtask sim --cpus 64 --seed 1 --steps 1000000
  cargo xtask sim --cpus 1024 --json out.json"
    )]
    Sim(PassedOn),
    /// Run every test against every known defect of units and drivers: each must be caught (`--help` shows its options)
    #[command(
        disable_help_flag = true,
        after_help = "\
Examples:
  cargo xtask defects
  cargo xtask defects --list
  cargo xtask defects --defect signal-lost,half-table --json out.json"
    )]
    Defects(PassedOn),
    /// Make pages of reports, from serial logs or scanned QR codes (`--help` shows its options)
    #[command(
        disable_help_flag = true,
        after_help = "\
Examples:
  cargo xtask report serial.log --html out.html
  cargo xtask report scanned.txt --html out.html --json out.json
  cargo xtask report logs/*.log --html fleet.html
  cargo xtask report --compare old.log new.log --html diff.html"
    )]
    Report(PassedOn),
    /// Show what the public sources leave open, and which test asks it of a machine
    #[command(after_help = "\
Examples:
  cargo xtask questions
  cargo xtask questions --markdown docs/questions.md

Exit code 1: a question has no test, or an id of a test no question.")]
    Questions(QuestionsArgs),
    /// Count the instructions of a flush with callgrind, and the cache lines that it moves, beside the usual algorithms
    ///
    /// Instructions are of the call alone: what takes the signal and answers it is not counted. A count depends on the
    /// compiler and not on the load of this machine. Lines are those of all CPUs, counted in the simulator.
    #[command(after_help = "\
Examples:
  cargo xtask bench
  cargo xtask bench --filter flush
  cargo xtask bench --no-lto
  cargo xtask bench --lines
  cargo xtask bench --check
  cargo xtask bench --page --html plots.html
  cargo xtask bench --bless")]
    Bench(BenchArgs),
    /// Check the kernel's machine code: wrmsr only where allowed, fences before 0x830, no red zone
    #[command(
        after_help = "Examples:\n  cargo xtask disasm\n  cargo xtask disasm --elf path/to/kernel"
    )]
    Disasm(DisasmArgs),
    /// List the sabotage patches, or run them all
    #[command(after_help = "\
Examples:
  cargo xtask sabotage --list
  cargo xtask sabotage --all
  cargo xtask qemu --sabotage skip-flush     (one of them)")]
    Sabotage(SabotageArgs),
    /// What CI runs: `test` with no stage skipped, with --full also the libraries' tests with the oldest Rust and from the packages, every machine, every sabotage, and the image with every defect
    #[command(after_help = "Examples:\n  cargo xtask ci\n  cargo xtask ci --full")]
    Ci(CiArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TestArgs {
    /// Run only this stage (may be given again)
    #[arg(long = "stage", value_name = "STAGE", value_enum)]
    pub(crate) stages: Vec<Stage>,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
    /// Fail instead of skipping a stage that this machine cannot run.
    #[arg(skip)]
    pub(crate) complete: bool,
}

/// The stages of `cargo xtask test`, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    Arrows,
    Format,
    Clippy,
    Docs,
    Host,
    Outside,
    /// Build the libraries with the oldest Rust they promise, for this machine and for other architectures
    Msrv,
    /// Test the libraries with the oldest Rust they promise; only if named here, and in `cargo xtask ci --full`
    MsrvTests,
    /// Pack the libraries, check what the packages hold, build from them
    Package,
    /// Run the tests in the packages; only if named here, and in `cargo xtask ci --full`
    PackageTests,
    Kernels,
    Disasm,
    Loom,
    Sim,
    /// Ten times longer histories; only if named here, and in `cargo xtask ci --full`
    SimLong,
    Defects,
    Qemu,
    Image,
    /// Count the instructions of a flush, and compare them with their budgets
    Bench,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct MinimalArgs {
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct QemuArgs {
    /// CPU counts, one boot each
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "4",
          value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(crate) cpus: Vec<u32>,
    /// What executes remote flushes [default: vrar; for a sabotage what its patch names]
    #[arg(long, value_parser = backend())]
    pub(crate) backend: Option<Backend>,
    /// Run backend software first, then launch the shim on the running CPUs, in one boot
    #[arg(long, conflicts_with_all = ["backend", "sabotage"])]
    pub(crate) late_launch: bool,
    /// How the kernel drives its local APIC; software backend: x2apic where the CPU has it
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Apic::X2apic)]
    pub(crate) apic: Apic,
    /// Run only the tests of exactly these names
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = test_name)]
    pub(crate) test: Vec<String>,
    /// TCG's threads [default: single, then a short race pass on multi]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) thread: Option<Thread>,
    /// Flushes per CPU in the volume tests [default: 20000 with single, 100 with multi]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) flushes: Option<u32>,
    /// So many CPUs at most initiate each test [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) initiators: Option<u32>,
    /// Run the tests that may hang a real machine, too
    #[arg(long)]
    pub(crate) risky: bool,
    /// Measure so many flushes of each kind after the tests: RAR, IPI, NMI, local; and print how many bare round trips one takes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) measure: Option<u32>,
    /// Write one JSON line per test and initiator, and per measurement; the file appears whole, when all runs have ended
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
    /// Kill the guest after this many seconds [default: grows with CPUs and flushes]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// Keep console and defmt logs in DIR [default DIR: qemu-logs in the target folder]
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "clap's way to say: absent, without a value, with one"
    )]
    pub(crate) keep_log: Option<Option<PathBuf>>,
    /// Replay mode: instruction counting makes every repeat the same (implies --thread single)
    #[arg(long, conflicts_with = "thread")]
    pub(crate) deterministic: bool,
    /// Break every RAR unit of the shim in this way, `all`: in each way in turn, and print which tests tell of it
    #[arg(long, value_name = "NAME", hide = true, value_parser = crate::qemu::defects::name,
          conflicts_with_all = ["backend", "test", "json", "thread", "deterministic", "sabotage"])]
    pub(crate) defect: Option<String>,
    /// Apply this patch to a copy of the workspace and check that a test notices
    #[arg(long, value_name = "NAME", conflicts_with_all = ["test", "json", "deterministic"])]
    pub(crate) sabotage: Option<String>,
}

/// Returns the name if the suite has a test of it.
fn test_name(name: &str) -> Result<String, String> {
    if rar_suite::test_named(name).is_some() {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = rar_suite::TESTS.iter().map(|test| test.name).collect();
    Err(format!(
        "no test has this name; the tests are: {}",
        names.join(", ")
    ))
}

/// Returns a parser of the backends that QEMU can have.
fn backend() -> impl TypedValueParser<Value = Backend> {
    let vrar = "A RAR unit for each CPU, by the shim that makes the kernel its guest";
    let software = "The responder in software, on an ordinary IPI";
    let values = [(Backend::Vrar, vrar), (Backend::Software, software)];
    let values = values.map(|(backend, help)| PossibleValue::new(backend.name()).help(help));
    PossibleValuesParser::new(values).try_map(|name| name.parse())
}

/// How the kernel drives its local APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Apic {
    /// By model-specific registers
    X2apic,
    /// By a page of registers
    Xapic,
}

/// TCG's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thread {
    /// One host thread for all CPUs: fast, and PAUSE yields
    Single,
    /// One host thread for each CPU: real concurrency, slow
    Multi,
}

impl Thread {
    /// Returns how many of the host's cores a guest with such threads keeps busy.
    pub(crate) const fn cores(self) -> Cores {
        match self {
            Self::Single => Cores::One,
            Self::Multi => Cores::All,
        }
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Multi => "multi",
        })
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ImageArgs {
    /// The image [default: rar-validate.iso in the target folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Also write a GRUB network tree for PXE (BIOS and UEFI) into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) netboot: Option<PathBuf>,
    /// Replace the menu by one entry with these options for the kernel, taken at once
    #[arg(long, value_name = "WORDS", value_parser = kernel_options)]
    pub(crate) options: Option<String>,
    /// Boot the image in QEMU
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) run: Option<Boot>,
    /// Boot the image on these machines, each with options of its own, and judge what each reports
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = machines::names(),
          conflicts_with_all = ["run", "output", "netboot", "options"])]
    pub(crate) machines: Vec<String>,
    /// Boot the image with units of the shim that are broken in this way, `all`: in each way in turn, and judge what each report says
    #[arg(long, value_name = "NAME", value_parser = crate::qemu::defects::name,
          conflicts_with_all = ["run", "output", "netboot", "options", "machines"])]
    pub(crate) defect: Option<String>,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct BochsArgs {
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=8))]
    pub(crate) cpus: u32,
    /// The processor, as `bochs --help cpu` names it
    #[arg(long, value_name = "MODEL", default_value = BOCHS_MODEL)]
    pub(crate) model: String,
    /// End Bochs after this many seconds
    #[arg(long, value_name = "SECS", default_value_t = BOCHS_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
}

impl Default for BochsArgs {
    fn default() -> Self {
        Self {
            cpus: 4,
            model: BOCHS_MODEL.to_owned(),
            timeout: BOCHS_SECONDS,
        }
    }
}

/// Of the models of Bochs 2.7 the last one that it plays with every feature used here.
const BOCHS_MODEL: &str = "corei7_icelake_u";
const BOCHS_SECONDS: u64 = 600;

/// The machine that QEMU plays.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct MachineArgs {
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 4, requires = "run", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(crate) cpus: u32,
    /// MiB of memory
    #[arg(long, value_name = "MIB", default_value_t = 512, requires = "run", value_parser = clap::value_parser!(u32).range(16..))]
    pub(crate) memory: u32,
    /// QEMU's machine type, with its options
    #[arg(long, value_name = "TYPE", default_value = "q35", requires = "run")]
    pub(crate) machine: String,
    /// QEMU's CPU model
    #[arg(long, value_name = "MODEL", default_value = "max", requires = "run")]
    pub(crate) cpu: String,
    /// QEMU's graphics card; `none` for a machine without
    #[arg(long, value_name = "CARD", default_value = "std", requires = "run")]
    pub(crate) vga: String,
    /// A machine without a serial port: only the screen tells
    #[arg(long, requires = "run")]
    pub(crate) no_serial: bool,
    /// One more argument for QEMU (may be given again)
    #[arg(
        long = "qemu-arg",
        value_name = "WORD",
        requires = "run",
        allow_hyphen_values = true
    )]
    pub(crate) more: Vec<String>,
    /// TCG's threads
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Thread::Single, requires = "run")]
    pub(crate) thread: Thread,
    /// Keep a picture of the screen in DIR each time it differs, and what the report's codes on it say; turn its pages once they are read
    #[arg(long, value_name = "DIR", requires = "run")]
    pub(crate) screenshots: Option<PathBuf>,
    /// Read the codes on the screen though no picture is kept.
    #[arg(skip)]
    pub(crate) read_codes: bool,
    /// Kill the guest after this many seconds
    #[arg(long, value_name = "SECS", default_value_t = 600, requires = "run", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH", requires = "run")]
    pub(crate) qemu: Option<PathBuf>,
}

impl MachineArgs {
    /// A machine as the options make it if none is given, but for these.
    pub(crate) fn usual(cpus: u32, thread: Thread, timeout: u64) -> Self {
        Self {
            cpus,
            memory: 512,
            machine: "q35".to_owned(),
            cpu: "max".to_owned(),
            vga: "std".to_owned(),
            no_serial: false,
            more: Vec::new(),
            thread,
            screenshots: None,
            read_codes: false,
            timeout,
            qemu: None,
        }
    }
}

/// How an image is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Boot {
    /// By a BIOS, from a CD
    Bios,
    /// By a UEFI firmware, from a CD
    Uefi,
    /// By a UEFI firmware, from a USB stick
    Usb,
    /// By a BIOS, from a USB stick
    BiosUsb,
    /// By a BIOS, from the network
    Pxe,
    /// By a UEFI firmware, from the network
    UefiPxe,
}

/// Returns the words if they can stand in a GRUB menu.
fn kernel_options(words: &str) -> Result<String, String> {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || " =,.-_@:/+".contains(character);
    if !words.chars().all(plain) {
        return Err("options are words of letters, digits and =,.-_@:/+".to_owned());
    }
    Ok(words.to_owned())
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct SetupArgs {
    /// Only look, install nothing
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LoomArgs {
    /// Run only models and mutants whose test name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Show the races with their models and mutants, and check that none is missing
    #[arg(long, conflicts_with = "filter")]
    pub(crate) list: bool,
}

/// Arguments that another program understands.
#[derive(Args, Clone, Debug)]
pub(crate) struct PassedOn {
    /// Options of that program
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "OPTION"
    )]
    pub(crate) args: Vec<OsString>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    /// Count only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Compile each crate by itself, as the kernels here, instead of all as one unit; shows no lines
    #[arg(long, conflicts_with_all = ["check", "bless", "lines"])]
    pub(crate) no_lto: bool,
    /// Show only the cache lines that move; --page and --bless leave the instructions as they are
    #[arg(long)]
    pub(crate) lines: bool,
    /// Fail if a figure exceeds its budget by more than 2 %, and by more than 2 instructions or 0.02 lines
    #[arg(long)]
    pub(crate) check: bool,
    /// Make the figures the budgets
    #[arg(long, conflicts_with_all = ["check", "filter"])]
    pub(crate) bless: bool,
    /// Write docs/performance.md, which also has the counts without LTO
    #[arg(long, conflicts_with_all = ["filter", "no_lto"])]
    pub(crate) page: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with plots of the figures over the targets
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DisasmArgs {
    /// An ELF file [default: every kernel, built now]
    #[arg(long, value_name = "FILE")]
    pub(crate) elf: Option<PathBuf>,
}

#[derive(Args, Clone, Copy, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct SabotageArgs {
    /// Show each patch: name, kind, the tests that must notice, why
    #[arg(long)]
    pub(crate) list: bool,
    /// Run every patch; succeeds only if every one is caught
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct CiArgs {
    /// Also run the tests in the packages, boot the image on every machine of the catalogue, with every defect, and in Bochs where that is installed, and run every sabotage
    #[arg(long)]
    pub(crate) full: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn qemu(args: &[&str]) -> Result<QemuArgs, clap::Error> {
        let cli = Cli::try_parse_from(["xtask", "qemu"].iter().chain(args))?;
        match cli.command {
            Subcommands::Qemu(args) => Ok(args),
            _ => panic!("not qemu"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_and_lists() {
        assert_eq!(qemu(&[]).unwrap().cpus, [4]);
        assert_eq!(qemu(&["--cpus", "1,2,4"]).unwrap().cpus, [1, 2, 4]);
        assert_eq!(qemu(&["--keep-log"]).unwrap().keep_log, Some(None));
        assert_eq!(
            qemu(&["--keep-log", "d"]).unwrap().keep_log,
            Some(Some("d".into()))
        );
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        for args in [
            &["--cpus", "0"][..],
            &["--cpus", "256"],
            &["--backend", "kvm"],
            &["--thread", "both"],
            &["--timeout", "0"],
            &["--test", "storm list=all"],
            &["--test", ""],
            &["--deterministic", "--thread", "multi"],
            &["--sabotage", "x", "--test", "y"],
        ] {
            assert_eq!(qemu(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn an_unknown_test_is_a_usage_error_that_lists_the_names() {
        let error = qemu(&["--test", "no-such"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("one-page, pages-2"), "{text}");
    }
}
