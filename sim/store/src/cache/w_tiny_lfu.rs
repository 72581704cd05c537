//! W-TinyLFU: new pages pass through a small LRU window; the one that falls out of it is kept
//! only if it was asked for more often, by a sketch, than the page that it would replace in
//! the main part, a segmented LRU.
//!
//! G. Einziger, R. Friedman, B. Manes, *TinyLFU: A Highly Efficient Cache Admission Policy*,
//! ACM TOS 13(4), 2017: a window of 1 % (at least one frame), four fifths of the main part
//! protected. Chosen where the paper leaves room: hits in the window are not counted, since
//! uses so soon after the first are correlated; while the cache fills, pages that probation
//! has no room for are protected at once; of two equals the older one stays. The sketch is
//! allocated at once: 8 bytes for every frame, rounded up to a power of two.

use alloc::vec::Vec;

use super::list::{Links, List};
use super::policy::Policy;
use super::sketch::{Sketch, mixed};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Window,
    /// Main: not used since it came there.
    Probation,
    /// Main: used there.
    Protected,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    hash: u64,
    part: Part,
}

/// The window, the two segments of the main part, and the sketch.
#[derive(Clone, Debug)]
pub(crate) struct WTinyLfu {
    links: Links,
    entries: Vec<Entry>,
    window: List,
    window_limit: usize,
    probation: List,
    protected: List,
    protected_limit: usize,
    main_limit: usize,
    sketch: Sketch,
}

impl WTinyLfu {
    pub(crate) fn new(frames: usize) -> WTinyLfu {
        let window_limit = (frames / 100).max(1);
        let main_limit = frames.saturating_sub(window_limit);
        WTinyLfu {
            links: Links::default(),
            entries: Vec::new(),
            window: List::default(),
            window_limit,
            probation: List::default(),
            protected: List::default(),
            protected_limit: main_limit * 4 / 5,
            main_limit,
            sketch: Sketch::new(frames),
        }
    }

    fn list(&mut self, part: Part) -> &mut List {
        match part {
            Part::Window => &mut self.window,
            Part::Probation => &mut self.probation,
            Part::Protected => &mut self.protected,
        }
    }

    fn shift(&mut self, frame: u32, to: Part) {
        let from = core::mem::replace(&mut self.entries[frame as usize].part, to);
        let mut links = core::mem::take(&mut self.links);
        self.list(from).remove(&mut links, frame);
        self.list(to).push(&mut links, frame);
        self.links = links;
    }

    fn estimate(&self, frame: u32) -> u64 {
        self.sketch.estimate(self.entries[frame as usize].hash)
    }
}

impl Policy for WTinyLfu {
    fn loaded(&mut self, frame: u32, page: u64) {
        self.links.cover(frame);
        if self.entries.len() <= frame as usize {
            self.entries.resize(frame as usize + 1, Entry::default());
        }
        let hash = mixed(page);
        self.entries[frame as usize] = Entry { hash, part: Part::Window };
        self.sketch.count(hash);
        self.window.push(&mut self.links, frame);
        // While the main part has room, nobody need be compared.
        while self.window.len() > self.window_limit
            && self.probation.len() + self.protected.len() < self.main_limit
        {
            let part = if self.probation.len() < self.main_limit - self.protected_limit {
                Part::Probation
            } else {
                Part::Protected
            };
            self.shift(self.window.oldest(), part);
        }
    }

    fn used(&mut self, frame: u32) {
        let Entry { hash, part } = self.entries[frame as usize];
        match part {
            Part::Window => self.window.refresh(&mut self.links, frame),
            Part::Protected => {
                self.sketch.count(hash);
                self.protected.refresh(&mut self.links, frame);
            }
            Part::Probation => {
                self.sketch.count(hash);
                self.shift(frame, Part::Protected);
                if self.protected.len() > self.protected_limit {
                    self.shift(self.protected.oldest(), Part::Probation);
                }
            }
        }
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        let oldest = |list: &List| list.oldest_that(&self.links, &may_go);
        let main = oldest(&self.probation).or_else(|| oldest(&self.protected));
        let candidate = oldest(&self.window);
        let (Some(candidate), Some(main)) = (candidate, main) else {
            return candidate.or(main);
        };
        if self.window.len() < self.window_limit {
            return Some(main);
        }
        if self.estimate(candidate) <= self.estimate(main) {
            return Some(candidate);
        }
        self.shift(candidate, Part::Probation);
        Some(main)
    }

    fn removed(&mut self, frame: u32, _page: u64) {
        let mut links = core::mem::take(&mut self.links);
        self.list(self.entries[frame as usize].part).remove(&mut links, frame);
        self.links = links;
    }
}
