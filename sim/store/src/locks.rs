//! Exclusive locks on nodes and relationships: first in first out, held to the end of the
//! transaction, with deadlocks found at the request.
//!
//! A transaction waits for at most one lock. Waiting behind others in a queue adds no
//! wait-for edge of its own: whoever stands ahead waits for the same owner, so following
//! owners alone finds every cycle. The victim is the requester that would close it.

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
}

/// A transaction's place in the slab.
pub(crate) type Slot = u32;

#[derive(Clone, Debug)]
struct Lock {
    owner: Slot,
    queue: VecDeque<Slot>,
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
}

impl LockTable {
    /// Asks for a lock. `Queued` may be asked again, and stays queued until granted.
    pub(crate) fn request(&mut self, slot: Slot, key: LockKey) -> Grant {
        if self.holders.len() <= slot as usize {
            self.holders.resize_with(slot as usize + 1, Holder::default);
        }
        let Some(lock) = self.locks.get(&key) else {
            self.locks.insert(key, Lock { owner: slot, queue: VecDeque::new() });
            self.holders[slot as usize].held.push(key);
            return Grant::Held;
        };
        if lock.owner == slot {
            return Grant::Held;
        }
        if self.holders[slot as usize].waits_for == Some(key) {
            return Grant::Queued;
        }
        let mut owner = lock.owner;
        self.leave_queue(slot);
        while let Some(next) = self.holders[owner as usize].waits_for {
            owner = self.locks.get(&next).expect("awaited locks are held").owner;
            if owner == slot {
                return Grant::Deadlock;
            }
        }
        self.locks.get_mut(&key).expect("looked up above").queue.push_back(slot);
        self.holders[slot as usize].waits_for = Some(key);
        Grant::Queued
    }

    /// Releases all that the transaction holds and drops its request; who got a lock by
    /// that is appended to `granted`.
    pub(crate) fn release_all(&mut self, slot: Slot, granted: &mut Vec<Slot>) {
        if self.holders.len() <= slot as usize {
            return;
        }
        self.leave_queue(slot);
        let mut held = core::mem::take(&mut self.holders[slot as usize].held);
        for key in held.drain(..) {
            let lock = self.locks.get_mut(&key).expect("held locks are in the table");
            match lock.queue.pop_front() {
                Some(next) => {
                    lock.owner = next;
                    let holder = &mut self.holders[next as usize];
                    holder.waits_for = None;
                    holder.held.push(key);
                    granted.push(next);
                }
                None => {
                    self.locks.remove(&key);
                }
            }
        }
        self.holders[slot as usize].held = held;
    }

    /// Drops the transaction's request, if it has one.
    fn leave_queue(&mut self, slot: Slot) {
        if let Some(key) = self.holders[slot as usize].waits_for.take() {
            let lock = self.locks.get_mut(&key).expect("awaited locks are held");
            lock.queue.retain(|waiter| *waiter != slot);
        }
    }

    /// How many locks are held.
    pub(crate) fn held(&self) -> usize {
        self.locks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn node(id: u64) -> LockKey {
        LockKey::node(id)
    }

    #[test]
    fn locks_are_granted_in_the_order_of_requests() {
        let mut table = LockTable::default();
        assert_eq!(table.request(0, node(7)), Grant::Held);
        assert_eq!(table.request(2, node(7)), Grant::Queued);
        assert_eq!(table.request(1, node(7)), Grant::Queued);
        assert_eq!(table.request(2, node(7)), Grant::Queued);
        assert_eq!(table.request(0, node(7)), Grant::Held);
        let mut granted = vec![];
        table.release_all(0, &mut granted);
        assert_eq!(granted, [2]);
        table.release_all(2, &mut granted);
        assert_eq!(granted, [2, 1]);
        table.release_all(1, &mut granted);
        assert_eq!((granted.len(), table.held()), (2, 0));
    }

    #[test]
    fn the_request_that_closes_a_cycle_is_refused() {
        let mut table = LockTable::default();
        for slot in 0..3 {
            table.request(slot, node(u64::from(slot)));
        }
        assert_eq!(table.request(0, node(1)), Grant::Queued);
        assert_eq!(table.request(1, node(2)), Grant::Queued);
        assert_eq!(table.request(2, node(0)), Grant::Deadlock);
        // The victim gives way, and the others go on.
        let mut granted = vec![];
        table.release_all(2, &mut granted);
        table.release_all(1, &mut granted);
        table.release_all(0, &mut granted);
        assert_eq!(granted, [1, 0]);
        assert_eq!(table.held(), 0);
    }

    #[test]
    fn a_request_can_be_dropped() {
        let mut table = LockTable::default();
        table.request(0, LockKey::relationship(4));
        table.request(1, LockKey::relationship(4));
        table.request(2, LockKey::relationship(4));
        let mut granted = vec![];
        table.release_all(1, &mut granted);
        assert!(granted.is_empty());
        table.release_all(0, &mut granted);
        assert_eq!(granted, [2]);
    }
}
