//! The words of the carrier's own command line, and the options that choose them.

use clap::Args;
use rar_harness::modes::{self, Apic};
use rar_model::Knobs;
use rar_vocabulary::TraceLevel;

/// How the RAR units of the machine behave.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct UnitArgs {
    /// How the guest finds its local APICs
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Apic::X2apic)]
    pub apic: Apic,
    /// Break every RAR unit in this way (`cargo xtask defects --list` shows them)
    #[arg(long, value_name = "NAME", value_parser = defect)]
    pub defect: Option<String>,
    /// Set a knob of every unit, such as `unused_fields=ignore` (may be given again)
    #[arg(long = "knob", value_name = "NAME=VALUE", value_parser = knob)]
    pub knobs: Vec<String>,
    /// Set all knobs first: strict, lenient or sparing
    #[arg(long, value_name = "NAME", value_parser = preset)]
    pub preset: Option<String>,
    /// How much of the units' work is traced
    #[arg(long, value_name = "LEVEL", default_value = TraceLevel::All.name(),
          value_parser = modes::trace_level())]
    pub trace_level: TraceLevel,
    /// One more word for the carrier (may be given again)
    #[arg(long = "carrier-word", value_name = "WORD")]
    pub words: Vec<String>,
}

impl UnitArgs {
    /// The units without options, with this much of their work traced.
    #[must_use]
    pub const fn usual(apic: Apic, trace_level: TraceLevel) -> Self {
        Self {
            apic,
            defect: None,
            knobs: Vec::new(),
            preset: None,
            trace_level,
            words: Vec::new(),
        }
    }

    /// Returns the words for the carrier.
    #[must_use]
    pub fn words(&self) -> String {
        let apic = match self.apic {
            Apic::X2apic => "x2apic",
            Apic::Xapic => "xapic",
        };
        let trace = self.trace_level.name();
        let mut words = vec![format!("apic={apic} trace={trace}")];
        words.extend(self.preset.iter().map(|name| format!("knobs={name}")));
        words.extend(self.knobs.iter().map(|knob| format!("knob.{knob}")));
        words.extend(self.defect.iter().map(|name| format!("defect={name}")));
        words.extend(self.words.iter().cloned());
        words.join(" ")
    }
}

fn defect(name: &str) -> Result<String, String> {
    check("defect", name).map(|()| name.to_owned())
}

fn preset(name: &str) -> Result<String, String> {
    check("knobs", name).map(|()| name.to_owned())
}

fn knob(word: &str) -> Result<String, String> {
    let (name, value) = word
        .split_once('=')
        .ok_or_else(|| format!("knob {word}: no value (expected NAME=VALUE)"))?;
    check(&format!("knob.{name}"), value).map(|()| word.to_owned())
}

/// Checks a word as the carrier does.
fn check(key: &str, value: &str) -> Result<(), String> {
    let mut knobs = Knobs::DEFAULT;
    let taken = knobs.take_word(key, value);
    taken.map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_is_a_word() {
        let units = UnitArgs {
            defect: Some("signal-lost".to_owned()),
            knobs: vec!["order=descending".to_owned()],
            preset: Some("lenient".to_owned()),
            ..UnitArgs::usual(Apic::Xapic, TraceLevel::Signals)
        };
        assert_eq!(
            units.words(),
            "apic=xapic trace=signals knobs=lenient knob.order=descending defect=signal-lost"
        );
    }

    #[test]
    fn what_no_unit_has_is_refused_before_the_boot() {
        assert!(knob("unused_fields=ignore").is_ok());
        assert!(knob("faults.lose_every=7").is_ok());
        assert!(knob("unused_fields").unwrap_err().contains("NAME=VALUE"));
        assert!(knob("unused_fields=maybe").unwrap_err().contains("ignore"));
        assert!(knob("novel=1").unwrap_err().contains("unused_fields"));
        assert!(defect("signal-found").unwrap_err().contains("signal-lost"));
        assert!(preset("kind").unwrap_err().contains("lenient"));
    }
}
