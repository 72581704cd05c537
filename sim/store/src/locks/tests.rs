//! Fairness, upgrades, deadlocks; and invariants under random requests.

use super::*;
use alloc::vec;
use proptest::prelude::*;
use wavetank_vocabulary::{OperationKind, Span};

extern crate std;

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

#[test]
fn a_long_queue_costs_each_newcomer_one_look_at_most() {
    let mut table = LockTable::default();
    // Everybody holds a lock of its own that somebody else awaits, and wants the same one.
    let crowd = 3_000;
    for slot in 0..crowd {
        ask(&mut table, slot, node(u64::from(slot) + 10), Exclusive);
        ask(&mut table, crowd + slot, node(u64::from(slot) + 10), Exclusive);
    }
    let begun = std::time::Instant::now();
    for slot in 0..crowd {
        ask(&mut table, slot, node(1), Exclusive);
    }
    // Some millions of steps; the square of the crowd for each newcomer would take minutes.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    // Whoever holds the lock closes a cycle with the last of them.
    assert_eq!(ask(&mut table, 0, node(u64::from(crowd) + 9), Exclusive), Grant::Deadlock);
}

#[test]
fn what_becomes_of_locks_is_told() {
    let mut table = LockTable::default();
    table.watch();
    let at = |table: &mut LockTable, ms| table.set_now(Time::ZERO + Span::from_millis(ms));
    let owner = |operation| LockOwner { operation, kind: Some(OperationKind(operation as u16)) };
    for slot in 0..2 {
        table.set_owner(slot, owner(u64::from(slot) + 7));
    }
    at(&mut table, 1);
    ask(&mut table, 0, node(1), Exclusive);
    ask(&mut table, 1, node(2), Exclusive);
    at(&mut table, 2);
    ask(&mut table, 1, node(1), Exclusive);
    at(&mut table, 5);
    assert_eq!(ask(&mut table, 0, node(2), Exclusive), Grant::Deadlock);
    assert_eq!(release(&mut table, 0), [1]);
    at(&mut table, 9);
    release(&mut table, 1);
    let mut told = vec![];
    table.take_notices(&mut told);
    let ms = Span::from_millis;
    let waited = |waited, granted| LockChange::Waited { behind: owner(7), waited, granted };
    let victim = LockChange::Waited { behind: owner(8), waited: ms(0), granted: false };
    let expected = [
        (2, 7, LockChange::Refused { behind: owner(8) }),
        (2, 7, victim),
        (1, 7, LockChange::Released { held: ms(4) }),
        (1, 8, waited(ms(3), true)),
        (2, 8, LockChange::Released { held: ms(8) }),
        (1, 8, LockChange::Released { held: ms(4) }),
    ];
    let expected = expected.map(|(lock, operation, change)| LockNotice {
        lock: Locked::Node(NodeId(lock)),
        owner: owner(operation),
        change,
    });
    assert_eq!(told, expected);
}

#[test]
fn a_forgotten_waiter_breaks_littles_law() {
    let mut table = LockTable::default();
    for slot in 0..4 {
        ask(&mut table, slot, node(1), Exclusive);
    }
    let later = Time::ZERO + Span::from_secs(1);
    let holds = |table: &LockTable| {
        let totals = table.totals(later);
        totals.presence == totals.stays
    };
    table.forget(3, 3);
    assert!(holds(&table), "three waited");
    table.forget(3, 2);
    assert!(!holds(&table));
}

/// Whether following who waits for whom leads back: the plain search.
fn leads_back(table: &LockTable, slot: Slot) -> bool {
    let mut visit = vec![slot];
    let mut at = 0;
    while at < visit.len() {
        let waiter = visit[at];
        at += 1;
        let Some((_, place)) = table.holders[waiter as usize].waits_for else { continue };
        let lock = &table.locks[place as usize];
        let ahead = lock.queue.iter().map(|ahead| ahead.slot).take_while(|slot| *slot != waiter);
        for next in lock.holders().filter(|holder| *holder != waiter).chain(ahead) {
            if next == slot {
                return true;
            }
            if !visit.contains(&next) {
                visit.push(next);
            }
        }
    }
    false
}

/// Whether the request would close a cycle, tried on a copy without the search under test.
fn would_close(table: &LockTable, slot: Slot, key: LockKey, mode: LockMode) -> bool {
    let mut table = table.clone();
    if table.holders.len() <= slot as usize {
        table.holders.resize_with(slot as usize + 1, Holder::default);
    }
    let place = table.place(slot, key);
    let lock = &mut table.locks[place as usize];
    let shares = lock.shared.contains(&slot);
    let has = lock.exclusive == Some(slot) || (shares && mode == Shared);
    if has || (lock.is_free_for(slot, mode) && (shares || lock.queue.is_empty())) {
        return false;
    }
    let waiter = Waiter { slot, mode, since: Time::ZERO, behind: LockOwner::default() };
    if shares {
        lock.queue.push_front(waiter);
    } else {
        lock.queue.push_back(waiter);
    }
    table.holders[slot as usize].waits_for = Some((key, place));
    leads_back(&table, slot)
}

proptest! {
    #[test]
    fn conflicting_holders_and_idle_waiters_do_not_occur(
        steps in prop::collection::vec((0..6u32, 0..4u64, 0..5u8), 0..120),
    ) {
        let mut table = LockTable::default();
        let mut time = 0;
        for (slot, key, step) in steps {
            let mut granted = vec![];
            let waits = table.holders.get(slot as usize).is_some_and(|h| h.waits_for.is_some());
            match step {
                0 => table.release_all(slot, &mut granted),
                // Who waits asks for the same again, or gives up, as the store does.
                _ if waits => {}
                _ => {
                    let mode = if step < 3 { Shared } else { Exclusive };
                    let closes = would_close(&table, slot, node(key), mode);
                    let refused = table.request(slot, node(key), mode, &mut granted);
                    prop_assert_eq!(closes, refused == Grant::Deadlock);
                    if closes {
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
                if let Some(front) = lock.queue.front() {
                    prop_assert!(!lock.is_free_for(front.slot, front.mode));
                }
                waiting += lock.queue.len();
            }
            prop_assert_eq!(waiting, table.waiting());
            for slot in 0..table.holders.len() {
                prop_assert!(!leads_back(&table, slot as Slot));
            }
            time += 3;
            table.set_now(Time::from_nanos(time));
            let totals = table.totals(Time::from_nanos(time));
            prop_assert_eq!(totals.presence, totals.stays);
        }
        for slot in 0..6 {
            release(&mut table, slot);
        }
        prop_assert_eq!((table.held(), table.waiting()), (0, 0));
    }
}
