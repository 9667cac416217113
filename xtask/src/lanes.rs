//! Work that keeps one core busy each, done on all cores at once.

use anyhow::Result;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Returns how many cores there are.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does `work` for each item, up to `lanes` at a time, begun in their order; returns the results in that order. `work` hears in which lane
/// it is: a lane does one thing at a time. After an error nothing more is begun, and the first in order is returned.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    lanes: usize,
    work: impl Fn(usize, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let run = |lane| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(lane, item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((index, result));
        }
    };
    thread::scope(|scope| {
        for lane in 1..lanes.min(items.len()) {
            let run = &run;
            scope.spawn(move || run(lane));
        }
        run(0);
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::sync::Barrier;

    #[test]
    fn results_come_in_order_however_long_each_takes() {
        let slower_first = |_, &item: &u64| {
            thread::sleep(std::time::Duration::from_millis(8 - item));
            Ok(item)
        };
        for lanes in [0, 1, 2, 20] {
            let items: Vec<_> = (0..8).collect();
            assert_eq!(each(&items, lanes, slower_first).unwrap(), items);
        }
        assert_eq!(each(&[], 2, slower_first).unwrap(), [0; 0]);
    }

    #[test]
    fn lanes_run_at_the_same_time() {
        let both = Barrier::new(2);
        let mut lanes = each(&[(), ()], 2, |lane, ()| {
            both.wait();
            Ok(lane)
        })
        .unwrap();
        lanes.sort_unstable();
        assert_eq!(lanes, [0, 1]);
    }

    #[test]
    fn nothing_is_begun_after_an_error() {
        let begun = AtomicUsize::new(0);
        let error = each(&[1, 2, 3, 4], 1, |_, &item| {
            begun.fetch_add(1, Ordering::Relaxed);
            if item == 2 {
                bail!("item {item}")
            }
            Ok(())
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "item 2");
        assert_eq!(begun.into_inner(), 2);
    }
}
