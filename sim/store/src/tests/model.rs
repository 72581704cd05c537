//! The store against a plain model: random transactions, tiny caches, restarts.

use alloc::sync::Arc;
use alloc::vec;
use proptest::prelude::*;
use wavetank_vocabulary::{Bytes, NodeId};

use super::backup::back_up;
use crate::testing::faults::Fault;
use crate::testing::model::{random_transactions, renew_constraint};
use crate::testing::{Dice, MemoryDisk, Rig};
use crate::*;

fn small(frames: usize) -> StoreConfig {
    StoreConfig {
        frames,
        log_rotation_threshold: Bytes::kib(8),
        checkpoint_interval_tx: 25,
        tail_transactions: 8,
        free_frames: 2,
        dense_node_threshold: 3,
        id_reuse_safe_zone_ms: 0,
        ..StoreConfig::default()
    }
}

fn nothing_leaked(rig: &mut Rig) {
    rig.run();
    assert_eq!((rig.store.open_transactions(), rig.store.held_locks()), (0, 0));
    assert_eq!(rig.store.pinned_pages(), 0);
    assert_eq!(rig.store.dirty_pages(), 0, "the checkpoint wrote everything");
}

/// Random transactions with evictions, checkpoints, crashes and backups; returns how many
/// steps were compared with the model.
fn agrees(seed: u64, frames: usize) -> u64 {
    let mut dice = Dice(seed);
    let (mut rig, mut history) = Rig::with_tokens(small(frames));
    rig.shuffle = seed.is_multiple_of(2).then(|| dice.clone());
    let mut backup = Rig::open(small(frames), MemoryDisk::default());
    for round in 0..4 {
        renew_constraint(&mut rig, &mut history).unwrap();
        random_transactions(&mut rig, &mut history, 25, &mut dice).unwrap();
        assert_eq!(&rig.model(), history.after.last().unwrap());
        let digest = rig.digest();
        match dice.below(4) {
            0 | 1 => {
                rig.store.request_checkpoint();
                nothing_leaked(&mut rig);
            }
            // Logs are kept for a week: incremental from the second on.
            2 => {
                let report = back_up(&mut rig, &mut backup, &mut history, None).unwrap();
                backup = backup.crash();
                let there = &history.after[report.mark.tx.0 as usize - 1];
                assert_eq!(&backup.model(), there, "seed {seed}, round {round}");
            }
            _ => {}
        }
        rig = if dice.below(2) == 0 { rig.crash() } else { rig.lose_power(&mut dice) };
        assert_eq!(rig.store.state(), &StoreState::Ready);
        assert_eq!(&rig.model(), history.after.last().unwrap());
        assert_eq!(rig.digest(), digest);
    }
    history.steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_store_agrees_with_the_model(seed in any::<u64>(), frames in 1usize..12) {
        agrees(seed, frames);
    }
}

/// As many steps as `WAVETANK_STEPS` says: `.ci/run` has a million taken, with optimisation.
#[test]
#[expect(clippy::print_stdout, reason = "the count is the point")]
fn the_store_agrees_with_the_model_for_as_long_as_asked() {
    let wanted = std::env::var("WAVETANK_STEPS").map_or(5_000, |n| n.parse().expect("a number"));
    let (mut steps, mut seed) = (0, 0);
    while steps < wanted {
        steps += agrees(seed, 1 + seed as usize % 11);
        seed += 1;
    }
    std::println!("{steps} steps in {seed} histories agree with the model");
}

/// Loses one page write in place, whichever it is, and restarts until that is told, or shown to
/// be harmless: the store then holds exactly what was acknowledged. True if it was told.
fn loses_a_write(seed: u64) -> bool {
    let mut dice = Dice(seed);
    // Few images stay in the double-write area; no page is read before a restart.
    let config =
        StoreConfig { double_write_pages: 6, log_retention: LogRetention::All, ..small(500) };
    let (mut rig, mut history) = Rig::with_tokens(config);
    random_transactions(&mut rig, &mut history, 30, &mut dice).unwrap();
    rig.disk.faults = vec![Fault::LostWriteAfter(dice.below(60))];
    for _ in 0..4 {
        random_transactions(&mut rig, &mut history, 10 + dice.below(40) as u32, &mut dice).unwrap();
        if dice.below(2) == 0 {
            rig.store.request_checkpoint();
            rig.run();
        }
        rig = if dice.below(2) == 0 { rig.crash() } else { rig.lose_power(&mut dice) };
        let lost = rig.disk.lost;
        let error = match rig.store.state() {
            StoreState::Ready => {
                let mut found = crate::testing::model::Model::default();
                match rig.store.audit(&rig.disk, &mut found) {
                    Ok(()) => {
                        assert_eq!(
                            &rig.model(),
                            history.after.last().unwrap(),
                            "seed {seed}, {lost:?}"
                        );
                        continue;
                    }
                    Err(error) => error,
                }
            }
            StoreState::Failed(error) => error.clone(),
            other => panic!("{other:?}"),
        };
        let lost = lost.expect("nothing else is wrong");
        match error {
            StoreError::DamagedPage { file, page, .. } => assert_eq!((file, page), lost),
            error => panic!("seed {seed}, {lost:?}: {error}"),
        }
        return true;
    }
    false
}

#[test]
fn a_lost_write_is_told_or_harmless_across_restarts() {
    let told = (0..150).filter(|seed| loses_a_write(*seed)).count();
    assert!(told > 20, "told {told} times");
}

#[test]
fn a_cache_of_one_frame_serves_texts_of_many_pages() {
    let mut rig = Rig::create(StoreConfig { free_frames: 0, ..small(1) });
    let tx = rig.store.begin(0, 0);
    let name: Arc<str> = "text".into();
    let kind = TokenKind::PropertyKey;
    let Value::Token(key) = rig.must(tx, &MicroStep::Token { kind, name }) else { panic!() };
    let Value::Node(node) = rig.must(tx, &MicroStep::CreateNode { labels: vec![] }) else {
        panic!()
    };
    let value = Value::Text("0123456789".repeat(10_000).into());
    let entity = Entity::Node(node);
    rig.must(tx, &MicroStep::SetProperty { entity, key, value: value.clone() });
    rig.finish(tx);
    let tx = rig.store.begin(0, 0);
    assert_eq!(rig.must(tx, &MicroStep::ReadProperty { entity, key }), value);
    assert!(rig.store.pinned_pages() == 0, "pages are let go when the step is over");
    rig.finish(tx);
    rig.run();
    assert!(rig.store.counters().evictions > 10);
    assert!(rig.store.resident_pages() <= 1);
    assert!(rig.model().nodes.contains_key(&NodeId(0).0));
}
