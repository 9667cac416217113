use super::*;

fn four() -> Run {
    Run::new(Backend::Vrar, 4)
}

fn race() -> Run {
    Run {
        thread: Thread::Multi,
        tests: Tests::Race,
        flushes: RACE_VOLUME,
        ..four()
    }
}

fn named(names: &[&str]) -> Tests {
    Tests::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_label_names_what_differs() {
    assert_eq!(four().label(), "vrar-4cpus-single-functional");
    assert_eq!(race().label(), "vrar-4cpus-multi-race");
    let xapic = Run {
        apic: Apic::Xapic,
        ..Run::new(Backend::Vrar, 1)
    };
    assert_eq!(xapic.label(), "vrar-xapic-1cpus-single-functional");
    assert!(xapic.kernel_command_line(2).ends_with(" apic=xapic"));
}

#[test]
fn cores_of_a_socket_leave_holes_in_apic_ids() {
    let holes = Run {
        cpus: 6,
        cores: Some(3),
        ..four()
    };
    assert_eq!(holes.label(), "vrar-6cpus-cores3-single-functional");
    assert_eq!(holes.topology(), "6,sockets=2,cores=3");
    assert_eq!(four().topology(), "4");
}

#[test]
fn two_backends_in_one_boot() {
    let late = Run {
        before: Some(Backend::Software),
        ..four()
    };
    assert_eq!(late.label(), "software-then-vrar-4cpus-single-functional");
    let line = late.kernel_command_line(2);
    assert!(line.ends_with(" backends=software,vrar"), "{line}");
    let turns: Vec<_> = late.turns().iter().map(|turn| turn.backend).collect();
    assert_eq!(turns, [Backend::Software, Backend::Vrar]);
    assert_eq!(four().turns().len(), 1);
}

#[test]
fn cpus_that_disagree_are_flushed_by_software() {
    for name in BY_SOFTWARE {
        let test = rar_suite::test_named(name).unwrap();
        assert!(test.units.is_none() && !test.spares, "{name}");
    }
    let odd = Run {
        odd_table: Some(32),
        ..four()
    };
    assert_eq!(odd.label(), "vrar-4cpus-single-functional-odd-table");
    let line = odd.kernel_command_line(2);
    assert!(line.ends_with(" backends=vrar odd-table=32@3"), "{line}");
    let expected = odd.expectation();
    assert_eq!(expected.backend, Backend::Software);
    assert_eq!(expected.refused_by, Some(3));
    assert!(
        !expected
            .required
            .iter()
            .any(|test| test.starts_with("unit-"))
    );
    assert!(!expected.refused_under_a_flush);
    let late = Run {
        odd_joins: OddJoins::Late,
        ..odd
    };
    assert_eq!(late.label(), "vrar-4cpus-single-functional-late-odd-table");
    let line = late.kernel_command_line(2);
    assert!(line.ends_with(" odd-table=32@3 odd-joins=late"), "{line}");
    assert!(late.expectation().refused_under_a_flush);
    let usual = four().expectation();
    assert_eq!((usual.backend, usual.refused_by), (Backend::Vrar, None));
}

#[test]
fn risky_tests_are_required_only_when_asked_for() {
    let usual = four().expectation().required;
    let risky = Run {
        risky: true,
        ..four()
    };
    let risky = risky.expectation().required;
    let more = risky.iter().filter(|test| !usual.contains(test));
    assert_eq!(more.count(), 3);
    assert!(usual.contains(&"unit-foreign-signal") && !usual.contains(&"target-in-guest"));
}

#[test]
fn the_kernel_command_line() {
    assert_eq!(
        four().kernel_command_line(2),
        "list=all flushes=20000 backends=vrar"
    );
    assert_eq!(
        race().kernel_command_line(2),
        "list=race flushes=100 backends=vrar deadline=4000"
    );
    // More CPUs than cores share them.
    let crowded = Run { cpus: 64, ..race() }.kernel_command_line(2);
    assert!(crowded.ends_with(" deadline=8000"), "{crowded}");
    // CPUs that take turns on one host thread answer when their turn has come.
    let turns = |cpus| Run { cpus, ..four() }.kernel_command_line(2);
    assert_eq!(turns(8), four().kernel_command_line(2));
    assert!(turns(64).ends_with(" deadline=2000"), "{}", turns(64));
    let one = Run {
        tests: named(&["one-page"]),
        flushes: 3,
        ..four()
    };
    assert_eq!(
        one.kernel_command_line(2),
        "test=one-page flushes=3 backends=vrar"
    );
    let two = Run {
        tests: named(&["one-page", "storm"]),
        ..four()
    };
    assert!(
        two.kernel_command_line(2)
            .starts_with("test=one-page,storm ")
    );
}

#[test]
fn never_kvm_and_always_without_defaults() {
    let line = |run: &Run| {
        let cmd = run.qemu(Path::new("q"), Path::new("k"), Path::new("a,b"), 2);
        cmd.unwrap().line()
    };
    for run in [Run::new(Backend::Vrar, 1), four(), race()] {
        let line = line(&run);
        assert!(
            line.contains("-accel 'tcg,thread=") || line.contains("-accel tcg,thread="),
            "{line}"
        );
        assert!(
            !line.contains("kvm") && line.contains("-nodefaults"),
            "{line}"
        );
        assert!(line.contains("file:a,,b"), "{line}");
    }
    let traced = line(&Run {
        trace: TraceLevel::All,
        ..four()
    });
    assert!(traced.contains("isa-debugcon,iobase=0xea,"), "{traced}");
    assert!(traced.contains(" trace=all"), "{traced}");
    assert!(!line(&four()).contains("trace"));
    let replay = line(&Run {
        deterministic: true,
        ..four()
    });
    assert!(
        replay.contains("-icount") && replay.contains("thread=single"),
        "{replay}"
    );
}

#[test]
fn deadlines_grow_with_crowding_and_volume() {
    let seconds = |run: Run| run.deadline(2).as_secs();
    assert_eq!(seconds(Run::new(Backend::Vrar, 1)), 60);
    assert_eq!(seconds(Run::new(Backend::Vrar, 8)), 480);
    assert_eq!(seconds(Run { cpus: 8, ..race() }), 240);
    let many = Run {
        flushes: 40_001,
        ..Run::new(Backend::Vrar, 1)
    };
    assert_eq!(seconds(many), 180);
    let chosen = Run {
        timeout: Some(Duration::from_secs(5)),
        ..four()
    };
    assert_eq!(seconds(chosen), 5);
}
