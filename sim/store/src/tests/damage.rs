//! Damage with right checksums, as a faulty program or a forger would leave it: refused with a
//! typed error, at no cost. Most of these were found by the fuzz targets.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::log::{LogHeader, TxHeader};
use crate::page::{PAGE_HEADER, Page};
use crate::record::{FARTHEST, NONE, NodeRecord, Record, RecordKey, RelationshipRecord};
use crate::testing::Rig;
use crate::*;

/// Three nodes, and four relationships between the first two, a fifth to the last.
fn store(config: StoreConfig) -> Rig {
    let (mut rig, _) = Rig::with_tokens(config);
    let tx = rig.store.begin(0, 0);
    for _ in 0..3 {
        rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
    }
    for to in [1, 1, 1, 1, 2].map(NodeId) {
        rig.must(tx, &MicroStep::CreateRelationship { from: NodeId(0), to, kind: TokenId(0) });
    }
    rig.finish(tx);
    rig
}

/// Changes a record behind the store's back.
fn change<R: Record>(rig: &mut Rig, id: u64, change: impl FnOnce(&mut R)) {
    let mut record: R = rig.store.contents(&rig.disk).unwrap().read(id);
    change(&mut record);
    let mut image = vec![0; R::SIZE];
    record.encode(&mut image);
    rig.store.write_image(R::KIND, id, &image, 0);
}

fn sizes(rig: &Rig) -> [u32; FileKind::TABLE] {
    rig.store.counts.logical
}

/// A transaction that makes one node with this id, to follow the store's last one.
fn far(store: &Store, id: u64) -> TxRecord {
    let mut image = vec![0; NodeRecord::SIZE];
    NodeRecord { in_use: true, ..NodeRecord::UNUSED }.encode(&mut image);
    let images = [(RecordKey::new(FileKind::Nodes, id), image.as_slice())];
    let header = TxHeader::default();
    TxRecord::new(store.last_committed(), header, images.into_iter(), &mut Vec::new())
}

/// Opens the store with these words of its last meta page changed.
fn with_meta(rig: &Rig, words: &[(usize, u64)]) -> StoreState {
    let slot = rig.store.checkpoint.slot as usize;
    let mut disk = rig.disk.clone();
    let bytes =
        &mut disk.bytes_mut(FileName::live(FileKind::Meta))[slot * PAGE_SIZE..][..PAGE_SIZE];
    for (word, value) in words {
        bytes[PAGE_HEADER + 8 * word..][..8].copy_from_slice(&value.to_le_bytes());
    }
    let page = Page::from_bytes((&*bytes).try_into().unwrap());
    let sequence = page.sequence();
    bytes.copy_from_slice(page.sealed(sequence).bytes());
    Rig::open(StoreConfig::default(), disk).store.state().clone()
}

fn with_checkpoint() -> Rig {
    let mut rig = store(StoreConfig::default());
    rig.store.request_checkpoint();
    rig.run();
    rig
}

#[test]
fn forged_ids_in_the_meta_page_are_refused_at_the_opening() {
    let rig = with_checkpoint();
    // The next free id of nodes; how many of them are listed as unused, and the first one.
    for words in [vec![(10, 1u64 << 50)], vec![(10, 545)], vec![(30, 1), (40, 1 << 50)]] {
        let StoreState::Failed(StoreError::Inconsistent(what)) = with_meta(&rig, &words) else {
            panic!("{words:?}")
        };
        assert!(what.contains("ids behind the end of"), "{what}");
    }
    assert_eq!(*rig.crash().store.state(), StoreState::Ready);
}

#[test]
fn what_is_left_of_a_store_without_a_whole_meta_page_can_be_set_aside() {
    let rig = with_checkpoint();
    let meta = FileName::live(FileKind::Meta);
    let damaged = |len: usize| {
        let mut disk = rig.disk.clone();
        let bytes = disk.bytes_mut(meta);
        bytes.truncate(len);
        bytes.fill(0x5A);
        Rig::open(StoreConfig::default(), disk)
    };
    // With both of its pages there, it was whole once.
    assert!(matches!(damaged(2 * PAGE_SIZE).store.state(), StoreState::Failed(_)));
    for len in [0, 100, PAGE_SIZE] {
        let mut rig = damaged(len);
        let before = rig.disk.clone();
        assert!(rig.store.has_remains(), "{len} bytes");
        rig.store.set_aside(1);
        rig.run();
        assert_eq!(*rig.store.state(), StoreState::Empty);
        assert!(!rig.store.has_remains());
        for kind in [FileKind::Meta, FileKind::Nodes, FileKind::Relationships] {
            let kept = FileName { area: 1, ..FileName::live(kind) };
            let (mut before, mut now) = (before.clone(), rig.disk.clone());
            assert_eq!(now.bytes_mut(kept), before.bytes_mut(FileName::live(kind)), "{kept}");
        }
        // Nothing of it is in the way of a new one.
        rig.store.create();
        rig.run();
        assert_eq!(*rig.store.state(), StoreState::Ready);
    }
    // A copy that did not come to its end has no meta file.
    let mut disk = rig.disk.clone();
    disk.perform(&DiskRequest::Unlink { file: meta }).unwrap();
    let rig = Rig::open(StoreConfig::default(), disk);
    assert!(*rig.store.state() == StoreState::Empty && !rig.store.has_remains());
}

#[test]
fn a_transaction_that_no_store_reaches_and_another_format_are_refused_at_the_opening() {
    let rig = with_checkpoint();
    let what = "the meta file names a transaction that no store reaches";
    for last in [u64::MAX, 1 << 60] {
        let state = with_meta(&rig, &[(3, last)]);
        assert_eq!(state, StoreState::Failed(StoreError::Inconsistent(what.into())));
    }
    let other = StoreError::OtherFormat { found: 99, ours: 3 };
    assert_eq!(with_meta(&rig, &[(1, 99)]), StoreState::Failed(other));
    let what = "the meta file is none of a store";
    let state = with_meta(&rig, &[(0, 99)]);
    assert_eq!(state, StoreState::Failed(StoreError::Inconsistent(what.into())));
}

#[test]
fn a_forged_place_of_the_version_map_is_refused_at_the_opening() {
    let rig = with_checkpoint();
    // Where it starts, how many pages it has, the number of the last one.
    for (word, value) in [(7, 1u64 << 50), (7, 1), (8, 1 << 31), (8, 2), (9, 3)] {
        let StoreState::Failed(
            StoreError::MissingFile(file) | StoreError::DamagedPage { file, .. },
        ) = with_meta(&rig, &[(word, value)])
        else {
            panic!("{word} {value}")
        };
        assert_eq!(file, FileName::live(FileKind::Versions));
    }
}

#[test]
fn ids_that_an_open_transaction_holds_at_a_checkpoint_are_given_out_after_a_crash() {
    let mut rig = store(StoreConfig::default());
    let open = rig.store.begin(0, 0);
    for _ in 0..2_000 {
        rig.must(open, &MicroStep::CreateNode { labels: vec![] });
    }
    rig.store.request_checkpoint();
    rig.run();
    let mut again = rig.clone().crash();
    assert_eq!(*again.store.state(), StoreState::Ready);
    let tx = again.store.begin(0, 0);
    let made = again.must(tx, &MicroStep::CreateNode { labels: vec![] });
    assert_eq!(made, Value::Node(NodeId(3)));
    again.finish(tx);
    // And if it commits behind the checkpoint, all are there.
    rig.finish(open);
    let again = rig.crash();
    assert_eq!(again.store.node_ids(), 2_003);
    assert_eq!(again.store.check(&again.disk), Ok(vec![]));
}

#[test]
fn a_received_record_far_behind_its_file_is_refused_and_one_in_reach_is_taken() {
    let mut rig = store(StoreConfig::default());
    let before = sizes(&rig);
    for id in [1 << 35, 544 + FARTHEST + 1] {
        let record = Arc::new(far(&rig.store, id));
        let refused = rig.store.receive(&[record]);
        assert!(matches!(refused, Err(StoreError::DamagedInput(_))), "{refused:?}");
    }
    assert_eq!(sizes(&rig), before);
    let record = Arc::new(far(&rig.store, 1_000));
    rig.store.receive(&[record]).unwrap();
    while let Step::Wait(_) = rig.store.apply_received(&mut Ledger::default()) {
        rig.run();
    }
    assert_eq!((rig.store.node_ids(), rig.store.free.count(FileKind::Nodes)), (1_001, 997));
}

#[test]
fn ids_in_the_hands_of_many_slaves_are_all_within_reach() {
    let mut rig = store(StoreConfig::default());
    let first = rig.store.allocate_ids(FileKind::Nodes, 50_000).unwrap();
    assert_eq!(first.end - first.start, 50_000);
    let mut last = first;
    for _ in 1..2 * 63 {
        let next = rig.store.allocate_ids(FileKind::Nodes, 50_000).unwrap();
        assert_eq!(next.start, last.end);
        assert!(next.end - next.start >= 1024, "{next:?}");
        last = next;
    }
    let record = Arc::new(far(&rig.store, last.end - 1));
    rig.store.receive(&[record]).unwrap();
    // What is behind that is for nobody until the file has grown.
    while rig.store.allocate_ids(FileKind::Nodes, 50_000).is_some() {}
    let end = rig.store.end_of(FileKind::Nodes) + FARTHEST;
    assert_eq!(rig.store.high[FileKind::Nodes as usize], end);
}

#[test]
fn a_logged_record_far_behind_its_file_is_damage_of_the_log() {
    let mut rig = store(StoreConfig::default());
    let log = FileName::log(0);
    let end = rig.disk.bytes_mut(log).len();
    let mut frame = vec![];
    crate::log::frame(&far(&rig.store, 1 << 35), LogHeader::SIZE as u64, &mut frame);
    rig.disk.bytes_mut(log).extend(frame);
    let opened = rig.crash();
    let damaged = StoreError::DamagedLog { file: log, offset: end as u64 };
    assert_eq!(*opened.store.state(), StoreState::Failed(damaged));
}

#[test]
fn a_commit_over_a_step_that_waits_leaves_no_page_pinned() {
    let config = StoreConfig { frames: 1, free_frames: 0, ..StoreConfig::default() };
    let mut rig = store(config);
    rig.store.request_checkpoint();
    rig.run();
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::ReadRelationship { relationship: RelationshipId(0) });
    let waits = rig.store.step(tx, &MicroStep::ReadNode { node: NodeId(2) }, &mut rig.ledger);
    assert!(matches!(waits, Step::Wait(_)), "{waits:?}");
    rig.store.commit(tx, &mut Ledger::default()).unwrap();
    rig.run();
    assert_eq!(rig.store.apply(tx, &mut Ledger::default()), Step::Done(Value::Null));
    rig.run();
    assert_eq!((rig.store.open_transactions(), rig.store.pinned_pages()), (0, 0));
}

#[test]
fn an_expansion_of_a_circular_chain_ends() {
    let mut rig = store(StoreConfig::default());
    change::<RelationshipRecord>(&mut rig, 1, |record| record.next = [1, 1]);
    let tx = rig.store.begin(0, 0);
    let (direction, kind, limit) = (Direction::Both, None, u32::MAX);
    let mut from = None;
    let ended = (0..100).find_map(|_| {
        let step = MicroStep::Expand { node: NodeId(0), direction, kind, limit, from };
        match rig.step(tx, &step).unwrap() {
            Ok(Value::Expanded { rest, .. }) => from = Some(rest.expect("a circle has no end")),
            Ok(other) => panic!("{other:?}"),
            Err(error) => return Some(error),
        }
        None
    });
    assert_eq!(ended, Some(StoreError::Inconsistent("a relationship chain never ends".into())));
    rig.store.rollback(tx);
}

/// A commit to which a damaged pointer has led is refused; nothing is written.
fn refused(mut rig: Rig, change: impl FnOnce(&mut Rig, TxHandle)) {
    let (before, last) = (sizes(&rig), rig.store.last_committed());
    let tx = rig.store.begin(0, 0);
    change(&mut rig, tx);
    rig.must(tx, &MicroStep::Prepare);
    let what = "a chain leads to a record that was never made";
    let refused = rig.store.commit(tx, &mut Ledger::default());
    assert_eq!(refused.unwrap_err(), StoreError::Inconsistent(what.into()));
    rig.store.rollback(tx);
    rig.run();
    assert_eq!((sizes(&rig), rig.store.last_committed()), (before, last));
}

/// Deletes the only relationship of a node after its end was changed.
fn delete_with_end(end: u64) {
    let mut rig = store(StoreConfig::default());
    change::<RelationshipRecord>(&mut rig, 4, |record| record.nodes[1] = end);
    refused(rig, |rig, tx| {
        let relationship = RelationshipId(4);
        rig.must(tx, &MicroStep::DeleteRelationship { relationship });
    });
}

#[test]
fn a_damaged_pointer_does_not_make_a_file_grow() {
    delete_with_end(1 << 30);
}

#[test]
fn a_pointer_of_all_ones_is_no_record() {
    assert_eq!(RecordKey::new(FileKind::Nodes, NONE).kind(), FileKind::Nodes);
    delete_with_end(NONE);
}

#[test]
fn a_hole_behind_the_checkpoint_is_empty_and_stays_so() {
    let mut rig = store(StoreConfig::default());
    rig.store.request_checkpoint();
    rig.run();
    // Two pages of nodes that never commit lie before the one that does.
    let open = rig.store.begin(0, 0);
    for _ in 0..1_200 {
        rig.must(open, &MicroStep::CreateNode { labels: vec![] });
    }
    let tx = rig.store.begin(0, 0);
    let made = rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
    assert_eq!(made, Value::Node(NodeId(1_203)));
    rig.finish(tx);
    // Power is lost while they are written, and only the last one's place in the file is kept.
    rig.disk.bytes_mut(FileName::live(FileKind::Nodes)).resize(3 * PAGE_SIZE, 0);
    let mut again = rig.crash();
    again.store.request_checkpoint();
    again.run();
    let mut again = again.crash();
    let tx = again.store.begin(0, 0);
    for _ in 0..600 {
        again.must(tx, &MicroStep::CreateNode { labels: vec![] });
    }
    again.finish(tx);
    assert_eq!((again.store.node_ids(), again.store.free.count(FileKind::Nodes)), (1_204, 600));
    assert_eq!(again.store.check(&again.disk), Ok(vec![]));
}
