//! Observations in words. Tests write letters and masks, so that a report fits into few QR codes;
//! the page says what they mean.

mod bits;
mod letters;

use bits::ranges;

/// One thing that a test observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What was tried or read; empty if `what` is a whole sentence.
    pub(crate) about: String,
    /// What was seen.
    pub(crate) what: String,
}

impl Finding {
    fn new(about: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            about: about.into(),
            what: what.into(),
        }
    }

    fn sentence(what: &str) -> Self {
        Self::new("", what)
    }
}

/// Returns what an observation of a test says. Text of a form that is not known here stays as it
/// is.
pub(crate) fn findings(test: &str, observation: &str) -> Vec<Finding> {
    observation
        .split("; ")
        .flat_map(|piece| read(test, piece).unwrap_or_else(|| vec![Finding::sentence(piece)]))
        .collect()
}

fn read(test: &str, piece: &str) -> Option<Vec<Finding>> {
    match test {
        "unit-types" | "unit-types-risky" | "unit-pcids-off" => letters::types(piece),
        "unit-page-counts" => letters::page_count(piece).map(|one| vec![one]),
        "unit-failure-causes" => letters::cause(piece).map(|one| vec![one]),
        "unit-cr3-bits" => match piece.strip_prefix("own CR3 ") {
            Some(letter) => letters::own_cr3(letter).map(|one| vec![one]),
            None => cr3_bits(piece),
        },
        "unit-reserved-bits" => reserved_bits(piece),
        "unit-control-bits" | "unit-base-bits" => accepted_bits(piece).map(|one| vec![one]),
        "unit-rebase" => rebase(piece).map(|one| vec![one]),
        "unit-enumeration" => enumeration(piece),
        "unit-byte-values" => byte_values(piece).map(|one| vec![one]),
        "unit-halt-woken" | "unit-mwait" | "unit-nmi-handler" => {
            cpus_in_a_state(piece).map(|one| vec![one])
        }
        "unit-strings" => within_instruction(piece).map(|one| vec![one]),
        "measurements" => median(piece),
        _ => None,
    }
}

/// `bits compared 0xfff, ignored 0x0, no SUCCESS 0x0`
fn cr3_bits(piece: &str) -> Option<Vec<Finding>> {
    let rest = piece.strip_prefix("bits compared ")?;
    let (compared, rest) = rest.split_once(", ignored ")?;
    let (ignored, refused) = rest.split_once(", no SUCCESS ")?;
    Some(vec![
        Finding::new("bits of CR3 that type 0 compares", ranges(compared)?),
        Finding::new("bits of CR3 that it ignores", ranges(ignored)?),
        Finding::new(
            "bits whose difference is not answered with SUCCESS",
            ranges(refused)?,
        ),
    ])
}

/// `control: #GP 0xff, kept 0xf00, ignored 0xf000`
fn reserved_bits(piece: &str) -> Option<Vec<Finding>> {
    let (name, fates) = piece.split_once(": ")?;
    let name = register(name)?;
    let fate = |fate: &str| {
        let (fate, mask) = fate.rsplit_once(' ')?;
        let fate = match fate {
            "#GP" => "raise #GP",
            "kept" => "are kept: they read back as written",
            "ignored" => "are ignored: they read back as 0",
            _ => return None,
        };
        Some(Finding::new(
            format!("{name}, reserved bits {}", ranges(mask)?),
            fate,
        ))
    };
    fates.split(", ").map(fate).collect()
}

/// `reserved bits 0x3f of the vector's base raise no #GP`
fn accepted_bits(piece: &str) -> Option<Finding> {
    let rest = piece.strip_prefix("reserved bits ")?;
    let (mask, rest) = rest.split_once(" of ")?;
    let name = register(rest.strip_suffix(" raise no #GP")?)?;
    Some(Finding::new(
        format!("{name}, reserved bits {}", ranges(mask)?),
        "raise no #GP",
    ))
}

/// `vector raises #GP while enabled`
fn rebase(piece: &str) -> Option<Finding> {
    let (name, became) = piece.split_once(' ')?;
    Some(Finding::new(register(name)?, became))
}

fn register(name: &str) -> Option<&'static str> {
    match name {
        "control" | "the control register" => Some("RAR_CONTROL"),
        "vector" | "the vector's base" => Some("RAR_ACTION_VECTOR_BASE"),
        "table" | "the table's base" => Some("RAR_PAYLOAD_TABLE_BASE"),
        _ => None,
    }
}

/// `core capabilities 0x2`, `information 0x3f00000007`
fn enumeration(piece: &str) -> Option<Vec<Finding>> {
    if let Some(value) = piece.strip_prefix("core capabilities ") {
        return Some(vec![Finding::new("IA32_CORE_CAPABILITIES", value)]);
    }
    let text = piece.strip_prefix("information ")?;
    let value = bits::hex(text)?;
    Some(vec![
        Finding::new("RAR_INFO", text),
        Finding::new(
            "entries of the payload table",
            ((value >> 32 & 0x3f) + 1).to_string(),
        ),
        Finding::new("payload types", bits::list(value & 0xffff_ffff)),
    ])
}

/// `bytes seen as 0x00 0x01`
fn byte_values(piece: &str) -> Option<Finding> {
    let name = |value: &str| match value {
        "0x00" => "0x00 (SUCCESS)".to_owned(),
        "0x01" => "0x01 (PENDING)".to_owned(),
        "0x80" => "0x80 (FAILURE)".to_owned(),
        other => format!("{other} (no value that Intel's texts name)"),
    };
    let values = piece.strip_prefix("bytes seen as ")?;
    let values: Vec<_> = values.split(' ').map(name).collect();
    Some(Finding::new(
        "values seen in an action byte",
        values.join(", "),
    ))
}

/// `of 3 CPUs in HLT 3 served, 0 woken`, `of 3 CPUs in an NMI handler 3 served within, 0 after it`
fn cpus_in_a_state(piece: &str) -> Option<Finding> {
    let rest = piece.strip_prefix("of ")?;
    let (before, second) = rest.split_once(", ")?;
    let (before, how) = before.split_once(" served")?;
    let (state, served) = before.rsplit_once(' ')?;
    let served = match how {
        "" => format!("{served} served the entry"),
        _ => format!("{served} served the entry{how}"),
    };
    let second = match second.strip_suffix(" woken") {
        Some(woken) => format!("{woken} woke up"),
        None => second.to_owned(),
    };
    Some(Finding::new(state, format!("{served}, {second}")))
}

/// `REP MOVSB was seen to run 8 times, 1 served within`
fn within_instruction(piece: &str) -> Option<Finding> {
    let (name, rest) = piece.split_once(" was seen to run ")?;
    let (times, within) = rest.split_once(" times, ")?;
    let within = within.strip_suffix(" served within")?;
    Some(Finding::new(
        name,
        format!("of {times} entries, {within} served before the instruction ended"),
    ))
}

/// `clock 30 ns`, `rar of 3 68618 ns`, `medians`
fn median(piece: &str) -> Option<Vec<Finding>> {
    if piece == "medians" {
        return Some(Vec::new());
    }
    let (name, time) = piece.strip_suffix(" ns")?.rsplit_once(' ')?;
    let about = match name.split_once(" of ") {
        Some((name, targets)) => match targets.strip_suffix(" as proxy") {
            Some(targets) => format!("{name}, {targets} targets, a proxy for over 64 (median)"),
            None => format!("{name}, {targets} targets (median)"),
        },
        None => format!("{name} (median)"),
    };
    Some(vec![Finding::new(about, format!("{time} ns"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(test: &str, observation: &str) -> Vec<String> {
        let found = findings(test, observation).into_iter();
        found
            .map(|Finding { about, what }| match about.as_str() {
                "" => what,
                about => format!("{about}: {what}"),
            })
            .collect()
    }

    #[test]
    fn letters_become_words() {
        assert_eq!(
            words("unit-types", "type 0 SFSSFFFF; types 6 to 15 FFFFFFFFPF"),
            [
                "type 0, subtypes 0, 2 and 3: SUCCESS, flushed",
                "type 0, subtypes 1 and 4 to 7: FAILURE, nothing flushed",
                "types 6 to 13 and 15: FAILURE, nothing flushed",
                "type 14: stays PENDING",
            ]
        );
        assert_eq!(
            words("unit-types-risky", "type 3 ssssssss; type 5 F"),
            [
                "type 3, every subtype: SUCCESS, but nothing flushed",
                "type 5: FAILURE, nothing flushed",
            ]
        );
        assert_eq!(
            words("unit-pcids-off", "PCID 0 SSSS; PCID 1 FF"),
            [
                "PCID 0, every subtype: SUCCESS, flushed",
                "PCID 1, every subtype: FAILURE, nothing flushed",
            ]
        );
        assert_eq!(
            words("unit-page-counts", "0 pages F, 0 of 68 flushed"),
            ["count of 0 pages: FAILURE, 0 of 68 pages flushed"]
        );
    }

    #[test]
    fn every_cause_of_failure_has_words() {
        let observation = "software byte S; software qwords S; bit 16 F; bit 31 F; bit 44 F; \
            bit 63 F; qword 1 F; size 3 F; PCID 4096 more F; operand bit 63 F; \
            address off by 1 F; 2M at 4K f; 1G at 4K s; noncanonical ?; into the hole P; \
            one PCID with count F; one PCID with address F";
        let words = words("unit-failure-causes", observation);
        assert_eq!(words.len(), 17);
        assert_eq!(
            words[2],
            "reserved bit 16 of quadword 0: FAILURE, nothing flushed"
        );
        assert_eq!(
            words[11],
            "2M stride at an address aligned to 4K: FAILURE, but flushed"
        );
        for (words, piece) in words.iter().zip(observation.split("; ")) {
            assert!(!words.contains(piece), "{words}");
        }
    }

    #[test]
    fn masks_become_ranges_of_bits() {
        assert_eq!(
            words(
                "unit-cr3-bits",
                "own CR3 S; bits compared 0xfffffffffffff, ignored 0xfff0000000000000, \
                 no SUCCESS 0x0"
            ),
            [
                "type 0 with this CPU's own CR3: SUCCESS, flushed",
                "bits of CR3 that type 0 compares: 51:0",
                "bits of CR3 that it ignores: 63:52",
                "bits whose difference is not answered with SUCCESS: none",
            ]
        );
        assert_eq!(
            words(
                "unit-reserved-bits",
                "control: #GP 0xffffffff00000000, kept 0x3fffffff; vector: ignored 0x3f"
            ),
            [
                "RAR_CONTROL, reserved bits 63:32: raise #GP",
                "RAR_CONTROL, reserved bits 29:0: are kept: they read back as written",
                "RAR_ACTION_VECTOR_BASE, reserved bits 5:0: are ignored: they read back as 0",
            ]
        );
        assert_eq!(
            words(
                "unit-base-bits",
                "reserved bits 0x3f of the vector's base raise no #GP"
            ),
            ["RAR_ACTION_VECTOR_BASE, reserved bits 5:0: raise no #GP"]
        );
        assert_eq!(
            words("unit-enumeration", "information 0x3f00000007"),
            [
                "RAR_INFO: 0x3f00000007",
                "entries of the payload table: 64",
                "payload types: 0, 1 and 2",
            ]
        );
    }

    #[test]
    fn counts_are_said_in_order() {
        assert_eq!(
            words("unit-halt-woken", "of 3 CPUs in HLT 2 served, 1 woken"),
            ["3 CPUs in HLT: 2 served the entry, 1 woke up"]
        );
        assert_eq!(
            words(
                "unit-nmi-handler",
                "of 3 CPUs in an NMI handler 2 served within, 1 after it"
            ),
            ["3 CPUs in an NMI handler: 2 served the entry within, 1 after it"]
        );
        assert_eq!(
            words(
                "unit-strings",
                "REP MOVSB was seen to run 8 times, 1 served within"
            ),
            ["REP MOVSB: of 8 entries, 1 served before the instruction ended"]
        );
        assert_eq!(
            words(
                "measurements",
                "43 points, 0 spoiled; medians; rar of 3 68618 ns"
            ),
            ["43 points, 0 spoiled", "rar, 3 targets (median): 68618 ns"]
        );
        assert_eq!(
            words(
                "measurements",
                "ipi by 128 at once of 127 9 ns; rar by 4 at once of 3 as proxy 7 ns"
            ),
            [
                "ipi by 128 at once, 127 targets (median): 9 ns",
                "rar by 4 at once, 3 targets, a proxy for over 64 (median): 7 ns",
            ]
        );
        assert_eq!(
            words("unit-byte-values", "bytes seen as 0x00 0x02"),
            ["values seen in an action byte: 0x00 (SUCCESS), \
                 0x02 (no value that Intel's texts name)"]
        );
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for (test, text) in [
            ("unit-scan-order", "slots become final upwards"),
            ("unit-types", "type 0 cut in the mid"),
            ("unit-failure-causes", "2M at 4"),
            ("unit-cr3-bits", "bits compared 0xfff"),
            ("a-test-of-tomorrow", "of 3 CPUs, 2 served"),
            ("unit-halt-woken", ""),
        ] {
            assert_eq!(words(test, text), [text]);
        }
    }
}
