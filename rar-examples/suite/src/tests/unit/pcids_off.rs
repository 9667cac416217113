//! Entries of type 2 while CR4.PCIDE is 0, as in kernels without PCIDs.

use core::fmt::Write as _;

use crate::platform::{Page, Platform};
use crate::test_run::TestRun;
use crate::tests::unit::bench::without_driver;
use crate::tests::unit::probe::{Fields, attempt};
use crate::why::Why;

const INVPCID: u8 = 2;

/// *Observed*: each subtype for PCID 0, and those that name a PCID for another one.
pub(crate) fn type_2<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        bench.units.without_pcids(&|| {
            let mut page = 0_u16;
            for (pcid, subtypes) in [(0_u64, 4_u8), (1, 2)] {
                let mut answers = Why::new();
                for subtype in 0..subtypes {
                    let whole = Fields {
                        kind: INVPCID,
                        subtype,
                        operand: if subtype < 2 { pcid } else { 0 },
                        ..Fields::default()
                    };
                    let fields = match subtype {
                        0 => Fields {
                            count: 1,
                            address: t.platform.address(Page::Small(page)),
                            ..whole
                        },
                        _ => whole,
                    };
                    let tried = attempt(bench, page, 1, fields);
                    page += 1;
                    // There is room for four letters.
                    let _ = write!(answers, "{tried}");
                }
                t.observe(format_args!("PCID {pcid} {}", answers.as_str()));
            }
        });
    });
}
