//! Why a table was not found.

use core::fmt;

use super::table::{Signature, TableFault};

/// Why a table was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcpiError {
    /// The root pointer cannot be read, or has a wrong signature.
    BadRsdp,
    /// Neither of the two lists of tables can be read.
    NoList,
    /// A table cannot be read.
    BadTable {
        /// Its signature.
        table: Signature,
        /// Its physical address.
        address: u64,
        /// Why.
        fault: TableFault,
    },
    /// No table has this signature.
    Missing(Signature),
}

impl fmt::Display for AcpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRsdp => f.write_str("the ACPI root pointer cannot be read"),
            Self::NoList => f.write_str("neither the RSDT nor the XSDT can be read"),
            Self::BadTable {
                table,
                address,
                fault,
            } => write!(f, "ACPI table {table} at {address:#x}: {fault}"),
            Self::Missing(signature) => write!(f, "there is no ACPI table {signature}"),
        }
    }
}

impl core::error::Error for AcpiError {}
