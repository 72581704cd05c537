//! Many pieces of work on a few threads, in the order of their numbers. What they give is put in
//! order at the end, so it does not depend on how many threads there are.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What became of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn<R> {
    /// It is over.
    Over(R),
    /// There was nothing to do.
    Nothing,
    /// There was no time left for it, nor for any after it.
    NoTime,
}

/// What is behind our locks is whole at any time.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does the pieces `0..total` on `jobs` threads. Gives the results of those that are over, by their
/// numbers, and whether there was time for all.
///
/// # Errors
/// The first of `one`; no further piece is begun then.
pub(crate) fn in_turn<R: Send, E: Send>(
    total: u64,
    jobs: usize,
    one: impl Fn(u64) -> Result<Turn<R>, E> + Sync,
) -> Result<(Vec<R>, bool), E> {
    let next = AtomicU64::new(0);
    let ended = AtomicBool::new(false);
    let failed: Mutex<Option<E>> = Mutex::new(None);
    let results: Mutex<Vec<(u64, R)>> = Mutex::new(Vec::new());
    let worker = || {
        while !ended.load(Ordering::Relaxed) && locked(&failed).is_none() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= total {
                return;
            }
            match one(index) {
                Ok(Turn::Over(result)) => locked(&results).push((index, result)),
                Ok(Turn::Nothing) => {}
                Ok(Turn::NoTime) => ended.store(true, Ordering::Relaxed),
                Err(error) => {
                    locked(&failed).get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(worker);
        }
        worker();
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    Ok((results.into_iter().map(|(_, result)| result).collect(), !ended.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whoever_was_first() {
        let even = |n: u64| -> Result<Turn<u64>, ()> {
            Ok(if n.is_multiple_of(2) { Turn::Over(n) } else { Turn::Nothing })
        };
        assert_eq!(in_turn(7, 3, even), Ok((vec![0, 2, 4, 6], true)));
        assert_eq!(in_turn(0, 3, even), Ok((vec![], true)));
    }

    #[test]
    fn nothing_is_begun_after_an_end_or_an_error() {
        let until = |n: u64| Ok::<_, ()>(if n < 3 { Turn::Over(n) } else { Turn::NoTime });
        assert_eq!(in_turn(9, 1, until), Ok((vec![0, 1, 2], false)));
        let wrong = |n: u64| if n < 3 { Ok(Turn::Over(n)) } else { Err(n) };
        assert_eq!(in_turn(9, 1, wrong), Err(3));
    }
}
