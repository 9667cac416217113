//! What the command line asks for.

use core::fmt;

use rar_kernel::unit::{Defect, GuestApic};
use rar_kernel::{CommandLine, println};
use rar_suite::{List, Options};

/// Milliseconds. A host that is busy may not run a virtual CPU for a good part of it.
const DEADLINE: u64 = 250;

/// What to run, and how patiently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunOptions<'a> {
    /// What the suite runs.
    pub(crate) suite: Options<'a>,
    /// How many milliseconds a target may take to answer the signal.
    pub(crate) deadline: u64,
    /// Who answers, one after the other.
    backends: &'a str,
    /// What is broken in every unit of the shim.
    pub(crate) defect: Option<Defect>,
    /// How the kernel drives its local APIC under a shim.
    pub(crate) apic: GuestApic,
}

/// Who answers a flush, in the order in which one boot can have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    /// The handler of an ordinary interrupt.
    Software,
    /// The RAR unit that the shim gives each CPU.
    Vrar,
}

impl Backend {
    fn by_name(name: &str) -> Option<Self> {
        match name {
            "software" => Some(Self::Software),
            "vrar" => Some(Self::Vrar),
            _ => None,
        }
    }
}

/// A key whose value makes no sense.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BadValue<'a> {
    key: &'a str,
    value: &'a str,
    legal: &'static str,
}

impl fmt::Display for BadValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "command line: {}={} is not one of: {}",
            self.key, self.value, self.legal
        )
    }
}

impl<'a> RunOptions<'a> {
    /// Returns who answers, in order.
    pub(crate) fn backends(&self) -> impl Iterator<Item = Backend> {
        self.backends.split(',').filter_map(Backend::by_name)
    }

    /// Reads the command line; unknown keys are named on the console and ignored.
    ///
    /// # Errors
    ///
    /// [`BadValue`] for a known key with a value that cannot be.
    pub(crate) fn read(line: &'a CommandLine) -> Result<Self, BadValue<'a>> {
        let mut options = Self {
            suite: Options::ALL,
            deadline: DEADLINE,
            backends: "software",
            defect: None,
            apic: GuestApic::X2apic,
        };
        for (key, value) in line.words() {
            let bad = |legal| BadValue { key, value, legal };
            match (key, value) {
                ("test", name) => options.suite.test = Some(name).filter(|name| !name.is_empty()),
                ("list", "functional" | "all") => options.suite.list = List::All,
                ("list", "race") => options.suite.list = List::Race,
                ("list", _) => return Err(bad("functional, race, all")),
                ("backend", names) => {
                    let backends = || names.split(',').map(Backend::by_name);
                    // Nothing leads out of the shim, and under it QEMU's TLB does not show what was left alone.
                    if !backends().all(|backend| backend.is_some()) || !backends().is_sorted() {
                        return Err(bad("software, vrar, software,vrar"));
                    }
                    options.backends = names;
                }
                // The kernel has made a shim with it already, but for one to come.
                ("defect", name) => {
                    let known = Defect::by_name(name);
                    let defect =
                        known.ok_or(bad("a name that `cargo xtask defects --list` shows"))?;
                    options.defect = Some(defect);
                }
                // The kernel has chosen it already, but for a shim to come.
                ("apic", "x2apic") => options.apic = GuestApic::X2apic,
                ("apic", "xapic") => options.apic = GuestApic::Xapic,
                ("apic", _) => return Err(bad("x2apic, xapic")),
                ("flushes", _) => {
                    options.suite.storm_flushes = line.number(key).ok_or(bad("a number"))?
                }
                ("initiators", _) => {
                    let number = line
                        .number(key)
                        .and_then(|number| u32::try_from(number).ok());
                    options.suite.initiators = Some(number.ok_or(bad("a number"))?)
                }
                ("measure", _) => {
                    let number = line.number(key).filter(|number| *number > 0);
                    let number = number.and_then(|number| u32::try_from(number).ok());
                    options.suite.measure = Some(number.ok_or(bad("a number from 1"))?)
                }
                ("risky", "") => options.suite.risky = true,
                ("deadline", _) => {
                    options.deadline = line.number(key).ok_or(bad("a number of milliseconds"))?
                }
                _ => println!("command line: {key} is unknown and ignored"),
            }
        }
        Ok(options)
    }
}
