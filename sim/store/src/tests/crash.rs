//! Crashes after every single disk operation, and power losses, also during recovery.

use std::panic::catch_unwind;
use std::string::String;
use std::vec;

use wavetank_vocabulary::{Bytes, PlantedBugs};

use super::backup::back_up;
use crate::testing::model::{History, create_tokens, random_transactions, renew_constraint};
use crate::testing::{Dice, MemoryDisk, Rig};
use crate::*;

fn config() -> StoreConfig {
    StoreConfig {
        frames: 4,
        log_rotation_threshold: Bytes::kib(6),
        checkpoint_interval_tx: 15,
        tail_transactions: 8,
        free_frames: 1,
        double_write_pages: 10,
        dense_node_threshold: 4,
        log_retention: LogRetention::Files(2),
        id_reuse_safe_zone_ms: 0,
        ..StoreConfig::default()
    }
}

/// Creates a store and runs a fixed workload until the disk has done `stop_at` operations.
fn play(stop_at: u64, seed: u64) -> (Rig, History) {
    play_on(MemoryDisk::default(), stop_at, seed)
}

fn play_on(disk: MemoryDisk, stop_at: u64, seed: u64) -> (Rig, History) {
    let shuffle = (seed % 2 == 1).then_some(Dice(seed));
    let mut rig = Rig::open_until(config(), disk, stop_at, shuffle);
    rig.store.create();
    rig.run();
    let mut history = History::default();
    if *rig.store.state() == StoreState::Ready
        && create_tokens(&mut rig, &mut history).is_some()
        && random_transactions(&mut rig, &mut history, 60, &mut Dice(seed)).is_some()
    {
        rig.run();
    }
    (rig, history)
}

fn check(rig: &Rig, history: &History, what: &str) {
    history.check(rig, history.acknowledged, what);
}

/// The store can be used after a crash.
fn still_works(mut rig: Rig, history: &History, seed: u64) {
    if *rig.store.state() == StoreState::Empty {
        rig.store.create();
        rig.run();
        let mut history = History::default();
        create_tokens(&mut rig, &mut history).unwrap();
        return;
    }
    let mark = rig.store.mark().tx.0;
    if mark < 2 {
        return;
    }
    let mut history = history.clone();
    history.after.truncate(mark as usize);
    random_transactions(&mut rig, &mut history, 4, &mut Dice(seed)).unwrap();
    check(&rig.crash(), &history, "after going on");
}

/// Every operation of a long workload, with everything that a store does in it.
#[test]
#[expect(clippy::print_stdout, reason = "the count is the point")]
fn no_acknowledged_transaction_is_lost_by_a_crash_before_any_operation() {
    let config = StoreConfig { checkpoint_interval_tx: 40, ..config() };
    let mut rig = Rig::open(config, MemoryDisk::default());
    rig.shuffle = Some(Dice(1));
    rig.crashes = Some(vec![]);
    rig.store.create();
    rig.run();
    let mut history = History::default();
    rig.check_crashes(&history);
    create_tokens(&mut rig, &mut history).unwrap();
    let mut dice = Dice(2);
    let mut backups = 0;
    while rig.disk.done < 5_200 {
        random_transactions(&mut rig, &mut history, 40, &mut dice).unwrap();
        if rig.disk.done > 2_000 * backups {
            backups += 1;
            renew_constraint(&mut rig, &mut history).unwrap();
            let mut backup = Rig::open(rig.store.config.clone(), MemoryDisk::default());
            for full in [true, false] {
                backup.crashes = (!full).then(std::vec::Vec::new);
                let report = back_up(&mut rig, &mut backup, &mut history, Some(&mut dice)).unwrap();
                assert_eq!(report.full, full);
                backup.check_crashes(&history);
                random_transactions(&mut rig, &mut history, 3, &mut dice).unwrap();
            }
            history.check(&backup.crash(), 2, "the backup");
        }
    }
    assert_eq!(backups, 3);
    rig.run();
    rig.check_crashes(&history);
    let counters = rig.store.counters();
    assert!(counters.checkpoints > 5 && counters.evictions > 500, "{counters:?}");
    assert!(rig.store.high[FileKind::Groups as usize] > 3, "nodes became dense");
    assert_eq!(rig.store.indexes().count(), 3, "two indexes and a constraint");
    assert!(rig.store.counts.logical[FileKind::Index as usize] > 3, "the index tree was split");
    let logs = rig.disk.names().into_iter().filter(|file| file.kind == FileKind::Log);
    assert!(logs.map(|file| file.version).max().unwrap() > 5, "the log was rotated");
    let (points, losses) = (rig.disk.done, rig.power_losses);
    assert!(losses > points * 3 / 2, "{losses} power losses at {points} points");
    std::println!("{points} crash points, each killed and without power: {losses} power losses");
}

/// What the first crash shows of a planted bug; none if no crash shows it.
fn shown(bugs: PlantedBugs) -> Option<String> {
    let played = catch_unwind(|| {
        let mut rig = Rig::open(StoreConfig { bugs, ..config() }, MemoryDisk::default());
        rig.shuffle = Some(Dice(1));
        rig.crashes = Some(vec![]);
        rig.store.create();
        rig.run();
        let mut history = History::default();
        create_tokens(&mut rig, &mut history).unwrap();
        random_transactions(&mut rig, &mut history, 120, &mut Dice(3)).unwrap();
        rig.check_crashes(&history);
    });
    played.err().map(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

/// What finds nothing in a sound store must find something in one that is not.
#[test]
#[expect(clippy::print_stdout, reason = "what is found first is the point")]
fn crashes_show_the_bugs_that_are_planted() {
    assert_eq!(shown(PlantedBugs::NONE), None);
    for (bug, name) in [
        (PlantedBugs::SYNC_SKIPPED, "sync-skipped"),
        (PlantedBugs::ACKNOWLEDGED_BEFORE_SYNC, "acknowledged-before-sync"),
        (PlantedBugs::RECOVERY_SKIPS_LAST, "recovery-skips-last"),
        (PlantedBugs::CHECKPOINT_WITHOUT_FLUSH, "checkpoint-without-flush"),
        (PlantedBugs::DOUBLE_WRITE_SKIPPED, "double-write-skipped"),
    ] {
        let shown = shown(bug).unwrap_or_else(|| panic!("no crash shows {name}"));
        let begins: String = shown.chars().take(90).collect();
        std::println!("{name}: {begins}");
    }
}

#[test]
fn the_store_can_be_used_after_a_crash() {
    for stop_at in (0..700).step_by(29) {
        let (rig, history) = play(stop_at, 1);
        still_works(rig.clone().lose_power(&mut Dice(stop_at)), &history, stop_at);
        still_works(rig.crash(), &history, stop_at);
    }
}

#[test]
fn no_acknowledged_transaction_is_lost_when_any_operation_fails() {
    for seed in [5] {
        let operations = play(u64::MAX, seed).0.disk.done;
        let mut failed = 0;
        for at in 0..operations {
            let error = if at % 2 == 0 { DiskError::Io } else { DiskError::NoSpace };
            let mut disk = MemoryDisk::default();
            disk.fail_at = Some((at, error));
            let (rig, history) = play_on(disk, u64::MAX, seed);
            failed += u64::from(rig.failed());
            let what = std::format!("failure at {at}, seed {seed}");
            check(&rig.clone().lose_power(&mut Dice(at)), &history, &what);
            check(&rig.crash(), &history, &what);
        }
        assert!(failed * 10 > operations * 3, "failed writes stop it: {failed} of {operations}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the count is the point")]
fn recovery_survives_a_crash_after_any_of_its_operations() {
    let mut count = 0;
    let operations = play(u64::MAX, 3).0.disk.done;
    for stop_at in (0..=operations).step_by(31) {
        for first_is_power_loss in [false, true] {
            let (mut rig, history) = play(stop_at, 3);
            let mut dice = Dice(stop_at);
            if first_is_power_loss {
                rig.disk.lose_power(&mut dice);
            }
            let before = rig.disk.done;
            let whole = Rig::open(config(), rig.disk.clone());
            for again_at in before..whole.disk.done {
                let second = Rig::open_until(config(), rig.disk.clone(), again_at, None);
                let what = std::format!("again at {again_at} after {stop_at}");
                check(&second.clone().crash(), &history, &what);
                check(&second.lose_power(&mut dice), &history, &what);
                count += 1;
            }
        }
    }
    std::println!("{count} second crashes in a recovery, each killed and without power");
}

#[test]
fn a_torn_tail_is_cut_and_damage_before_it_refused() {
    let quiet = StoreConfig {
        log_rotation_threshold: Bytes::mib(1),
        checkpoint_interval_tx: 10_000,
        ..config()
    };
    let (mut rig, mut history) = Rig::with_tokens(quiet);
    let mut dice = Dice(9);
    random_transactions(&mut rig, &mut history, 10, &mut dice).unwrap();
    let log = FileName::log(0);
    // Garbage behind the last entry is what a crash leaves.
    let mut torn = rig.clone();
    torn.disk.bytes_mut(log).extend([7; 100]);
    let torn = torn.crash();
    let mark = rig.store.mark();
    assert_eq!(torn.store.recovery().map(|r| (r.mark, r.cut)), Some((mark, 100)));
    check(&torn, &history, "torn tail");
    // The same inside, with durable entries behind it, is damage.
    let start = rig.disk.bytes_mut(log).len();
    random_transactions(&mut rig, &mut history, 10, &mut dice).unwrap();
    assert!(rig.store.mark().tx.0 > mark.tx.0 + 3);
    rig.disk.bytes_mut(log)[start + 30] ^= 1;
    let rig = rig.crash();
    let StoreState::Failed(StoreError::DamagedLog { file, offset }) = rig.store.state() else {
        panic!("{:?}", rig.store.state())
    };
    assert_eq!((*file, *offset), (log, start as u64));
}

/// A log that is cut at the end of an entry looks like one that a crash has left; but pages are
/// never written before what they hold is durable in the log.
#[test]
fn a_log_that_ends_before_what_the_pages_hold_is_told() {
    let quiet = StoreConfig {
        log_rotation_threshold: Bytes::mib(64),
        checkpoint_interval_tx: 1_000_000,
        checkpoint_interval_ms: None,
        frames: 16,
        double_write_pages: 8,
        ..config()
    };
    let (mut rig, mut history) = Rig::with_tokens(quiet);
    let log = FileName::log(0);
    let mut ends = vec![(rig.store.mark().tx, rig.disk.bytes_mut(log).len())];
    let mut dice = Dice(11);
    for _ in 0..60 {
        random_transactions(&mut rig, &mut history, 1, &mut dice).unwrap();
        ends.push((rig.store.mark().tx, rig.disk.bytes_mut(log).len()));
    }
    rig.run();
    let newest = rig.store.versions.newest;
    assert!(newest > 20, "only {newest} transactions are in pages that were written");
    assert!(rig.store.counters().checkpoints <= 1);
    for with_images in [true, false] {
        let mut refused = 0;
        for (last, end) in &ends {
            let mut cut = rig.clone();
            cut.disk.bytes_mut(log).truncate(*end);
            if !with_images {
                // Then the version map alone says how far the pages are.
                cut.disk.bytes_mut(FileName::live(FileKind::DoubleWrite)).clear();
            }
            let cut = cut.crash();
            match cut.store.state() {
                StoreState::Ready => assert!(!with_images || last.0 >= newest, "{last:?}"),
                StoreState::Failed(StoreError::LogCutOff { file, last: at, newest: held }) => {
                    assert_eq!((*file, at), (log, last));
                    assert!(held.0 > last.0 && held.0 <= newest, "{last:?}");
                    refused += 1;
                }
                other => panic!("{last:?}: {other:?}"),
            }
        }
        assert!(refused > 10, "{refused}");
    }
    // Garbage behind a log that reaches as far is what a crash leaves, as before.
    rig.disk.bytes_mut(log).extend([7; 50]);
    let torn = rig.clone().crash();
    assert_eq!(*torn.store.state(), StoreState::Ready);
}

#[test]
fn a_damaged_page_is_reported_and_never_served() {
    let (mut rig, _) = play(u64::MAX, 6);
    rig.store.request_checkpoint();
    rig.run();
    let config = rig.store.config.clone();
    let mut disk = core::mem::take(&mut rig.disk);
    disk.bytes_mut(FileName::live(FileKind::Nodes))[100] ^= 4;
    // The double-write area must not hide it.
    disk.bytes_mut(FileName::live(FileKind::DoubleWrite)).clear();
    let mut rig = Rig::open(config, disk);
    assert_eq!(*rig.store.state(), StoreState::Ready);
    let tx = rig.store.begin(0, 0);
    let node = wavetank_vocabulary::NodeId(0);
    let read = rig.step(tx, &MicroStep::ReadNode { node }).unwrap();
    let file = FileName::live(FileKind::Nodes);
    let damage = PageDamage::Checksum;
    assert_eq!(read, Err(StoreError::DamagedPage { file, page: 0, damage }));
    assert!(rig.store.check(&rig.disk).is_err());
    rig.store.rollback(tx);
    assert_eq!(rig.store.open_transactions(), 0);
}

#[test]
fn a_failed_sync_stops_the_store() {
    let mut rig = Rig::create(config());
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
    rig.store.commit(tx, &mut rig.ledger).unwrap();
    let mut queue = vec![];
    rig.store.submissions(&mut queue);
    rig.store.complete(queue[0].0, Ok(DiskReply::Done));
    queue.clear();
    rig.store.submissions(&mut queue);
    assert!(matches!(queue[0].1, DiskRequest::Sync { .. }));
    rig.store.complete(queue[0].0, Err(DiskError::Io));
    assert!(matches!(rig.store.state(), StoreState::Failed(StoreError::Disk { .. })));
    assert!(matches!(rig.store.apply(tx, &mut rig.ledger), Step::Failed(_)));
    assert_eq!(rig.store.mark().tx.0, 1, "nothing was acknowledged");
}
