//! Shared and exclusive locks: first in first out, held to the end of the transaction, with
//! deadlocks found at the request.
//!
//! A transaction waits for at most one lock. It waits for all who hold the lock and for all
//! who stand before it in the queue; a request that would close a cycle of such waits is
//! refused, so there never is one. A sole shared holder is upgraded at once, another goes to
//! the front of the queue: it could not be served after any of the others.
//!
//! Every stay in a queue is metered, so that Little's law can be checked; and who asks for it
//! is told what became of every lock ([`LockNotice`]).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use wavetank_vocabulary::{Locked, LookupMap, NodeId, RelationshipId, Time};

mod cycle;
mod notice;

pub use notice::{LockChange, LockNotice, LockOwner, LockTotals};

/// What is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LockKey(pub(crate) u64);

impl LockKey {
    pub(crate) fn node(id: u64) -> LockKey {
        LockKey(id)
    }

    pub(crate) fn relationship(id: u64) -> LockKey {
        LockKey(1 << 60 | id)
    }

    /// The right to create tokens.
    pub(crate) const TOKENS: LockKey = LockKey(2 << 60);

    /// A value in an index.
    pub(crate) fn index_entry(rule: u64, hash: u64) -> LockKey {
        LockKey(4 << 60 | hash.wrapping_add(rule.rotate_left(40)) >> 4)
    }

    /// Indexes and constraints: shared by who changes what they may be about, exclusive to
    /// who changes them.
    pub(crate) const SCHEMA: LockKey = LockKey(3 << 60);

    /// What is locked, for people.
    fn locked(self) -> Locked {
        let id = self.0 & ((1 << 60) - 1);
        match self.0 >> 60 {
            0 => Locked::Node(NodeId(id)),
            1 => Locked::Relationship(RelationshipId(id)),
            2 => Locked::Tokens,
            3 => Locked::Schema,
            _ => Locked::IndexEntry(self.0),
        }
    }
}

/// Whether others may hold it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    Shared,
    Exclusive,
}

/// A transaction's place in the slab.
pub(crate) type Slot = u32;

#[derive(Clone, Debug, Default)]
struct Lock {
    exclusive: Option<Slot>,
    shared: Vec<Slot>,
    queue: VecDeque<Waiter>,
    /// In which search for a cycle its holders were looked at, and up to which place of the
    /// queue those who wait.
    searched: (u32, u32),
}

/// Who stands in the queue of a lock.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    slot: Slot,
    mode: LockMode,
    since: Time,
    /// Who held the lock, or stood at the end of the queue, when it came.
    behind: LockOwner,
}

impl Lock {
    /// Whether the request could be granted if nobody else waited.
    fn is_free_for(&self, slot: Slot, mode: LockMode) -> bool {
        self.exclusive.is_none_or(|owner| owner == slot)
            && (mode == LockMode::Shared || self.shared.iter().all(|holder| *holder == slot))
    }

    fn is_unheld(&self) -> bool {
        self.exclusive.is_none() && self.shared.is_empty()
    }

    fn holders(&self) -> impl Iterator<Item = Slot> + '_ {
        self.exclusive.iter().chain(&self.shared).copied()
    }
}

/// A place in the slab of locks.
type Place = u32;

/// The schema's lock has a place of its own: every writer takes it.
const SCHEMA_PLACE: Place = 0;
/// So many of a transaction's locks are searched one by one, which is faster than hashing.
const SEARCHED: usize = 8;
/// Places that are kept while nothing is locked.
const KEPT: usize = 256;

#[derive(Clone, Debug, Default)]
struct Holder {
    /// What it holds, and since when.
    held: Vec<(LockKey, Place, Time)>,
    waits_for: Option<(LockKey, Place)>,
    owner: LockOwner,
    /// In which search for a cycle it was met, and met in a queue that was searched up to it.
    met: u32,
    passed: u32,
}

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    Held,
    Queued,
    Deadlock,
}

/// The table of locks and of who holds and awaits them.
#[derive(Clone, Debug)]
pub(crate) struct LockTable {
    /// Where each lock stands that is held or awaited; the schema's is not listed.
    places: LookupMap<LockKey, Place>,
    /// Their buffers are used again.
    locks: Vec<Lock>,
    free: Vec<Place>,
    holders: Vec<Holder>,
    waiting: usize,
    longest_queue: usize,
    /// The time of the present step.
    now: Time,
    /// How many ever waited; the integral of how many do, up to `changed`; the sum of the waits
    /// that are over.
    waited: u64,
    presence: u128,
    changed: Time,
    stays: u128,
    /// What became of locks, if somebody asks for it.
    notices: Option<Vec<LockNotice>>,
    /// Used while looking for a cycle.
    visit: Vec<Slot>,
    search: u32,
}

impl Default for LockTable {
    fn default() -> LockTable {
        LockTable {
            places: LookupMap::new(),
            locks: Vec::from([Lock::default()]),
            free: Vec::new(),
            holders: Vec::new(),
            waiting: 0,
            longest_queue: 0,
            now: Time::ZERO,
            waited: 0,
            presence: 0,
            changed: Time::ZERO,
            stays: 0,
            notices: None,
            visit: Vec::new(),
            search: 0,
        }
    }
}

impl LockTable {
    /// The place of a lock, given one if it has none.
    #[inline]
    fn place(&mut self, slot: Slot, key: LockKey) -> Place {
        if key == LockKey::SCHEMA {
            return SCHEMA_PLACE;
        }
        // What it took last is often asked for again.
        let held = &self.holders[slot as usize].held;
        if let Some(held) = held.iter().rev().take(SEARCHED).find(|held| held.0 == key) {
            return held.1;
        }
        let (locks, free) = (&mut self.locks, &mut self.free);
        *self.places.get_or_insert_with(key, || {
            free.pop().unwrap_or_else(|| {
                locks.push(Lock::default());
                (locks.len() - 1) as Place
            })
        })
    }

    /// Asks for a lock. `Queued` may be asked again, and stays queued until granted. Who got
    /// a lock because another request was given up is appended to `granted`.
    #[inline]
    pub(crate) fn request(
        &mut self,
        slot: Slot,
        key: LockKey,
        mode: LockMode,
        granted: &mut Vec<Slot>,
    ) -> Grant {
        if self.holders.len() <= slot as usize {
            self.holders.resize_with(slot as usize + 1, Holder::default);
        }
        let place = self.place(slot, key);
        let now = self.now;
        let lock = &mut self.locks[place as usize];
        let holder = &mut self.holders[slot as usize];
        let shares = lock.shared.contains(&slot);
        if lock.exclusive == Some(slot) || (shares && mode == LockMode::Shared) {
            return Grant::Held;
        }
        if holder.waits_for.is_some_and(|(_, awaited)| awaited == place) {
            return Grant::Queued;
        }
        if lock.is_free_for(slot, mode) && (shares || lock.queue.is_empty()) {
            grant(lock, slot, mode);
            if !shares {
                holder.held.push((key, place, now));
            }
            return Grant::Held;
        }
        self.enqueue(slot, (key, place), mode, shares, granted)
    }

    /// Whether the transaction holds the lock.
    pub(crate) fn holds(&self, slot: Slot, key: LockKey, mode: LockMode) -> bool {
        let place = match key {
            LockKey::SCHEMA => Some(SCHEMA_PLACE),
            _ => self.places.get(&key).copied(),
        };
        let Some(lock) = place.and_then(|place| self.locks.get(place as usize)) else {
            return false;
        };
        let shares = mode == LockMode::Shared && lock.shared.contains(&slot);
        lock.exclusive == Some(slot) || shares
    }

    /// Takes a lock if that needs no waiting.
    pub(crate) fn try_lock(&mut self, slot: Slot, key: LockKey, mode: LockMode) -> bool {
        let mut granted = Vec::new();
        match self.request(slot, key, mode, &mut granted) {
            Grant::Held => true,
            Grant::Deadlock => false,
            Grant::Queued => {
                self.leave_queue(slot, &mut granted);
                false
            }
        }
    }

    fn enqueue(
        &mut self,
        slot: Slot,
        awaited: (LockKey, Place),
        mode: LockMode,
        shares: bool,
        granted: &mut Vec<Slot>,
    ) -> Grant {
        self.leave_queue(slot, granted);
        let behind = self.behind(slot, awaited.1);
        let waiter = Waiter { slot, mode, since: self.now, behind };
        let lock = &mut self.locks[awaited.1 as usize];
        if shares {
            lock.queue.push_front(waiter);
        } else {
            lock.queue.push_back(waiter);
        }
        let length = lock.queue.len();
        self.holders[slot as usize].waits_for = Some(awaited);
        self.waiter_comes();
        if self.closes_cycle(slot) {
            self.tell(slot, awaited.0, LockChange::Refused { behind });
            self.leave_queue(slot, granted);
            return Grant::Deadlock;
        }
        self.longest_queue = self.longest_queue.max(length);
        Grant::Queued
    }

    /// Releases all that the transaction holds and drops its request; who got a lock by
    /// that is appended to `granted`.
    pub(crate) fn release_all(&mut self, slot: Slot, granted: &mut Vec<Slot>) {
        if self.holders.len() <= slot as usize {
            return;
        }
        self.leave_queue(slot, granted);
        let mut held = core::mem::take(&mut self.holders[slot as usize].held);
        for (key, place, since) in held.drain(..) {
            self.tell(slot, key, LockChange::Released { held: self.now.since(since) });
            let lock = &mut self.locks[place as usize];
            if lock.exclusive == Some(slot) {
                lock.exclusive = None;
            } else if let Some(at) = lock.shared.iter().position(|holder| *holder == slot) {
                lock.shared.swap_remove(at);
            }
            self.serve(key, place, granted);
        }
        self.holders[slot as usize].held = held;
        if self.locks.len() > KEPT && self.places.is_empty() {
            // A clone need not carry what one large transaction once locked.
            self.locks.truncate(1);
            self.free = Vec::new();
            self.places = LookupMap::new();
        }
    }

    /// Grants what can be granted from the front of the queue.
    #[inline]
    fn serve(&mut self, key: LockKey, place: Place, granted: &mut Vec<Slot>) {
        loop {
            let lock = &mut self.locks[place as usize];
            let Some(waiter) = lock.queue.front().copied() else { break };
            let Waiter { slot: next, mode, .. } = waiter;
            if !lock.is_free_for(next, mode) {
                break;
            }
            lock.queue.pop_front();
            let holder = &mut self.holders[next as usize];
            if !lock.shared.contains(&next) {
                holder.held.push((key, place, self.now));
            }
            grant(lock, next, mode);
            holder.waits_for = None;
            self.waiter_goes(key, &waiter, true);
            granted.push(next);
        }
        let lock = &self.locks[place as usize];
        if lock.is_unheld() && place != SCHEMA_PLACE {
            self.places.remove(&key);
            self.free.push(place);
        }
    }

    /// Drops the transaction's request, if it has one.
    #[inline]
    fn leave_queue(&mut self, slot: Slot, granted: &mut Vec<Slot>) {
        if let Some((key, place)) = self.holders[slot as usize].waits_for.take() {
            let queue = &mut self.locks[place as usize].queue;
            if let Some(at) = queue.iter().position(|waiter| waiter.slot == slot)
                && let Some(waiter) = queue.remove(at)
            {
                self.waiter_goes(key, &waiter, false);
            }
            // Those behind may have waited for this one alone.
            self.serve(key, place, granted);
        }
    }
}

fn grant(lock: &mut Lock, slot: Slot, mode: LockMode) {
    match mode {
        LockMode::Shared => lock.shared.push(slot),
        LockMode::Exclusive => {
            lock.shared.clear();
            lock.exclusive = Some(slot);
        }
    }
}

#[cfg(test)]
mod tests;
