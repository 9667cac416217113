//! Work that keeps one core busy each, done on all cores at once.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Result;

use crate::interrupt;

/// Returns how many cores there are.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Calls `work` for each item on up to `lanes` threads and returns the results in the order of the
/// items.
///
/// Items are begun in their order. `work` gets the number of its lane: a lane does one thing at a
/// time.
///
/// # Errors
///
/// The first error in the order of the items; no item is begun after an error.
pub fn each<T: Sync, R: Send>(
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
            let result = interrupt::check().and_then(|()| work(lane, item));
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

/// How many cores an item keeps busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// One.
    One,
    /// All of them: it runs alone.
    All,
}

/// As [`each`] with a lane for each core; items that want all cores run alone, after the others.
///
/// # Errors
///
/// As [`each`].
pub fn by_cores<T: Sync, R: Send>(
    items: &[T],
    wants: impl Fn(&T) -> Cores,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (shared, alone): (Vec<_>, Vec<_>) = items
        .iter()
        .enumerate()
        .partition(|(_, item)| wants(item) == Cores::One);
    let one = |_, &(number, item): &(usize, &T)| Ok((number, work(item)?));
    let mut done = each(&shared, cores(), one)?;
    done.extend(each(&alone, 1, one)?);
    done.sort_by_key(|&(number, _)| number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use anyhow::bail;

    use super::*;

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
    fn items_that_want_all_cores_run_last_and_results_keep_their_order() {
        let begun = Mutex::new(Vec::new());
        let items = [Cores::All, Cores::One, Cores::All, Cores::One];
        let numbered: Vec<_> = items.into_iter().zip(0..).collect();
        let results = by_cores(
            &numbered,
            |(cores, _)| *cores,
            |&(cores, number)| {
                begun.lock().unwrap().push(cores);
                Ok(number)
            },
        );
        assert_eq!(results.unwrap(), [0, 1, 2, 3]);
        let begun = begun.into_inner().unwrap();
        assert_eq!(begun[..2], [Cores::One; 2]);
        assert_eq!(begun[2..], [Cores::All; 2]);
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
