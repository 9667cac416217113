//! The machine that QEMU plays, and what it boots.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use rar_harness::guest;
use rar_harness::modes::Thread;
use rar_harness::process::{Cmd, utf8};
use rar_harness::run::escape;

/// The machine that QEMU plays.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct MachineArgs {
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..=255))]
    pub cpus: u32,
    /// MiB of memory; the carrier lies at 96 MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(128..))]
    pub memory: u32,
    /// QEMU's machine type
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Board::Q35)]
    pub machine: Board,
    /// QEMU's CPU model
    #[arg(long, value_name = "MODEL", default_value = "max")]
    pub cpu: String,
    /// A raw disk, or a CD if its name ends with .iso; nothing is written to it
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// TCG's threads: `multi` is real concurrency
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Thread::Single)]
    pub thread: Thread,
    /// One more argument for QEMU (may be given again)
    #[arg(long = "qemu-arg", value_name = "WORD", allow_hyphen_values = true)]
    pub more: Vec<String>,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
}

/// QEMU's machine type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Board {
    /// PCI, from 1996
    Pc,
    /// PCI Express
    Q35,
}

impl MachineArgs {
    /// Returns the machine of the default options, with this number of CPUs.
    #[must_use]
    pub fn usual(cpus: u32) -> Self {
        Self {
            cpus,
            memory: 1024,
            machine: Board::Q35,
            cpu: "max".to_owned(),
            disk: None,
            thread: Thread::Single,
            more: Vec::new(),
            qemu: None,
        }
    }
}

/// What QEMU starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A kernel, which may get a file and a line.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// The file that lies beside it.
        file: Option<PathBuf>,
        /// Its command line.
        line: String,
    },
    /// Whatever the firmware finds.
    Firmware,
}

/// Whether the machine has a network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It has none.
    None,
    /// It has one, which reaches QEMU's own gateway at 10.0.2.2 and nothing else.
    Isolated,
}

/// Returns the QEMU command; the console is standard input and output, the trace goes to a socket
/// on which somebody listens.
///
/// # Errors
///
/// A path is not UTF-8.
pub fn command(
    qemu: &Path,
    machine: &MachineArgs,
    start: &Start,
    network: Network,
    trace: &Path,
) -> Result<Cmd> {
    let by_firmware = match start {
        Start::Firmware => true,
        Start::Kernel { file, .. } => file.is_none(),
    };
    let board = match (machine.machine, by_firmware && machine.disk.is_some()) {
        (Board::Pc, _) => "pc",
        // SeaBIOS hangs when it comes back to a boot device in a guest, if it uses SMM.
        (Board::Q35, true) => "q35,smm=off",
        (Board::Q35, false) => "q35",
    };
    let trace = escape(utf8(trace)?);
    let mut cmd = guest::bare(qemu, board, &machine.cpu, machine.thread)?
        .args(["-smp", &machine.cpus.to_string()])
        .args(["-m", &format!("{}M", machine.memory)])
        .args(["-serial", "stdio"])
        .args(["-chardev", &format!("socket,id=trace,path={trace}")])
        .args(["-device", "isa-debugcon,iobase=0xe9,chardev=trace"]);
    if let Some(disk) = &machine.disk {
        let file = escape(utf8(disk)?);
        cmd = match disk.extension().is_some_and(|end| end == "iso") {
            true => cmd.args([
                "-drive",
                &format!("media=cdrom,format=raw,readonly=on,file={file}"),
            ]),
            false => cmd.args([
                "-drive",
                &format!("if=none,id=disk,format=raw,snapshot=on,file={file}"),
                "-device",
                "virtio-blk-pci,drive=disk",
            ]),
        };
    }
    if network == Network::Isolated {
        cmd = cmd.args([
            "-netdev",
            "user,id=net,restrict=on",
            "-device",
            // Without a boot program: the machine boots from no network.
            "virtio-net-pci,netdev=net,romfile=",
        ]);
    }
    if let Start::Kernel { kernel, file, line } = start {
        cmd = cmd.args(["-kernel", utf8(kernel)?]);
        if let Some(file) = file {
            cmd = cmd.args(["-initrd", utf8(file)?]);
        }
        if !line.is_empty() {
            cmd = cmd.args(["-append", line]);
        }
    }
    Ok(cmd.args(machine.more.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(machine: &MachineArgs, start: &Start) -> String {
        let network = Network::Isolated;
        let cmd = command(Path::new("qemu"), machine, start, network, Path::new("/t"));
        cmd.unwrap().line()
    }

    #[test]
    fn a_disk_is_never_written_and_a_cd_is_a_cd() {
        let with = |disk: &str| MachineArgs {
            disk: Some(disk.into()),
            ..MachineArgs::usual(2)
        };
        let text = line(&with("a,b.img"), &Start::Firmware);
        assert!(text.contains("snapshot=on,file=a,,b.img"), "{text}");
        assert!(text.contains("q35,smm=off"), "{text}");
        let text = line(&with("x.iso"), &Start::Firmware);
        assert!(
            text.contains("media=cdrom") && text.contains("readonly=on"),
            "{text}"
        );
    }

    #[test]
    fn a_kernel_gets_its_file_and_its_line() {
        let start = Start::Kernel {
            kernel: "/k".into(),
            file: Some("/pack".into()),
            line: "apic=xapic -- a=1".to_owned(),
        };
        let text = line(&MachineArgs::usual(4), &start);
        let end = "-kernel /k -initrd /pack -append 'apic=xapic -- a=1'";
        assert!(text.ends_with(end), "{text}");
        assert!(
            text.contains("-smp 4") && text.contains("-machine q35 "),
            "{text}"
        );
    }
}
