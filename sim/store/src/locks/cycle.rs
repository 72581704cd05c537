//! Deadlocks: does a new request close a cycle of waits?
//!
//! A transaction waits for who holds the lock and for who stands before it in the queue. Each
//! holder and each place of a queue is looked at once: who stands in a queue waits for nothing
//! but that lock, so once the queue was searched up to it there is nothing more to follow.

use super::{LockTable, Slot};

impl LockTable {
    /// Whether following who waits for whom leads back to the transaction, which has just
    /// joined a queue.
    pub(super) fn closes_cycle(&mut self, slot: Slot) -> bool {
        // It joined at the end of the queue, or shares the lock: only who waits for a lock
        // that it holds can wait for it.
        let awaited = |place: u32| {
            self.locks[place as usize].queue.iter().take(2).any(|waiter| waiter.slot != slot)
        };
        if !self.holders[slot as usize].held.iter().any(|(_, place, _)| awaited(*place)) {
            return false;
        }
        self.search = self.search.wrapping_add(1);
        let mut visit = core::mem::take(&mut self.visit);
        visit.clear();
        visit.push(slot);
        let mut found = false;
        while let Some(waiter) = visit.pop()
            && !found
        {
            found = self.follow(slot, waiter, &mut visit);
        }
        self.visit = visit;
        found
    }

    /// Looks at all that `waiter` waits for: true if `slot` is among them. Holders who may wait
    /// in their turn are appended to `visit`.
    fn follow(&mut self, slot: Slot, waiter: Slot, visit: &mut alloc::vec::Vec<Slot>) -> bool {
        let search = self.search;
        let holder = &self.holders[waiter as usize];
        let Some((_, place)) = holder.waits_for else { return false };
        if holder.passed == search {
            return false;
        }
        let lock = &mut self.locks[place as usize];
        if lock.searched.0 != search {
            lock.searched = (search, 0);
            for next in lock.exclusive.iter().chain(&lock.shared).copied() {
                // Who shares a lock and wants more of it does not wait for itself.
                if next == waiter {
                    continue;
                }
                if next == slot {
                    return true;
                }
                let next_holder = &mut self.holders[next as usize];
                if next_holder.met != search {
                    next_holder.met = search;
                    visit.push(next);
                }
            }
        }
        let from = lock.searched.1 as usize;
        let mut passed = 0;
        for ahead in lock.queue.iter().skip(from) {
            let next = ahead.slot;
            if next == slot {
                // Its own place is not passed: who comes to it later has found it.
                if waiter == slot {
                    break;
                }
                return true;
            }
            passed += 1;
            let holder = &mut self.holders[next as usize];
            (holder.met, holder.passed) = (search, search);
            if next == waiter {
                break;
            }
        }
        lock.searched.1 += passed;
        false
    }
}
