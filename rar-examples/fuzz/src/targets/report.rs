//! A report: its records, and the seal around them.

use rar_report::{Records, open, open_prefix, seal};

/// More than any input unpacks to.
const ROOM: usize = 1 << 20;

/// Reads records, or a sealed report.
pub(crate) fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match kind % 3 {
        0 => records(rest),
        1 => sealed(rest),
        _ => changed(rest),
    }
}

fn records(bytes: &[u8]) {
    let read = Records::new(bytes).count();
    // Each record takes two bytes at least.
    assert!(
        read <= bytes.len() / 2 + 1,
        "{read} of {} bytes",
        bytes.len()
    );
    assert!(read > 0 || bytes.is_empty(), "nothing is silent");
}

fn sealed(bytes: &[u8]) {
    let (mut whole, mut begin) = (vec![0; ROOM], vec![0; ROOM]);
    let opened = open(bytes, &mut whole);
    let prefix = open_prefix(bytes, &mut begin);
    if let Ok(report) = opened {
        assert_eq!(
            prefix.ok(),
            Some(report),
            "a whole report is its own beginning"
        );
        records(report);
        let mut again = vec![0; report.len() + 64];
        let mut reopened = vec![0; ROOM];
        let again = seal(report, &mut again).ok();
        let reopened = again.and_then(|sealed| open(sealed, &mut reopened).ok());
        assert_eq!(reopened, Some(report));
    } else if let Ok(report) = prefix {
        records(report);
    }
}

/// The first two bytes say which bit of the seal changes; no change of one bit is taken.
fn changed(bytes: &[u8]) {
    let Some((place, report)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let mut room = vec![0; report.len() + 64];
    let Ok(sealed) = seal(report, &mut room) else {
        return;
    };
    let mut opened = vec![0; ROOM];
    assert_eq!(open(sealed, &mut opened).ok(), Some(report));
    let mut sealed = sealed.to_vec();
    let bit = usize::from(u16::from_le_bytes(*place)) % (sealed.len() * 8);
    if let Some(byte) = sealed.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    if let Ok(read) = open(&sealed, &mut opened) {
        assert_eq!(read, report, "bit {bit} of a seal changes what is read");
    }
}
