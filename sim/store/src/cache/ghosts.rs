//! Ghosts: the names of pages that have left, in the order in which they left, up to a limit.

use alloc::vec::Vec;
use wavetank_vocabulary::LookupMap;

use super::list::{Links, List};

/// A queue of names that can be asked and answered in constant time.
#[derive(Clone, Debug)]
pub(super) struct Ghosts {
    limit: usize,
    places: LookupMap<u64, u32>,
    pages: Vec<u64>,
    free: Vec<u32>,
    links: Links,
    list: List,
}

impl Ghosts {
    /// At most `limit` names.
    pub(super) fn new(limit: usize) -> Ghosts {
        Ghosts {
            limit,
            places: LookupMap::new(),
            pages: Vec::new(),
            free: Vec::new(),
            links: Links::default(),
            list: List::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Remembers a page that is not remembered yet, and forgets the oldest if there are too
    /// many.
    pub(super) fn push(&mut self, page: u64) {
        if self.limit == 0 {
            return;
        }
        if self.list.len() == self.limit {
            self.forget_oldest();
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.pages.push(page);
            (self.pages.len() - 1) as u32
        });
        self.pages[place as usize] = page;
        self.links.cover(place);
        self.list.push(&mut self.links, place);
        self.places.insert(page, place);
    }

    /// Forgets the page; whether it was remembered.
    pub(super) fn take(&mut self, page: u64) -> bool {
        let Some(place) = self.places.remove(&page) else { return false };
        self.list.remove(&mut self.links, place);
        self.free.push(place);
        true
    }

    /// Forgets the one that left first, if there is one.
    pub(super) fn forget_oldest(&mut self) {
        if !self.list.is_empty() {
            self.take(self.pages[self.list.oldest() as usize]);
        }
    }
}
