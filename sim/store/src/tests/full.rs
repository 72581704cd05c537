//! The disk fills up, at every possible moment, and is emptied again.

use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{Bytes, NodeId};

use crate::testing::{Dice, Rig};
use crate::*;

fn config() -> StoreConfig {
    StoreConfig {
        frames: 5,
        free_frames: 1,
        log_rotation_threshold: Bytes::kib(3),
        checkpoint_interval_tx: 12,
        double_write_pages: 6,
        id_reuse_safe_zone_ms: 0,
        ..StoreConfig::default()
    }
}

fn token(rig: &mut Rig) {
    let tx = rig.store.begin(0, 0);
    rig.must(tx, &MicroStep::Token { kind: TokenKind::PropertyKey, name: "t".into() });
    rig.must(tx, &MicroStep::Token { kind: TokenKind::Label, name: "l".into() });
    rig.finish(tx);
}

/// Commits a node with a text of this length: its id, or why it was refused.
fn write(rig: &mut Rig, length: usize) -> Result<NodeId, StoreError> {
    let tx = rig.store.begin(0, 0);
    let labels = vec![TokenId(0)];
    let Value::Node(node) = rig.must(tx, &MicroStep::CreateNode { labels }) else { panic!() };
    let value = Value::Text("x".repeat(length).into());
    rig.must(tx, &MicroStep::SetProperty { entity: node.into(), key: TokenId(0), value });
    rig.must(tx, &MicroStep::Prepare);
    let ticket = rig.store.commit(tx, &mut Ledger::default())?.ticket.unwrap();
    rig.wait(ticket).unwrap();
    loop {
        match rig.store.apply(tx, &mut Ledger::default()) {
            Step::Done(_) => return Ok(node),
            Step::Wait(_) => assert!(rig.advance()),
            Step::Failed(error) => return Err(error),
        }
    }
}

fn all_readable(rig: &mut Rig, nodes: &[(NodeId, usize)]) {
    let tx = rig.store.begin(0, 0);
    for (node, length) in nodes {
        let step = MicroStep::ReadProperty { entity: (*node).into(), key: TokenId(0) };
        assert_eq!(rig.must(tx, &step), Value::Text("x".repeat(*length).into()));
    }
    rig.finish(tx);
}

#[test]
fn a_full_disk_refuses_transactions_and_serves_reads_until_space_returns() {
    let (mut refused, mut pages_refused) = (0, 0);
    for seed in 0..120 {
        let mut dice = Dice(seed);
        let mut rig = Rig::create(config());
        token(&mut rig);
        rig.shuffle = (seed % 2 == 0).then_some(Dice(seed));
        rig.disk.capacity = Some(40_000 + 811 * seed as usize);
        let mut nodes: Vec<(NodeId, usize)> = vec![];
        for _ in 0..60 {
            let length = dice.below(900) as usize;
            match write(&mut rig, length) {
                Ok(node) => nodes.push((node, length)),
                Err(StoreError::Disk { error: DiskError::NoSpace, .. }) => {
                    refused += 1;
                    all_readable(&mut rig, &nodes);
                }
                Err(error) => panic!("{error}"),
            }
            rig.run();
            pages_refused += u64::from(rig.store.is_disk_full());
            assert_eq!(*rig.store.state(), StoreState::Ready, "seed {seed}");
        }
        // A crash now finds all that was acknowledged.
        let mut crashed = rig.clone();
        crashed.disk.capacity = None;
        let mut crashed = crashed.lose_power(&mut dice);
        all_readable(&mut crashed, &nodes);
        crashed.model();
        // Space returns.
        rig.disk.capacity = None;
        rig.store.retry_disk();
        let length = 50;
        nodes.push((write(&mut rig, length).expect("there is space"), length));
        rig.store.request_checkpoint();
        rig.run();
        assert_eq!((rig.store.is_disk_full(), rig.store.dirty_pages()), (false, 0));
        assert_eq!(rig.model().nodes.len(), nodes.len());
        let mut rig = rig.crash();
        all_readable(&mut rig, &nodes);
        rig.model();
    }
    assert!(refused > 500 && pages_refused > 500, "{refused} and {pages_refused}");
}

#[test]
fn transactions_behind_a_refused_one_are_refused_with_it() {
    let mut rig = Rig::create(config());
    token(&mut rig);
    let txs: Vec<TxHandle> = (0..3)
        .map(|_| {
            let tx = rig.store.begin(0, 0);
            rig.must(tx, &MicroStep::CreateNode { labels: vec![] });
            rig.store.commit(tx, &mut Ledger::default()).unwrap();
            tx
        })
        .collect();
    let mark = rig.store.mark();
    rig.disk.capacity = Some(0);
    while rig.turn() {}
    for tx in txs {
        let refused = rig.store.apply(tx, &mut Ledger::default());
        let file = FileName::log(0);
        let error = StoreError::Disk { operation: "append", file, error: DiskError::NoSpace };
        assert_eq!(refused, Step::Failed(error));
    }
    assert_eq!((rig.store.mark(), rig.store.last_committed()), (mark, mark));
    assert_eq!((rig.store.open_transactions(), rig.store.free_ids(FileKind::Nodes)), (0, 3));
    rig.disk.capacity = None;
    write(&mut rig, 9).unwrap();
    assert_eq!(rig.store.mark().tx, mark.tx.next());
    rig.crash().model();
}
