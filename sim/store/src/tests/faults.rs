//! What a disk may do, and what the store answers. The table is in `FAULTS.md`.

use alloc::vec;
use wavetank_vocabulary::NodeId;

use crate::testing::faults::Fault;
use crate::testing::model::History;
use crate::testing::{Dice, MemoryDisk, Rig};
use crate::*;

const NODES: FileName = FileName::live(FileKind::Nodes);

/// A store of 1,200 nodes (three pages) on the disk, with a cache of one page.
fn store() -> Rig {
    let config = StoreConfig { frames: 1, free_frames: 0, ..StoreConfig::default() };
    let mut rig = Rig::create(config);
    for _ in 0..4 {
        let tx = rig.store.begin(0, 0);
        for _ in 0..300 {
            rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
        }
        rig.finish(tx);
    }
    checkpoint(&mut rig);
    // So that the double-write area has nothing to repair with.
    for _ in 0..2 {
        touch(&mut rig, 1199);
        checkpoint(&mut rig);
    }
    rig
}

fn checkpoint(rig: &mut Rig) {
    rig.store.request_checkpoint();
    rig.run();
}

fn read(rig: &mut Rig, node: u64) -> Result<Value, StoreError> {
    let tx = rig.store.begin(0, 0);
    let read = rig.step(tx, &MicroStep::ReadNode { node: NodeId(node) });
    rig.store.rollback(tx);
    read.expect("the disk does not stop")
}

/// Changes the page of a node.
fn touch(rig: &mut Rig, node: u64) {
    let tx = rig.store.begin(0, 0);
    let label = match rig.must(tx, &MicroStep::Token { kind: TokenKind::Label, name: "l".into() }) {
        Value::Token(label) => label,
        other => panic!("{other:?}"),
    };
    let node = NodeId(node);
    let has = rig.must(tx, &MicroStep::HasLabel { node, label }) == Value::Bool(true);
    let step = match has {
        true => MicroStep::RemoveLabel { node, label },
        false => MicroStep::AddLabel { node, label },
    };
    rig.must(tx, &step);
    rig.finish(tx);
}

fn damaged(page: PageNumber, damage: PageDamage) -> Result<Value, StoreError> {
    Err(StoreError::DamagedPage { file: NODES, page, damage })
}

#[test]
fn bit_rot_is_reported_with_file_and_page_and_other_pages_are_served() {
    let mut rig = store();
    for bit in [0, 40, 5000, 65_535] {
        read(&mut rig, 0).unwrap();
        rig.disk.faults = vec![Fault::BitRot(NODES, 1, bit)];
        assert_eq!(read(&mut rig, 600), damaged(1, PageDamage::Checksum), "bit {bit}");
        assert_eq!(read(&mut rig, 1), Ok(Value::Node(NodeId(1))));
        rig.disk.faults.clear();
        assert_eq!(read(&mut rig, 600), Ok(Value::Node(NodeId(600))), "the truth is unharmed");
    }
}

#[test]
fn a_sector_that_cannot_be_read_fails_the_step_alone() {
    let mut rig = store();
    rig.disk.faults = vec![Fault::LatentSector(NODES, 1)];
    let error = DiskError::Io;
    let unreadable = StoreError::Disk { operation: "read", file: NODES, error };
    assert_eq!(read(&mut rig, 600), Err(unreadable));
    assert_eq!(*rig.store.state(), StoreState::Ready);
    assert_eq!(read(&mut rig, 1199), Ok(Value::Node(NodeId(1199))));
    rig.disk.faults.clear();
    assert_eq!(read(&mut rig, 600), Ok(Value::Node(NodeId(600))));
}

#[test]
fn a_failed_read_that_nobody_waits_for_any_more_is_told_to_nobody() {
    let mut rig = store();
    rig.disk.faults = vec![Fault::LatentSector(NODES, 1)];
    let tx = rig.store.begin(0, 0);
    let step = MicroStep::ReadNode { node: NodeId(600) };
    assert!(matches!(rig.store.step(tx, &step, &mut rig.ledger), Step::Wait(_)));
    // It gives up before the answer is there.
    rig.store.rollback(tx);
    rig.run();
    rig.disk.faults.clear();
    assert_eq!(read(&mut rig, 600), Ok(Value::Node(NodeId(600))));
}

#[test]
fn who_waits_for_an_unreadable_page_is_told_though_another_one_asks_for_it_anew() {
    let mut rig = store();
    rig.disk.faults = vec![Fault::LatentSector(NODES, 1)];
    let (first, second) = (rig.store.begin(0, 0), rig.store.begin(0, 0));
    let step = MicroStep::ReadNode { node: NodeId(600) };
    for tx in [first, second] {
        assert!(matches!(rig.store.step(tx, &step, &mut rig.ledger), Step::Wait(_)));
        rig.run();
    }
    for tx in [first, second] {
        assert!(matches!(rig.store.step(tx, &step, &mut rig.ledger), Step::Failed(_)));
        rig.store.rollback(tx);
    }
    rig.disk.faults.clear();
    assert_eq!(read(&mut rig, 600), Ok(Value::Node(NodeId(600))));
}

#[test]
fn a_bad_transfer_is_never_served_and_the_next_is_good() {
    let mut rig = store();
    rig.disk.faults = vec![Fault::BadTransfer(NODES, 1)];
    assert_eq!(read(&mut rig, 600), damaged(1, PageDamage::Checksum));
    assert_eq!(read(&mut rig, 600), Ok(Value::Node(NodeId(600))));
}

#[test]
fn misdirected_reads_and_writes_are_told_by_the_page_s_own_address() {
    let mut rig = store();
    rig.disk.faults = vec![Fault::MisdirectedRead(NODES, 1, 0)];
    assert_eq!(read(&mut rig, 600), damaged(1, PageDamage::Misplaced));
    // A write of page 0 that lands on page 1: both are victims, and both are seen.
    let mut rig = store();
    rig.disk.faults = vec![Fault::MisdirectedWrite(NODES, 0, 1)];
    touch(&mut rig, 3);
    checkpoint(&mut rig);
    read(&mut rig, 1199).unwrap();
    assert_eq!(rig.disk.faults, [], "it happened");
    assert_eq!(read(&mut rig, 600), damaged(1, PageDamage::Misplaced));
    assert_eq!(read(&mut rig, 3), damaged(0, PageDamage::Stale));
}

#[test]
fn a_lost_write_is_told_by_the_version_that_the_store_remembers() {
    let mut rig = store();
    rig.disk.faults = vec![Fault::LostWrite(NODES, 1)];
    touch(&mut rig, 600);
    checkpoint(&mut rig);
    read(&mut rig, 1).unwrap();
    assert_eq!(rig.disk.faults, [], "it happened");
    assert_eq!(read(&mut rig, 600), damaged(1, PageDamage::Stale));
    assert!(rig.store.check(&rig.disk).is_err(), "a check says so too");
}

#[test]
fn a_lost_write_is_told_after_a_restart_and_spreads_nowhere() {
    for power_loss in [false, true] {
        let mut rig = store();
        rig.disk.faults = vec![Fault::LostWrite(NODES, 1)];
        touch(&mut rig, 600);
        checkpoint(&mut rig);
        assert_eq!(rig.disk.faults, [], "it happened");
        // Other pages take its image's place in the double-write area.
        overwrite_doubles(&mut rig);
        for _ in 0..2 {
            rig = if power_loss { rig.lose_power(&mut Dice(3)) } else { rig.crash() };
            assert_eq!(*rig.store.state(), StoreState::Ready);
            assert_eq!(read(&mut rig, 600), damaged(1, PageDamage::Stale));
            assert_eq!(read(&mut rig, 1199), Ok(Value::Node(NodeId(1199))));
            touch(&mut rig, 3);
            checkpoint(&mut rig);
        }
        let config = rig.store.config.clone();
        let mut target = Rig::open(config, crate::testing::MemoryDisk::default());
        let refused = super::backup::back_up(&mut rig, &mut target, &mut History::default(), None);
        let told = StoreError::DamagedPage { file: NODES, page: 1, damage: PageDamage::Stale };
        assert_eq!(refused, Err(BackupError::Source(told.clone())));
        assert_eq!(*target.crash().store.state(), StoreState::Empty, "no backup is left behind");
        assert_eq!(rig.store.check(&rig.disk), Err(told));
    }
}

/// Writes other pages until the double-write area has nothing else.
fn overwrite_doubles(rig: &mut Rig) {
    for round in 0..2 * u64::from(rig.store.config.double_write_pages) {
        touch(rig, if round % 2 == 0 { 0 } else { 1199 });
        checkpoint(rig);
    }
}

#[test]
fn a_lost_write_of_the_version_map_is_told_at_the_next_opening() {
    let map = FileName::live(FileKind::Versions);
    let mut told = 0;
    for page in 0..12 {
        let mut rig = store();
        rig.disk.faults = vec![Fault::LostWrite(map, page)];
        for round in 0..24 {
            touch(&mut rig, 600 * (round % 2));
            checkpoint(&mut rig);
            if rig.disk.faults.is_empty() {
                break;
            }
        }
        assert_eq!(rig.disk.faults, [], "it happened");
        let rig = rig.crash();
        match rig.store.state() {
            StoreState::Failed(StoreError::DamagedPage { file, page: at, damage }) => {
                assert_eq!((*file, *at), (map, page));
                told += u64::from(*damage == PageDamage::Stale);
            }
            other => panic!("page {page}: {other:?}"),
        }
    }
    assert!(told > 0, "an older page of the map was in its place");
}

#[test]
fn a_version_map_that_is_gone_or_older_than_the_store_is_refused() {
    let map = FileName::live(FileKind::Versions);
    let mut rig = store();
    let older = rig.disk.bytes_mut(map).clone();
    for round in 0..12 {
        touch(&mut rig, 600 * (round % 2));
        checkpoint(&mut rig);
    }
    let mut gone = rig.clone();
    gone.disk.perform(&DiskRequest::Unlink { file: map }).unwrap();
    assert_eq!(*gone.crash().store.state(), StoreState::Failed(StoreError::MissingFile(map)));
    *rig.disk.bytes_mut(map) = older;
    let rig = rig.crash();
    let failed = rig.store.state();
    let is_map = |file: &FileName| *file == map;
    assert!(
        matches!(failed, StoreState::Failed(StoreError::DamagedPage { file, .. } | StoreError::MissingFile(file)) if is_map(file)),
        "{failed:?}"
    );
}

#[test]
fn a_checkpoint_writes_as_much_of_the_version_map_as_it_wrote_pages() {
    let map = FileName::live(FileKind::Versions);
    let mut rig = store();
    let mut written = 0;
    for round in 0..100 {
        touch(&mut rig, 600 * (round % 2));
        rig.disk.record = Some(vec![]);
        checkpoint(&mut rig);
        let record = rig.disk.record.take().unwrap();
        let is_map = |request: &DiskRequest| matches!(request, DiskRequest::WritePage { file, .. } if *file == map);
        let pages = record.iter().filter(|(request, _)| is_map(request)).count();
        assert_eq!(pages, 1, "one page has the entries of 509");
        written += pages;
    }
    let length = rig.disk.bytes_mut(map).len() / PAGE_SIZE;
    assert!(written == 100 && length < 24, "{length} pages: it is written anew in turn");
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    for file in [FileName::log(0), NODES, FileName::live(FileKind::DoubleWrite)] {
        let mut rig = store();
        let before = rig.store.mark().tx;
        rig.disk.faults = vec![Fault::FailedSync(file)];
        let tx = rig.store.begin(0, 0);
        for _ in 0..3 {
            rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
        }
        rig.store.commit(tx, &mut Ledger::default()).unwrap();
        while rig.turn() {}
        rig.store.apply(tx, &mut Ledger::default());
        rig.store.request_checkpoint();
        rig.run();
        let failed = rig.store.state().clone();
        assert!(matches!(failed, StoreState::Failed(StoreError::Disk { operation: "sync", .. })));
        assert_eq!(rig.disk.faults, []);
        let acknowledged = rig.store.mark().tx;
        let rig = rig.lose_power(&mut Dice(4));
        assert_eq!(*rig.store.state(), StoreState::Ready);
        assert!(rig.store.mark().tx >= acknowledged.max(before), "{file}");
        rig.model();
    }
}

#[test]
fn a_read_only_device_stops_writes_and_keeps_what_was_acknowledged() {
    let mut rig = store();
    let mark = rig.store.mark();
    rig.disk.faults = vec![Fault::ReadOnly];
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
    rig.store.commit(tx, &mut Ledger::default()).unwrap();
    while rig.turn() {}
    assert!(matches!(rig.store.state(), StoreState::Failed(StoreError::Disk { .. })));
    rig.disk.faults.clear();
    assert_eq!(rig.crash().store.mark(), mark);
    // A device that is gone fails the opening with a typed error.
    let mut rig = store();
    rig.disk.faults = vec![Fault::Gone];
    let rig = rig.crash();
    let failed = rig.store.state();
    assert!(matches!(failed, StoreState::Failed(StoreError::Disk { operation: "list", .. })));
}

#[test]
fn a_lying_sync_is_outside_the_contract_and_the_store_still_opens_or_says_why() {
    let mut lost = 0;
    for seed in 0..40 {
        let mut rig = store();
        let before = rig.store.mark().tx;
        rig.disk.faults = vec![Fault::LyingSync];
        touch(&mut rig, 1);
        let acknowledged = rig.store.mark().tx;
        rig.disk.lose_power(&mut Dice(seed));
        rig.disk.faults.clear();
        let rig = rig.crash();
        assert_eq!(*rig.store.state(), StoreState::Ready);
        assert!(rig.store.mark().tx >= before);
        lost += u64::from(rig.store.mark().tx < acknowledged);
        rig.model();
    }
    assert!(lost > 3, "what was acknowledged can be lost: that is the lie");
}

#[test]
fn a_slow_disk_delays_those_alone_who_wait_for_it() {
    let config = StoreConfig { frames: 8, free_frames: 0, ..store().store.config.clone() };
    let mut rig = Rig::open(config, store().disk.clone());
    read(&mut rig, 0).unwrap();
    // A page does not come: its reader waits, another is served, a third commits.
    rig.disk.faults = vec![Fault::Stalled(NODES)];
    let waiting = rig.store.begin(0, 0);
    let step = MicroStep::ReadNode { node: NodeId(600) };
    let Step::Wait(page) = rig.store.step(waiting, &step, &mut rig.ledger) else { panic!() };
    assert_eq!(read(&mut rig, 1), Ok(Value::Node(NodeId(1))));
    touch(&mut rig, 2);
    let mark = rig.store.mark();
    while rig.turn() {}
    let mut done = vec![];
    rig.store.completed(&mut done);
    assert!(!done.contains(&page));
    rig.disk.faults.clear();
    assert_eq!(rig.must(waiting, &step), Value::Node(NodeId(600)));
    rig.store.rollback(waiting);

    // The log's sync takes long: nothing is acknowledged meanwhile, and reads go on.
    rig.disk.faults = vec![Fault::Stalled(FileName::log(0))];
    let commits = [3, 4].map(|node| {
        let tx = rig.store.begin(0, 0);
        rig.must(tx, &MicroStep::RemoveLabel { node: NodeId(node), label: TokenId(0) });
        rig.must(tx, &MicroStep::AddLabel { node: NodeId(node), label: TokenId(0) });
        rig.must(tx, &MicroStep::Prepare);
        (tx, rig.store.commit(tx, &mut Ledger::default()).unwrap())
    });
    while rig.turn() {}
    assert_eq!(read(&mut rig, 1), Ok(Value::Node(NodeId(1))));
    assert_eq!(rig.store.mark(), mark, "what is not synced is not durable");
    for (tx, committing) in commits {
        let waits = rig.store.apply(tx, &mut Ledger::default());
        assert_eq!(waits, Step::Wait(committing.ticket.unwrap()));
    }
    let mut killed = rig.clone();
    killed.disk.faults.clear();
    assert_eq!(killed.crash().store.mark(), mark, "and a crash now may lose it");

    // So does the checkpoint behind it: commits do not wait for that.
    rig.disk.faults.clear();
    for (tx, _) in commits {
        rig.apply(tx).unwrap();
    }
    let before = rig.store.counters().checkpoints;
    rig.disk.faults = vec![Fault::Stalled(FileName::live(FileKind::DoubleWrite))];
    rig.store.request_checkpoint();
    for _ in 0..20 {
        rig.store.background(8, &mut Ledger::default());
        rig.turn();
    }
    touch(&mut rig, 2);
    assert_eq!(rig.store.counters().checkpoints, before);
    rig.disk.faults.clear();
    rig.run();
    assert_eq!(rig.store.counters().checkpoints, before + 1);
    rig.model();
}

#[test]
fn the_same_fault_on_all_disks_is_told_by_each_and_spreads_from_none() {
    let healthy = store();
    // All of one make, with one fault; each instance has only its own disk to know it by.
    let faults = [
        (Fault::BitRot(NODES, 1, 40), PageDamage::Checksum),
        (Fault::MisdirectedRead(NODES, 1, 2), PageDamage::Misplaced),
    ];
    for (fault, damage) in faults {
        let mut members = [healthy.clone(), healthy.clone(), healthy.clone()];
        for member in &mut members {
            member.disk.faults = vec![fault.clone()];
        }
        for member in &mut members {
            assert_eq!(read(member, 600), damaged(1, damage));
            assert_eq!(read(member, 1), Ok(Value::Node(NodeId(1))), "the rest is served");
        }
        for member in &mut members {
            let mut target = Rig::open(member.store.config.clone(), MemoryDisk::default());
            let history = &mut History::default();
            let failed = super::backup::back_up(member, &mut target, history, None);
            let told = StoreError::DamagedPage { file: NODES, page: 1, damage };
            assert_eq!(failed, Err(BackupError::Source(told)));
            assert_eq!(*target.crash().store.state(), StoreState::Empty, "half a backup is none");
        }
    }
    // One damaged image under several instances, as of a backup that all were made from.
    let mut image = healthy.clone().crash().disk.clone();
    image.bytes_mut(NODES)[PAGE_SIZE + 5000] ^= 1;
    for _ in 0..3 {
        let mut member = Rig::open(healthy.store.config.clone(), image.clone());
        assert_eq!(read(&mut member, 600), damaged(1, PageDamage::Checksum));
        assert!(member.store.check(&member.disk).is_err(), "a check cannot pass over it");
    }
}

#[test]
fn an_older_image_of_the_disk_is_an_older_store_and_another_store_s_is_refused() {
    let mut rig = store();
    let old = rig.disk.clone();
    touch(&mut rig, 1);
    let mark = rig.store.mark();
    let stale = Rig::open(rig.store.config.clone(), old);
    assert!(stale.store.mark().tx < mark.tx, "its mark tells: it can catch up by pulling");
    assert_eq!(rig.store.mark_of(stale.store.mark().tx), MarkOf::Known(stale.store.mark()));
    let other = Rig::create(StoreConfig { store_id: 77, ..StoreConfig::default() });
    assert_ne!(other.store.store_id(), rig.store.store_id(), "swapped: told by the store's id");
    let refused = Backup::begin(&mut rig.store, &mut { other }.store);
    assert!(matches!(refused, Err(BackupError::DifferentStore { .. })));
    stale.assert_nothing_leaked();
}
