//! The store against a plain model: random transactions, tiny caches, restarts.

use alloc::sync::Arc;
use alloc::vec;
use proptest::prelude::*;
use wavetank_vocabulary::{Bytes, NodeId};

use crate::testing::model::{random_transactions, renew_constraint};
use crate::testing::{Dice, Rig};
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_store_agrees_with_the_model(seed in any::<u64>(), frames in 1usize..12) {
        let mut dice = Dice(seed);
        let (mut rig, mut history) = Rig::with_tokens(small(frames));
        rig.shuffle = (seed % 2 == 0).then(|| dice.clone());
        for _ in 0..4 {
            renew_constraint(&mut rig, &mut history).unwrap();
            random_transactions(&mut rig, &mut history, 25, &mut dice).unwrap();
            prop_assert_eq!(&rig.model(), history.after.last().unwrap());
            let digest = rig.digest();
            if dice.below(2) == 0 {
                rig.store.request_checkpoint();
                nothing_leaked(&mut rig);
            }
            rig = rig.crash();
            prop_assert_eq!(rig.store.state(), &StoreState::Ready);
            prop_assert_eq!(&rig.model(), history.after.last().unwrap());
            prop_assert_eq!(rig.digest(), digest);
        }
    }
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
