//! Processor time of another process.

use std::fs;
use std::time::Duration;

/// What Linux calls USER_HZ: the unit of times in `/proc`, on every x86.
const TICKS_PER_SECOND: u32 = 100;

/// Returns the time that the threads of a process have spent outside the kernel, if it is there: a
/// process that ended is, until its parent has waited for it.
pub(crate) fn user(pid: u32) -> Option<Duration> {
    read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads the 14th field; the second, a name in parentheses, may hold anything.
fn read(stat: &str) -> Option<Duration> {
    let (_, behind) = stat.rsplit_once(')')?;
    let ticks: u32 = behind.split_whitespace().nth(11)?.parse().ok()?;
    Some(Duration::from_secs(ticks.into()) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_found_behind_any_name() {
        let stat = "42 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 250 30 0 0";
        assert_eq!(read(stat), Some(Duration::from_millis(2500)));
        assert_eq!(read("42"), None);
        assert!(user(std::process::id()).is_some());
    }
}
