//! The page cache under somebody else's requests: which of them would have been hits.

use alloc::sync::Arc;

use super::policy::CachePolicy;
use super::{Cache, PageKey};
use crate::disk::FileKind;
use crate::page::Page;

/// The store's own page cache, asked for pages by number and nothing else. All its frames
/// share one empty page, so that it costs only its tables.
///
/// ```
/// use wavetank_store::{CachePolicy, TraceCache};
///
/// let mut cache = TraceCache::new(CachePolicy::Lru, 2);
/// let hits = [1, 2, 1, 3, 2].map(|page| cache.access(page));
/// assert_eq!(hits, [false, false, true, false, false]);
/// ```
#[derive(Clone, Debug)]
pub struct TraceCache {
    cache: Cache,
    page: Arc<Page>,
}

impl TraceCache {
    /// An empty cache of that many frames, at least one.
    pub fn new(policy: CachePolicy, frames: usize) -> TraceCache {
        let page = Arc::new(Page::empty(FileKind::Nodes, 0));
        TraceCache { cache: Cache::new(policy, frames), page }
    }

    /// Asks for a page and loads it if it is not there; whether it was. Tables are as long as
    /// the highest number asked for: numbers should be dense.
    #[inline]
    pub fn access(&mut self, page: u32) -> bool {
        let key = PageKey(FileKind::Nodes, page);
        if let Some(frame) = self.cache.find(key) {
            self.cache.used(frame);
            return true;
        }
        // Nothing is dirty or pinned here: there is always room.
        let _ = self.cache.make_room();
        self.cache.insert(key, self.page.clone(), false);
        false
    }

    /// Whether the page is resident; changes nothing.
    pub fn holds(&self, page: u32) -> bool {
        self.cache.find(PageKey(FileKind::Nodes, page)).is_some()
    }

    /// How many pages are resident: at most the frames.
    pub fn resident(&self) -> usize {
        self.cache.resident()
    }
}
