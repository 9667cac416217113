//! What keeps the probe from reading, and the remedy.

use std::fmt;
use std::path::PathBuf;

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The kernel offers no registers: its module is not loaded.
    NoDevice {
        /// The file that is missing.
        path: PathBuf,
    },
    /// The kernel refused to open or read the file.
    NotPermitted {
        /// The file.
        path: PathBuf,
        /// Who asked.
        user: User,
        /// What the kernel locks down.
        lockdown: Lockdown,
    },
    /// The CPU went offline.
    Offline {
        /// The file that the kernel no longer serves.
        path: PathBuf,
    },
    /// This process may not run on the CPU.
    NotOurs {
        /// What the kernel said.
        error: String,
    },
    /// The file is there and cannot be used.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
}

/// Who runs the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// User id 0.
    Root,
    /// Any other.
    Ordinary,
}

/// The kernel's lockdown, which Secure Boot often switches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// The kernel is locked down.
    On,
    /// It is not, or has no such feature, or does not show it.
    NotShown,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice { path } => write!(
                f,
                "{}: the kernel offers no registers (no such file); run `modprobe msr` as root, or \
                 use a kernel with CONFIG_X86_MSR",
                path.display()
            ),
            Self::NotPermitted {
                path,
                user: User::Ordinary,
                ..
            } => write!(
                f,
                "{}: no permission to read registers; run the probe as root",
                path.display()
            ),
            Self::NotPermitted {
                path,
                lockdown: Lockdown::On,
                ..
            } => write!(
                f,
                "{}: the kernel refuses although this is root (no CAP_SYS_RAWIO, as in a \
                 container, or a security module; it is also locked down, but lockdown alone \
                 lets registers be read); run the probe outside",
                path.display()
            ),
            Self::NotPermitted { path, .. } => write!(
                f,
                "{}: the kernel refuses although this is root (no CAP_SYS_RAWIO, as in a \
                 container, or a security module); run the probe outside",
                path.display()
            ),
            Self::Offline { path } => write!(
                f,
                "{}: the CPU is offline; bring it online, or run the probe again",
                path.display()
            ),
            Self::NotOurs { error } => write!(
                f,
                "this process may not run there ({error}); run the probe outside of the CPU set or \
                 container"
            ),
            Self::File { path, error } => write!(
                f,
                "{}: cannot be used ({error}); run the probe on a Linux kernel whose /proc, /sys \
                 and /dev are mounted",
                path.display()
            ),
        }
    }
}
