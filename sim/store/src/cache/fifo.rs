//! FIFO: the page that came first goes, however often it was used.

use super::list::{Links, List};
use super::policy::Policy;

/// The pages in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fifo {
    links: Links,
    queue: List,
}

impl Policy for Fifo {
    fn loaded(&mut self, frame: u32, _page: u64) {
        self.links.cover(frame);
        self.queue.push(&mut self.links, frame);
    }

    #[inline]
    fn used(&mut self, _frame: u32) {}

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        self.queue.oldest_that(&self.links, may_go)
    }

    fn removed(&mut self, frame: u32, _page: u64) {
        self.queue.remove(&mut self.links, frame);
    }
}
