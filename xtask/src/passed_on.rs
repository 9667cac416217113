//! Arguments of another program.

use std::ffi::OsString;

use clap::Args;

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
