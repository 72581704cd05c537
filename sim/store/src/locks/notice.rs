//! What became of locks, for who asks; and the sums by which Little's law is checked.

use alloc::vec::Vec;
use wavetank_vocabulary::{Locked, OperationKind, Span, Time};

use super::{LockKey, LockTable, Place, SCHEMA_PLACE, Slot, Waiter};

/// For whom a transaction takes its locks, as the driver says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockOwner {
    /// The operation, as in [`Store::begin`](crate::Store::begin); 0 is none.
    pub operation: u64,
    /// What kind of operation that is, if the driver said so.
    pub kind: Option<OperationKind>,
}

/// What became of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockChange {
    /// A wait for it is over.
    Waited {
        /// Who held the lock, or stood last in the queue, when the wait began.
        behind: LockOwner,
        /// How long it took.
        waited: Span,
        /// Whether the lock was got: else the wait was given up.
        granted: bool,
    },
    /// It was not given, for that would have closed a cycle of waits.
    Refused {
        /// Who held the lock, or stood last in the queue.
        behind: LockOwner,
    },
    /// It was held, and is so no longer.
    Released {
        /// For how long it was held.
        held: Span,
    },
}

/// What became of a transaction's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockNotice {
    /// What is locked.
    pub lock: Locked,
    /// By whom.
    pub owner: LockOwner,
    /// What happened.
    pub change: LockChange,
}

/// The two sides of Little's law over the queues of all locks, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockTotals {
    /// How many requests ever waited.
    pub arrivals: u64,
    /// The integral over time of how many wait.
    pub presence: u128,
    /// The sum of all waits, those that are not over yet up to now.
    pub stays: u128,
}

impl LockTable {
    /// The time of what happens from here on.
    #[inline]
    pub(crate) fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// From here on what becomes of locks is noted.
    pub(crate) fn watch(&mut self) {
        self.notices.get_or_insert_default();
    }

    /// Moves what was noted to the end of `out`.
    #[inline]
    pub(crate) fn take_notices(&mut self, out: &mut Vec<LockNotice>) {
        if let Some(notices) = &mut self.notices {
            out.append(notices);
        }
    }

    /// Says for whom a transaction takes its locks.
    #[inline]
    pub(crate) fn set_owner(&mut self, slot: Slot, owner: LockOwner) {
        if self.holders.len() <= slot as usize {
            self.holders.resize_with(slot as usize + 1, Default::default);
        }
        self.holders[slot as usize].owner = owner;
    }

    #[inline]
    pub(super) fn tell(&mut self, slot: Slot, key: LockKey, change: LockChange) {
        if let Some(notices) = &mut self.notices {
            let owner = self.holders[slot as usize].owner;
            notices.push(LockNotice { lock: key.locked(), owner, change });
        }
    }

    /// Whom a new request waits behind.
    pub(super) fn behind(&self, slot: Slot, place: Place) -> LockOwner {
        let lock = &self.locks[place as usize];
        let holder = lock.holders().find(|holder| *holder != slot);
        let last = lock.queue.back().map(|waiter| waiter.slot);
        holder.or(last).map_or(LockOwner::default(), |slot| self.holders[slot as usize].owner)
    }

    fn integrate(&mut self) {
        let waited = u128::from(self.now.since(self.changed).as_nanos());
        self.presence += self.waiting as u128 * waited;
        self.changed = self.now;
    }

    pub(super) fn waiter_comes(&mut self) {
        self.integrate();
        self.waited += 1;
        self.waiting += 1;
    }

    pub(super) fn waiter_goes(&mut self, key: LockKey, waiter: &Waiter, granted: bool) {
        self.integrate();
        self.waiting -= 1;
        let waited = self.now.since(waiter.since);
        self.stays += u128::from(waited.as_nanos());
        let behind = waiter.behind;
        self.tell(waiter.slot, key, LockChange::Waited { behind, waited, granted });
    }

    /// Drops who is last in the queue that the transaction stands in, if more than `most` do: a
    /// bug that can be planted.
    pub(crate) fn forget(&mut self, slot: Slot, most: usize) {
        let Some((_, place)) = self.holders[slot as usize].waits_for else { return };
        let queue = &mut self.locks[place as usize].queue;
        if queue.len() > most {
            queue.pop_back();
        }
    }

    /// Both sides of Little's law up to `now`.
    pub(crate) fn totals(&self, now: Time) -> LockTotals {
        let since = |at: Time| u128::from(now.since(at).as_nanos());
        let places = self.locks.iter().flat_map(|lock| &lock.queue);
        let inside: u128 = places.map(|waiter| since(waiter.since)).sum();
        LockTotals {
            arrivals: self.waited,
            presence: self.presence + self.waiting as u128 * since(self.changed),
            stays: self.stays + inside,
        }
    }

    /// How many locks are held.
    pub(crate) fn held(&self) -> usize {
        self.places.len() + usize::from(!self.locks[SCHEMA_PLACE as usize].is_unheld())
    }

    /// How many transactions wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// The most that ever waited for one lock.
    pub(crate) fn longest_queue(&self) -> usize {
        self.longest_queue
    }
}
