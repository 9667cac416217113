//! What executes remote flushes.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// What executes remote flushes.
///
/// The order is that of trust in a report, and of the numbers in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The RAR unit of the processor.
    Hardware,
    /// A RAR unit for each CPU, by the shim that makes the kernel its guest.
    Vrar,
    /// The responder in software, on an ordinary IPI.
    Software,
    /// The RAR unit of a simulated machine.
    Model,
}

impl Backend {
    /// All backends, in their order.
    pub const ALL: [Self; 4] = [Self::Hardware, Self::Vrar, Self::Software, Self::Model];

    /// Returns the name that command lines and records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Vrar => "vrar",
            Self::Software => "software",
            Self::Model => "model",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No backend has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownBackend;

impl fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a backend is one of: hardware, vrar, software, model")
    }
}

impl core::error::Error for UnknownBackend {}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        let mut all = Self::ALL.into_iter();
        all.find(|backend| backend.name() == name)
            .ok_or(UnknownBackend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_is_that_of_records() {
        for backend in Backend::ALL {
            assert_eq!(backend.name().parse(), Ok(backend));
            let json = serde_json::to_value(backend).unwrap();
            assert_eq!(json, backend.name());
        }
        assert_eq!("kvm".parse::<Backend>(), Err(UnknownBackend));
    }
}
