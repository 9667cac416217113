//! The races of the protocol, each with its loom model and the mutants that the model catches.

use comfy_table::Table;
use rar_harness::text::table;

use crate::patch::{Kind, Sabotage};

/// A race that must have a model and a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// What races.
    pub what: &'static str,
    /// The package of its model.
    pub package: &'static str,
    /// The test function of its model.
    pub model: &'static str,
}

/// A run of models that lost one of them has not passed.
pub const RACES: [Race; 35] = [
    race(
        "claim and release of a slot",
        "rar-shootdown",
        "claim_and_release",
    ),
    race(
        "take-over of an answered slot, and its owner",
        "rar-percpu",
        "taken_over_when_answered_versus_its_owner",
    ),
    race(
        "take-over, and a refused entry",
        "rar-percpu",
        "a_refused_entry_is_not_taken_over",
    ),
    race(
        "refusal that is forgotten, and the next owner",
        "rar-percpu",
        "forgotten_refusal_versus_the_next_owner",
    ),
    race(
        "take-over, and a forgotten flush",
        "rar-percpu",
        "forgotten_flight",
    ),
    race(
        "arm, and a scan by another's signal",
        "rar-shootdown",
        "arm_versus_a_scan_by_anothers_signal",
    ),
    race(
        "payload, and PENDING",
        "rar-percpu",
        "payload_visible_before_pending",
    ),
    race(
        "flush, and the final byte",
        "rar-percpu",
        "the_flush_is_before_the_final_byte",
    ),
    race(
        "late answer, and quarantine",
        "rar-shootdown",
        "late_answer_versus_quarantine",
    ),
    race(
        "two initiators, one target",
        "rar-shootdown",
        "two_initiators_one_target",
    ),
    race(
        "two initiators, one flush generation",
        "rar-shootdown",
        "two_initiators_one_generation",
    ),
    race(
        "tickets drawn and raised in different orders",
        "rar-percpu",
        "each_initiator_waits_for_its_own_ticket",
    ),
    race(
        "request, and a CPU that leaves lazy mode",
        "rar-percpu",
        "request_versus_leaving_lazy_mode",
    ),
    race(
        "spaces missed by a CPU that leaves lazy mode",
        "rar-percpu",
        "two_spaces_missed_versus_leaving_lazy_mode",
    ),
    race(
        "space missed by a CPU, and a request",
        "rar-percpu",
        "a_space_missed_versus_a_request",
    ),
    race(
        "fallback generation, and hardware",
        "rar-shootdown",
        "fallback_generation_and_hardware_both_answer",
    ),
    race("nested responders", "rar-percpu", "nested_responders"),
    race(
        "one flush for many entries, and one armed anew",
        "rar-percpu",
        "one_flush_for_many_versus_an_entry_armed_anew",
    ),
    race(
        "responder, and a handler that goes offline and online",
        "rar-percpu",
        "offline_and_online_inside_a_responder",
    ),
    race(
        "target set, and a joining CPU",
        "rar-shootdown",
        "target_set_versus_a_joining_cpu",
    ),
    race(
        "target that goes offline",
        "rar-shootdown",
        "going_offline_while_targeted",
    ),
    race(
        "target that enters and leaves idle",
        "rar-shootdown",
        "entering_and_leaving_idle_while_targeted",
    ),
    race(
        "freed tables, and a guest",
        "rar-shootdown",
        "freed_tables_versus_a_guest",
    ),
    race(
        "target that is declared dead",
        "rar-shootdown",
        "declared_dead_while_targeted",
    ),
    race(
        "late arm, and memory that is used again",
        "rar-percpu",
        "memory_used_again_versus_a_late_arm",
    ),
    race(
        "successor of a dead CPU, and the value that drove it",
        "rar-percpu",
        "a_dead_cpus_value_gives_nothing_back",
    ),
    race(
        "words of a set, and a joining CPU",
        "rar-percpu",
        "second_word_of_a_set_versus_a_joining_cpu",
    ),
    race(
        "two CPUs, one APIC id",
        "rar-percpu",
        "two_cpus_ask_for_one_apic_id",
    ),
    race(
        "number that is taken, and a CPU on its way up",
        "rar-percpu",
        "a_number_taken_from_a_cpu_on_its_way_up",
    ),
    race(
        "registration that fails, and a CPU on its way up",
        "rar-percpu",
        "a_cpu_that_comes_up_before_its_registration_fails",
    ),
    race(
        "demotion, promotion, and an initiator",
        "rar-shootdown",
        "demotion_and_promotion_versus_an_initiator",
    ),
    race(
        "verification of a unit, and a late arm",
        "rar-shootdown",
        "verify_versus_a_late_arm",
    ),
    race(
        "switch of a unit to software, and a late arm",
        "rar-shootdown",
        "switching_to_software_versus_a_late_arm",
    ),
    race(
        "refusal of units, and a CPU on its way up",
        "rar-percpu",
        "refusal_versus_a_cpu_on_its_way_up",
    ),
    race(
        "nested flush with slots held",
        "rar-shootdown",
        "nested_flush_from_an_interrupt_with_slots_held",
    ),
];

const fn race(what: &'static str, package: &'static str, model: &'static str) -> Race {
    Race {
        what,
        package,
        model,
    }
}

impl Race {
    /// Returns the mutants that this race's model must catch.
    pub fn mutants<'a>(&self, all: &'a [Sabotage]) -> Vec<&'a Sabotage> {
        let (package, model) = (self.package, self.model);
        let is_mine = |kind: &Kind| match kind {
            Kind::Loom {
                package: p, test, ..
            } => p == package && test == model,
            Kind::Qemu { .. } | Kind::Sim { .. } => false,
        };
        all.iter().filter(|mutant| is_mine(&mutant.kind)).collect()
    }

    /// Returns what to say when the model is not there.
    pub fn without_model(&self) -> String {
        let Self {
            what,
            package,
            model,
        } = self;
        format!("{package} has no model {model} that runs: {what}")
    }

    /// Returns whether the output of its package's tests says that the model passed.
    pub fn passed(&self, output: &str) -> bool {
        let line = format!("test {} ... ok", self.model);
        output.lines().any(|printed| printed == line)
    }
}

/// Returns why the mutants are not whole: one line for each race without any.
pub fn without_mutant(all: &[Sabotage]) -> Vec<String> {
    let bare = RACES.iter().filter(|race| race.mutants(all).is_empty());
    bare.map(|race| format!("no mutant shows that {} catches anything", race.model))
        .collect()
}

/// Returns the table of all races, each with those of the mutants that its model is to catch.
pub fn overview(all: &[Sabotage]) -> Table {
    let mut table = table(&["race", "model", "mutants"]);
    for race in RACES {
        let mutants: Vec<_> = race
            .mutants(all)
            .into_iter()
            .map(|mutant| mutant.name.as_str())
            .collect();
        table.add_row([race.what, race.model, &mutants.join("\n")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(package: &str, test: &str) -> Sabotage {
        let text = format!(
            "Kind: loom\nCrate: {package}\nTest: {test}\nMessage: m\nWhy: w\n\n\
             --- a/f\n+++ b/f\n@@ -1,1 +1,1 @@\n-a\n+b\n"
        );
        Sabotage::parse("loom-x", &text).unwrap()
    }

    #[test]
    fn a_race_without_a_mutant_of_its_own_model_is_named() {
        let mut all: Vec<_> = RACES.map(|race| mutant(race.package, race.model)).into();
        assert_eq!(without_mutant(&all), [""; 0]);
        all[2] = mutant("rar-regs", RACES[2].model);
        all[3] = mutant(RACES[3].package, "late_answer");
        let bare = without_mutant(&all).join("\n");
        assert_eq!(bare.lines().count(), 2);
        assert!(bare.contains(RACES[2].model) && bare.contains(RACES[3].model));
    }

    #[test]
    fn only_the_line_of_the_model_itself_says_that_it_passed() {
        let race = RACES[0];
        assert!(race.passed("test claim_and_release ... ok\n"));
        for output in [
            "",
            "test claim_and_release ... FAILED\n",
            "test claim_and_release_more ... ok\n",
        ] {
            assert!(!race.passed(output), "{output}");
        }
    }
}
