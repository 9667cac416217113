use super::*;

#[test]
fn intersection_forgets_empty_words() {
    let (mut a, mut b) = (CpuSet::<16>::new(), CpuSet::<16>::new());
    for number in [0, 70, 1023] {
        a.insert(CpuId::new(number)).unwrap();
    }
    b.insert(CpuId::new(70)).unwrap();
    a.intersect_with(&b);
    assert_eq!(a, b);
    assert!(a.remove(CpuId::new(70)) && a.is_empty());
}

#[test]
fn a_word_without_a_member_is_forgotten_however_it_lost_the_last() {
    let mut set = CpuSet::<16>::of([70, 71].map(CpuId::new)).unwrap();
    let mut other = set;
    assert!([5, 70, 71].map(|cpu| set.remove(CpuId::new(cpu))) == [false, true, true]);
    assert!(other.remove_before_keep(CpuId::new(70)));
    other.keep(|_| 1 << 6);
    assert!(set.is_empty() && other.is_empty());
}

#[test]
fn a_word_is_reduced_to_what_is_left_and_forgotten_when_nothing_is() {
    let both = CpuSet::from_words([0b11, 0b110]);
    for (index, left, expected) in [
        (0, 0b10, [0b10, 0b110]),
        (0, 0, [0, 0b110]),
        (1, 0b100, [0b11, 0b100]),
        (1, 0, [0b11, 0]),
    ] {
        let mut set = both;
        set.reduce(index, left);
        assert_eq!(set, CpuSet::from_words(expected), "word {index}: {left}");
        assert_eq!(*set.words(), expected);
        set.reduce(1 - index, 0);
        assert_eq!(set.is_empty(), left == 0);
    }
    let mut single = CpuSet::from_words([0b11]);
    single.reduce(0, 0b10);
    assert_eq!(single, CpuSet::from_words([0b10]));
    single.reduce(0, 0);
    assert!(single.is_empty());
}

#[test]
fn a_cpu_that_does_not_fit_is_an_error_with_the_capacity() {
    let error = CpuSet::<1>::new().insert(CpuId::new(64)).unwrap_err();
    assert_eq!(
        error,
        CpuOutOfRange {
            cpu: CpuId::new(64),
            capacity: 64
        }
    );
}
