//! Ids of deleted records are used again, at the right time and never too early.

use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::NodeId;

use crate::testing::Rig;
use crate::*;

fn config(id_reuse_safe_zone_ms: u64) -> StoreConfig {
    StoreConfig { id_reuse_safe_zone_ms, ..StoreConfig::default() }
}

fn make(rig: &mut Rig, tx: TxHandle) -> NodeId {
    match rig.must(tx, &MicroStep::CreateNode { labels: vec![] }) {
        Value::Node(node) => node,
        other => panic!("{other:?}"),
    }
}

fn nodes(rig: &mut Rig, count: u64) -> Vec<NodeId> {
    let tx = rig.store.begin(0, 0);
    let nodes = (0..count).map(|_| make(rig, tx)).collect();
    rig.finish(tx);
    nodes
}

fn delete(rig: &mut Rig, nodes: &[NodeId], now_ms: u64) {
    let tx = rig.store.begin(0, now_ms);
    for node in nodes {
        rig.must(tx, &MicroStep::DeleteNode { node: *node });
    }
    rig.finish(tx);
}

fn next(rig: &mut Rig, now_ms: u64) -> u64 {
    let tx = rig.store.begin(0, now_ms);
    let node = make(rig, tx);
    rig.store.rollback(tx);
    node.0
}

#[test]
fn freed_ids_rest_while_a_transaction_is_open_that_may_hold_them() {
    let mut rig = Rig::create(config(0));
    let all = nodes(&mut rig, 4);
    let reader = rig.store.begin(0, 0);
    delete(&mut rig, &all[1..3], 0);
    assert_eq!(next(&mut rig, 0), 4, "the reader may still hold node 1");
    rig.finish(reader);
    assert_eq!(next(&mut rig, 0), 1);
    assert_eq!(rig.store.free_ids(FileKind::Nodes), 3, "1, 2 and the one rolled back");
    rig.model();
}

#[test]
fn freed_ids_rest_for_the_safe_zone() {
    let mut rig = Rig::create(config(1000));
    let all = nodes(&mut rig, 4);
    delete(&mut rig, &all[..1], 5000);
    assert_eq!(next(&mut rig, 5999), 4);
    assert_eq!(next(&mut rig, 6000), 0);
}

#[test]
fn ids_freed_before_a_crash_are_known_after_it() {
    for checkpoint in [false, true] {
        let mut rig = Rig::create(config(0));
        let all = nodes(&mut rig, 8);
        delete(&mut rig, &all[2..5], 0);
        // One more is open at the checkpoint and never commits.
        let lost = rig.store.begin(0, 0);
        make(&mut rig, lost);
        if checkpoint {
            rig.store.request_checkpoint();
            rig.run();
        }
        nodes(&mut rig, 1);
        let mut rig = rig.crash();
        rig.model();
        let made: Vec<u64> = nodes(&mut rig, 4).iter().map(|node| node.0).collect();
        assert_eq!(made, [2, 4, 8, 9], "checkpoint {checkpoint}");
    }
}

#[test]
fn more_free_ids_than_the_meta_page_lists_are_searched_for() {
    let mut rig = Rig::create(config(0));
    let all = nodes(&mut rig, 3000);
    for some in all.chunks(500) {
        delete(&mut rig, &some[1..], 0);
    }
    rig.store.request_checkpoint();
    rig.run();
    let mut rig = rig.crash();
    assert_eq!(rig.store.recovery().unwrap().replayed, 0);
    assert_eq!(rig.store.free_ids(FileKind::Nodes), 2994);
    assert_eq!(next(&mut rig, 0), 1);
    rig.model();
}
