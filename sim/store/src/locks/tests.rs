//! Fairness, upgrades, deadlocks; and invariants under random requests.

use super::*;
use alloc::vec;
use proptest::prelude::*;

use LockMode::{Exclusive, Shared};

fn node(id: u64) -> LockKey {
    LockKey::node(id)
}

fn ask(table: &mut LockTable, slot: Slot, key: LockKey, mode: LockMode) -> Grant {
    let mut granted = vec![];
    let grant = table.request(slot, key, mode, &mut granted);
    assert_eq!(granted, []);
    grant
}

fn release(table: &mut LockTable, slot: Slot) -> Vec<Slot> {
    let mut granted = vec![];
    table.release_all(slot, &mut granted);
    granted
}

#[test]
fn locks_are_granted_in_the_order_of_requests() {
    let mut table = LockTable::default();
    assert_eq!(ask(&mut table, 0, node(7), Exclusive), Grant::Held);
    assert_eq!(ask(&mut table, 2, node(7), Exclusive), Grant::Queued);
    assert_eq!(ask(&mut table, 1, node(7), Shared), Grant::Queued);
    assert_eq!(ask(&mut table, 2, node(7), Exclusive), Grant::Queued);
    assert_eq!(ask(&mut table, 0, node(7), Shared), Grant::Held);
    assert_eq!((table.waiting(), table.longest_queue()), (2, 2));
    assert_eq!(release(&mut table, 0), [2]);
    assert_eq!(release(&mut table, 2), [1]);
    assert_eq!(release(&mut table, 1), []);
    assert_eq!((table.held(), table.waiting()), (0, 0));
}

#[test]
fn readers_share_and_do_not_overtake_a_waiting_writer() {
    let mut table = LockTable::default();
    assert_eq!(ask(&mut table, 0, node(1), Shared), Grant::Held);
    assert_eq!(ask(&mut table, 1, node(1), Shared), Grant::Held);
    assert_eq!(ask(&mut table, 2, node(1), Exclusive), Grant::Queued);
    assert_eq!(ask(&mut table, 3, node(1), Shared), Grant::Queued);
    assert_eq!(ask(&mut table, 4, node(1), Shared), Grant::Queued);
    assert_eq!(release(&mut table, 0), []);
    // The writer gives up: those behind it share at once.
    assert_eq!(release(&mut table, 2), [3, 4]);
    for slot in [1, 3, 4] {
        release(&mut table, slot);
    }
    assert_eq!(table.held(), 0);
}

#[test]
fn a_shared_lock_is_upgraded_before_others_are_served() {
    let mut table = LockTable::default();
    assert_eq!(ask(&mut table, 0, node(1), Shared), Grant::Held);
    assert_eq!(ask(&mut table, 0, node(1), Exclusive), Grant::Held, "alone");
    release(&mut table, 0);
    assert_eq!(ask(&mut table, 0, node(1), Shared), Grant::Held);
    assert_eq!(ask(&mut table, 1, node(1), Shared), Grant::Held);
    assert_eq!(ask(&mut table, 2, node(1), Exclusive), Grant::Queued);
    assert_eq!(ask(&mut table, 0, node(1), Exclusive), Grant::Queued);
    assert_eq!(ask(&mut table, 1, node(1), Exclusive), Grant::Deadlock, "two upgrades");
    assert_eq!(release(&mut table, 1), [0]);
    assert_eq!(release(&mut table, 0), [2]);
    release(&mut table, 2);
    assert_eq!(table.held(), 0);
}

#[test]
fn the_request_that_closes_a_cycle_is_refused() {
    let mut table = LockTable::default();
    for slot in 0..3 {
        ask(&mut table, slot, node(u64::from(slot)), Exclusive);
    }
    assert_eq!(ask(&mut table, 0, node(1), Exclusive), Grant::Queued);
    assert_eq!(ask(&mut table, 1, node(2), Exclusive), Grant::Queued);
    assert_eq!(ask(&mut table, 2, node(0), Exclusive), Grant::Deadlock);
    // The victim gives way, and the others go on.
    assert_eq!(release(&mut table, 2), [1]);
    assert_eq!(release(&mut table, 1), [0]);
    release(&mut table, 0);
    assert_eq!(table.held(), 0);
}

#[test]
fn a_cycle_through_the_order_of_a_queue_is_seen() {
    let mut table = LockTable::default();
    // 0 shares a; 1 waits to have it alone; 2 stands behind 1.
    ask(&mut table, 0, node(1), Shared);
    ask(&mut table, 2, node(2), Exclusive);
    assert_eq!(ask(&mut table, 1, node(1), Exclusive), Grant::Queued);
    assert_eq!(ask(&mut table, 2, node(1), Shared), Grant::Queued);
    // 0 would wait for 2, which waits for 1, which waits for 0.
    assert_eq!(ask(&mut table, 0, node(2), Exclusive), Grant::Deadlock);
}

proptest! {
    #[test]
    fn conflicting_holders_and_idle_waiters_do_not_occur(
        steps in prop::collection::vec((0..6u32, 0..4u64, 0..5u8), 0..120),
    ) {
        let mut table = LockTable::default();
        for (slot, key, step) in steps {
            let mut granted = vec![];
            let waits = table.holders.get(slot as usize).is_some_and(|h| h.waits_for.is_some());
            match step {
                0 => table.release_all(slot, &mut granted),
                // Who waits asks for the same again, or gives up, as the store does.
                _ if waits => {}
                1 | 2 => {
                    if table.request(slot, node(key), Shared, &mut granted) == Grant::Deadlock {
                        table.release_all(slot, &mut granted);
                    }
                }
                _ => {
                    if table.request(slot, node(key), Exclusive, &mut granted) == Grant::Deadlock {
                        table.release_all(slot, &mut granted);
                    }
                }
            }
            let mut waiting = 0;
            for key in 0..4 {
                let Some(place) = table.places.get(&node(key)) else { continue };
                let lock = &table.locks[*place as usize];
                prop_assert!(lock.exclusive.is_none() || lock.shared.is_empty());
                prop_assert!(lock.holders().count() > 0);
                if let Some((front, mode)) = lock.queue.front() {
                    prop_assert!(!lock.is_free_for(*front, *mode));
                }
                waiting += lock.queue.len();
            }
            prop_assert_eq!(waiting, table.waiting());
            for slot in 0..table.holders.len() {
                prop_assert!(!table.closes_cycle(slot as Slot));
            }
        }
        for slot in 0..6 {
            release(&mut table, slot);
        }
        prop_assert_eq!((table.held(), table.waiting()), (0, 0));
    }
}
