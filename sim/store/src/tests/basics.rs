//! The first things anyone would try.

use alloc::vec;
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::testing::model::random_transactions;
use crate::testing::{Dice, Rig};
use crate::*;

/// What keeps a clone cheap, as a count: it has every page in common with the original, and a
/// write takes the pages alone that it changes.
#[test]
fn a_clone_copies_no_page_until_one_is_written() {
    let (mut rig, mut history) = Rig::with_tokens(StoreConfig::default());
    random_transactions(&mut rig, &mut history, 400, &mut Dice(5)).unwrap();
    let mut clone = rig.clone();
    let common = |one: &Rig, other: &Rig| {
        let pages = one.store.cache.iter().map(|(id, frame)| (frame, other.store.cache.frame(id)));
        let same = pages.filter(|(a, b)| alloc::sync::Arc::ptr_eq(a.page(), b.page())).count();
        (same, one.store.cache.iter().count())
    };
    let (same, all) = common(&rig, &clone);
    assert!(all > 8, "{all} pages");
    assert_eq!(same, all);
    let tx = clone.store.begin(0, 0);
    clone.must(tx, &MicroStep::CreateNode { labels: vec![] });
    clone.finish(tx);
    let (same, all) = common(&rig, &clone);
    assert_eq!(all - same, 1, "a node is in one page");
}

fn token(rig: &mut Rig, tx: TxHandle, kind: TokenKind, name: &str) -> TokenId {
    match rig.must(tx, &MicroStep::Token { kind, name: name.into() }) {
        Value::Token(id) => id,
        other => panic!("{other:?}"),
    }
}

/// Two users, one follows the other.
fn small_graph(rig: &mut Rig) -> (NodeId, NodeId, RelationshipId) {
    let tx = rig.store.begin(7, 1000);
    let user = token(rig, tx, TokenKind::Label, "User");
    let follows = token(rig, tx, TokenKind::RelationshipType, "follows");
    let name = token(rig, tx, TokenKind::PropertyKey, "name");
    let create = MicroStep::CreateNode { labels: vec![user] };
    let Value::Node(a) = rig.must(tx, &create) else { panic!() };
    let Value::Node(b) = rig.must(tx, &create) else { panic!() };
    let step = MicroStep::CreateRelationship { from: a, to: b, kind: follows };
    let Value::Relationship(r) = rig.must(tx, &step) else { panic!() };
    let value = Value::Text("a name that is far too long for one property record".into());
    rig.must(tx, &MicroStep::SetProperty { entity: a.into(), key: name, value });
    rig.must(tx, &MicroStep::SetProperty { entity: r.into(), key: name, value: Value::Int(3) });
    rig.finish(tx);
    (a, b, r)
}

fn check_small_graph(rig: &mut Rig, a: NodeId, b: NodeId, r: RelationshipId) {
    let name = rig.store.token(TokenKind::PropertyKey, "name").unwrap();
    let tx = rig.store.begin(0, 0);
    let text = rig.must(tx, &MicroStep::ReadProperty { entity: a.into(), key: name });
    assert_eq!(text, Value::Text("a name that is far too long for one property record".into()));
    let three = rig.must(tx, &MicroStep::ReadProperty { entity: r.into(), key: name });
    assert_eq!(three, Value::Int(3));
    for (node, direction, other) in [(a, Direction::Outgoing, b), (b, Direction::Incoming, a)] {
        let step = MicroStep::Expand { node, direction, kind: None, limit: 9, from: None };
        assert_eq!(rig.must(tx, &step), Value::Expanded { found: 1, rest: None });
        assert_eq!(rig.store.results(tx), [Neighbour { relationship: r, node: other }]);
    }
    rig.finish(tx);
}

#[test]
fn what_is_committed_is_there_after_a_restart() {
    let mut rig = Rig::create(StoreConfig::default());
    let (a, b, r) = small_graph(&mut rig);
    check_small_graph(&mut rig, a, b, r);
    let mark = rig.store.mark();
    let mut rig = rig.crash();
    assert_eq!(*rig.store.state(), StoreState::Ready);
    assert_eq!(rig.store.recovery(), Some(Recovery { mark, replayed: 1, cut: 0 }));
    check_small_graph(&mut rig, a, b, r);
    rig.store.request_checkpoint();
    rig.run();
    assert_eq!(rig.store.counters().last_checkpoint_tx, 2);
    let mut rig = rig.crash();
    assert_eq!(rig.store.recovery(), Some(Recovery { mark, replayed: 0, cut: 0 }));
    check_small_graph(&mut rig, a, b, r);
}

#[test]
fn nodes_with_relationships_cannot_be_deleted() {
    let mut rig = Rig::create(StoreConfig::default());
    let (a, b, r) = small_graph(&mut rig);
    let tx = rig.store.begin(0, 0);
    let delete = MicroStep::DeleteNode { node: a };
    assert_eq!(rig.step(tx, &delete), Some(Err(StoreError::NodeHasRelationships(a))));
    rig.must(tx, &MicroStep::DeleteRelationship { relationship: r });
    rig.must(tx, &delete);
    rig.finish(tx);
    let tx = rig.store.begin(0, 0);
    let read = rig.step(tx, &MicroStep::ReadNode { node: a });
    assert_eq!(read, Some(Err(StoreError::NodeNotFound(a))));
    assert_eq!(rig.must(tx, &MicroStep::Degree { node: b }), Value::Int(0));
    rig.finish(tx);
    assert_eq!((rig.store.open_transactions(), rig.store.held_locks()), (0, 0));
}

#[test]
fn commits_during_a_sync_share_the_next_one() {
    let mut rig = Rig::create(StoreConfig::default());
    let mut tickets = vec![];
    for _ in 0..3 {
        let tx = rig.store.begin(0, 0);
        rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
        let committing = rig.store.commit(tx, &mut rig.ledger).unwrap();
        tickets.push(committing.ticket.unwrap());
    }
    assert!(tickets[0] != tickets[1] && tickets[1] == tickets[2]);
    rig.wait(tickets[1]).unwrap();
    assert_eq!(rig.store.mark().tx.0, 4);
}

#[test]
fn changed_chains_must_be_prepared() {
    let mut rig = Rig::create(StoreConfig::default());
    let (a, b, _) = small_graph(&mut rig);
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::CreateRelationship { from: a, to: b, kind: TokenId(0) });
    let refused = rig.store.commit(tx, &mut rig.ledger);
    assert_eq!(refused, Err(StoreError::NotPrepared));
    rig.finish(tx);
    assert_eq!(rig.store.commit(tx, &mut rig.ledger), Err(StoreError::NoSuchTransaction));
}

#[test]
fn copies_of_a_store_live_on_apart() {
    let (mut one, mut history) = Rig::with_tokens(StoreConfig::default());
    random_transactions(&mut one, &mut history, 60, &mut Dice(1)).unwrap();
    let mut two = one.clone();
    let mut other = history.clone();
    for seed in 2..5 {
        random_transactions(&mut one, &mut history, 20, &mut Dice(seed)).unwrap();
        random_transactions(&mut two, &mut other, 20, &mut Dice(seed + 10)).unwrap();
    }
    assert_ne!(history.after.last(), other.after.last());
    for (rig, history) in [(one, history), (two, other)] {
        assert_eq!(Some(&rig.model()), history.after.last());
        assert_eq!(Some(&rig.crash().model()), history.after.last());
    }
}
