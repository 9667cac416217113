//! Records of older and newer versions of the format.

use rar_report::{
    Backend, Disturbances, EndReason, Method, Outcome, ReadError, Record, Records, TestResult,
    Writer,
};

fn measurement(spoiled: u64) -> rar_report::Measurement<'static> {
    let mut histogram = rar_report::Histogram::new();
    histogram.add(9, 2);
    rar_report::Measurement {
        backend: Backend::Vrar,
        method: Method::Cr3,
        targets: 1,
        pages: 0,
        state: "a",
        initiators: 1,
        samples: 2,
        min: 600,
        p50: 601,
        p99: 603,
        max: 603,
        histogram,
        spoiled,
        disturbances: Disturbances::NONE,
    }
}

/// The count behind the histogram is newer than the format: its absence means 0, and an older
/// reader skips it.
#[test]
fn what_spoiled_a_measurement_stands_behind_it() {
    let (clean, spoiled) = (measurement(0), measurement(300));
    let mut memory = [0; 256];
    let mut writer = Writer::new(&mut memory, 5, "v");
    writer.push(&Record::Measurement(clean));
    writer.push(&Record::Measurement(spoiled));
    let report = writer.finish(EndReason::Complete);
    let expected: [&[u8]; 4] = [
        &[0, 4, 1, 5, 1, b'v'],
        &[
            5, 17, 1, 5, 1, 0, 1, 1, b'a', 1, 2, 0xd8, 4, 1, 2, 0, 9, 1, 2,
        ],
        &[
            5, 18, 1, 5, 1, 0, 0, 1, 1, 2, 0xd8, 4, 1, 2, 0, 9, 1, 2, 0xac, 2,
        ],
        &[7, 5, 0, 0, 0, 0, 0],
    ];
    assert_eq!(report, expected.concat());
    let read: Vec<_> = Records::new(report).map(Result::unwrap).collect();
    assert_eq!(
        read.get(1..3),
        Some(&[Record::Measurement(clean), Record::Measurement(spoiled)][..])
    );
}

/// Disturbances are newer than the count before them, which is there if they are.
#[test]
fn what_disturbed_a_test_or_a_measurement_stands_behind_it() {
    let disturbances = Disturbances {
        nmis: 2,
        strays: 300,
        gaps: 1,
        longest_gap: 150,
    };
    let result = Record::Result(TestResult {
        backend: Backend::Software,
        name: "a",
        outcome: Outcome::Holds,
        initiators: 1,
        fallbacks: 0,
        resignals: 0,
        disturbances,
    });
    let measurement = Record::Measurement(rar_report::Measurement {
        disturbances,
        ..measurement(0)
    });
    let mut memory = [0; 256];
    let mut writer = Writer::new(&mut memory, 5, "v");
    writer.push(&result);
    writer.push(&measurement);
    let report = writer.finish(EndReason::Complete);
    let expected: [&[u8]; 6] = [
        &[0, 4, 1, 5, 1, b'v'],
        &[4, 14, 2, 1, 1, b'a', 0, 1, 0, 0],
        &[2, 0xac, 2, 1, 0x96, 1],
        &[5, 23, 1, 5, 1, 0, 0, 1, 1, 2, 0xd8, 4, 1, 2, 0, 9, 1, 2, 0],
        &[2, 0xac, 2, 1, 0x96, 1],
        &[7, 5, 0, 0, 0, 0, 0],
    ];
    assert_eq!(report, expected.concat());
    let read: Vec<_> = Records::new(report).map(Result::unwrap).collect();
    assert_eq!(read.get(1..3), Some(&[result, measurement][..]));
}

#[test]
fn records_of_a_newer_version_are_passed_over() {
    let mut memory = [0; 256];
    let report = Writer::new(&mut memory, 1, "v").finish(EndReason::Complete);
    let bytes = [&[200, 2, 1, 1], report, &[4, 1, 9], &[0, 200]].concat();
    let read: Vec<_> = Records::new(&bytes).collect();
    assert_eq!(read.first(), Some(&Err(ReadError::UnknownKind(200))));
    assert!(matches!(
        read[1..3],
        [Ok(Record::Head(_)), Ok(Record::End(..))]
    ));
    let at = 4 + report.len();
    assert_eq!(
        read[3..],
        [
            Err(ReadError::Body {
                kind: 4,
                at: at + 2
            }),
            Err(ReadError::Cut { at: at + 3 })
        ]
    );
}
