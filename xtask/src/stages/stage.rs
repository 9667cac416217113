//! The stages of `cargo xtask test`.

use clap::ValueEnum;

/// The stages of `cargo xtask test`, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Which crate may know which
    Arrows,
    /// Circles of imports, sizes of files, words, links
    House,
    /// rustfmt
    Format,
    /// Lints, with each feature and of the kernels too
    Clippy,
    /// rustdoc, and the links in READMEs
    Docs,
    /// Unit, property and documentation tests on this machine, except the simulator's; the
    /// libraries' again with all features
    Host,
    /// Each library picked alone
    Outside,
    /// Build the libraries with the oldest Rust they promise, for this machine and for other
    /// architectures
    Msrv,
    /// Test the libraries with the oldest Rust they promise; only if named here, and in `cargo
    /// xtask ci --full`
    MsrvTests,
    /// Pack the libraries, check what the packages hold, build from them
    Package,
    /// Run the tests in the packages; only if named here, and in `cargo xtask ci --full`
    PackageTests,
    /// Build the kernels
    Kernels,
    /// Rules of the kernels' machine code
    Disasm,
    /// Models of races
    Loom,
    /// Random histories on simulated machines, and the simulator's own tests
    Sim,
    /// Ten times longer histories; only if named here, and in `cargo xtask ci --full`
    SimLong,
    /// Every defect against every test on simulated machines
    Defects,
    /// The model of the protocol, without its long scenarios
    Protocol,
    /// The test kernel on 1 to 8 CPUs
    Qemu,
    /// A small kernel's life, for some seconds on simulated machines and in QEMU
    Soak,
    /// The boot image on machines of the catalogue
    Image,
    /// Foreign kernels on CPUs with RAR: the test kernel, and Debian's with a module if its
    /// packages can be had
    Carry,
    /// Count the instructions of a flush, and compare them with their budgets
    Bench,
}

impl Stage {
    /// Returns what the stage checks, for people.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Arrows => "which crate knows which",
            Self::House => "circles, sizes, words and links",
            Self::Format => "format",
            Self::Clippy => "lints, each feature and the kernels too",
            Self::Docs => "documentation",
            Self::Host => "host tests",
            Self::Outside => "libraries picked alone",
            Self::Msrv => "libraries with the oldest Rust",
            Self::MsrvTests => "tests of the libraries with the oldest Rust",
            Self::Package => "packages",
            Self::PackageTests => "tests in the packages",
            Self::Kernels => "kernels",
            Self::Disasm => "machine code of the kernels",
            Self::Loom => "every interleaving",
            Self::Sim => "simulated machines",
            Self::SimLong => "simulated machines, at length",
            Self::Defects => "broken units and drivers",
            Self::Protocol => "every state of the protocol",
            Self::Qemu => "QEMU",
            Self::Soak => "a small kernel's life",
            Self::Image => "the boot image",
            Self::Carry => "foreign kernels on CPUs with RAR",
            Self::Bench => "instructions and lines of a flush",
        }
    }

    /// Returns whether the stage shows its own steps.
    pub(super) const fn shows_steps(self) -> bool {
        matches!(
            self,
            Self::Qemu
                | Self::Soak
                | Self::Image
                | Self::Carry
                | Self::Loom
                | Self::Sim
                | Self::SimLong
                | Self::Defects
                | Self::Protocol
                | Self::Bench
        )
    }
}
