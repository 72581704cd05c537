//! S3-FIFO: new pages come into a small FIFO queue, those used twice while they are there go
//! on to the main one, where each use counts as another round; ghosts of the small queue
//! come into the main one at once.
//!
//! J. Yang, Y. Zhang, Z. Qiu, Y. Yue, R. Vinayak, *FIFO queues are all you need for cache
//! eviction*, SOSP 2023, with its sizes: a tenth of the frames for the small queue, as many
//! ghosts as pages in the main one. Counters go to 3 and are 0 after the move. Until the cache
//! is full, the main queue takes what the small one has no room for.

use alloc::vec::Vec;

use super::ghosts::Ghosts;
use super::list::{Links, List, NONE};
use super::policy::Policy;

/// Uses in the small queue after which a page moves to the main one.
const MOVED_AT: u8 = 2;
const MOST_USES: u8 = 3;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    uses: u8,
    in_main: bool,
}

/// The queues, and a counter per frame.
#[derive(Clone, Debug)]
pub(crate) struct S3Fifo {
    links: Links,
    entries: Vec<Entry>,
    small: List,
    main: List,
    main_limit: usize,
    small_limit: usize,
    ghosts: Ghosts,
    /// Some page has had to leave.
    full: bool,
}

impl S3Fifo {
    pub(crate) fn new(frames: usize) -> S3Fifo {
        let small_limit = (frames / 10).max(1);
        let main_limit = frames - small_limit;
        S3Fifo {
            links: Links::default(),
            entries: Vec::new(),
            small: List::default(),
            main: List::default(),
            main_limit,
            small_limit,
            ghosts: Ghosts::new(main_limit),
            full: false,
        }
    }

    fn victim_of_small(&mut self, may_go: &impl Fn(u32) -> bool) -> Option<u32> {
        let mut frame = self.small.oldest();
        while frame != NONE {
            let newer = self.links.newer(frame);
            if may_go(frame) {
                let entry = &mut self.entries[frame as usize];
                if entry.uses < MOVED_AT {
                    return Some(frame);
                }
                *entry = Entry { uses: 0, in_main: true };
                self.small.remove(&mut self.links, frame);
                self.main.push(&mut self.links, frame);
            }
            frame = newer;
        }
        None
    }

    fn victim_of_main(&mut self, may_go: &impl Fn(u32) -> bool) -> Option<u32> {
        let mut frame = self.main.oldest();
        while frame != NONE {
            let newer = self.links.newer(frame);
            if may_go(frame) {
                let uses = &mut self.entries[frame as usize].uses;
                if *uses == 0 {
                    return Some(frame);
                }
                *uses -= 1;
                self.main.refresh(&mut self.links, frame);
                // The newest one has nobody else to wait for.
                frame = if newer == NONE { frame } else { newer };
            } else {
                frame = newer;
            }
        }
        None
    }
}

impl Policy for S3Fifo {
    fn loaded(&mut self, frame: u32, page: u64) {
        self.links.cover(frame);
        if self.entries.len() <= frame as usize {
            self.entries.resize(frame as usize + 1, Entry::default());
        }
        let in_main = self.ghosts.take(page) || !self.full && self.small.len() >= self.small_limit;
        self.entries[frame as usize] = Entry { uses: 0, in_main };
        let queue = if in_main { &mut self.main } else { &mut self.small };
        queue.push(&mut self.links, frame);
    }

    #[inline]
    fn used(&mut self, frame: u32) {
        let uses = &mut self.entries[frame as usize].uses;
        *uses = (*uses + 1).min(MOST_USES);
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        self.full = true;
        if self.main.len() > self.main_limit || self.small.is_empty() {
            self.victim_of_main(&may_go).or_else(|| self.victim_of_small(&may_go))
        } else {
            self.victim_of_small(&may_go).or_else(|| self.victim_of_main(&may_go))
        }
    }

    fn removed(&mut self, frame: u32, page: u64) {
        if self.entries[frame as usize].in_main {
            self.main.remove(&mut self.links, frame);
        } else {
            self.small.remove(&mut self.links, frame);
            self.ghosts.push(page);
        }
    }
}
