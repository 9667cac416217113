//! The command line.

use clap::{Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use rar_harness::exit_code::EXIT_CODES;
use rar_report_page::command::ReportArgs;
use rar_sim_options::{DefectsArgs, FuzzArgs, ProtocolArgs, SimArgs};

use crate::bench::BenchArgs;
use crate::bochs::BochsArgs;
use crate::carry::CarryArgs;
use crate::ci::CiArgs;
use crate::disasm::DisasmArgs;
use crate::image::ImageArgs;
use crate::loom::LoomArgs;
use crate::minimal::MinimalArgs;
use crate::mutants::MutantsArgs;
use crate::qemu::QemuArgs;
use crate::questions::QuestionsArgs;
use crate::sabotage::SabotageArgs;
use crate::setup::SetupArgs;
use crate::soak::SoakArgs;
use crate::stages::TestArgs;

/// Builds, tests and runs everything in this workspace.
///
/// The two commands that matter: `cargo xtask test` checks everything, `cargo xtask qemu` boots the
/// test kernel on several CPUs and shows a TLB shootdown test by test. Both install QEMU first
/// where they may.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = EXIT_CODES,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// Print each external command, ready to be pasted into a shell, and everything it prints
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Subcommands,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Subcommands {
    /// Check everything: layering, format, lints, docs, host tests, oldest Rust, packages, loom
    /// models, simulator, defects, protocol, kernels, QEMU on 1 to 8 CPUs, boot image,
    /// instructions of a flush
    ///
    /// Goes on after a failed stage where that makes sense, ends with a table of stages and times
    /// and the line `N passed, N failed`, which counts stages, host tests and QEMU test runs. The
    /// stage msrv is skipped if the machine has no such toolchain and cannot get one; named by
    /// --stage, it then fails with exit code 3.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --stage clippy --stage docs"
    )]
    Test(TestArgs),
    /// Boot the test kernel in QEMU and judge every test (the main job)
    ///
    /// Always runs under TCG: with KVM's shadow paging a stale translation is never seen, so
    /// nothing would be tested. By default one CPU count runs the functional list and the volume
    /// tests with `thread=single`; on 2 and more CPUs a short race pass with `thread=multi`
    /// follows.
    #[command(after_help = "\
Examples:
  cargo xtask qemu
  cargo xtask qemu --cpus 1,2,4,8 --json out.json
  cargo xtask qemu --backend software
  cargo xtask qemu --test one-page --thread multi -v
  cargo xtask qemu --test storm --flushes 100000 --timeout 600 --keep-log logs
  cargo xtask qemu --deterministic --test storm
  cargo xtask qemu --sabotage skip-flush")]
    Qemu(QemuArgs),
    /// Boot the kernel of the porting guide on two CPUs: stale before, new after, frame freed
    ///
    /// On both backends: software answers on QEMU's CPUs as they are, microcode on CPUs with a RAR
    /// unit by the shim.
    #[command(after_help = "Examples:\n  cargo xtask minimal\n  cargo xtask minimal -v")]
    Minimal(MinimalArgs),
    /// Build the boot image that validates RAR on a machine; with --run, boot it in QEMU
    ///
    /// One hybrid ISO file for BIOS and UEFI, CD and USB stick, from the same ELF file that `qemu
    /// -kernel` boots. Prints its size, its SHA-256 and the command that writes it to a stick.
    #[command(after_help = "\
Examples:
  cargo xtask image
  cargo xtask image --run bios --options 'run=quick end=debug-exit'
  cargo xtask image --run usb --cpus 16 --screenshots shots
  cargo xtask image --netboot tftp-root
  cargo xtask image --grub-entry rar-validate --options 'run=quick serial=ttyS1'
  cargo xtask image --machines no-svm,least
  cargo xtask image --machines all
  cargo xtask image --mutated 50
  cargo xtask image --firmware length-0,edge-ff
  cargo xtask image --list
  cargo xtask image --list --markdown docs/firmware.md
  cargo xtask image --defect success-without-flush
  cargo xtask image --defect all

With --run the kernel's own verdict counts.")]
    Image(Box<ImageArgs>),
    /// Boot any kernel, unmodified, on CPUs that have RAR, and show what its driver does
    ///
    /// The carrier starts first, launches the shim on all CPUs, and starts the kernel inside it.
    /// Console and trace are shown as they come; a table at the end sums up what the driver did.
    /// On a terminal the keyboard is the guest's; Ctrl-C ends the machine, and the table still
    /// comes.
    #[command(after_help = "\
Examples:
  cargo xtask carry --kernel debian
  cargo xtask carry --kernel debian --cpus 4 --module rar_check.ko --run 'dmesg | tail'
  cargo xtask carry --kernel bzImage --initrd busybox --defect signal-lost --timeout 120
  cargo xtask carry --kernel bzImage --initrd busybox --knob unused_fields=ignore
  cargo xtask carry --kernel mykernel.elf --append 'test=all' --expect 'all tests passed'
  cargo xtask carry --chain --disk memtest.iso --apic xapic

Exit code 0: each --expect was shown, the guest ended by itself if there was none, and the
driver's offences are as --offences says. Exit code 4: the time was over first.")]
    Carry(Box<CarryArgs>),
    /// Boot the image in Bochs, which plays Intel processors with PCIDs, SMEP and SMAP, and judge
    /// every test in software; or soak the test kernel there
    ///
    /// QEMU has no PCIDs, so this is where the code for them runs. Bochs is slow, and not part of
    /// `cargo xtask test`.
    #[command(after_help = "\
Examples:
  cargo xtask bochs
  cargo xtask bochs --soak 10
  cargo xtask bochs --cpus 2 --model corei7_skylake_x")]
    Bochs(BochsArgs),
    /// Build rar-probe, one static Linux program that answers whether a machine has RAR, and print
    /// its path
    ///
    /// Copy the program to the machine and run it there: `rar-probe --help` lists its exit codes.
    #[command(after_help = "Examples:\n  $(cargo xtask probe)\n  scp $(cargo xtask probe) server:")]
    Probe,
    /// Find QEMU and GRUB, and install what is missing where that needs no question
    #[command(after_help = "Examples:\n  cargo xtask setup\n  cargo xtask setup --check")]
    Setup(SetupArgs),
    /// Explore the interleavings of the slot, wait and responder code with loom, then check that
    /// its mutants fail
    #[command(after_help = "\
Examples:
  cargo xtask loom
  cargo xtask loom --list
  cargo xtask loom --filter nested_responder

A mutant is a patch in rar-examples/sabotage with the header `Kind: loom`; its named test must fail
by its own assertion. LOOM_MAX_PREEMPTIONS and loom's other variables reach the models.")]
    Loom(LoomArgs),
    /// Run random histories on a simulated machine and judge every access
    ///
    /// No stale translation may be used after its flush has returned. Some histories have few
    /// slots, short timeouts, or units that fail. A run of the default length must take every path
    /// of the driver. Exit code 1: a violation, a hang, or a path that was never taken.
    #[command(after_help = "\
Examples:
  cargo xtask sim
  cargo xtask sim --cpus 64 --seed 1 --steps 1000000
  cargo xtask sim --cpus 1024 --json out.json")]
    Sim(SimArgs),
    /// Run every test against every known defect of units and drivers: each must be detected
    #[command(after_help = "\
Examples:
  cargo xtask defects
  cargo xtask defects --list
  cargo xtask defects --defect signal-lost,half-table --json out.json")]
    Defects(DefectsArgs),
    /// Explore a model of the protocol to its end, then check that its mutants break their
    /// invariants
    ///
    /// Two CPUs that flush, two that are flushed, two slots; each transition stands for a function
    /// of the driver. A broken invariant is shown by the shortest run to it.
    #[command(after_help = "\
Examples:
  cargo xtask protocol
  cargo xtask protocol --quick
  cargo xtask protocol --scenario offline,dead
  cargo xtask protocol --mutant no-second-flush
  cargo xtask protocol --markdown docs/protocol.md")]
    Protocol(ProtocolArgs),
    /// Let a small kernel live for minutes or hours, all random from one seed, and judge every
    /// access
    ///
    /// Spaces are switched, copied, unmapped and filled again while CPUs go offline, fall deaf and
    /// spin with interrupts disabled: in slices on simulated machines and in QEMU, on both
    /// backends. A flush counts as verified if another CPU had read through the old translation,
    /// had flushed nothing since, and read the new value afterwards. Exit code 1: a stale access,
    /// a flush by other means that no injected fault explains, or a fault without the effect that
    /// the driver promises; 4: a hang.
    #[command(after_help = "\
Examples:
  cargo xtask soak
  cargo xtask soak --minutes 60 --seed 7 --html soak.html --json soak.json
  cargo xtask soak --minutes 1 --backend vrar --cpus 8
  cargo xtask soak --minutes 1 --deterministic
  cargo xtask soak --replay software-single:4:16044073:60")]
    Soak(SoakArgs),
    /// Make pages of reports, from serial logs or scanned QR codes
    ///
    /// Parts may come in any order, several times, from several files, with anything around them.
    /// With many reports the page sorts them by machine and microcode. Exit code 1: parts are
    /// missing or damaged, or the input has no report.
    #[command(after_help = "\
Examples:
  cargo xtask report serial.log --html out.html
  cargo xtask report scanned.txt --html out.html --json out.json
  cargo xtask report logs/*.log --html fleet.html
  cargo xtask report --compare old.log new.log --html diff.html")]
    Report(ReportArgs),
    /// Show what the public sources leave open, and which test asks it of a machine
    #[command(after_help = "\
Examples:
  cargo xtask questions
  cargo xtask questions --markdown docs/questions.md")]
    Questions(QuestionsArgs),
    /// Count the instructions of a flush with callgrind, and the cache lines that it moves, beside
    /// the usual algorithms
    ///
    /// Instructions are of the call alone: what takes the signal and answers it is not counted. A
    /// count depends on the compiler and not on the load of this machine. Lines are those of all
    /// CPUs, counted in the simulator.
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
    /// Run decoders, ranges, responder and readers on changed inputs of a corpus
    ///
    /// A target must not panic, and must end, whatever bytes it gets. The inputs follow from seed
    /// and number, without feedback from coverage. A failing one is cut down and saved. Exit code
    /// 1: a target panicked or did not end.
    #[command(after_help = "\
Examples:
  cargo xtask fuzz
  cargo xtask fuzz decode --seconds 600 --seed 7
  cargo xtask fuzz tables --seed 7 --first 4711 --cases 1
  cargo xtask fuzz tables --replay target/fuzz/tables-7-4711.hex
  cargo xtask fuzz --list")]
    Fuzz(FuzzArgs),
    /// Make small changes of the four libraries, one at a time: for each a test must fail
    ///
    /// By cargo-mutants, which the first run compiles into the target folder. Results are kept in
    /// target/mutants: an interrupted run goes on, and shards add up. Hours for all. Exit code 1:
    /// fewer than 95 % are caught, a survivor has no reason in rar-examples/mutants/excused.toml,
    /// or a reason there is for no survivor.
    #[command(after_help = "\
Examples:
  cargo xtask mutants --crate rar-regs
  cargo xtask mutants --crate rar-percpu --shard 1/8
  cargo xtask mutants --in slots.rs --fresh
  cargo xtask mutants --list --in slots.rs
  cargo xtask mutants --report --markdown docs/mutants.md")]
    Mutants(MutantsArgs),
    /// What CI runs: `test` with no stage skipped, with --full also all that takes long: every
    /// machine, every state of firmware, every defect and sabotage, oldest Rust, packages
    #[command(after_help = "Examples:\n  cargo xtask ci\n  cargo xtask ci --full")]
    Ci(CiArgs),
}

/// Reads the command line; ends the process after `--help`, or with what is wrong.
pub(crate) fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Returns the definition in which the help of every command lists the exit codes.
fn command() -> Command {
    let command = Cli::command();
    let names: Vec<_> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| {
            let own = sub.get_after_help().map(ToString::to_string);
            let own = own.map_or(String::new(), |own| format!("{own}\n\n"));
            sub.after_help(format!("{own}{EXIT_CODES}"))
        })
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    /// `requires` alone does not refuse an option: clap looks at it only where nothing conflicts.
    #[test]
    fn a_catalogue_takes_no_option_that_it_does_not_obey() {
        let obeyed = ["qemu", "verbose", "help"];
        for (name, catalogue, more) in [
            ("image", "machines", &[][..]),
            ("image", "firmware", &[]),
            ("image", "defect", &[]),
            ("image", "mutated", &["seed"]),
            ("carry", "cases", &[]),
        ] {
            let mut command = command();
            command.build();
            let sub = command.find_subcommand(name).unwrap();
            let arg = |id: &str| sub.get_arguments().find(|arg| arg.get_id() == id).unwrap();
            let refuses = |one: &str, other: &str| {
                let refused = sub.get_arg_conflicts_with(arg(one));
                refused.iter().any(|arg| arg.get_id() == other)
            };
            for other in sub.get_arguments().map(|arg| arg.get_id().as_str()) {
                let may = other == catalogue || obeyed.contains(&other) || more.contains(&other);
                let refused = refuses(catalogue, other) || refuses(other, catalogue);
                assert!(may != refused, "{name} --{catalogue} --{other}");
            }
        }
    }
}
