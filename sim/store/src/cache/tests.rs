//! The tables: room, dirty pages, pins; and every policy under random use.

use proptest::prelude::*;
use std::collections::BTreeMap;

use super::*;

fn key(page: u32) -> PageKey {
    PageKey(FileKind::Nodes, page)
}

fn page(number: u32) -> Arc<Page> {
    Arc::new(Page::empty(FileKind::Nodes, number))
}

#[test]
fn clean_pages_make_room_and_dirty_ones_do_not() {
    let mut cache = Cache::new(CachePolicy::ClockSweep, 2);
    cache.insert(key(0), page(0), false);
    let one = cache.insert(key(1), page(1), true);
    assert_eq!(cache.make_room(), Room::Free);
    assert_eq!((cache.find(key(0)), cache.find(key(1))), (None, Some(one)));
    let two = cache.insert(key(2), page(2), false);
    cache.pin(two);
    assert_eq!(cache.make_room(), Room::OnlyDirty);
    let mut victims = Vec::new();
    cache.dirty_victims(8, &mut victims);
    assert_eq!(victims, [one]);
    let (flushed, image) = cache.begin_flush(one, 5, (0, 1));
    assert_eq!((flushed, image.sequence()), (key(1), 5));
    assert_eq!(cache.make_room(), Room::Pinned);
    cache.end_flush(key(1));
    assert_eq!(cache.make_room(), Room::Free);
    assert_eq!((cache.resident(), cache.evictions()), (1, 2));
}

#[test]
fn a_page_changed_while_it_is_written_stays_dirty() {
    let mut cache = Cache::new(CachePolicy::ClockSweep, 2);
    let id = cache.insert(key(0), page(0), true);
    let (_, image) = cache.begin_flush(id, 1, (0, 1));
    cache.page_mut(id).body_mut()[0] = 1;
    cache.end_flush(key(0));
    assert!(cache.is_dirty(id));
    assert_eq!(image.body()[0], 0);
    assert_eq!(cache.dirty_pages(), 1);
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Access(u32),
    Change(u32),
    Pin(u32),
    Unpin(u32),
    Flush(usize),
    KeepFree(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u32..40).prop_map(Op::Access),
        2 => (0u32..40).prop_map(Op::Change),
        2 => (0u32..40).prop_map(Op::Pin),
        3 => (0u32..40).prop_map(Op::Unpin),
        1 => (1usize..5).prop_map(Op::Flush),
        1 => (0usize..4).prop_map(Op::KeepFree),
    ]
}

fn policy() -> impl Strategy<Value = CachePolicy> {
    (0..CachePolicy::ALL.len()).prop_map(|place| CachePolicy::ALL[place])
}

proptest! {
    /// Pinned and dirty pages stay, the limit holds unless all are such, what was not given
    /// up is found, and a clone goes the same way.
    #[test]
    fn no_policy_gives_up_what_must_stay(
        policy in policy(),
        limit in 1usize..14,
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let mut cache = Cache::new(policy, limit);
        // Pins and dirt by page.
        let mut kept: BTreeMap<u32, (u32, bool)> = BTreeMap::new();
        let mut sequence = 0;
        for op in ops {
            let mut twin = cache.clone();
            match op {
                Op::Access(n) => match cache.find(key(n)) {
                    Some(frame) => {
                        prop_assert_eq!(cache.frame(frame).key(), key(n));
                        cache.used(frame);
                        twin.used(frame);
                    }
                    None => {
                        prop_assert!(!kept.contains_key(&n), "page {} was given up", n);
                        let room = cache.make_room();
                        prop_assert_eq!(twin.make_room(), room);
                        let dirty = kept.values().any(|(_, dirty)| *dirty);
                        match room {
                            Room::Free => prop_assert!(cache.resident() < limit),
                            Room::OnlyDirty => prop_assert!(dirty),
                            Room::Pinned => {
                                prop_assert!(!dirty);
                                prop_assert!(kept.len() >= limit);
                            }
                        }
                        prop_assert!(cache.resident() < limit.max(kept.len() + 1));
                        cache.insert(key(n), page(n), false);
                        twin.insert(key(n), page(n), false);
                    }
                },
                Op::Change(n) => {
                    if let Some(frame) = cache.find(key(n)) {
                        cache.page_mut(frame).touch(1);
                        twin.page_mut(frame).touch(1);
                        kept.entry(n).or_default().1 = true;
                    }
                }
                Op::Pin(n) => {
                    if let Some(frame) = cache.find(key(n)) {
                        cache.pin(frame);
                        twin.pin(frame);
                        kept.entry(n).or_default().0 += 1;
                    }
                }
                Op::Unpin(n) => {
                    if let Some((pins, _)) = kept.get_mut(&n)
                        && *pins > 0
                    {
                        *pins -= 1;
                        let frame = cache.find(key(n)).expect("pinned pages stay");
                        cache.unpin(frame);
                        twin.unpin(frame);
                    }
                }
                Op::Flush(most) => {
                    let (mut victims, mut same) = (Vec::new(), Vec::new());
                    cache.dirty_victims(most, &mut victims);
                    twin.dirty_victims(most, &mut same);
                    prop_assert_eq!(&victims, &same);
                    for frame in victims {
                        sequence += 1;
                        let (flushed, _) = cache.begin_flush(frame, sequence, (0, 1));
                        twin.begin_flush(frame, sequence, (0, 1));
                        cache.end_flush(flushed);
                        twin.end_flush(flushed);
                        let page = kept.get_mut(&flushed.1).expect("it was dirty");
                        prop_assert_eq!(*page, (0, true), "dirty and not pinned");
                        page.1 = false;
                    }
                }
                Op::KeepFree(spare) => {
                    let evicted = cache.keep_free(spare, 3);
                    prop_assert_eq!(twin.keep_free(spare, 3), evicted);
                }
            }
            kept.retain(|_, stays| *stays != (0, false));
            for n in kept.keys() {
                prop_assert!(cache.find(key(*n)).is_some(), "page {} must stay", n);
            }
            let found = (0..40).filter(|n| cache.find(key(*n)).is_some());
            prop_assert_eq!(found.clone().count(), cache.resident());
            prop_assert!(found.eq((0..40).filter(|n| twin.find(key(*n)).is_some())));
        }
    }
}
