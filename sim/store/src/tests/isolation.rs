//! Read committed, exactly: each anomaly that it allows is shown, each that it forbids is
//! shown not to occur. Names after Adya (G0, G1) and Berenson et al. (1995).

use alloc::vec;
use wavetank_vocabulary::NodeId;

use crate::testing::Rig;
use crate::*;

const KEY: TokenId = TokenId(0);

/// Two nodes whose counters are 0.
fn two() -> Rig {
    let mut rig = Rig::create(StoreConfig::default());
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::Token { kind: TokenKind::PropertyKey, name: "n".into() });
    rig.must(tx, &MicroStep::Token { kind: TokenKind::RelationshipType, name: "r".into() });
    for node in 0..2 {
        rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
        rig.must(tx, &set(node, 0));
    }
    rig.finish(tx);
    rig
}

fn set(node: u64, value: i64) -> MicroStep {
    MicroStep::SetProperty { entity: NodeId(node).into(), key: KEY, value: Value::Int(value) }
}

fn read(rig: &mut Rig, tx: TxHandle, node: u64) -> i64 {
    match rig.must(tx, &MicroStep::ReadProperty { entity: NodeId(node).into(), key: KEY }) {
        Value::Int(value) => value,
        other => panic!("{other:?}"),
    }
}

fn waits(rig: &mut Rig, tx: TxHandle, step: &MicroStep) -> bool {
    matches!(rig.store.step(tx, step, &mut Ledger::default()), Step::Wait(_))
}

#[test]
fn forbidden_dirty_write_g0() {
    let mut rig = two();
    let (a, b) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    rig.must(a, &set(0, 1));
    assert!(waits(&mut rig, b, &set(0, 2)), "the second writer waits for the first to end");
    rig.must(a, &set(1, 1));
    rig.finish(a);
    rig.must(b, &set(0, 2));
    rig.must(b, &set(1, 2));
    rig.finish(b);
    let tx = rig.store.begin(0, 0);
    assert_eq!((read(&mut rig, tx, 0), read(&mut rig, tx, 1)), (2, 2), "never one of each");
    rig.finish(tx);
}

#[test]
fn forbidden_aborted_read_g1a() {
    let mut rig = two();
    let (writer, reader) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    rig.must(writer, &set(0, 7));
    assert_eq!(read(&mut rig, reader, 0), 0);
    rig.store.rollback(writer);
    assert_eq!(read(&mut rig, reader, 0), 0);
    rig.finish(reader);
}

#[test]
fn forbidden_intermediate_read_g1b() {
    let mut rig = two();
    let (writer, reader) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    let mut seen = vec![];
    for value in [1, 2, 3] {
        rig.must(writer, &set(0, value));
        seen.push(read(&mut rig, reader, 0));
    }
    rig.must(writer, &MicroStep::Prepare);
    seen.push(read(&mut rig, reader, 0));
    let committing = rig.store.commit(writer, &mut Ledger::default()).unwrap();
    seen.push(read(&mut rig, reader, 0));
    rig.wait(committing.ticket.unwrap()).unwrap();
    rig.apply(writer).unwrap();
    seen.push(read(&mut rig, reader, 0));
    assert_eq!(seen, [0, 0, 0, 0, 0, 3], "only the last of the writer's values is ever seen");
    rig.finish(reader);
}

#[test]
fn forbidden_circular_information_flow_g1c() {
    let mut rig = two();
    let (a, b) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    rig.must(a, &set(0, 1));
    rig.must(b, &set(1, 1));
    assert_eq!((read(&mut rig, a, 1), read(&mut rig, b, 0)), (0, 0), "neither sees the other");
    rig.finish(a);
    rig.finish(b);
}

#[test]
fn forbidden_half_of_a_commit() {
    let mut rig = two();
    let writer = rig.store.begin(0, 0);
    for node in 0..2 {
        rig.must(writer, &set(node, 1));
    }
    let (from, to, kind) = (NodeId(0), NodeId(1), TokenId(0));
    rig.must(writer, &MicroStep::CreateRelationship { from, to, kind });
    rig.must(writer, &MicroStep::Prepare);
    rig.store.commit(writer, &mut Ledger::default()).unwrap();
    // A commit is applied in one step: a reader sees all of it or nothing.
    loop {
        let reader = rig.store.begin(0, 0);
        let seen = [read(&mut rig, reader, 0), read(&mut rig, reader, 1)];
        let degree = rig.must(reader, &MicroStep::Degree { node: to });
        assert_eq!(degree, Value::Int(seen[0]));
        assert_eq!(seen[0], seen[1]);
        rig.finish(reader);
        if seen == [1, 1] {
            break;
        }
        if let Step::Wait(_) = rig.store.apply(writer, &mut Ledger::default()) {
            rig.turn();
        }
    }
}

#[test]
fn allowed_fuzzy_read_p2() {
    let mut rig = two();
    let (reader, writer) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    assert_eq!(read(&mut rig, reader, 0), 0);
    rig.must(writer, &set(0, 5));
    rig.finish(writer);
    assert_eq!(read(&mut rig, reader, 0), 5, "the same read gives another value");
    rig.finish(reader);
}

#[test]
fn allowed_phantom_p3() {
    let mut rig = two();
    let reader = rig.store.begin(0, 0);
    let degree = MicroStep::Degree { node: NodeId(0) };
    assert_eq!(rig.must(reader, &degree), Value::Int(0));
    let writer = rig.store.begin(0, 0);
    let (from, to, kind) = (NodeId(0), NodeId(1), TokenId(0));
    rig.must(writer, &MicroStep::CreateRelationship { from, to, kind });
    rig.finish(writer);
    assert_eq!(rig.must(reader, &degree), Value::Int(1));
    rig.finish(reader);
}

#[test]
fn allowed_lost_update_p4_and_how_a_lock_prevents_it() {
    for locked in [false, true] {
        let mut rig = two();
        let (a, b) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
        let lock = MicroStep::Lock { node: NodeId(0) };
        if locked {
            rig.must(a, &lock);
        }
        let in_a = read(&mut rig, a, 0);
        let in_b = if locked {
            assert!(waits(&mut rig, b, &lock));
            None
        } else {
            Some(read(&mut rig, b, 0))
        };
        rig.must(a, &set(0, in_a + 1));
        rig.finish(a);
        if locked {
            rig.must(b, &lock);
        }
        let in_b = in_b.unwrap_or_else(|| read(&mut rig, b, 0));
        rig.must(b, &set(0, in_b + 1));
        rig.finish(b);
        let tx = rig.store.begin(0, 0);
        assert_eq!(read(&mut rig, tx, 0), if locked { 2 } else { 1 });
        rig.finish(tx);
    }
}

#[test]
fn allowed_read_skew_a5a_and_write_skew_a5b() {
    let mut rig = two();
    let (reader, writer) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    let before = read(&mut rig, reader, 0);
    rig.must(writer, &set(0, 1));
    rig.must(writer, &set(1, 1));
    rig.finish(writer);
    assert_eq!((before, read(&mut rig, reader, 1)), (0, 1), "half before, half after");
    rig.finish(reader);
    // Each sees that the other's node has 1 and sets its own to 0: both end up 0.
    let (a, b) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    assert_eq!((read(&mut rig, a, 1), read(&mut rig, b, 0)), (1, 1));
    rig.must(a, &set(0, 0));
    rig.must(b, &set(1, 0));
    rig.finish(a);
    rig.finish(b);
    let tx = rig.store.begin(0, 0);
    assert_eq!((read(&mut rig, tx, 0), read(&mut rig, tx, 1)), (0, 0));
    rig.finish(tx);
}
