//! 2Q: pages come into a FIFO queue; those that are wanted again soon after they have left
//! it come into an LRU list, where they stay.
//!
//! T. Johnson and D. Shasha, *2Q: A Low Overhead High Performance Buffer Management
//! Replacement Algorithm*, VLDB 1994, in its full version, with the sizes recommended there:
//! a quarter of the frames for the queue (`Kin`), ghosts for half of them (`Kout`).

use alloc::vec::Vec;

use super::ghosts::Ghosts;
use super::list::{Links, List};
use super::policy::Policy;

/// `A1in`, `Am` and `A1out` of the paper.
#[derive(Clone, Debug)]
pub(crate) struct TwoQueues {
    links: Links,
    incoming: List,
    /// Most pages in `incoming` before it is the one to shrink.
    incoming_limit: usize,
    recency: List,
    /// By frame: whether it is in `recency`.
    proven: Vec<bool>,
    ghosts: Ghosts,
}

impl TwoQueues {
    pub(crate) fn new(frames: usize) -> TwoQueues {
        TwoQueues {
            links: Links::default(),
            incoming: List::default(),
            incoming_limit: frames / 4,
            recency: List::default(),
            proven: Vec::new(),
            ghosts: Ghosts::new(frames / 2),
        }
    }
}

impl Policy for TwoQueues {
    fn loaded(&mut self, frame: u32, page: u64) {
        self.links.cover(frame);
        if self.proven.len() <= frame as usize {
            self.proven.resize(frame as usize + 1, false);
        }
        let proven = self.ghosts.take(page);
        self.proven[frame as usize] = proven;
        let list = if proven { &mut self.recency } else { &mut self.incoming };
        list.push(&mut self.links, frame);
    }

    #[inline]
    fn used(&mut self, frame: u32) {
        // Uses soon after the first are correlated, and prove nothing.
        if self.proven[frame as usize] {
            self.recency.refresh(&mut self.links, frame);
        }
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        let (first, second) = if self.incoming.len() > self.incoming_limit {
            (&self.incoming, &self.recency)
        } else {
            (&self.recency, &self.incoming)
        };
        let oldest = |list: &List| list.oldest_that(&self.links, &may_go);
        oldest(first).or_else(|| oldest(second))
    }

    fn removed(&mut self, frame: u32, page: u64) {
        if self.proven[frame as usize] {
            self.recency.remove(&mut self.links, frame);
        } else {
            self.incoming.remove(&mut self.links, frame);
            self.ghosts.push(page);
        }
    }
}
