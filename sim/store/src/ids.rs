//! Ids that may be given out again: those of records that were deleted.
//!
//! When an id may be used again: the transaction that freed it, and all before it, are
//! applied here (so its log entry is durable); every transaction that was open at that
//! moment has ended, as it may still hold the id (in an expansion's cursor, in its client's
//! hands); and the safe zone has passed since, so that no slave still reads the old record
//! (HA specification, sections 1.2 and 3). Until then it rests. Ids of a transaction that is
//! rolled back were never seen by another and are free at once.
//!
//! The lowest free id is given out first, so that files stay dense and replays agree. Only a
//! master gives ids out; a slave learns from every record that it applies which ids are in
//! use, and so knows the free ones if it becomes the master. After a crash the free ids are
//! those of the last checkpoint (see `meta`), brought up to date by the log that is replayed.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;

use crate::disk::FileKind;

/// A moment: how many transactions had begun, and the clock in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) begun: u64,
    pub(crate) clock_ms: u64,
}

#[derive(Clone, Debug, Default)]
struct KindIds {
    free: BTreeSet<u64>,
    /// Freed, not yet to be used, in the order in which they were freed.
    queue: VecDeque<(u64, Moment)>,
    /// The same by id: an entry of the queue counts if it is the one that stands here.
    resting: BTreeMap<u64, u64>,
}

/// The unused ids of every kind of record.
#[derive(Clone, Debug, Default)]
pub(crate) struct FreeIds {
    /// Shared by clones of the store until one of them changes.
    kinds: [Arc<KindIds>; FileKind::TABLE],
    rests: usize,
}

impl FreeIds {
    /// The lowest free id, if there is one; it is no longer free.
    #[inline]
    pub(crate) fn take(&mut self, kind: FileKind) -> Option<u64> {
        let ids = &mut self.kinds[kind as usize];
        if ids.free.is_empty() { None } else { Arc::make_mut(ids).free.pop_first() }
    }

    /// The id is free at once.
    pub(crate) fn put(&mut self, kind: FileKind, id: u64) {
        Arc::make_mut(&mut self.kinds[kind as usize]).free.insert(id);
    }

    /// All these are free at once.
    pub(crate) fn put_range(&mut self, kind: FileKind, range: core::ops::Range<u64>) {
        if !range.is_empty() {
            Arc::make_mut(&mut self.kinds[kind as usize]).free.extend(range);
        }
    }

    /// Forgets the free ids from `end` on.
    pub(crate) fn truncate(&mut self, kind: FileKind, end: u64) {
        if self.kinds[kind as usize].free.last().is_some_and(|last| *last >= end) {
            Arc::make_mut(&mut self.kinds[kind as usize]).free.split_off(&end);
        }
    }

    /// The id was freed at that moment and rests.
    pub(crate) fn rest(&mut self, kind: FileKind, id: u64, freed: Moment) {
        let ids = Arc::make_mut(&mut self.kinds[kind as usize]);
        if ids.free.contains(&id) {
            return;
        }
        self.rests += usize::from(ids.resting.insert(id, freed.begun).is_none());
        ids.queue.push_back((id, freed));
    }

    /// The id is in use: a record was applied that this instance did not make.
    pub(crate) fn used(&mut self, kind: FileKind, id: u64) {
        let ids = &mut self.kinds[kind as usize];
        if ids.free.is_empty() && ids.resting.is_empty() {
            return;
        }
        let ids = Arc::make_mut(ids);
        ids.free.remove(&id);
        if ids.resting.remove(&id).is_some() {
            self.rests -= 1;
        }
    }

    /// Whether any id rests.
    #[inline]
    pub(crate) fn any_rests(&self) -> bool {
        self.rests > 0
    }

    /// Frees the ids that were freed when no transaction of `oldest` or later (counted by
    /// their beginnings) was open, and at or before `clock_ms`.
    pub(crate) fn settle(&mut self, oldest: u64, clock_ms: u64) {
        for ids in self.kinds.iter_mut().filter(|ids| !ids.queue.is_empty()) {
            let ids = Arc::make_mut(ids);
            while let Some((id, freed)) = ids.queue.front().copied() {
                if freed.begun > oldest || freed.clock_ms > clock_ms {
                    break;
                }
                ids.queue.pop_front();
                if ids.resting.get(&id) == Some(&freed.begun) {
                    ids.resting.remove(&id);
                    ids.free.insert(id);
                    self.rests -= 1;
                }
            }
        }
    }

    /// How many entries the queues of freed ids have.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.kinds.iter().map(|ids| ids.queue.len()).sum()
    }

    /// How many are free or rest.
    pub(crate) fn count(&self, kind: FileKind) -> usize {
        let ids = &self.kinds[kind as usize];
        ids.free.len() + ids.resting.len()
    }

    /// All that are free or rest: first those that are free, each ascending.
    pub(crate) fn unused(&self, kind: FileKind) -> impl Iterator<Item = u64> + '_ {
        let ids = &self.kinds[kind as usize];
        ids.free.iter().chain(ids.resting.keys()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: FileKind = FileKind::Nodes;

    fn at(begun: u64, clock_ms: u64) -> Moment {
        Moment { begun, clock_ms }
    }

    #[test]
    fn ids_rest_until_older_transactions_have_ended_and_time_has_passed() {
        let mut ids = FreeIds::default();
        ids.rest(KIND, 9, at(5, 100));
        ids.settle(4, 1000);
        assert_eq!(ids.take(KIND), None, "the fifth transaction is open");
        ids.settle(5, 99);
        assert_eq!(ids.take(KIND), None, "too early");
        ids.settle(5, 100);
        assert_eq!((ids.take(KIND), ids.take(KIND), ids.any_rests()), (Some(9), None, false));
    }

    #[test]
    fn the_lowest_is_given_out_first_and_a_used_one_never() {
        let mut ids = FreeIds::default();
        for id in [8, 2, 5] {
            ids.put(KIND, id);
        }
        ids.rest(KIND, 3, at(0, 0));
        ids.rest(KIND, 4, at(0, 0));
        ids.used(KIND, 2);
        ids.used(KIND, 3);
        assert_eq!(ids.count(KIND), 3);
        ids.settle(0, 0);
        assert_eq!([4, 5, 8].map(Some), core::array::from_fn(|_| ids.take(KIND)));
        assert_eq!(ids.take(FileKind::Properties), None);
    }

    proptest! {
        #[test]
        fn every_id_is_free_or_rests_or_is_used(steps in prop::collection::vec((0..5u8, 0..8u64), 0..60)) {
            let mut ids = FreeIds::default();
            let mut unused = BTreeSet::new();
            for (now, (step, id)) in steps.into_iter().enumerate() {
                let now = now as u64;
                match step {
                    0 if unused.insert(id) => ids.put(KIND, id),
                    1 if unused.insert(id) => ids.rest(KIND, id, at(now, now)),
                    2 => {
                        ids.used(KIND, id);
                        unused.remove(&id);
                    }
                    3 => ids.settle(now, now.saturating_sub(3)),
                    _ => {
                        if let Some(id) = ids.take(KIND) {
                            prop_assert!(unused.remove(&id));
                        }
                    }
                }
                let known: BTreeSet<u64> = ids.unused(KIND).collect();
                prop_assert_eq!((known.len(), &known), (ids.count(KIND), &unused));
            }
        }
    }
}
