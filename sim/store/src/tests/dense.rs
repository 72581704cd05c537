//! Nodes become dense, and are found, changed and emptied like any other.

use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::testing::Rig;
use crate::*;

/// A node with neighbours, and two types.
fn star(rig: &mut Rig, neighbours: u64) -> NodeId {
    let tx = rig.store.begin(0, 0);
    for name in ["follows", "likes"] {
        let kind = TokenKind::RelationshipType;
        rig.must(tx, &MicroStep::Token { kind, name: name.into() });
    }
    for _ in 0..=neighbours {
        rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
    }
    rig.finish(tx);
    NodeId(0)
}

fn relate(rig: &mut Rig, from: u64, to: u64, kind: u16) -> RelationshipId {
    let tx = rig.store.begin(0, 0);
    let (from, to) = (NodeId(from), NodeId(to));
    let made = rig.must(tx, &MicroStep::CreateRelationship { from, to, kind: TokenId(kind) });
    rig.finish(tx);
    match made {
        Value::Relationship(id) => id,
        other => panic!("{other:?}"),
    }
}

fn groups(rig: &Rig) -> usize {
    rig.store.high[FileKind::Groups as usize] as usize - rig.store.free_ids(FileKind::Groups)
}

#[test]
fn the_fiftieth_relationship_makes_a_node_dense_and_locks_the_whole_chain() {
    let mut rig = Rig::create(StoreConfig::default());
    let hub = star(&mut rig, 60);
    for n in 1..50 {
        relate(&mut rig, 0, n, (n % 2) as u16);
    }
    assert_eq!(groups(&rig), 0);
    // Somebody holds a relationship in the middle of the chain.
    let other = rig.store.begin(0, 0);
    let entity = Entity::Relationship(RelationshipId(20));
    let kind = TokenKind::PropertyKey;
    let Value::Token(key) = rig.must(other, &MicroStep::Token { kind, name: "w".into() }) else {
        panic!()
    };
    rig.must(other, &MicroStep::SetProperty { entity, key, value: Value::Int(1) });
    let tx = rig.store.begin(0, 0);
    let (from, to) = (NodeId(50), hub);
    rig.must(tx, &MicroStep::CreateRelationship { from, to, kind: TokenId(1) });
    let waits = rig.store.step(tx, &MicroStep::Prepare, &mut Ledger::default());
    assert!(matches!(waits, Step::Wait(_)), "{waits:?}");
    rig.finish(other);
    rig.must(tx, &MicroStep::Prepare);
    assert_eq!(rig.store.held_locks(), 1 + 2 + 49, "the schema, both nodes and the whole chain");
    rig.finish(tx);
    assert_eq!(groups(&rig), 2);
    // The next one locks its neighbour in its own chain alone.
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::CreateRelationship { from: NodeId(51), to, kind: TokenId(1) });
    rig.must(tx, &MicroStep::Prepare);
    assert_eq!(rig.store.held_locks(), 1 + 2 + 1);
    rig.finish(tx);
    let tx = rig.store.begin(0, 0);
    assert_eq!(rig.must(tx, &MicroStep::Degree { node: hub }), Value::Int(51));
    let (direction, kind) = (Direction::Incoming, Some(TokenId(1)));
    let step = MicroStep::Expand { node: hub, direction, kind, limit: 99, from: None };
    let mut ledger = Ledger::default();
    assert!(matches!(rig.store.step(tx, &step, &mut ledger), Step::Done(_)));
    let found: Vec<u64> = rig.store.results(tx).iter().map(|found| found.node.0).collect();
    assert_eq!(found, [51, 50]);
    assert!(ledger.records < 8, "the other 49 are not looked at: {ledger:?}");
    rig.finish(tx);
    assert_eq!(rig.model().relationships.len(), 51);
}

#[test]
fn an_emptied_dense_node_has_no_groups_and_can_be_deleted() {
    let mut rig = Rig::create(StoreConfig { dense_node_threshold: 5, ..StoreConfig::default() });
    star(&mut rig, 8);
    let made: Vec<RelationshipId> =
        (0..8).map(|n| relate(&mut rig, 0, if n == 3 { 0 } else { n }, (n % 2) as u16)).collect();
    assert_eq!(groups(&rig), 2);
    rig.model();
    let tx = rig.store.begin(0, 0);
    for relationship in made {
        rig.must(tx, &MicroStep::DeleteRelationship { relationship });
    }
    rig.must(tx, &MicroStep::DeleteNode { node: NodeId(0) });
    rig.finish(tx);
    assert_eq!(groups(&rig), 0);
    assert!(rig.model().relationships.is_empty());
    let mut rig = rig.crash();
    rig.model();
    relate(&mut rig, 1, 2, 0);
}

#[test]
fn generated_graphs_have_dense_nodes() {
    let mut builder = ImageBuilder::new(1);
    for name in ["a", "b", "c"] {
        builder.token(TokenKind::RelationshipType, name).unwrap();
    }
    for _ in 0..80 {
        builder.add_node(&[], &[]).unwrap();
    }
    for n in 0..300u64 {
        let (from, to) = (NodeId(n % 7 * (n % 2)), NodeId(n % 80));
        builder.add_relationship(from, to, TokenId((n % 3) as u16), &[]).unwrap();
    }
    let rig = Rig::from_image(StoreConfig::default(), &builder.finish());
    assert_eq!(*rig.store.state(), StoreState::Ready);
    assert_eq!(rig.model().relationships.len(), 300);
    assert!(groups(&rig) >= 3);
}
