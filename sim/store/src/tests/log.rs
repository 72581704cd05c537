//! Rotation, checkpoints by number and time, and which log files stay.

use alloc::vec;
use wavetank_vocabulary::{Bytes, TxId};

use crate::testing::Rig;
use crate::*;

fn config() -> StoreConfig {
    let log_rotation_threshold = Bytes::kib(1);
    StoreConfig { log_rotation_threshold, tail_transactions: 4, ..StoreConfig::default() }
}

/// Commits this many transactions, a minute apart.
fn commit(rig: &mut Rig, count: u64, from_ms: u64) {
    for n in 0..count {
        let tx = rig.store.begin(0, from_ms + n * 60_000);
        rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
        rig.finish(tx);
    }
}

fn logs(rig: &Rig) -> usize {
    rig.disk.names().iter().filter(|name| name.kind == FileKind::Log).count()
}

fn checkpoint(rig: &mut Rig) {
    rig.store.request_checkpoint();
    rig.run();
}

#[test]
fn files_behind_the_checkpoint_go_when_the_policy_lets_them() {
    let kept = |policy: &str| {
        let log_retention = policy.parse().unwrap();
        let mut rig = Rig::create(StoreConfig { log_retention, ..config() });
        commit(&mut rig, 100, 0);
        let before = logs(&rig);
        assert!(before > 8, "the log was rotated by size: {before}");
        checkpoint(&mut rig);
        let left = logs(&rig);
        let mut oldest = rig.store.read_log(TxId::BASE, 1);
        while let LogRead::Wait(_) = oldest {
            rig.turn();
            oldest = rig.store.read_log(TxId::BASE, 1);
        }
        assert_eq!(oldest == LogRead::TooOld, left < before, "{policy}: {oldest:?}");
        // The store opens from what is left.
        let rig = rig.crash();
        assert_eq!(rig.store.mark().tx, TxId(101));
        (before - left, left)
    };
    assert_eq!(kept("true").0, 0);
    assert_eq!(kept("false").1, 1);
    assert_eq!(kept("3 files").1, 3);
    assert_eq!(kept("2k size").1, 3);
    let txs = kept("30 txs").1;
    assert!((3..6).contains(&txs), "{txs} files for 30 transactions");
    let hour = kept("1 hours").1;
    assert!((5..9).contains(&hour), "{hour} files for 60 transactions");
    assert_eq!(kept("7 days").0, 0);
}

#[test]
fn no_file_goes_that_is_not_behind_the_checkpoint() {
    let mut rig = Rig::create(StoreConfig { log_retention: LogRetention::None, ..config() });
    commit(&mut rig, 50, 0);
    let before = logs(&rig);
    // A transaction that is durable and not applied holds the checkpoint back.
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
    rig.commit(tx).unwrap();
    commit(&mut rig, 50, 0);
    checkpoint(&mut rig);
    let held = logs(&rig);
    assert!(held > 3 && held < before + 4, "{held} of {before}");
    rig.apply(tx).unwrap();
    checkpoint(&mut rig);
    assert_eq!(logs(&rig), 1);
    rig.model();
}

#[test]
fn checkpoints_are_taken_by_number_and_by_time() {
    let mut rig = Rig::create(StoreConfig { checkpoint_interval_tx: 10, ..config() });
    commit(&mut rig, 9, 0);
    assert!(!rig.store.wants_background());
    commit(&mut rig, 1, 0);
    assert!(rig.store.wants_background());
    rig.run();
    assert_eq!(rig.store.counters().last_checkpoint_tx, 11);

    let interval = Some(300_000);
    let mut rig = Rig::create(StoreConfig { checkpoint_interval_ms: interval, ..config() });
    rig.store.set_clock(400_000);
    assert!(!rig.store.wants_background(), "there is nothing new");
    commit(&mut rig, 1, 400_000);
    rig.run();
    assert_eq!(rig.store.counters().checkpoints, 1);
    commit(&mut rig, 1, 600_000);
    assert!(!rig.store.wants_background());
    rig.store.set_clock(700_000);
    rig.run();
    assert_eq!(rig.store.counters().checkpoints, 2);
}
