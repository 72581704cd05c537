//! Shared and exclusive locks: first in first out, held to the end of the transaction, with
//! deadlocks found at the request.
//!
//! A transaction waits for at most one lock. It waits for all who hold the lock and for all
//! who stand before it in the queue; a request that would close a cycle of such waits is
//! refused, so there never is one. A sole shared holder is upgraded at once, another goes to
//! the front of the queue: it could not be served after any of the others.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use wavetank_vocabulary::LookupMap;

/// What is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LockKey(u64);

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
    queue: VecDeque<(Slot, LockMode)>,
}

impl Lock {
    /// Whether the request could be granted if nobody else waited.
    fn is_free_for(&self, slot: Slot, mode: LockMode) -> bool {
        self.exclusive.is_none_or(|owner| owner == slot)
            && (mode == LockMode::Shared || self.shared.iter().all(|holder| *holder == slot))
    }

    fn holders(&self) -> impl Iterator<Item = Slot> + '_ {
        self.exclusive.iter().chain(&self.shared).copied()
    }
}

#[derive(Clone, Debug, Default)]
struct Holder {
    held: Vec<LockKey>,
    waits_for: Option<LockKey>,
}

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    Held,
    Queued,
    Deadlock,
}

/// The table of locks and of who holds and awaits them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LockTable {
    locks: LookupMap<LockKey, Lock>,
    holders: Vec<Holder>,
    waiting: usize,
    longest_queue: usize,
    /// Used while looking for a cycle.
    visit: Vec<Slot>,
}

impl LockTable {
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
        let Some(lock) = self.locks.get_mut(&key) else {
            let lock = match mode {
                LockMode::Exclusive => Lock { exclusive: Some(slot), ..Lock::default() },
                LockMode::Shared => Lock { shared: Vec::from([slot]), ..Lock::default() },
            };
            self.locks.insert(key, lock);
            self.holders[slot as usize].held.push(key);
            return Grant::Held;
        };
        let shares = lock.shared.contains(&slot);
        if lock.exclusive == Some(slot) || (shares && mode == LockMode::Shared) {
            return Grant::Held;
        }
        if self.holders[slot as usize].waits_for == Some(key) {
            return Grant::Queued;
        }
        if lock.is_free_for(slot, mode) && (shares || lock.queue.is_empty()) {
            grant(lock, slot, mode);
            if !shares {
                self.holders[slot as usize].held.push(key);
            }
            return Grant::Held;
        }
        self.enqueue(slot, key, mode, shares, granted)
    }

    fn enqueue(
        &mut self,
        slot: Slot,
        key: LockKey,
        mode: LockMode,
        shares: bool,
        granted: &mut Vec<Slot>,
    ) -> Grant {
        self.leave_queue(slot, granted);
        let lock = self.locks.get_mut(&key).expect("looked up by the caller");
        if shares {
            lock.queue.push_front((slot, mode));
        } else {
            lock.queue.push_back((slot, mode));
        }
        let length = lock.queue.len();
        self.holders[slot as usize].waits_for = Some(key);
        self.waiting += 1;
        if self.closes_cycle(slot) {
            self.leave_queue(slot, granted);
            return Grant::Deadlock;
        }
        self.longest_queue = self.longest_queue.max(length);
        Grant::Queued
    }

    /// Whether following who waits for whom leads back to the transaction.
    fn closes_cycle(&mut self, slot: Slot) -> bool {
        let mut visit = core::mem::take(&mut self.visit);
        visit.clear();
        visit.push(slot);
        let mut at = 0;
        let mut found = false;
        while at < visit.len() && !found {
            let waiter = visit[at];
            at += 1;
            let Some(key) = self.holders[waiter as usize].waits_for else { continue };
            let lock = self.locks.get(&key).expect("awaited locks are held");
            let ahead = lock.queue.iter().map(|(slot, _)| *slot).take_while(|s| *s != waiter);
            for next in lock.holders().filter(|holder| *holder != waiter).chain(ahead) {
                found |= next == slot;
                if !visit.contains(&next) {
                    visit.push(next);
                }
            }
        }
        self.visit = visit;
        found
    }

    /// Releases all that the transaction holds and drops its request; who got a lock by
    /// that is appended to `granted`.
    pub(crate) fn release_all(&mut self, slot: Slot, granted: &mut Vec<Slot>) {
        if self.holders.len() <= slot as usize {
            return;
        }
        self.leave_queue(slot, granted);
        let mut held = core::mem::take(&mut self.holders[slot as usize].held);
        for key in held.drain(..) {
            let lock = self.locks.get_mut(&key).expect("held locks are in the table");
            if lock.exclusive == Some(slot) {
                lock.exclusive = None;
            } else {
                lock.shared.retain(|holder| *holder != slot);
            }
            self.serve(key, granted);
        }
        self.holders[slot as usize].held = held;
    }

    /// Grants what can be granted from the front of the queue.
    fn serve(&mut self, key: LockKey, granted: &mut Vec<Slot>) {
        let lock = self.locks.get_mut(&key).expect("the caller has looked it up");
        while let Some((next, mode)) = lock.queue.front().copied() {
            if !lock.is_free_for(next, mode) {
                break;
            }
            lock.queue.pop_front();
            let holder = &mut self.holders[next as usize];
            if !lock.shared.contains(&next) {
                holder.held.push(key);
            }
            grant(lock, next, mode);
            holder.waits_for = None;
            self.waiting -= 1;
            granted.push(next);
        }
        if lock.exclusive.is_none() && lock.shared.is_empty() {
            self.locks.remove(&key);
        }
    }

    /// Drops the transaction's request, if it has one.
    fn leave_queue(&mut self, slot: Slot, granted: &mut Vec<Slot>) {
        if let Some(key) = self.holders[slot as usize].waits_for.take() {
            let lock = self.locks.get_mut(&key).expect("awaited locks are held");
            lock.queue.retain(|(waiter, _)| *waiter != slot);
            self.waiting -= 1;
            // Those behind may have waited for this one alone.
            self.serve(key, granted);
        }
    }

    /// How many locks are held.
    pub(crate) fn held(&self) -> usize {
        self.locks.len()
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
