//! Backups of a running store: full, incremental, refused, restored, and as a replica.

use alloc::string::ToString;
use wavetank_vocabulary::{Bytes, TxId};

use crate::testing::model::{History, random_transactions};
use crate::testing::{Dice, MemoryDisk, Rig};
use crate::*;

fn config() -> StoreConfig {
    StoreConfig {
        frames: 6,
        log_rotation_threshold: Bytes::kib(8),
        checkpoint_interval_tx: 25,
        tail_transactions: 8,
        free_frames: 2,
        id_reuse_safe_zone_ms: 0,
        dense_node_threshold: 5,
        ..StoreConfig::default()
    }
}

fn running(seed: u64) -> (Rig, History) {
    let (mut rig, mut history) = Rig::with_tokens(config());
    random_transactions(&mut rig, &mut history, 60, &mut Dice(seed)).unwrap();
    (rig, history)
}

fn empty() -> Rig {
    Rig::open(config(), MemoryDisk::default())
}

/// Takes a backup while the source goes on committing.
pub(super) fn back_up(
    source: &mut Rig,
    target: &mut Rig,
    history: &mut History,
    mut busy: Option<&mut Dice>,
) -> Result<BackupReport, BackupError> {
    let mut backup = Backup::begin(&mut source.store, &mut target.store)?;
    loop {
        match backup.step(&mut source.store, &mut target.store, &mut Ledger::default()) {
            BackupStep::Done(report) => return Ok(report),
            BackupStep::Failed(error) => return Err(error),
            BackupStep::Wait => {}
        }
        if let Some(dice) = &mut busy
            && dice.below(16) == 0
        {
            random_transactions(source, history, 1, dice).unwrap();
        }
        if !source.turn() && source.store.wants_background() {
            source.store.background(8, &mut Ledger::default());
        }
        if !target.turn() && target.store.wants_background() {
            target.store.background(8, &mut Ledger::default());
        }
    }
}

#[test]
fn a_backup_of_a_busy_store_is_a_store_at_a_transaction_boundary() {
    for seed in 0..3 {
        let (mut source, mut history) = running(seed);
        let mut target = empty();
        let mut dice = Dice(seed + 50);
        let report = back_up(&mut source, &mut target, &mut history, Some(&mut dice)).unwrap();
        assert!(report.full && report.pages > 5, "{report}");
        assert!(source.store.mark().tx > report.mark.tx, "the source was busy");
        // Again and again, each taking only what is new.
        for _ in 0..3 {
            let mut target_again = target.crash();
            let at = target_again.store.mark().tx;
            assert_eq!(target_again.model(), history.after[at.0 as usize - 1], "seed {seed}");
            random_transactions(&mut source, &mut history, 10, &mut dice).unwrap();
            let report =
                back_up(&mut source, &mut target_again, &mut history, Some(&mut dice)).unwrap();
            assert!(!report.full && report.pages == 0, "{report}");
            assert_eq!(report.mark.tx.0 - at.0, report.transactions);
            target = target_again;
        }
        // Nothing is new once the store is idle.
        back_up(&mut source, &mut target, &mut history, None).unwrap();
        let report = back_up(&mut source, &mut target, &mut history, None).unwrap();
        assert_eq!((report.transactions, target.digest()), (0, source.digest()));
    }
}

#[test]
fn a_restored_store_goes_on_and_a_backup_seeds_a_replica() {
    let (mut source, mut history) = running(3);
    let mut target = empty();
    back_up(&mut source, &mut target, &mut history, None).unwrap();
    // Restored elsewhere, it goes on as the store.
    let mut restored = empty();
    let mut unused = History::default();
    back_up(&mut target, &mut restored, &mut unused, None).unwrap();
    let mut restored = restored.crash();
    assert_eq!(restored.digest(), source.digest());
    let mut after = history.clone();
    random_transactions(&mut restored, &mut after, 20, &mut Dice(1)).unwrap();
    after.check(&restored.crash(), 2, "restored");
    // The backup's files under a replica, which pulls the rest.
    random_transactions(&mut source, &mut history, 20, &mut Dice(2)).unwrap();
    let mut replica = target.crash();
    loop {
        match source.store.read_log(replica.store.last_committed().tx, 5) {
            LogRead::Records(records) if records.is_empty() => break,
            LogRead::Records(records) => {
                replica.store.receive(&records).unwrap();
                while replica.store.received_left() > 0 {
                    if let Step::Wait(_) = replica.store.apply_received(&mut Ledger::default()) {
                        assert!(replica.advance());
                    }
                }
            }
            LogRead::Wait(_) => assert!(source.advance()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(replica.model(), source.model());
}

#[test]
fn a_backup_that_cannot_go_on_says_why_and_stays_as_it_was() {
    let (mut source, mut history) = running(5);
    let mut target = empty();
    back_up(&mut source, &mut target, &mut history, None).unwrap();
    let (mark, digest) = (target.store.mark(), target.digest());
    // The logs are gone.
    let mut pruned = source.clone();
    pruned.store.config.log_retention = LogRetention::None;
    let mut dice = Dice(7);
    random_transactions(&mut pruned, &mut history, 90, &mut dice).unwrap();
    pruned.store.request_checkpoint();
    pruned.run();
    let refused = back_up(&mut pruned, &mut target, &mut history, None);
    assert_eq!(refused, Err(BackupError::LogsGone(mark.tx)));
    assert!(refused.unwrap_err().to_string().contains("take a full backup"));
    // Another store.
    let mut other = Rig::create(StoreConfig { store_id: 99, ..config() });
    let refused = back_up(&mut other, &mut target, &mut history, None);
    assert_eq!(refused, Err(BackupError::DifferentStore { expected: 99, found: 1 }));
    // The same store with another history.
    let (mut branched, mut ignored) = running(6);
    random_transactions(&mut branched, &mut ignored, 60, &mut Dice(8)).unwrap();
    let refused = back_up(&mut branched, &mut target, &mut history, None);
    assert_eq!(refused, Err(BackupError::Branched(mark.tx)));
    assert_eq!((target.store.mark(), target.digest()), (mark, digest));
    // And a full one into an empty target works.
    assert!(back_up(&mut pruned, &mut empty(), &mut history, None).unwrap().full);
}

#[test]
fn damage_does_not_reach_a_backup() {
    let (mut source, mut history) = running(9);
    source.store.request_checkpoint();
    source.run();
    let mut source = source.crash();
    source.disk.bytes_mut(FileName::live(FileKind::Properties))[5000] ^= 1;
    source.disk.bytes_mut(FileName::live(FileKind::DoubleWrite)).clear();
    let mut source = source.crash();
    let mut target = empty();
    let failed = back_up(&mut source, &mut target, &mut history, None);
    assert!(
        matches!(failed, Err(BackupError::Source(StoreError::DamagedPage { page: 0, .. }))),
        "{failed:?}"
    );
    assert_eq!(*target.crash().store.state(), StoreState::Empty, "half a backup is none");
    // A damaged log is not handed on either; the backup keeps what it had.
    let (mut source, mut history) = running(10);
    let mut target = empty();
    back_up(&mut source, &mut target, &mut history, None).unwrap();
    let mark = target.store.mark();
    let file = source.disk.names().into_iter().rfind(|name| name.kind == FileKind::Log).unwrap();
    let at = source.disk.bytes_mut(file).len();
    random_transactions(&mut source, &mut history, 12, &mut Dice(1)).unwrap();
    if source.disk.bytes_mut(file).len() > at + 60 {
        source.disk.bytes_mut(file)[at + 50] ^= 1;
        let failed = back_up(&mut source, &mut target, &mut history, None);
        assert!(
            matches!(failed, Err(BackupError::Source(StoreError::DamagedLog { .. }))),
            "{failed:?}"
        );
        assert_eq!(target.store.mark().tx, mark.tx.max(TxId(2)));
    } else {
        panic!("the seed must leave room in the log file");
    }
}

#[test]
fn a_crash_of_the_target_leaves_no_store_or_a_whole_one() {
    let (source, history) = running(11);
    let take = |stop_at: u64| {
        let (mut source, mut history) = (source.clone(), history.clone());
        let mut target = Rig::open_until(config(), MemoryDisk::default(), stop_at, None);
        let mut backup = match Backup::begin(&mut source.store, &mut target.store) {
            Ok(backup) => backup,
            Err(_) => return (target, history, false),
        };
        let mut dice = Dice(3);
        loop {
            match backup.step(&mut source.store, &mut target.store, &mut Ledger::default()) {
                BackupStep::Done(_) => return (target, history, true),
                BackupStep::Failed(error) => panic!("{error}"),
                BackupStep::Wait => {}
            }
            random_transactions(&mut source, &mut history, 1, &mut dice).unwrap();
            if !target.turn() && target.stopped() {
                return (target, history, false);
            }
            if target.store.wants_background() {
                target.store.background(8, &mut Ledger::default());
            }
        }
    };
    let (whole, _, done) = take(u64::MAX);
    assert!(done);
    for stop_at in (0..whole.disk.done).step_by(5) {
        let (target, history, _) = take(stop_at);
        for rig in [target.clone().lose_power(&mut Dice(stop_at)), target.crash()] {
            match rig.store.state() {
                StoreState::Empty => {}
                _ => history.check(&rig, 2, &std::format!("backup stopped at {stop_at}")),
            }
        }
    }
}
