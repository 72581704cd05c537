//! Several transactions at once: locks, deadlocks, groups.

use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::testing::{Dice, Rig};
use crate::*;

const KEY: TokenId = TokenId(0);

/// A store with nodes that carry a counter, and one property key.
fn counters(nodes: u64) -> Rig {
    let mut rig = Rig::create(StoreConfig::default());
    let tx = rig.store.begin(0, 0);
    let kind = TokenKind::PropertyKey;
    rig.must(tx, &MicroStep::Token { kind, name: "count".into() });
    let kind = TokenKind::RelationshipType;
    rig.must(tx, &MicroStep::Token { kind, name: "knows".into() });
    for _ in 0..nodes {
        let Value::Node(node) = rig.must(tx, &MicroStep::CreateNode { labels: vec![] }) else {
            panic!()
        };
        rig.must(tx, &set(node.0, 0));
    }
    rig.finish(tx);
    rig
}

fn set(node: u64, value: i64) -> MicroStep {
    MicroStep::SetProperty { entity: NodeId(node).into(), key: KEY, value: Value::Int(value) }
}

fn get(node: u64) -> MicroStep {
    MicroStep::ReadProperty { entity: NodeId(node).into(), key: KEY }
}

fn lock(node: u64) -> MicroStep {
    MicroStep::Lock { node: NodeId(node) }
}

#[test]
fn waits_for_locks_are_counted_in_time() {
    let mut rig = counters(1);
    rig.store.set_clock(1000);
    let txs: Vec<TxHandle> = (0..3).map(|_| rig.store.begin(0, 0)).collect();
    for tx in &txs {
        rig.store.step(*tx, &lock(0), &mut rig.ledger);
        rig.store.set_clock(rig.store.clock_ms + 10);
    }
    // One waits since 1010 and gives up at 1050, one since 1020 and is served at 1100.
    rig.store.set_clock(1050);
    rig.store.rollback(txs[1]);
    rig.store.set_clock(1100);
    rig.finish(txs[0]);
    rig.store.set_clock(2000);
    rig.finish(txs[2]);
    let counters = rig.store.counters();
    assert_eq!((counters.lock_waits, counters.lock_wait_ms), (2, 120));
    assert_eq!(counters.longest_lock_wait_ms, 80);
}

#[test]
fn writers_of_a_node_go_one_after_the_other_in_order() {
    let mut rig = counters(1);
    let txs: Vec<TxHandle> = (0..4).map(|_| rig.store.begin(0, 0)).collect();
    let mut tickets = vec![];
    for (place, tx) in txs.iter().enumerate() {
        match rig.store.step(*tx, &lock(0), &mut rig.ledger) {
            Step::Done(_) => assert_eq!(place, 0),
            Step::Wait(ticket) => tickets.push(ticket),
            Step::Failed(error) => panic!("{error}"),
        }
    }
    // Asking again changes nothing, not even the place in the queue.
    assert_eq!(rig.store.step(txs[1], &lock(0), &mut rig.ledger), Step::Wait(tickets[0]));
    assert_eq!(rig.store.counters().lock_waits, 3);
    // The third gives up; the second and the fourth follow in order.
    rig.store.rollback(txs[2]);
    let mut granted = vec![];
    rig.finish(txs[0]);
    rig.store.completed(&mut granted);
    assert!(granted.contains(&tickets[0]) && !granted.contains(&tickets[2]));
    rig.must(txs[1], &lock(0));
    rig.finish(txs[1]);
    rig.must(txs[3], &lock(0));
    rig.finish(txs[3]);
    assert_eq!((rig.store.open_transactions(), rig.store.held_locks()), (0, 0));
}

#[test]
fn the_transaction_that_closes_a_cycle_is_told_so() {
    let mut rig = counters(2);
    let (a, b) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    rig.must(a, &lock(0));
    rig.must(b, &lock(1));
    let Step::Wait(_) = rig.store.step(a, &lock(1), &mut rig.ledger) else { panic!() };
    let refused = rig.store.step(b, &lock(0), &mut rig.ledger);
    assert_eq!(refused, Step::Failed(StoreError::DeadlockDetected));
    assert_eq!(rig.store.counters().deadlocks, 1);
    rig.store.rollback(b);
    rig.must(a, &lock(1));
    rig.finish(a);
    assert_eq!(rig.store.held_locks(), 0);
}

#[test]
fn uncommitted_writes_are_seen_by_their_transaction_alone() {
    let mut rig = counters(1);
    let (writer, reader) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    rig.must(writer, &set(0, 9));
    assert_eq!(rig.must(writer, &get(0)), Value::Int(9));
    assert_eq!(rig.must(reader, &get(0)), Value::Int(0), "reads take no lock");
    rig.finish(writer);
    assert_eq!(rig.must(reader, &get(0)), Value::Int(9), "read committed, not repeatable");
    rig.finish(reader);
}

#[test]
fn names_made_by_two_transactions_at_once_get_one_number() {
    let mut rig = counters(0);
    let (a, b) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    let step = MicroStep::Token { kind: TokenKind::Label, name: "User".into() };
    let made = rig.must(a, &step);
    assert!(matches!(rig.store.step(b, &step, &mut rig.ledger), Step::Wait(_)));
    rig.finish(a);
    assert_eq!(rig.must(b, &step), made);
    rig.finish(b);
    assert_eq!(rig.store.token_names(TokenKind::Label).len(), 1);
}

/// Runs increments of random counters and new relationships between their nodes,
/// interleaved at random, with rollback on deadlock. Nothing may be lost or left over.
#[test]
fn interleaved_increments_add_up() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut rig = counters(5);
        let mut expected = [0i64; 5];
        let mut related = 0;
        // Per transaction: handle, nodes left to visit, visited.
        let mut running: Vec<(TxHandle, Vec<u64>, usize, bool)> = vec![];
        let mut started = 0;
        while started < 60 || !running.is_empty() {
            if started < 60 && running.len() < 6 {
                let nodes = (0..1 + dice.below(3)).map(|_| dice.below(5)).collect();
                running.push((rig.store.begin(0, 0), nodes, 0, false));
                started += 1;
            }
            let place = dice.below(running.len() as u64) as usize;
            let (tx, nodes, at, committed) = running[place].clone();
            let rig = &mut rig;
            if committed {
                match rig.store.apply(tx, &mut rig.ledger) {
                    Step::Done(_) => {
                        nodes.iter().for_each(|node| expected[*node as usize] += 1);
                        related += 1;
                        running.remove(place);
                    }
                    _ => {
                        rig.turn();
                    }
                }
                continue;
            }
            let step = match nodes.get(at) {
                Some(node) => lock(*node),
                None => MicroStep::Prepare,
            };
            match rig.store.step(tx, &step, &mut rig.ledger) {
                Step::Done(_) if at < nodes.len() => {
                    let Value::Int(now) = rig.must(tx, &get(nodes[at])) else { panic!() };
                    rig.must(tx, &set(nodes[at], now + 1));
                    if at == 0 {
                        let (from, kind) = (NodeId(nodes[0]), TokenId(0));
                        let step = MicroStep::CreateRelationship { from, to: from, kind };
                        rig.must(tx, &step);
                    }
                    running[place].2 += 1;
                }
                Step::Done(_) => {
                    rig.store.commit(tx, &mut rig.ledger).unwrap();
                    running[place].3 = true;
                }
                Step::Wait(_) => {
                    rig.turn();
                }
                Step::Failed(StoreError::DeadlockDetected) => {
                    rig.store.rollback(tx);
                    running.remove(place);
                }
                Step::Failed(error) => panic!("{error}"),
            }
        }
        let tx = rig.store.begin(0, 0);
        for (node, expected) in expected.iter().enumerate() {
            assert_eq!(rig.must(tx, &get(node as u64)), Value::Int(*expected), "seed {seed}");
        }
        rig.finish(tx);
        assert_eq!(rig.model().relationships.len(), related);
        assert_eq!((rig.store.open_transactions(), rig.store.held_locks()), (0, 0));
        assert_eq!(rig.store.applied(), rig.store.mark().tx);
    }
}

#[test]
fn a_torn_group_is_a_torn_tail_even_if_its_later_entries_are_whole() {
    let mut cut = 0;
    for seed in 0..300 {
        let mut rig = counters(8);
        let durable = rig.store.mark().tx.0;
        let txs: Vec<TxHandle> = (0..8).map(|_| rig.store.begin(0, 0)).collect();
        for (node, tx) in txs.iter().enumerate() {
            rig.must(*tx, &set(node as u64, 1 << 40));
            rig.store.commit(*tx, &mut rig.ledger).unwrap();
        }
        // The first commit's append and sync, then the group's append, but not its sync.
        for _ in 0..3 {
            assert!(rig.turn());
        }
        assert_eq!(rig.store.mark().tx.0, durable + 1);
        let rig = rig.lose_power(&mut Dice(seed));
        assert_eq!(*rig.store.state(), StoreState::Ready);
        assert!(rig.store.mark().tx.0 > durable);
        cut += u64::from(rig.store.recovery().unwrap().cut > 0);
        rig.model();
    }
    assert!(cut > 25, "only {cut} of 300 were torn");
}

#[test]
fn relationships_deleted_by_another_are_not_found_after_the_wait() {
    let mut rig = counters(2);
    let tx = rig.store.begin(0, 0);
    let (from, to, kind) = (NodeId(0), NodeId(1), TokenId(0));
    rig.must(tx, &MicroStep::CreateRelationship { from, to, kind });
    rig.finish(tx);
    let (a, b) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    let relationship = RelationshipId(0);
    let delete = MicroStep::DeleteRelationship { relationship };
    rig.must(a, &delete);
    assert!(matches!(rig.store.step(b, &delete, &mut rig.ledger), Step::Wait(_)));
    rig.finish(a);
    let refused = rig.step(b, &delete);
    assert_eq!(refused, Some(Err(StoreError::RelationshipNotFound(relationship))));
    rig.store.rollback(b);
    assert_eq!(rig.store.held_locks(), 0);
}
