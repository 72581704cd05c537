//! LRU: the page whose last use is longest ago goes.
//!
//! P. J. Denning, *The Working Set Model for Program Behavior*, CACM 11(5), 1968, has it as
//! the rule to compare others with.

use super::list::{Links, List};
use super::policy::Policy;

/// The pages in the order of their last uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lru {
    links: Links,
    recency: List,
}

impl Policy for Lru {
    fn loaded(&mut self, frame: u32, _page: u64) {
        self.links.cover(frame);
        self.recency.push(&mut self.links, frame);
    }

    #[inline]
    fn used(&mut self, frame: u32) {
        self.recency.refresh(&mut self.links, frame);
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        self.recency.oldest_that(&self.links, may_go)
    }

    fn removed(&mut self, frame: u32, _page: u64) {
        self.recency.remove(&mut self.links, frame);
    }
}
