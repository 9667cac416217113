//! Masks, as people name bits.

/// Returns a number that is written in hexadecimal digits after `0x`.
pub(super) fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Returns the first and the last number of each run of set bits, from bit 0 on.
fn runs(mask: u64) -> Vec<(u32, u32)> {
    let mut runs = Vec::<(u32, u32)>::new();
    for bit in (0..64).filter(|bit| mask >> bit & 1 != 0) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == bit => *last = bit,
            _ => runs.push((bit, bit)),
        }
    }
    runs
}

/// Returns the bits of a hexadecimal mask as manuals name them: `63:32 and 29:0`.
pub(super) fn ranges(mask: &str) -> Option<String> {
    let runs = runs(hex(mask)?).into_iter().rev();
    let names = runs.map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{last}:{first}"),
    });
    Some(joined(names.collect()))
}

/// Returns the numbers whose bits are set: `0, 2 and 4 to 7`.
pub(super) fn list(numbers: u64) -> String {
    let names = runs(numbers).into_iter().flat_map(|(first, last)| {
        if last - first < 3 {
            (first..=last).map(|number| number.to_string()).collect()
        } else {
            vec![format!("{first} to {last}")]
        }
    });
    joined(names.collect())
}

fn joined(mut names: Vec<String>) -> String {
    let Some(last) = names.pop() else {
        return "none".to_owned();
    };
    match names.is_empty() {
        true => last,
        false => format!("{} and {last}", names.join(", ")),
    }
}
