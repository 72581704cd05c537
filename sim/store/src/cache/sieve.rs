//! SIEVE: a queue in the order of arrival, a bit per page, and a hand that goes from old to
//! new. It clears the bits it meets and gives up the first page without one; pages that stay
//! keep their places, and new ones come in at the new end, where the hand is not.
//!
//! Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson, K. V. Rashmi, *SIEVE is Simpler than LRU: an
//! Efficient Turn-Key Eviction Algorithm for Web Caches*, NSDI 2024.

use alloc::vec::Vec;

use super::list::{Links, List, NONE};
use super::policy::Policy;

/// The queue, the bits, and the hand.
#[derive(Clone, Debug)]
pub(crate) struct Sieve {
    links: Links,
    queue: List,
    visited: Vec<bool>,
    /// The next frame to look at; at [`NONE`] it begins at the old end again.
    hand: u32,
}

impl Default for Sieve {
    fn default() -> Sieve {
        Sieve { links: Links::default(), queue: List::default(), visited: Vec::new(), hand: NONE }
    }
}

impl Policy for Sieve {
    fn loaded(&mut self, frame: u32, _page: u64) {
        self.links.cover(frame);
        if self.visited.len() <= frame as usize {
            self.visited.resize(frame as usize + 1, false);
        }
        self.visited[frame as usize] = false;
        self.queue.push(&mut self.links, frame);
    }

    #[inline]
    fn used(&mut self, frame: u32) {
        self.visited[frame as usize] = true;
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        // The first round clears every bit that it may.
        for _ in 0..2 * self.queue.len() {
            let frame = if self.hand == NONE { self.queue.oldest() } else { self.hand };
            self.hand = self.links.newer(frame);
            if may_go(frame) && !core::mem::take(&mut self.visited[frame as usize]) {
                return Some(frame);
            }
        }
        None
    }

    fn removed(&mut self, frame: u32, _page: u64) {
        if self.hand == frame {
            self.hand = self.links.newer(frame);
        }
        self.queue.remove(&mut self.links, frame);
    }
}
