//! Indexes and constraints: found by, kept, made, dropped, and contended for.

use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::NodeId;

use crate::testing::{Dice, Rig};
use crate::*;

const LABEL: TokenId = TokenId(0);
const KEY: TokenId = TokenId(0);
const OTHER: TokenId = TokenId(1);

/// A store with two labels and two keys.
fn rig() -> Rig {
    let config = StoreConfig { frames: 40, id_reuse_safe_zone_ms: 0, ..StoreConfig::default() };
    let mut rig = Rig::create(config);
    let tx = rig.store.begin(0, 0);
    for (kind, name) in [
        (TokenKind::Label, "User"),
        (TokenKind::Label, "Group"),
        (TokenKind::PropertyKey, "name"),
        (TokenKind::PropertyKey, "age"),
    ] {
        rig.must(tx, &MicroStep::Token { kind, name: name.into() });
    }
    rig.finish(tx);
    rig
}

fn node(rig: &mut Rig, tx: TxHandle, label: TokenId) -> NodeId {
    match rig.must(tx, &MicroStep::CreateNode { labels: vec![label] }) {
        Value::Node(node) => node,
        other => panic!("{other:?}"),
    }
}

fn set(node: NodeId, value: impl Into<Value>) -> MicroStep {
    MicroStep::SetProperty { entity: node.into(), key: KEY, value: value.into() }
}

fn made(rig: &mut Rig, value: impl Into<Value>) -> NodeId {
    let tx = rig.store.begin(0, 0);
    let made = node(rig, tx, LABEL);
    rig.must(tx, &set(made, value));
    rig.finish(tx);
    made
}

fn schema(rig: &mut Rig, step: &MicroStep) -> Result<(), StoreError> {
    let tx = rig.store.begin(0, 0);
    loop {
        match rig.step(tx, step).expect("the disk does not stop") {
            Ok(Value::Bool(true)) => break,
            Ok(Value::Bool(false)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                rig.store.rollback(tx);
                return Err(error);
            }
        }
    }
    rig.finish(tx);
    Ok(())
}

fn constraint(rig: &mut Rig) {
    schema(rig, &MicroStep::CreateConstraint { label: LABEL, key: KEY }).unwrap();
}

fn find(rig: &mut Rig, tx: TxHandle, value: impl Into<Value>) -> Vec<NodeId> {
    let value = value.into();
    let mut from = None;
    loop {
        let step = MicroStep::FindNodes { label: LABEL, key: KEY, value: value.clone(), from };
        match rig.must(tx, &step) {
            Value::Found { rest: None, .. } => return rig.store.found(tx).to_vec(),
            Value::Found { rest, .. } => from = rest,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn thousands_of_nodes_are_found_by_label_and_value_after_a_restart() {
    let mut rig = rig();
    schema(&mut rig, &MicroStep::CreateIndex { label: LABEL, key: KEY }).unwrap();
    for some in 0..60i64 {
        let tx = rig.store.begin(0, 0);
        for n in 0..50 {
            let label = if n % 5 == 0 { TokenId(1) } else { LABEL };
            let made = node(&mut rig, tx, label);
            rig.must(tx, &set(made, (some * 50 + n) % 700));
        }
        rig.finish(tx);
    }
    for _ in 0..2 {
        let tx = rig.store.begin(0, 0);
        assert_eq!(
            find(&mut rig, tx, 1).iter().map(|n| n.0).collect::<Vec<_>>(),
            [1, 701, 1401, 2101, 2801]
        );
        assert_eq!(find(&mut rig, tx, 1.0), find(&mut rig, tx, 1), "numbers, whatever their type");
        assert_eq!(find(&mut rig, tx, 5), [], "those are in the other group");
        assert_eq!(find(&mut rig, tx, "1"), []);
        let mut ledger = Ledger::default();
        let value = Value::Int(1);
        let step = MicroStep::FindNodes { label: LABEL, key: KEY, value, from: None };
        while let Step::Wait(_) = rig.store.step(tx, &step, &mut ledger) {
            rig.turn();
        }
        assert!(ledger.records < 40, "the index saves looking at all: {ledger:?}");
        rig.finish(tx);
        rig.model();
        rig = rig.crash();
    }
}

#[test]
fn a_unique_value_is_given_once() {
    let mut rig = rig();
    constraint(&mut rig);
    let ada = made(&mut rig, "ada");
    let tx = rig.store.begin(0, 0);
    let second = node(&mut rig, tx, LABEL);
    let violation = StoreError::ConstraintViolation { label: LABEL, key: KEY, node: ada };
    assert_eq!(rig.step(tx, &set(second, "ada")), Some(Err(violation.clone())));
    rig.must(tx, &set(second, "bob"));
    // A node without the label may have it, and then does not get the label.
    let third = node(&mut rig, tx, TokenId(1));
    rig.must(tx, &set(third, "ada"));
    let label = MicroStep::AddLabel { node: third, label: LABEL };
    assert_eq!(rig.step(tx, &label), Some(Err(violation)));
    // Once the first gives it up, in the same transaction, it is free.
    rig.must(tx, &set(ada, "eve"));
    rig.must(tx, &label);
    assert_eq!(find(&mut rig, tx, "ada"), [third]);
    rig.finish(tx);
    let tx = rig.store.begin(0, 0);
    assert_eq!(find(&mut rig, tx, "ada"), [third]);
    assert_eq!(find(&mut rig, tx, "eve"), [ada]);
    rig.must(tx, &MicroStep::DeleteNode { node: third });
    assert_eq!(find(&mut rig, tx, "ada"), []);
    let fourth = node(&mut rig, tx, LABEL);
    rig.must(tx, &set(fourth, "ada"));
    rig.finish(tx);
    rig.model();
}

#[test]
fn of_two_that_want_a_value_the_second_waits_then_fails_or_gets_it() {
    for first_commits in [true, false] {
        let mut rig = rig();
        constraint(&mut rig);
        let (a, b) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
        let (in_a, in_b) = (node(&mut rig, a, LABEL), node(&mut rig, b, LABEL));
        rig.must(a, &set(in_a, "ada"));
        let waits = rig.store.step(b, &set(in_b, "ada"), &mut Ledger::default());
        assert!(matches!(waits, Step::Wait(_)), "{waits:?}");
        assert_eq!(rig.store.lock_waiters(), 1);
        if first_commits {
            rig.finish(a);
            let violation = StoreError::ConstraintViolation { label: LABEL, key: KEY, node: in_a };
            assert_eq!(rig.step(b, &set(in_b, "ada")), Some(Err(violation)));
            rig.store.rollback(b);
        } else {
            rig.store.rollback(a);
            rig.must(b, &set(in_b, "ada"));
            rig.finish(b);
        }
        let tx = rig.store.begin(0, 0);
        assert_eq!(find(&mut rig, tx, "ada").len(), 1);
        rig.finish(tx);
        rig.model();
    }
}

#[test]
fn a_constraint_is_refused_where_a_value_occurs_twice() {
    let mut rig = rig();
    for n in 0..150 {
        made(&mut rig, n % 149);
    }
    let node = NodeId(0);
    let violation = StoreError::ConstraintViolation { label: LABEL, key: KEY, node };
    let step = MicroStep::CreateConstraint { label: LABEL, key: KEY };
    assert_eq!(schema(&mut rig, &step), Err(violation));
    assert_eq!(rig.store.indexes().count(), 0, "nothing of it stays");
    // An index is not so strict; and then there is one.
    schema(&mut rig, &MicroStep::CreateIndex { label: LABEL, key: KEY }).unwrap();
    assert_eq!(schema(&mut rig, &step), Err(StoreError::IndexExists { unique: false }));
    rig.model();
    let drop = MicroStep::DropIndex { label: LABEL, key: KEY };
    schema(&mut rig, &drop).unwrap();
    assert_eq!(schema(&mut rig, &drop), Err(StoreError::NoSuchIndex));
    let tx = rig.store.begin(0, 0);
    assert_eq!(find(&mut rig, tx, 0), [NodeId(0), NodeId(149)], "found without an index");
    rig.finish(tx);
    rig.model();
}

#[test]
fn a_schema_change_waits_for_writers_and_stands_alone() {
    let mut rig = rig();
    let writer = rig.store.begin(0, 0);
    let ada = node(&mut rig, writer, LABEL);
    rig.must(writer, &set(ada, "ada"));
    let tx = rig.store.begin(0, 0);
    let create = MicroStep::CreateIndex { label: LABEL, key: KEY };
    assert!(matches!(rig.store.step(tx, &create, &mut Ledger::default()), Step::Wait(_)));
    rig.finish(writer);
    rig.must(tx, &create);
    for data in [set(ada, "eve"), MicroStep::CreateNode { labels: vec![] }] {
        assert_eq!(rig.step(tx, &data), Some(Err(StoreError::SchemaAndData)));
    }
    // Who writes now waits for the index.
    let other = rig.store.begin(0, 0);
    let waits = rig.store.step(other, &set(ada, "eve"), &mut Ledger::default());
    assert!(matches!(waits, Step::Wait(_)));
    rig.finish(tx);
    rig.must(other, &set(ada, "eve"));
    assert_eq!(find(&mut rig, other, "eve"), [ada]);
    assert_eq!(
        rig.step(other, &MicroStep::CreateIndex { label: LABEL, key: OTHER }),
        Some(Err(StoreError::SchemaAndData))
    );
    rig.finish(other);
    rig.model();
}

#[test]
fn an_index_that_is_not_filled_cannot_be_committed() {
    let mut rig = rig();
    for n in 0..70 {
        made(&mut rig, n);
    }
    let tx = rig.store.begin(0, 0);
    let step = MicroStep::CreateIndex { label: LABEL, key: KEY };
    assert_eq!(rig.must(tx, &step), Value::Bool(false));
    rig.must(tx, &MicroStep::Prepare);
    let refused = rig.store.commit(tx, &mut Ledger::default());
    assert_eq!(refused, Err(StoreError::NotPrepared));
    assert_eq!(rig.must(tx, &step), Value::Bool(true));
    rig.finish(tx);
    rig.model();
}

#[test]
fn a_copy_gets_the_index_tree_of_one_moment() {
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let mut master = rig();
        schema(&mut master, &MicroStep::CreateIndex { label: LABEL, key: KEY }).unwrap();
        for n in 0..200 {
            made(&mut master, n);
        }
        let mut slave = Rig::open(master.store.config.clone(), Default::default());
        slave.store.begin_receive_copy();
        slave.run();
        let mut cursor = master.store.begin_copy();
        let from = loop {
            match master.store.copy_pages(&mut cursor, 2, &mut Ledger::default()) {
                CopyStep::Pages(pages) => {
                    slave.store.receive_pages(pages).unwrap();
                    slave.run();
                }
                CopyStep::Wait(_) => {
                    assert!(master.advance());
                }
                CopyStep::Done { from } => break from,
                CopyStep::Failed(error) => panic!("{error}"),
            }
            // The tree splits while it is copied.
            for _ in 0..dice.below(6) {
                made(&mut master, dice.roll() as i64);
            }
        };
        slave.store.finish_receive_copy(from).unwrap();
        loop {
            match master.store.read_log(slave.store.last_committed().tx, 1000) {
                LogRead::Records(records) if records.is_empty() => break,
                LogRead::Records(records) => {
                    slave.store.receive(&records).unwrap();
                    slave.run();
                    while slave.store.received_left() > 0 {
                        if let Step::Wait(_) = slave.store.apply_received(&mut Ledger::default()) {
                            assert!(slave.advance());
                        }
                    }
                }
                LogRead::Wait(_) => {
                    assert!(master.advance());
                }
                other => panic!("{other:?}"),
            }
        }
        master.store.end_copy(&cursor);
        slave.store.complete_copy().unwrap();
        slave.run();
        assert_eq!(*slave.store.state(), StoreState::Ready);
        assert_eq!(slave.model(), master.model(), "seed {seed}");
        let slave = slave.crash();
        slave.model();
    }
}

#[test]
fn a_schema_change_admits_neither_data_nor_another_change() {
    let (mut rig, _) = Rig::with_tokens(StoreConfig::default());
    let tx = rig.store.begin(0, 0);
    let node = match rig.must(tx, &MicroStep::CreateNode { labels: vec![TokenId(2)] }) {
        Value::Node(node) => node,
        other => panic!("{other:?}"),
    };
    rig.finish(tx);
    let tx = rig.store.begin(0, 0);
    let (label, key, entity) = (TokenId(2), TokenId(2), node.into());
    // It shares the schema, and has written nothing.
    let nothing = MicroStep::RemoveProperty { entity, key };
    assert_eq!(rig.must(tx, &nothing), Value::Bool(false));
    assert_eq!(rig.must(tx, &MicroStep::CreateIndex { label, key }), Value::Bool(true));
    for refused in [
        MicroStep::SetProperty { entity, key, value: Value::Int(1) },
        MicroStep::DropIndex { label, key },
        MicroStep::DropIndex { label: TokenId(0), key: TokenId(0) },
    ] {
        assert_eq!(rig.step(tx, &refused), Some(Err(StoreError::SchemaAndData)), "{refused:?}");
    }
    rig.finish(tx);
    assert_eq!(rig.store.check(&rig.disk), Ok(vec![]));
}

#[test]
fn numbers_that_stand_for_no_name_are_refused() {
    let (mut rig, _) = Rig::with_tokens(StoreConfig::default());
    let tx = rig.store.begin(0, 0);
    let id = TokenId(999);
    let labels = vec![id];
    let refused = |kind| Some(Err(StoreError::NoSuchToken { kind, id }));
    assert_eq!(rig.step(tx, &MicroStep::CreateNode { labels }), refused(TokenKind::Label));
    let Value::Node(node) = rig.must(tx, &MicroStep::CreateNode { labels: vec![] }) else {
        panic!()
    };
    let step = MicroStep::CreateRelationship { from: node, to: node, kind: id };
    assert_eq!(rig.step(tx, &step), refused(TokenKind::RelationshipType));
    let step = MicroStep::SetProperty { entity: node.into(), key: id, value: Value::Int(1) };
    assert_eq!(rig.step(tx, &step), refused(TokenKind::PropertyKey));
    // Its own new ones are known to it.
    let name = "mine".into();
    let kind = TokenKind::Label;
    let Value::Token(label) = rig.must(tx, &MicroStep::Token { kind, name }) else { panic!() };
    rig.must(tx, &MicroStep::AddLabel { node, label });
    rig.finish(tx);
}

#[test]
fn a_store_that_was_built_whole_keeps_its_constraints() {
    let mut builder = ImageBuilder::new(1);
    let label = builder.token(TokenKind::Label, "User").unwrap();
    let key = builder.token(TokenKind::PropertyKey, "account").unwrap();
    builder.unique(label, key).unwrap();
    assert_eq!(builder.unique(label, key), Err(StoreError::IndexExists { unique: true }));
    for account in 0..100 {
        builder.add_node(&[label], &[(key, Value::Int(account))]).unwrap();
    }
    builder.add_node(&[], &[(key, Value::Int(7))]).unwrap();
    assert_eq!(
        builder.add_node(&[label], &[(key, Value::Int(7))]),
        Err(StoreError::ConstraintViolation { label, key, node: NodeId(101) })
    );
    let rig = Rig::from_image(StoreConfig::default(), &builder.finish());
    assert_eq!(rig.store.check(&rig.disk), Ok(vec![]));
    let indexes: Vec<IndexInfo> = rig.store.indexes().collect();
    assert_eq!(indexes, [IndexInfo { label, key, unique: true }]);
}
