//! The store with each cache policy: what it answers does not depend on which pages leave.

use alloc::vec::Vec;
use wavetank_vocabulary::Bytes;

use crate::testing::model::random_transactions;
use crate::testing::{Dice, Rig};
use crate::*;

fn with(cache_policy: CachePolicy, frames: usize) -> StoreConfig {
    StoreConfig {
        frames,
        cache_policy,
        log_rotation_threshold: Bytes::kib(64),
        checkpoint_interval_tx: 40,
        free_frames: 2,
        ..StoreConfig::default()
    }
}

#[test]
fn whichever_pages_leave_the_answers_are_the_same() {
    let mut evictions = Vec::new();
    for policy in CachePolicy::ALL {
        let mut evicted = 0;
        for (frames, seed) in [(1, 1), (2, 2), (3, 3), (5, 4)] {
            let mut dice = Dice(seed);
            let (mut rig, mut history) = Rig::with_tokens(with(policy, frames));
            random_transactions(&mut rig, &mut history, 60, &mut dice).unwrap();
            rig.store.request_checkpoint();
            rig.run();
            rig.assert_nothing_leaked();
            assert_eq!(&rig.model(), history.after.last().unwrap(), "{}", policy.name());
            evicted += rig.store.counters().evictions;
            let rig = rig.crash();
            assert_eq!(&rig.model(), history.after.last().unwrap(), "{}", policy.name());
        }
        assert!(evicted > 50, "{} evicted {evicted}", policy.name());
        evictions.push(evicted);
    }
    evictions.sort_unstable();
    evictions.dedup();
    assert!(evictions.len() > 3, "the policies differ in what they evict: {evictions:?}");
}
