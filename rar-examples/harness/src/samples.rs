//! Records as guests print them, for tests of those who read them.

use rar_vocabulary::{Backend, Disturbances, Histogram, Measurement, Method, State};

use crate::expectation::Expectation;
use crate::records::{Line, Transcript};

/// Returns a line that a line feed ended.
#[must_use]
pub fn complete(text: &str) -> Line {
    Line {
        text: text.to_owned(),
        complete: true,
    }
}

/// The first record of a run of `one-page` in software on two CPUs.
pub const START: &str = concat!(
    r#"@ {"type":"start","backend":"software","cpus":2,"expected_cpus":2,"missing":[],"#,
    r#""tests":1,"runs":2}"#,
);

/// The record of `one-page` with initiator 0.
pub const TEST: &str = concat!(
    r#"@ {"type":"test","name":"one-page","backend":"software","cpus":2,"initiator":0,"#,
    r#""flushes":1,"controls":[{"cpu":1,"stale":17,"new":18}],"fallbacks":0,"#,
    r#""resignals":0,"outcome":"pass","why":""}"#,
);

/// The record after [`TEST`].
#[must_use]
pub fn second() -> String {
    TEST.replace("\"initiator\":0", "\"initiator\":1")
        .replace("\"cpu\":1", "\"cpu\":0")
}

/// The last record of a run with [`TEST`] and [`second`].
pub const END: &str = r#"@ {"type":"end","passed":2,"failed":0,"skipped":0}"#;

/// The record of a measurement.
pub const MEASUREMENT: &str = concat!(
    r#"@ {"type":"measurement","method":"ipi","backend":"software","cpus":2,"#,
    r#""targets":1,"pages":0,"state":"spinning","contenders":1,"samples":3,"#,
    r#""ticks_per_millisecond":2000000,"min":300,"p50":700,"p99":1100,"max":1100,"#,
    r#""histogram":[[8,1],[9,1],[10,1]],"spoiled":0}"#,
);

/// Returns the measurement of [`MEASUREMENT`].
#[must_use]
pub fn measurement() -> Measurement {
    let mut histogram = Histogram::new();
    for bucket in [8, 9, 10] {
        histogram.add(bucket, 1);
    }
    Measurement {
        method: Method::Ipi,
        backend: Backend::Software,
        cpus: 2,
        targets: 1,
        pages: 0,
        state: State::Spinning,
        contenders: 1,
        samples: 3,
        ticks_per_millisecond: 2_000_000,
        min: 300,
        p50: 700,
        p99: 1100,
        max: 1100,
        histogram,
        spoiled: 0,
        disturbances: Disturbances::NONE,
    }
}

/// Returns what a run of `one-page` in software on two CPUs is asked for.
#[must_use]
pub fn expected() -> Expectation {
    Expectation {
        backend: Backend::Software,
        refused_by: None,
        refused_under_a_flush: false,
        cpus: 2,
        missing: Vec::new(),
        tests: Vec::new(),
        required: Vec::new(),
        list: vec!["one-page"],
        flushes: 3,
        initiators: None,
        measures: false,
    }
}

/// Returns a transcript of these lines.
#[must_use]
pub fn transcript(lines: &[&str]) -> Transcript {
    let mut transcript = Transcript::default();
    for line in lines {
        transcript.push(complete(line));
    }
    transcript
}
