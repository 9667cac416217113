use super::*;

fn owner(number: u32) -> CpuId {
    CpuId::new(number)
}

#[test]
fn all_slots_can_be_claimed_once_from_any_home() {
    for home in [0_u16, 1, 63, 64, 1023] {
        let slots = Slots::new();
        let mut claims: Vec<_> = (0..64)
            .map(|_| slots.claim_anywhere(owner(home.into())).unwrap())
            .collect();
        claims.sort_by_key(|claim| claim.slot());
        claims.dedup_by_key(|claim| claim.slot());
        assert_eq!(claims.len(), 64);
        assert!(slots.claim_anywhere(owner(home.into())).is_none());
        slots.give_back(&claims[usize::from(home) % 64]);
        let again = slots.claim_anywhere(owner(u32::from(home) + 1)).unwrap();
        assert_eq!(again.slot(), claims[usize::from(home) % 64].slot());
    }
}

#[test]
fn several_slots_are_claimed_or_none() {
    let slots = Slots::new();
    slots.limit(3);
    let two = slots.claim_several::<2>(owner(1)).unwrap();
    assert_eq!(two.each_ref().map(|claim| claim.slot().get()), [1, 2]);
    assert!(slots.claim_several::<2>(owner(1)).is_none());
    assert_eq!(slots.free(), 1);
}

#[test]
fn a_small_table_is_never_left_and_never_grows() {
    let slots = Slots::new();
    slots.limit(3);
    slots.limit(64);
    assert_eq!(slots.usable(), 3);
    for _ in 0..3 {
        assert!(
            slots
                .claim_anywhere(owner(5))
                .is_some_and(|claim| claim.slot().get() < 3)
        );
    }
    assert!(slots.claim_anywhere(owner(5)).is_none());
    slots.limit(0);
    assert!(slots.claim_anywhere(owner(7)).is_none());
}

#[test]
fn quarantine_ends_when_every_byte_is_final_and_not_before() {
    let slots = Slots::new();
    slots.limit(1);
    let mut claim = slots.claim_anywhere(owner(0)).unwrap();
    slots.post(&mut claim);
    slots.quarantine(&claim);
    assert!(slots.claim_anywhere(owner(1)).is_none());
    assert!(slots.take_over(0, owner(1), |_| Bytes::Open).is_none());
    assert_eq!((slots.quarantined(), slots.free()), (1, 0));
    assert!(slots.take_over(0, owner(1), |_| Bytes::Final).is_some());
}

#[test]
fn a_posted_slot_is_taken_over_only_when_it_succeeded_and_its_owner_notices() {
    let slots = Slots::new();
    slots.limit(1);
    let mut claim = slots.claim_anywhere(owner(0)).unwrap();
    assert!(
        slots.take_over(0, owner(1), |_| Bytes::Succeeded).is_none(),
        "not armed yet"
    );
    slots.post(&mut claim);
    assert!(slots.take_over(0, owner(1), |_| Bytes::Open).is_none());
    assert!(slots.take_over(0, owner(1), |_| Bytes::Final).is_none());
    assert!(slots.is_owned(&claim) && slots.are_held_by(owner(0)));
    let taken = slots.take_over(0, owner(1), |_| Bytes::Succeeded).unwrap();
    assert!(!slots.is_owned(&claim) && !slots.are_held_by(owner(0)));
    slots.give_back(&claim);
    slots.quarantine(&claim);
    assert!(
        slots.is_owned(&taken),
        "the former owner has no say any more"
    );
}

/// A flight may be settled on another CPU than the one that started it, so the death of the first
/// says nothing about who settles it.
#[test]
fn a_dead_cpu_leaves_a_slot_to_who_settles_it() {
    let slots = Slots::new();
    slots.limit(2);
    let [mut claim, other] = slots.claim_several::<2>(owner(0)).unwrap();
    slots.post(&mut claim);
    assert!(slots.unpost(&mut claim));
    assert_eq!(slots.free(), 0, "it is still claimed");
    slots.abandon(owner(0));
    assert!(slots.is_owned(&claim), "it is being settled elsewhere");
    assert!(
        !slots.is_owned(&other),
        "control: it was left by the dead CPU"
    );
    assert_eq!(slots.quarantined(), 1);
    slots.give_back(&claim);
    assert_eq!(slots.free(), 1);
}

#[test]
fn a_slot_that_was_taken_over_is_not_taken_back() {
    let slots = Slots::new();
    slots.limit(1);
    let mut claim = slots.claim_anywhere(owner(0)).unwrap();
    slots.post(&mut claim);
    let taken = slots.take_over(0, owner(1), |_| Bytes::Succeeded).unwrap();
    assert!(!slots.unpost(&mut claim));
    assert!(slots.is_owned(&taken) && !slots.is_owned(&claim));
}

#[test]
fn the_death_of_a_cpu_sets_its_own_slots_apart_and_no_others() {
    let slots = Slots::new();
    slots.limit(3);
    let claims = [0, 1, 2].map(|cpu| slots.claim_near(owner(cpu)).unwrap());
    slots.abandon(owner(1));
    let are_owned = claims.each_ref().map(|claim| slots.is_owned(claim));
    assert_eq!(are_owned, [true, false, true]);
    assert_eq!(slots.quarantined(), 1);
}
