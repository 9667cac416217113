//! What a reader of a trace sees.

use rar_model::{
    Action, CONTROL, INFO, Illegal, Knobs, Loss, Outcome, PAYLOAD_TABLE_BASE, RarUnit, Refused,
};

#[test]
fn every_action_says_what_it_flushes() {
    let knobs = Knobs {
        types: u32::MAX,
        ..Knobs::DEFAULT
    };
    for (words, text) in [
        (
            [2 << 37, 0, 0x1a_a000, 0x7000],
            "INVPG if CR3 is 0x1aa000: 2 pages of 4K at 0x7000",
        ),
        (
            [1 << 8 | 2 << 32, 0, 0, 0],
            "INVPG: everything, globals included",
        ),
        (
            [1 << 8 | 3 << 32, 0, 0, 0],
            "INVPG: everything except globals",
        ),
        (
            [2 << 8 | 1 << 37 | 1 << 35, 0, 5, 0x20_0000],
            "INVPCID: 1 page of 2M at 0x200000 of PCID 5",
        ),
        (
            [2 << 8 | 1 << 32, 0, 7, 0],
            "INVPCID: PCID 7 except globals",
        ),
        (
            [2 << 8 | 2 << 32, 0, 0, 0],
            "INVPCID: all PCIDs, globals included",
        ),
        (
            [2 << 8 | 3 << 32, 0, 0, 0],
            "INVPCID: all PCIDs except globals",
        ),
        (
            [3 << 8 | 1 << 32, 0, 0x5000, 0],
            "INVEPT: EPT pointer 0x5000",
        ),
        ([3 << 8 | 2 << 32, 0, 0, 0], "INVEPT: all EPT pointers"),
        (
            [4 << 8 | 1 << 37 | 2 << 35, 0, 9, 0x4000_0000],
            "INVVPID: 1 page of 1G at 0x40000000 of VPID 9",
        ),
        ([4 << 8 | 1 << 32, 0, 9, 0], "INVVPID: VPID 9"),
        ([4 << 8 | 2 << 32, 0, 0, 0], "INVVPID: all VPIDs except 0"),
        (
            [4 << 8 | 3 << 32, 0, 9, 0],
            "INVVPID: VPID 9 except globals",
        ),
        (
            [5 << 8 | 0x10 << 32, 0, 0x99, 0],
            "WRMSR: 0x99 to register 0x10",
        ),
    ] {
        let action = Action::decode(words, &knobs).unwrap();
        assert_eq!(action.to_string(), text);
    }
}

#[test]
fn an_outcome_says_why() {
    for (outcome, text) in [
        (Outcome::Performed, "performed"),
        (
            Outcome::Illegal(Illegal::UnknownType(9)),
            "type 9 is reserved",
        ),
        (
            Outcome::Refused(Refused::PcidsDisabled { pcid: 5 }),
            "PCID 5 named while PCIDs are off",
        ),
        (Outcome::Unanswered, "a defect leaves the entry"),
    ] {
        assert_eq!(outcome.to_string(), text);
    }
    assert_eq!(Loss::Disabled.to_string(), "RAR is disabled there");
}

#[test]
fn a_fault_says_which_rule_a_write_broke() {
    let unit = RarUnit::new(Knobs::DEFAULT);
    let why = |msr, value| unit.write_msr(msr, value).unwrap_err().to_string();
    assert_eq!(
        why(CONTROL, 1 << 31 | 5),
        "#GP(0): WRMSR 0xed, 0x80000005: reserved bits 0x5 are set"
    );
    assert!(why(INFO, 0).ends_with(": the register is read-only"));
    assert!(why(0xf1, 0).ends_with(": the register does not exist"));
    unit.write_msr(CONTROL, 1 << 31).unwrap();
    assert!(
        why(PAYLOAD_TABLE_BASE, 0x1000).ends_with(": a base must not change while ENABLE is 1")
    );
}
