//! What the command line makes of the options of every kernel.

use rar_kernel::options::{OptionError, read};
use rar_kernel::{ApicMode, CommandLine};

use super::*;
use crate::RUN_ORDER;

const USUAL: UsualAmounts = UsualAmounts {
    flushes: 20_000,
    initiators: Some(8),
    samples: Some(2_000),
};

fn line(text: &str) -> CommandLine {
    let mut line = CommandLine::empty();
    line.copy_from_bytes(text.as_bytes());
    line
}

fn options(line: &CommandLine) -> RunOptions<'_> {
    let mut options = RunOptions::DEFAULT;
    read(line, &mut options, |error| panic!("{error}"));
    options
}

fn errors(text: &str) -> Vec<String> {
    let line = line(text);
    let (mut errors, mut options) = (Vec::new(), RunOptions::DEFAULT);
    read(&line, &mut options, |error: OptionError<'_>| {
        errors.push(error.to_string());
    });
    if !errors.is_empty() {
        assert_eq!(options, RunOptions::DEFAULT, "{text}");
    }
    errors
}

#[test]
fn every_option_is_taken() {
    let text = "backends=vrar,software models=any test=a,b list=race defect=lost odd-table=32@3 \
                odd-joins=late trace=signals \
                apic=xapic screen=off rsdp=4096 \
                deadline=9 flushes=3 initiators=all measure=7 risky=on patience=5 \
                test-seconds=6 stop=2@storm";
    let expected = RunOptions {
        kernel: KernelOptions {
            apic: ApicMode::Xapic,
            screen: false,
            rsdp: Some(4096),
        },
        backends: Some("vrar,software"),
        models: Models::Any,
        test: Some("a,b"),
        list: List::Race,
        defect: Some("lost"),
        odd_table: Some(OddTable {
            entries: 32,
            apic_id: 3,
        }),
        odd_joins: Joins::Late,
        trace: TraceLevel::Signals,
        deadline: 9,
        flushes: Amount::Of(3),
        initiators: Amount::Unbounded,
        measure: Amount::Of(7),
        risky: true,
        patience: 5,
        test_seconds: 6,
        stop: Some(Stop {
            cpu: 2,
            test: "storm",
        }),
    };
    assert_eq!(options(&line(text)), expected);
    for (key, _) in RunOptions::LEGAL.iter().copied().flatten() {
        assert!(text.contains(&format!("{key}=")), "{key}");
    }
}

#[test]
fn an_invalid_value_is_named_with_what_the_option_takes() {
    for (key, legal) in RunOptions::LEGAL.iter().copied().flatten() {
        let errors = errors(&format!("{key}="));
        assert_eq!(errors.len(), 1, "{key}");
        assert!(errors[0].contains(legal), "{errors:?}");
    }
    for text in [
        "backends=hardware,kvm",
        "models=new",
        "list=functional",
        "apic=off",
        "deadline=0",
        "deadline=-1",
        "flushes=many",
        "initiators=0",
        "measure=0",
        "measure=many",
        "risky=yes",
        "trace=on",
        "odd-joins=never",
        "odd-table=32",
        "odd-table=0@3",
        "odd-table=65@3",
        "odd-table=32@",
        "stop=storm",
        "stop=x@storm",
        "stop=1@",
    ] {
        assert!(errors(text)[0].contains(text), "{text}");
    }
}

#[test]
fn an_unknown_option_is_named_and_ignored() {
    let errors = errors("quiet speed=7");
    assert!(errors[0].contains("option quiet is unknown"), "{errors:?}");
    assert!(errors[1].contains("option speed is unknown"), "{errors:?}");
}

#[test]
fn a_kernel_begins_under_the_shim_if_it_is_named_first() {
    for (text, begins) in [
        ("", false),
        ("backends=vrar", true),
        ("backends=vrar,software", true),
        ("backends=software,vrar", false),
        ("backends=vrar,kvm", false),
    ] {
        let line = line(text);
        assert_eq!(
            RunOptions::read(&line).begins_under_shim(),
            begins,
            "{text}"
        );
    }
}

#[test]
fn a_run_measures_what_is_usual_unless_it_is_of_named_tests() {
    let measure = |text: &str| options(&line(text)).suite(&USUAL).measure;
    assert_eq!(measure(""), USUAL.samples);
    assert_eq!(measure("test=storm"), None);
    assert_eq!(measure("test=storm measure=5"), Some(5));
    assert_eq!(measure("measure=off"), None);
}

#[test]
fn the_command_line_counts_before_what_is_usual() {
    let suite = |text: &str| {
        let line = line(text);
        let suite = options(&line).suite(&USUAL);
        (suite.storm_flushes, suite.initiators)
    };
    assert_eq!(suite(""), (20_000, Some(8)));
    assert_eq!(suite("flushes=7 initiators=3"), (7, Some(3)));
    assert_eq!(suite("initiators=all"), (20_000, None));
}

#[test]
fn the_backends_are_those_that_are_named_or_all() {
    let wanted = |text: &str| {
        let line = line(text);
        RUN_ORDER.map(|backend| options(&line).wants(backend))
    };
    assert_eq!(wanted(""), [true, true, true]);
    assert_eq!(wanted("backends=vrar"), [false, false, true]);
    assert_eq!(wanted("backends=software,hardware"), [true, true, false]);
}
