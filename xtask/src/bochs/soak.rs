//! Whether a soak passed in Bochs, where spaces have PCIDs.

use rar_harness::guest::Finished;
use rar_soak_harness::verdict::{doubts, last, outcome};
use rar_vocabulary::Soak;

/// Returns what was counted, or what is wrong.
pub(super) fn judge(cpus: u32, finished: &Finished) -> Result<Soak, String> {
    outcome(&finished.transcript)?;
    let soak = last(&finished.transcript).unwrap_or_default();
    let mut problems = doubts(cpus, &soak);
    // Whether bit 63 keeps anything is not to be seen here.
    for (count, what) in [
        (soak.pcids, "no PCID was used by another space"),
        (soak.kept, "no CPU loaded CR3 with bit 63"),
    ] {
        if count == 0 {
            problems.push(what.to_owned());
        }
    }
    match problems.as_slice() {
        [] => Ok(soak),
        problems => Err(problems.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use rar_harness::ending::Ending;
    use rar_harness::records::Transcript;
    use rar_harness::samples::{TEST, complete};

    use super::*;

    fn judged(outcome: &str, change: impl FnOnce(&mut Soak)) -> Result<Soak, String> {
        let mut soak = Soak {
            controls: 4,
            controls_seen: 4,
            pcids: 3,
            kept: 2,
            ..Soak::default()
        };
        if let Some(first) = soak.operations.first_mut() {
            (first.flushes, first.verified) = (9, 5);
        }
        change(&mut soak);
        let text = serde_json::to_string(&soak).unwrap();
        let record = format!(r#"@ {{"type":"soak",{}"#, text.strip_prefix('{').unwrap());
        let mut transcript = Transcript::default();
        transcript.push(complete(&record));
        transcript.push(complete(
            &TEST.replace("\"pass\"", &format!("\"{outcome}\"")),
        ));
        let finished = Finished {
            transcript,
            ending: Ending::Exited(1),
            stderr: String::new(),
        };
        judge(2, &finished)
    }

    #[test]
    fn a_soak_passes_that_reused_pcids_and_set_bit_63() {
        assert_eq!(judged("pass", |_| ()).map(|soak| soak.verified()), Ok(5));
        assert!(judged("fail", |_| ()).is_err());
        for (change, why) in [
            (
                (|soak| soak.pcids = 0) as fn(&mut Soak),
                "no PCID was used by another space",
            ),
            (|soak| soak.kept = 0, "no CPU loaded CR3 with bit 63"),
            (|soak| soak.stale = 1, "1 stale accesses"),
        ] {
            assert_eq!(judged("pass", change), Err(why.to_owned()));
        }
    }
}
