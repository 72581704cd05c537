//! ARC: one LRU list for pages used once and one for pages used again, each followed by
//! ghosts; a miss that a ghost remembers moves the balance towards the list that it left.
//!
//! N. Megiddo and D. S. Modha, *ARC: A Self-Tuning, Low Overhead Replacement Cache*, FAST
//! 2003. There the balance moves before the victim is chosen; here room is made, often long
//! before, without knowing for which page, so that it moves when the page is there. The
//! paper's tie (a hit in the second ghosts with the first list exactly at its share) goes as
//! if there had been no such hit. The balance moves by fractions of a page, not in integers:
//! the paper leaves that open, and it matters.

use alloc::vec::Vec;

use super::ghosts::Ghosts;
use super::list::{Links, List};
use super::policy::Policy;

/// One page of the share, which moves by fractions.
const ONE: u64 = 1 << 32;

/// `T1`, `T2`, `B1`, `B2` and `p` of the paper.
#[derive(Clone, Debug)]
pub(crate) struct AdaptiveReplacement {
    frames: usize,
    links: Links,
    once: List,
    again: List,
    /// By frame: whether it is in `again`.
    frequent: Vec<bool>,
    once_ghosts: Ghosts,
    again_ghosts: Ghosts,
    /// How many pages `once` should have, in parts of [`ONE`].
    share: u64,
}

impl AdaptiveReplacement {
    pub(crate) fn new(frames: usize) -> AdaptiveReplacement {
        AdaptiveReplacement {
            frames,
            links: Links::default(),
            once: List::default(),
            again: List::default(),
            frequent: Vec::new(),
            once_ghosts: Ghosts::new(frames),
            again_ghosts: Ghosts::new(2 * frames),
            share: 0,
        }
    }

    /// Moves the balance by what the ghosts know of the page; whether they knew it.
    fn recall(&mut self, page: u64) -> bool {
        let (once, again) = (self.once_ghosts.len() as u64, self.again_ghosts.len() as u64);
        if self.once_ghosts.take(page) {
            let most = self.frames as u64 * ONE;
            self.share = (self.share + (again * ONE / once).max(ONE)).min(most);
            true
        } else if self.again_ghosts.take(page) {
            self.share = self.share.saturating_sub((once * ONE / again).max(ONE));
            true
        } else {
            false
        }
    }

    /// The first list and its ghosts are at most as many as the frames; all together at most
    /// twice as many.
    fn bound(&mut self) {
        while self.once_ghosts.len() > 0 && self.once.len() + self.once_ghosts.len() > self.frames {
            self.once_ghosts.forget_oldest();
        }
        let others = self.once.len() + self.once_ghosts.len() + self.again.len();
        while self.again_ghosts.len() > 0 && others + self.again_ghosts.len() > 2 * self.frames {
            self.again_ghosts.forget_oldest();
        }
    }
}

impl Policy for AdaptiveReplacement {
    fn loaded(&mut self, frame: u32, page: u64) {
        self.links.cover(frame);
        if self.frequent.len() <= frame as usize {
            self.frequent.resize(frame as usize + 1, false);
        }
        let known = self.recall(page);
        self.frequent[frame as usize] = known;
        let list = if known { &mut self.again } else { &mut self.once };
        list.push(&mut self.links, frame);
        self.bound();
    }

    #[inline]
    fn used(&mut self, frame: u32) {
        if self.frequent[frame as usize] {
            self.again.refresh(&mut self.links, frame);
        } else {
            self.frequent[frame as usize] = true;
            self.once.remove(&mut self.links, frame);
            self.again.push(&mut self.links, frame);
        }
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        let (first, second) = if self.once.len() as u64 * ONE > self.share {
            (&self.once, &self.again)
        } else {
            (&self.again, &self.once)
        };
        let oldest = |list: &List| list.oldest_that(&self.links, &may_go);
        oldest(first).or_else(|| oldest(second))
    }

    fn removed(&mut self, frame: u32, page: u64) {
        if self.frequent[frame as usize] {
            self.again.remove(&mut self.links, frame);
            self.again_ghosts.push(page);
        } else {
            self.once.remove(&mut self.links, frame);
            self.once_ghosts.push(page);
        }
    }
}
