//! Lists of CPUs as Linux writes them: `0-3,8`.

use crate::CpuNumber;

/// The most CPUs that a list may have: more than any Linux is built for.
pub(crate) const MOST: u32 = 1 << 16;

/// Returns the CPUs of a list; `None` if it is not one, or is empty.
pub(crate) fn parse(text: &str) -> Option<Vec<CpuNumber>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        cpus.extend((first..=last).map(CpuNumber));
    }
    Some(cpus)
}

/// Returns the list of sorted CPUs.
pub(crate) fn render(cpus: &[CpuNumber]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for CpuNumber(cpu) in cpus.iter().copied() {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(cpu) => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let texts = ranges.into_iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        for text in ["0", "0-3", "0-3,8", "1,3,5-6"] {
            assert_eq!(render(&parse(text).unwrap()), text);
        }
        assert_eq!(parse("0-3,8\n").unwrap().len(), 5);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "\n", "a", "3-1", "0-", "0,,1", "0-4294967295"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
