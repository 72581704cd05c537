//! Two stores: pulling, branches, copies while commits go on.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{Bytes, LogMark, NodeId, PlantedBugs, TxId};

use crate::testing::model::{History, random_transactions};
use crate::testing::{Dice, MemoryDisk, Rig};
use crate::*;

fn config() -> StoreConfig {
    StoreConfig {
        frames: 6,
        log_rotation_threshold: Bytes::kib(10),
        tail_transactions: 5,
        log_retention: LogRetention::All,
        free_frames: 1,
        ..StoreConfig::default()
    }
}

fn pull(from: &mut Rig, after: TxId) -> Vec<Arc<TxRecord>> {
    loop {
        match from.store.read_log(after, 7) {
            LogRead::Records(records) => return records,
            LogRead::Wait(ticket) => from.wait(ticket).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

/// Receives and applies everything that the source has.
fn catch_up(slave: &mut Rig, master: &mut Rig) {
    loop {
        let records = pull(master, slave.store.last_committed().tx);
        if records.is_empty() {
            break;
        }
        let ticket = slave.store.receive(&records).unwrap();
        slave.wait(ticket).unwrap();
        apply_all(slave);
    }
    assert_eq!(slave.store.mark(), master.store.mark());
}

fn apply_all(slave: &mut Rig) {
    loop {
        match slave.store.apply_received(&mut slave.ledger) {
            Step::Done(Value::Bool(false)) => return,
            Step::Done(_) => {}
            Step::Wait(_) => assert!(slave.advance()),
            Step::Failed(error) => panic!("{error}"),
        }
    }
}

/// A master with some history, and a slave that was created alike.
fn pair(seed: u64, transactions: u32) -> (Rig, Rig, History) {
    let (mut master, mut history) = Rig::with_tokens(config());
    random_transactions(&mut master, &mut history, transactions, &mut Dice(seed)).unwrap();
    (master, Rig::create(config()), history)
}

/// A transaction that gives a new node a text of so many bytes.
fn text(rig: &mut Rig, bytes: usize) -> TxHandle {
    let tx = rig.store.begin(0, 0);
    let token = MicroStep::Token { kind: TokenKind::PropertyKey, name: "text".into() };
    let Value::Token(key) = rig.must(tx, &token) else { panic!() };
    let Value::Node(node) = rig.must(tx, &MicroStep::CreateNode { labels: vec![] }) else {
        panic!()
    };
    let value = Value::Text("x".repeat(bytes).as_str().into());
    rig.must(tx, &MicroStep::SetProperty { entity: node.into(), key, value });
    tx
}

#[test]
fn what_is_read_at_once_is_bounded_in_bytes() {
    // From memory, and from the files.
    for tail_transactions in [100, 1] {
        let config = StoreConfig { frames: 5_000, tail_transactions, ..StoreConfig::default() };
        let mut rig = Rig::create(config);
        for mib in [3, 3, 3, 9, 1] {
            let tx = text(&mut rig, mib << 20);
            rig.finish(tx);
        }
        let (mut after, mut sizes) = (TxId::BASE, vec![]);
        loop {
            let records = pull(&mut rig, after);
            let Some(last) = records.last() else { break };
            after = last.tx();
            let size: usize = records.iter().map(|record| record.content().len()).sum();
            assert!(records.len() == 1 || size <= 8 << 20, "{} of {size} bytes", records.len());
            sizes.push(records.len());
        }
        assert_eq!(after, rig.store.mark().tx);
        assert!(tail_transactions == 1 || sizes[0] == 2, "{sizes:?}");
    }
}

#[test]
fn a_transaction_that_no_other_could_be_sent_is_not_committed() {
    let mut rig = Rig::create(StoreConfig { frames: 20_000, ..StoreConfig::default() });
    let tx = text(&mut rig, LARGEST_TRANSACTION);
    rig.must(tx, &MicroStep::Prepare);
    let before = rig.store.mark();
    let refused = rig.store.commit(tx, &mut rig.ledger).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge(_)), "{refused}");
    // It stays open, and the store goes on.
    rig.store.rollback(tx);
    let tx = text(&mut rig, 100);
    rig.finish(tx);
    assert_eq!(rig.store.mark().tx, before.tx.next());
}

#[test]
fn a_slave_that_pulls_everything_holds_the_same() {
    for seed in 0..6 {
        let (mut master, mut slave, history) = pair(seed, 60);
        catch_up(&mut slave, &mut master);
        assert_eq!(slave.model(), *history.after.last().unwrap());
        assert_eq!(slave.digest(), master.digest());
        // Old transactions come from the files: the tail holds five.
        assert!(pull(&mut master, TxId(3))[0].tx() == TxId(4));
        let mut slave = slave.crash();
        assert_eq!(slave.digest(), master.digest());
        // And the slave can take over.
        let mut history = history;
        random_transactions(&mut slave, &mut history, 20, &mut Dice(seed + 100)).unwrap();
        catch_up(&mut master, &mut slave);
        assert_eq!(slave.digest(), master.digest());
    }
}

#[test]
fn what_does_not_follow_is_refused_whole() {
    let (mut master, mut slave, _) = pair(1, 10);
    let all = pull(&mut master, TxId::BASE);
    let gap = slave.store.receive(&all[1..]);
    let found = all[1].tx();
    assert_eq!(gap, Err(StoreError::OutOfSequence { last: TxId::BASE, found }));
    let late_gap = [all[0].clone(), all[2].clone()];
    assert!(slave.store.receive(&late_gap).is_err());
    assert_eq!(slave.store.last_committed(), LogMark::BASE, "nothing was taken");
    // A store that committed something else in the meantime has branched.
    let tx = slave.store.begin(0, 0);
    slave.must(tx, &MicroStep::CreateNode { labels: Vec::new() });
    slave.finish(tx);
    let foreign = slave.store.receive(&all[1..]);
    assert_eq!(foreign, Err(StoreError::ForeignHistory(found)));
}

#[test]
fn histories_are_compared_by_marks() {
    let (mut master, mut slave, _) = pair(2, 30);
    catch_up(&mut slave, &mut master);
    let last = master.store.mark().tx.0;
    for tx in 1..=last + 1 {
        let ask = |rig: &mut Rig| loop {
            match rig.store.mark_of(TxId(tx)) {
                MarkOf::Wait(ticket) => rig.wait(ticket).unwrap(),
                answer => return answer,
            }
        };
        let (a, b) = (ask(&mut master), ask(&mut slave));
        assert_eq!(a, b);
        assert_eq!(a == MarkOf::Missing, tx > last, "{tx}");
    }
}

#[test]
fn a_pruned_log_says_so() {
    let config =
        StoreConfig { log_retention: LogRetention::None, checkpoint_interval_tx: 10, ..config() };
    let (mut master, mut history) = Rig::with_tokens(config);
    random_transactions(&mut master, &mut history, 120, &mut Dice(3)).unwrap();
    master.store.request_checkpoint();
    master.run();
    assert_eq!(master.store.read_log(TxId(2), 9), LogRead::TooOld);
    assert_eq!(master.store.mark_of(TxId(2)), MarkOf::TooOld);
    let logs = master.disk.names().iter().filter(|name| name.kind == FileKind::Log).count();
    assert!(logs <= 2, "{logs} log files are left");
    let digest = master.digest();
    assert_eq!(master.crash().digest(), digest);
}

#[test]
fn a_damaged_log_is_not_handed_on() {
    let (master, _, _) = pair(4, 60);
    let mut master = master;
    master.disk.bytes_mut(FileName::log(0))[200] ^= 1;
    let failed = loop {
        match master.store.read_log(TxId(3), 9) {
            LogRead::Wait(ticket) => master.wait(ticket).unwrap(),
            other => break other,
        }
    };
    assert!(matches!(failed, LogRead::Failed(StoreError::DamagedLog { .. })), "{failed:?}");
}

#[test]
fn a_store_that_is_set_aside_leaves_room_for_another() {
    let (mut master, _, _) = pair(5, 20);
    let old = master.store.begin(0, 0);
    master.must(old, &MicroStep::CreateNode { labels: Vec::new() });
    master.store.set_aside(1);
    master.run();
    assert_eq!(*master.store.state(), StoreState::Empty);
    assert!(master.disk.names().iter().all(|name| name.area == 1));
    assert_eq!(master.store.open_transactions(), 0);
    master.store.rollback(old);
    master.store.create();
    master.run();
    assert_eq!((master.store.state(), master.store.mark()), (&StoreState::Ready, LogMark::BASE));
    master.store.set_aside(2);
    master.run();
    assert_eq!(*master.crash().store.state(), StoreState::Empty);
}

#[test]
fn the_policy_says_which_branches_are_kept() {
    for (policy, kept) in [
        (BranchedDataPolicy::KeepAll, vec![1, 2, 3]),
        // A branch takes the first number that is free: 1, then 2, then 1 again.
        (BranchedDataPolicy::KeepLast, vec![1]),
        (BranchedDataPolicy::KeepNone, vec![]),
    ] {
        let (mut rig, _, _) = pair(5, 20);
        for turn in 0..3 {
            if turn > 0 {
                rig.store.create();
                rig.run();
            }
            rig.store.set_aside_by(policy, 1);
            rig.run();
            assert_eq!(*rig.store.state(), StoreState::Empty, "{policy:?}");
        }
        let mut areas: Vec<u16> = rig.disk.names().iter().map(|name| name.area).collect();
        areas.sort_unstable();
        areas.dedup();
        assert_eq!(areas, kept, "{policy:?}");
        assert_eq!(*rig.crash().store.state(), StoreState::Empty, "{policy:?}");
    }
}

#[test]
fn setting_aside_survives_a_crash_after_any_operation() {
    let (master, _, history) = pair(6, 25);
    let start = master.disk.done;
    for stop in 0.. {
        for power_loss in [false, true] {
            let mut rig = master.clone();
            rig.stop_at = start + stop;
            rig.store.set_aside(1);
            rig.run();
            let finished = !rig.stopped();
            let mut rig = if power_loss { rig.lose_power(&mut Dice(stop)) } else { rig.crash() };
            let names = rig.disk.names();
            match rig.store.state() {
                // Either nothing has happened, or all of it.
                StoreState::Ready => {
                    assert!(names.iter().all(|name| name.area == 0), "{names:?}");
                    assert_eq!(rig.model(), *history.after.last().unwrap());
                }
                StoreState::Empty => {
                    assert!(names.iter().all(|name| name.area == 1), "{names:?}");
                    rig.store.create();
                    rig.run();
                    assert_eq!(*rig.store.state(), StoreState::Ready);
                }
                other => panic!("{other:?}"),
            }
            if finished && power_loss {
                return;
            }
        }
    }
}

/// Copies `master` while random transactions go on there; stops when the slave's disk does.
fn copy(slave: &mut Rig, master: &mut Rig, history: &mut History, dice: &mut Dice) -> Option<()> {
    slave.store.begin_receive_copy();
    let mut cursor = master.store.begin_copy();
    let from = loop {
        match master.store.copy_pages(&mut cursor, 3, &mut master.ledger) {
            CopyStep::Pages(pages) => {
                let ticket = slave.store.receive_pages(pages).expect("pages are whole");
                slave.wait(ticket)?;
                random_transactions(master, history, 6, dice).unwrap();
                // Checkpoints there may not prune what the slave has yet to pull.
                master.store.request_checkpoint();
                master.run();
            }
            CopyStep::Wait(_) => assert!(master.advance()),
            CopyStep::Done { from } => break from,
            CopyStep::Failed(error) => panic!("{error}"),
        }
    };
    slave.store.finish_receive_copy(from).expect("the copy is whole");
    loop {
        let records = pull(master, slave.store.last_committed().tx);
        if records.is_empty() {
            break;
        }
        let ticket = slave.store.receive(&records).unwrap();
        slave.wait(ticket)?;
        while slave.store.received_left() > 0 {
            match slave.store.apply_received(&mut slave.ledger) {
                Step::Done(_) => {}
                Step::Wait(_) => {
                    if !slave.advance() {
                        return None;
                    }
                }
                Step::Failed(error) => panic!("{error}"),
            }
        }
    }
    master.store.end_copy(&cursor);
    assert_eq!(*slave.store.state(), StoreState::Empty);
    let ticket = slave.store.complete_copy().unwrap();
    slave.wait(ticket)
}

fn empty() -> Rig {
    Rig::open(config(), MemoryDisk::default())
}

#[test]
fn a_copy_taken_while_commits_go_on_becomes_whole() {
    for seed in 0..8 {
        let (mut master, mut history) = Rig::with_tokens(StoreConfig {
            checkpoint_interval_tx: 4,
            log_rotation_threshold: Bytes::kib(1),
            tail_transactions: 1,
            log_retention: LogRetention::None,
            ..config()
        });
        let mut dice = Dice(seed);
        random_transactions(&mut master, &mut history, 60, &mut dice).unwrap();
        let mut slave = empty();
        copy(&mut slave, &mut master, &mut history, &mut dice).unwrap();
        assert_eq!(*slave.store.state(), StoreState::Ready);
        assert_eq!(slave.store.store_id(), master.store.store_id());
        assert_eq!(slave.digest(), master.digest());
        assert_eq!(slave.model(), *history.after.last().unwrap());
        let mut slave = slave.crash();
        master.store.config.log_retention = LogRetention::All;
        random_transactions(&mut master, &mut history, 10, &mut dice).unwrap();
        catch_up(&mut slave, &mut master);
        assert_eq!(slave.digest(), master.digest());
    }
}

#[test]
fn an_incomplete_copy_is_no_store() {
    let (master, _, history) = pair(7, 40);
    for stop in 0.. {
        let mut slave = empty();
        slave.stop_at = slave.disk.done + stop;
        let (mut master, mut history) = (master.clone(), history.clone());
        let mut dice = Dice(stop);
        let done = copy(&mut slave, &mut master, &mut history, &mut dice).is_some();
        let lost = slave.clone().lose_power(&mut dice);
        for mut slave in [slave.crash(), lost] {
            match slave.store.state() {
                StoreState::Ready => assert_eq!(slave.digest(), master.digest()),
                StoreState::Empty => {
                    assert!(!done, "a completed copy is there");
                    // A second attempt starts over.
                    if stop % 8 == 0 {
                        let mut master = master.clone();
                        let mut history = history.clone();
                        copy(&mut slave, &mut master, &mut history, &mut dice).unwrap();
                        assert_eq!(slave.digest(), master.digest());
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        if done {
            return;
        }
    }
}

#[test]
fn a_damaged_page_is_not_copied() {
    let (mut master, _, _) = pair(8, 40);
    master.store.request_checkpoint();
    master.run();
    let mut master = master.crash();
    let nodes = FileName::live(FileKind::Nodes);
    master.disk.bytes_mut(nodes)[99] ^= 1;
    let mut cursor = master.store.begin_copy();
    let failed = loop {
        match master.store.copy_pages(&mut cursor, 3, &mut master.ledger) {
            CopyStep::Wait(_) => assert!(master.advance()),
            CopyStep::Pages(_) => {}
            other => break other,
        }
    };
    assert!(matches!(failed, CopyStep::Failed(StoreError::DamagedPage { .. })), "{failed:?}");
    // Nor is it taken in.
    let mut page = Page::empty(FileKind::Nodes, 0);
    page.body_mut()[5] = 5;
    let image = PageImage { file: nodes, page: 0, image: Arc::new(page) };
    let mut slave = empty();
    slave.store.begin_receive_copy();
    assert!(slave.store.receive_pages([image].into()).is_err());
}

#[test]
fn replicas_have_the_same_records() {
    let (mut master, mut history) = Rig::with_tokens(config());
    random_transactions(&mut master, &mut history, 60, &mut Dice(9)).unwrap();
    let mut slave = Rig::create(config());
    catch_up(&mut slave, &mut master);
    let same = |slave: &Rig, master: &Rig| {
        let contents = slave.store.contents(&slave.disk).unwrap();
        let same = contents.same_records(&master.store.contents(&master.disk).unwrap());
        assert!(!same || contents.digest().ok() == Some(master.digest()));
        same
    };
    assert!(same(&slave, &master));
    let behind = slave.clone();
    for seed in 0..8 {
        random_transactions(&mut master, &mut history, 1, &mut Dice(seed)).unwrap();
        assert!(!same(&behind, &master), "{seed}");
        catch_up(&mut slave, &mut master);
        assert!(same(&slave, &master), "{seed}");
    }
    let bugs = PlantedBugs::APPLY_SKIPS_PROPERTY;
    let mut wrong = Rig::create(StoreConfig { bugs, ..config() });
    catch_up(&mut wrong, &mut master);
    assert!(!same(&wrong, &master));
}

#[test]
fn planted_bugs_do_what_they_say() {
    let (mut master, mut history) = Rig::with_tokens(config());
    random_transactions(&mut master, &mut history, 60, &mut Dice(9)).unwrap();
    let bugs = PlantedBugs::APPLY_SKIPS_PROPERTY;
    let mut slave = Rig::create(StoreConfig { bugs, ..config() });
    catch_up(&mut slave, &mut master);
    assert_ne!(slave.store.contents_digest(&slave.disk).ok(), Some(master.digest()));

    let bugs = PlantedBugs::SYNC_SKIPPED;
    let mut rig = Rig::create(StoreConfig { bugs, ..config() });
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::CreateNode { labels: Vec::new() });
    assert_eq!(rig.finish(tx), rig.store.mark());
    let lost = (0..20)
        .filter(|seed| rig.clone().lose_power(&mut Dice(*seed)).store.mark() == LogMark::BASE);
    assert!(lost.count() > 0, "an acknowledged transaction can be lost");
}

#[test]
fn a_second_branch_does_not_overwrite_the_first() {
    let (mut master, _, _) = pair(6, 25);
    for areas in [&[1][..], &[1, 2]] {
        master.store.set_aside(1);
        master.run();
        let names = master.disk.names();
        for area in areas {
            assert!(names.iter().any(|name| name.area == *area), "{names:?}");
        }
        master.store.create();
        master.run();
    }
}

#[test]
fn a_slave_on_which_nobody_begins_a_transaction_forgets_the_freed_ids_that_have_rested() {
    let config = StoreConfig { id_reuse_safe_zone_ms: 100, ..config() };
    let (mut master, _) = Rig::with_tokens(config.clone());
    let mut slave = Rig::create(config);
    let key = TokenId(0);
    let commit = |master: &mut Rig, now_ms: u64, step: &MicroStep| {
        let tx = master.store.begin(0, now_ms);
        master.must(tx, step);
        master.finish(tx);
    };
    commit(&mut master, 0, &MicroStep::CreateNode { labels: vec![] });
    let entity = Entity::Node(NodeId(0));
    let mut most = 0;
    for round in 0..400 {
        // Each text takes a record of its own, and frees that of the one before.
        let value = Value::Text(alloc::format!("{round:0>100}").as_str().into());
        let set = MicroStep::SetProperty { entity, key, value };
        commit(&mut master, 10 * round, &set);
        catch_up(&mut slave, &mut master);
        most = most.max(slave.store.free.queued());
    }
    // Ten transactions are as long as the safe zone.
    assert!((5..40).contains(&most), "{most} freed ids wait");
}
