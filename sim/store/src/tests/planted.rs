//! Records that contradict each other, with right checksums: whatever is read or changed then
//! ends in an answer or a typed error; nothing panics, overflows, never ends or leaks.

use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use wavetank_vocabulary::{LogMark, NodeId, PlantedBugs, RelationshipId, TxId};

use crate::log::TxRecord;
use crate::record::{
    Dynamic, DynamicRecord, GroupRecord, Labels, NONE, NodeRecord, PropertyRecord, Record,
    RelationshipRecord,
};
use crate::testing::Rig;
use crate::tree::IndexKey;
use crate::*;

const NODES: u64 = 8;
const RELATIONSHIPS: u64 = 24;

fn config() -> StoreConfig {
    StoreConfig { dense_node_threshold: 6, id_reuse_safe_zone_ms: 0, ..StoreConfig::default() }
}

/// A dense node, others with a few relationships, all kinds of properties, some labels.
fn store(config: StoreConfig) -> Rig {
    let (mut rig, _) = Rig::with_tokens(config);
    let tx = rig.store.begin(0, 0);
    for n in 0..NODES {
        rig.must(tx, &MicroStep::CreateNode { labels: vec![TokenId(n as u16 % 3)] });
        let text = Value::Text("long ".repeat(n as usize * 9).as_str().into());
        for (key, value) in [(0, Value::Int(n as i64)), (1, text)] {
            let entity = NodeId(n).into();
            rig.must(tx, &MicroStep::SetProperty { entity, key: TokenId(key), value });
        }
    }
    for n in 0..RELATIONSHIPS {
        let (from, to) = (NodeId(n % 2), NodeId(n * 5 % NODES));
        rig.must(tx, &MicroStep::CreateRelationship { from, to, kind: TokenId(n as u16 % 2) });
    }
    rig.finish(tx);
    rig
}

/// Changes a record behind the store's back.
fn plant<R: Record>(rig: &mut Rig, id: u64, change: impl FnOnce(&mut R)) {
    let id = id % rig.store.high[R::KIND as usize].max(1);
    if rig.store.counts.logical[R::KIND as usize] == 0 {
        return;
    }
    let mut record: R = rig.store.contents(&rig.disk).unwrap().read(id);
    change(&mut record);
    let mut image = vec![0; R::SIZE];
    record.encode(&mut image);
    rig.store.write_image(R::KIND, id, &image, 0);
}

/// One thing that is wrong: in which kind of record, in which one, where, and what.
type Wrong = (u8, u64, u8, u64);

fn wrongs() -> impl Strategy<Value = Vec<Wrong>> {
    let word = prop_oneof![
        Just(NONE),
        Just(0),
        0..RELATIONSHIPS,
        Just((1 << 35) - 2),
        Just((1 << 36) - 2),
        any::<u64>(),
    ];
    prop::collection::vec((0..6u8, 0..RELATIONSHIPS, any::<u8>(), word), 1..6)
}

fn plant_all(rig: &mut Rig, wrongs: &[Wrong]) {
    for (kind, id, field, word) in wrongs.iter().copied() {
        let side = usize::from(field / 16 % 2);
        match kind {
            0 => plant::<NodeRecord>(rig, id, |node| match field % 5 {
                0 => node.first_relationship = word,
                1 => node.first_property = word,
                2 => node.dense = !node.dense,
                3 => node.labels = Labels::at(word),
                _ => node.in_use = false,
            }),
            1 | 2 => plant::<RelationshipRecord>(rig, id, |record| match field % 7 {
                0 => record.nodes[side] = word,
                1 => record.previous[side] = word,
                2 => record.next[side] = word,
                3 => record.is_first[side] = !record.is_first[side],
                4 => record.kind = word as u32,
                5 => record.first_property = word,
                _ => record.in_use = false,
            }),
            3 => plant::<PropertyRecord>(rig, id, |record| match field % 3 {
                0 => record.next = word,
                1 => record.previous = word,
                _ => record.blocks[usize::from(field / 4 % 4)] = word,
            }),
            4 => plant::<GroupRecord>(rig, id, |group| match field % 4 {
                0 => group.owner = word,
                1 => group.next = word,
                2 => group.kind = word as u32,
                _ => group.first[usize::from(field / 4 % 3)] = word,
            }),
            _ => plant::<DynamicRecord>(rig, id, |record| {
                *record = DynamicRecord::UNUSED;
            }),
        }
    }
}

/// A change: what, and to which.
fn change((what, one, other): (u8, u64, u64)) -> MicroStep {
    let (node, relationship) = (NodeId(one % NODES), RelationshipId(one % RELATIONSHIPS));
    let (entity, key) = (node.into(), TokenId(other as u16 % 3));
    match what % 7 {
        0 => {
            let to = NodeId(other % NODES);
            MicroStep::CreateRelationship { from: node, to, kind: TokenId(one as u16 % 2) }
        }
        1 | 2 => MicroStep::DeleteRelationship { relationship },
        3 => MicroStep::DeleteNode { node },
        4 => MicroStep::SetProperty { entity, key, value: Value::Text("x".repeat(200).into()) },
        5 => MicroStep::RemoveProperty { entity, key },
        _ => MicroStep::AddLabel { node, label: TokenId(other as u16 % 12) },
    }
}

/// Reads everything, makes each change by itself, checks. Any error will do.
fn explore(rig: &mut Rig, changes: &[(u8, u64, u64)]) {
    let tx = rig.store.begin(0, 0);
    for node in (0..NODES).map(NodeId) {
        for step in [
            MicroStep::ReadProperties { entity: node.into() },
            MicroStep::ReadProperty { entity: node.into(), key: TokenId(1) },
            MicroStep::Degree { node },
            MicroStep::HasLabel { node, label: TokenId(1) },
        ] {
            let _ = rig.step(tx, &step).expect("the disk does not stop");
        }
        let mut from = None;
        for turn in 0.. {
            assert!(turn < 100, "an expansion never ends");
            let (direction, kind, limit) = (Direction::Both, None, u32::MAX);
            let step = MicroStep::Expand { node, direction, kind, limit, from };
            match rig.step(tx, &step).expect("the disk does not stop") {
                Ok(Value::Expanded { rest: Some(rest), .. }) => from = Some(rest),
                _ => break,
            }
        }
    }
    rig.store.rollback(tx);
    for step in changes.iter().copied().map(change) {
        let tx = rig.store.begin(0, 0);
        let done = [step, MicroStep::Prepare]
            .iter()
            .all(|step| rig.step(tx, step).expect("the disk does not stop").is_ok());
        if !done || rig.store.commit(tx, &mut rig.ledger).is_err() {
            rig.store.rollback(tx);
            continue;
        }
        rig.apply(tx).expect("what was logged can be applied");
    }
    let _ = rig.store.check(&rig.disk);
    #[cfg(feature = "std")]
    let _ = rig.store.dump(&rig.disk, &mut Vec::new());
    rig.run();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn inconsistent_records_end_in_typed_errors(
        wrongs in wrongs(),
        changes in prop::collection::vec((any::<u8>(), any::<u64>(), any::<u64>()), 1..12),
    ) {
        let mut rig = store(config());
        plant_all(&mut rig, &wrongs);
        explore(&mut rig, &changes);
    }

    /// A slave that does not learn the ids of what it receives gives them out again as a
    /// master: new records are written over old ones.
    #[test]
    fn a_master_that_gives_ids_out_twice_gets_typed_errors(
        changes in prop::collection::vec((any::<u8>(), any::<u64>(), any::<u64>()), 1..25),
    ) {
        let mut master = store(config());
        let bugs = PlantedBugs::IDS_NOT_LEARNED;
        let mut slave = Rig::create(StoreConfig { bugs, ..config() });
        let LogRead::Records(records) = master.store.read_log(TxId::BASE, 100) else {
            panic!("all of it is in memory")
        };
        let ticket = slave.store.receive(&records).unwrap();
        slave.wait(ticket).unwrap();
        while slave.store.received_left() > 0 {
            if let Step::Wait(_) = slave.store.apply_received(&mut slave.ledger) {
                slave.advance();
            }
        }
        let tx = slave.store.begin(0, 0);
        for n in 0..4 {
            slave.must(tx, &MicroStep::CreateNode { labels: vec![] });
            let (from, to) = (NodeId(0), NodeId(n));
            slave.must(tx, &MicroStep::CreateRelationship { from, to, kind: TokenId(0) });
        }
        let prepared = slave.step(tx, &MicroStep::Prepare).expect("the disk does not stop");
        match prepared.and_then(|_| slave.store.commit(tx, &mut slave.ledger)) {
            Ok(_) => slave.apply(tx).expect("what was logged can be applied"),
            Err(_) => slave.store.rollback(tx),
        }
        explore(&mut slave, &changes);
        master.run();
    }
}

#[test]
fn a_chain_that_begins_in_its_middle_is_told() {
    for (is_first, previous) in [(false, NONE), (false, 3), (true, NONE)] {
        let mut rig = store(config());
        let node = NodeId(2);
        let first: NodeRecord = rig.store.contents(&rig.disk).unwrap().read(node.0);
        plant::<RelationshipRecord>(&mut rig, first.first_relationship, |record| {
            let side = record.side(node.0).expect("it is in its chain") as usize;
            (record.is_first[side], record.previous[side]) = (is_first, previous);
        });
        let what = "a relationship chain begins in its middle";
        let told = Some(Err(StoreError::Inconsistent(what.into())));
        let tx = rig.store.begin(0, 0);
        assert_eq!(rig.step(tx, &MicroStep::Degree { node }), told);
        rig.must(tx, &MicroStep::CreateRelationship { from: node, to: node, kind: TokenId(0) });
        assert_eq!(rig.step(tx, &MicroStep::Prepare), told);
        rig.store.rollback(tx);
    }
}

#[test]
fn a_circle_of_empty_leaves_ends() {
    let mut rig = store(config());
    let tx = rig.store.begin(0, 0);
    for _ in 0..40 {
        rig.must(tx, &MicroStep::CreateNode { labels: vec![TokenId(0)] });
    }
    rig.finish(tx);
    // The root as an empty leaf before one that is empty too and follows itself.
    for page in [0, 1] {
        let key = crate::cache::PageKey(FileKind::Index, page);
        let frame = rig.store.cache.find(key).expect("the index is resident");
        let body = rig.store.cache.page_mut(frame).body_mut();
        body[..8].copy_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
    }
    let tx = rig.store.begin(0, 0);
    let found = rig.step(tx, &MicroStep::ScanLabel { label: TokenId(0), from: None }).unwrap();
    assert_eq!(found, Err(StoreError::Inconsistent("the index tree has no end".into())));
    rig.store.rollback(tx);
}

#[test]
fn more_token_records_than_numbers_are_no_overflow() {
    let mut rig = store(config());
    rig.store.high[FileKind::Tokens as usize] = 1 << 18;
    assert!(rig.store.check(&rig.disk).is_ok());
}

#[test]
fn the_key_behind_the_last_one_is_no_overflow() {
    let last = IndexKey { space: 1, hash: 2, node: u64::MAX };
    assert_eq!(last.next(), IndexKey { space: 1, hash: 3, node: 0 });
    let last = IndexKey { hash: u64::MAX, ..last };
    assert_eq!(last.next(), IndexKey { space: 2, hash: 0, node: 0 });
}

#[test]
fn a_reader_far_ahead_of_the_log_gets_nothing() {
    let mut rig = store(config());
    for from in [rig.store.mark().tx, TxId(u64::MAX)] {
        assert_eq!(
            rig.store.read_log(from, 10),
            LogRead::Records(Vec::<alloc::sync::Arc<TxRecord>>::new())
        );
    }
    assert_eq!(rig.store.mark_of(TxId(u64::MAX)), MarkOf::Missing);
    assert_ne!(rig.store.mark(), LogMark::BASE);
}
