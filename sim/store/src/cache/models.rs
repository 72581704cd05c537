//! Every policy once more, as plainly as its paper's prose: vectors that are searched from
//! one end to the other. The cache must agree with them on every request.

use proptest::prelude::*;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::policy::CachePolicy;
use super::sketch::{Sketch, mixed};
use super::trace::TraceCache;

/// A cache by the book. All vectors are ordered from old to new.
trait Model {
    /// Whether the page was there.
    fn access(&mut self, page: u32) -> bool;
    fn resident(&self) -> Vec<u32>;
}

fn take(list: &mut Vec<u32>, page: u32) -> bool {
    let place = list.iter().position(|p| *p == page);
    if let Some(place) = place {
        list.remove(place);
    }
    place.is_some()
}

/// A ring of pages with a number each, for CLOCK and for Neo4j's sweep.
struct Ring {
    slots: Vec<(u32, u8)>,
    frames: usize,
    hand: usize,
    first: u8,
    used: fn(u8) -> u8,
    /// What the hand leaves of the number; none when the page goes.
    passed: fn(u8) -> Option<u8>,
}

impl Model for Ring {
    fn access(&mut self, page: u32) -> bool {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.0 == page) {
            slot.1 = (self.used)(slot.1);
            return true;
        }
        if self.slots.len() < self.frames {
            self.slots.push((page, self.first));
            return false;
        }
        loop {
            let slot = &mut self.slots[self.hand];
            self.hand = (self.hand + 1) % self.frames;
            match (self.passed)(slot.1) {
                Some(left) => slot.1 = left,
                None => {
                    *slot = (page, self.first);
                    return false;
                }
            }
        }
    }

    fn resident(&self) -> Vec<u32> {
        self.slots.iter().map(|slot| slot.0).collect()
    }
}

/// LRU, or FIFO if uses do not refresh.
struct Queue {
    pages: Vec<u32>,
    frames: usize,
    refreshes: bool,
}

impl Model for Queue {
    fn access(&mut self, page: u32) -> bool {
        let hit = self.pages.contains(&page);
        if hit && self.refreshes {
            take(&mut self.pages, page);
            self.pages.push(page);
        }
        if !hit {
            if self.pages.len() == self.frames {
                self.pages.remove(0);
            }
            self.pages.push(page);
        }
        hit
    }

    fn resident(&self) -> Vec<u32> {
        self.pages.clone()
    }
}

struct SieveModel {
    pages: Vec<(u32, bool)>,
    frames: usize,
    hand: usize,
}

impl Model for SieveModel {
    fn access(&mut self, page: u32) -> bool {
        if let Some(entry) = self.pages.iter_mut().find(|entry| entry.0 == page) {
            entry.1 = true;
            return true;
        }
        if self.pages.len() == self.frames {
            while self.pages[self.hand].1 {
                self.pages[self.hand].1 = false;
                self.hand = (self.hand + 1) % self.frames;
            }
            self.pages.remove(self.hand);
            // Past the newest page it begins again; the one that comes now is behind it.
            self.hand %= self.pages.len().max(1);
        }
        self.pages.push((page, false));
        false
    }

    fn resident(&self) -> Vec<u32> {
        self.pages.iter().map(|entry| entry.0).collect()
    }
}

struct S3FifoModel {
    small: Vec<(u32, u8)>,
    main: Vec<(u32, u8)>,
    ghosts: Vec<u32>,
    frames: usize,
    full: bool,
}

impl S3FifoModel {
    fn evict(&mut self) {
        self.full = true;
        let (small, main) = (self.small_limit(), self.frames - self.small_limit());
        debug_assert_eq!(small + main, self.frames);
        loop {
            if self.main.len() > main || self.small.is_empty() {
                let (page, uses) = self.main.remove(0);
                if uses == 0 {
                    return;
                }
                self.main.push((page, uses - 1));
            } else {
                // A round over the small queue, before the main one is asked again.
                while !self.small.is_empty() {
                    let (page, uses) = self.small.remove(0);
                    if uses < 2 {
                        if self.ghosts.len() == main && main > 0 {
                            self.ghosts.remove(0);
                        }
                        if main > 0 {
                            self.ghosts.push(page);
                        }
                        return;
                    }
                    self.main.push((page, 0));
                }
            }
        }
    }

    fn small_limit(&self) -> usize {
        (self.frames / 10).max(1)
    }
}

impl Model for S3FifoModel {
    fn access(&mut self, page: u32) -> bool {
        let mut entries = self.small.iter_mut().chain(&mut self.main);
        if let Some(entry) = entries.find(|entry| entry.0 == page) {
            entry.1 = (entry.1 + 1).min(3);
            return true;
        }
        if self.small.len() + self.main.len() == self.frames {
            self.evict();
        }
        let ghost = take(&mut self.ghosts, page);
        let early = !self.full && self.small.len() >= self.small_limit();
        if ghost || early { &mut self.main } else { &mut self.small }.push((page, 0));
        false
    }

    fn resident(&self) -> Vec<u32> {
        self.small.iter().chain(&self.main).map(|entry| entry.0).collect()
    }
}

#[derive(Default)]
struct TwoQueuesModel {
    a1_in: Vec<u32>,
    a1_out: Vec<u32>,
    am: Vec<u32>,
    frames: usize,
}

impl Model for TwoQueuesModel {
    fn access(&mut self, page: u32) -> bool {
        if self.a1_in.contains(&page) {
            return true;
        }
        if take(&mut self.am, page) {
            self.am.push(page);
            return true;
        }
        if self.a1_in.len() + self.am.len() == self.frames {
            if self.a1_in.len() > self.frames / 4 || self.am.is_empty() {
                self.a1_out.push(self.a1_in.remove(0));
                if self.a1_out.len() > self.frames / 2 {
                    self.a1_out.remove(0);
                }
            } else {
                self.am.remove(0);
            }
        }
        if take(&mut self.a1_out, page) {
            self.am.push(page);
        } else {
            self.a1_in.push(page);
        }
        false
    }

    fn resident(&self) -> Vec<u32> {
        self.a1_in.iter().chain(&self.am).copied().collect()
    }
}

#[derive(Default)]
struct ArcModel {
    t1: Vec<u32>,
    t2: Vec<u32>,
    b1: Vec<u32>,
    b2: Vec<u32>,
    /// In parts of 2^-32.
    p: u64,
    c: usize,
}

impl Model for ArcModel {
    fn access(&mut self, page: u32) -> bool {
        if take(&mut self.t1, page) || take(&mut self.t2, page) {
            self.t2.push(page);
            return true;
        }
        if self.t1.len() + self.t2.len() == self.c {
            if !self.t1.is_empty() && (self.t1.len() as u64) << 32 > self.p || self.t2.is_empty() {
                self.b1.push(self.t1.remove(0));
            } else {
                self.b2.push(self.t2.remove(0));
            }
        }
        let (b1, b2) = (self.b1.len() as u64, self.b2.len() as u64);
        let ratio = |a: u64, b: u64| ((a << 32) / b).max(1 << 32);
        if take(&mut self.b1, page) {
            self.p = (self.p + ratio(b2, b1)).min((self.c as u64) << 32);
            self.t2.push(page);
        } else if take(&mut self.b2, page) {
            self.p = self.p.saturating_sub(ratio(b1, b2));
            self.t2.push(page);
        } else {
            self.t1.push(page);
        }
        while !self.b1.is_empty() && self.t1.len() + self.b1.len() > self.c {
            self.b1.remove(0);
        }
        let all = self.t1.len() + self.t2.len() + self.b1.len();
        while !self.b2.is_empty() && all + self.b2.len() > 2 * self.c {
            self.b2.remove(0);
        }
        false
    }

    fn resident(&self) -> Vec<u32> {
        self.t1.iter().chain(&self.t2).copied().collect()
    }
}

struct WTinyLfuModel {
    window: Vec<u32>,
    probation: Vec<u32>,
    protected: Vec<u32>,
    sketch: Sketch,
    frames: usize,
}

impl Model for WTinyLfuModel {
    fn access(&mut self, page: u32) -> bool {
        let window = (self.frames / 100).max(1);
        let main = self.frames - window;
        let protected = main * 4 / 5;
        if take(&mut self.window, page) {
            self.window.push(page);
            return true;
        }
        let name = |page: u32| mixed(super::PageKey(crate::disk::FileKind::Nodes, page).name());
        if take(&mut self.protected, page) || take(&mut self.probation, page) {
            self.sketch.count(name(page));
            self.protected.push(page);
            if self.protected.len() > protected {
                let oldest = self.protected.remove(0);
                self.probation.push(oldest);
            }
            return true;
        }
        if self.resident().len() == self.frames {
            let candidate = self.window.remove(0);
            let place = if self.probation.is_empty() {
                self.protected.first().map(|page| (true, *page))
            } else {
                self.probation.first().map(|page| (false, *page))
            };
            if let Some((is_protected, victim)) = place
                && self.sketch.estimate(name(candidate)) > self.sketch.estimate(name(victim))
            {
                if is_protected { &mut self.protected } else { &mut self.probation }.remove(0);
                self.probation.push(candidate);
            }
        }
        self.sketch.count(name(page));
        self.window.push(page);
        if self.window.len() > window && self.probation.len() + self.protected.len() < main {
            let oldest = self.window.remove(0);
            let room = self.probation.len() < main - protected;
            if room { &mut self.probation } else { &mut self.protected }.push(oldest);
        }
        false
    }

    fn resident(&self) -> Vec<u32> {
        self.window.iter().chain(&self.probation).chain(&self.protected).copied().collect()
    }
}

fn model(policy: CachePolicy, frames: usize) -> Box<dyn Model> {
    let ring = |first, used, passed| Ring { slots: vec![], frames, hand: 0, first, used, passed };
    match policy {
        CachePolicy::ClockSweep => {
            let halved = |stamp| if stamp > 1 { Some(stamp / 2) } else { None };
            Box::new(ring(1, |stamp| [1, 3, 3, 7, 7, 7, 7, 7][usize::from(stamp)], halved))
        }
        CachePolicy::Clock => Box::new(ring(0, |_| 1, |bit| if bit == 1 { Some(0) } else { None })),
        CachePolicy::Lru => Box::new(Queue { pages: vec![], frames, refreshes: true }),
        CachePolicy::Fifo => Box::new(Queue { pages: vec![], frames, refreshes: false }),
        CachePolicy::Sieve => Box::new(SieveModel { pages: vec![], frames, hand: 0 }),
        CachePolicy::S3Fifo => Box::new(S3FifoModel {
            small: vec![],
            main: vec![],
            ghosts: vec![],
            frames,
            full: false,
        }),
        CachePolicy::TwoQueues => Box::new(TwoQueuesModel { frames, ..Default::default() }),
        CachePolicy::Arc => Box::new(ArcModel { c: frames, ..Default::default() }),
        CachePolicy::WTinyLfu => Box::new(WTinyLfuModel {
            window: vec![],
            probation: vec![],
            protected: vec![],
            sketch: Sketch::new(frames),
            frames,
        }),
    }
}

/// Requests of which a few pages get many, with scans between.
fn requests() -> impl Strategy<Value = Vec<u32>> {
    let piece = prop_oneof![
        6 => (0u32..12).prop_map(|page| vec![page]),
        3 => (0u32..60).prop_map(|page| vec![page]),
        1 => (0u32..300, 1u32..30).prop_map(|(from, len)| (from..from + len).collect()),
    ];
    prop::collection::vec(piece, 1..250).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_policy_is_its_model(
        frames in prop_oneof![4 => 1usize..12, 2 => 12usize..60, 1 => 100usize..260],
        requests in requests(),
    ) {
        for policy in CachePolicy::ALL {
            let mut model = model(policy, frames);
            let mut cache = TraceCache::new(policy, frames);
            for (n, page) in requests.iter().enumerate() {
                let held = cache.holds(*page);
                let hit = cache.access(*page);
                prop_assert_eq!(hit, held);
                prop_assert_eq!(hit, model.access(*page), "{} {}", policy.name(), n);
                let resident = model.resident();
                prop_assert!(resident.len() <= frames);
                prop_assert_eq!(cache.resident(), resident.len(), "{}", policy.name());
                for page in resident {
                    prop_assert!(cache.holds(page), "{} {}: {}", policy.name(), n, page);
                }
            }
        }
    }
}

fn misses(policy: CachePolicy, frames: usize, requests: impl IntoIterator<Item = u32>) -> usize {
    let mut cache = TraceCache::new(policy, frames);
    requests.into_iter().filter(|page| !cache.access(*page)).count()
}

/// L. A. Belady, R. A. Nelson, G. S. Shedler, CACM 12(6), 1969.
#[test]
fn fifo_has_beladys_anomaly_and_lru_has_not() {
    let string = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];
    assert_eq!([3, 4].map(|frames| misses(CachePolicy::Fifo, frames, string)), [9, 10]);
    assert_eq!([3, 4].map(|frames| misses(CachePolicy::Lru, frames, string)), [10, 8]);
}

/// By hand, for 3 frames.
#[test]
fn misses_counted_by_hand() {
    // After the three: 1 is used, 2 and 3 are not. 4 takes 2's frame (LRU, CLOCK, SIEVE) or
    // 1's (FIFO); then 1 tells them apart, 5 and 2 follow.
    let string = [1, 2, 3, 1, 4, 1, 5, 2];
    let expected = [
        // Stamps 3, 1, 1: the hand makes 1's 1 and takes 2; 1 again: 3. 5 takes 3, 2 takes 4
        // after 1's was halved: 1 2 3 4 5 2.
        (CachePolicy::ClockSweep, 6),
        (CachePolicy::Clock, 6),
        (CachePolicy::Lru, 6),
        // 1 2 3 4 1 5 2: the second 1 missed, and 2 went for it.
        (CachePolicy::Fifo, 7),
        (CachePolicy::Sieve, 6),
        // Small has one frame, main two: 1 small, 2 and 3 main. 4: small's 1 was used once,
        // and goes to the ghosts; 1 comes back into main, which 5 finds too long: 2 goes.
        (CachePolicy::S3Fifo, 7),
        // No use counts in A1in: as FIFO until 1 comes back from the ghosts into Am.
        (CachePolicy::TwoQueues, 7),
        // 1 is in T2 after its second use; 4 and 5 take 2 and 3; 2 is remembered in B1.
        (CachePolicy::Arc, 6),
        // One frame is window, one protected: 1, once used, is there. 3, 4 and 5 fall out of
        // the window, none asked for more often than 2, which is a hit in the end.
        (CachePolicy::WTinyLfu, 5),
    ];
    for (policy, count) in expected {
        assert_eq!(misses(policy, 3, string), count, "{}", policy.name());
    }
}

/// Of uniform independent requests the share of hits is that of the pages that are there,
/// for every policy that does not learn from the past.
#[test]
fn uniform_requests_hit_by_the_share_of_frames() {
    let (pages, frames, times) = (1000u64, 250, 200_000u64);
    for policy in [CachePolicy::Lru, CachePolicy::Fifo, CachePolicy::Clock] {
        let requests = (0..times).map(|n| (mixed(n) % pages) as u32);
        let hits = times as usize - misses(policy, frames, requests);
        let share = hits as f64 / times as f64;
        assert!((share - 0.25).abs() < 0.005, "{} {share}", policy.name());
    }
}

#[test]
fn names_are_unique_and_lead_back() {
    for policy in CachePolicy::ALL {
        assert_eq!(CachePolicy::from_name(policy.name()), Some(policy));
    }
    assert_eq!(CachePolicy::from_name("LRU"), None);
    assert_eq!(CachePolicy::default(), CachePolicy::ALL[0]);
}
