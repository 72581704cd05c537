//! The page cache: a fixed number of frames and the tables that find pages in them.
//!
//! This file keeps tables only. What is loaded, flushed and written, and when, is decided in
//! `pages.rs` and `flush.rs`. Frames appear as they are first used, so that a limit of
//! millions costs nothing. While every frame is pinned the limit is exceeded rather than a
//! transaction starved; eviction then brings the number down again.

mod arc;
mod clock;
mod clock_sweep;
mod fifo;
mod ghosts;
mod list;
mod lru;
#[cfg(test)]
mod models;
pub(crate) mod policy;
mod s3_fifo;
mod sieve;
mod sketch;
#[cfg(test)]
mod tests;
pub(crate) mod trace;
mod two_queues;
mod w_tiny_lfu;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::chunks::Chunks;
use crate::disk::{FileKind, PageNumber};
use crate::page::Page;
use policy::{CachePolicy, Chosen, Policy};

/// A frame's number.
pub(crate) type FrameId = u32;

/// A page's file and number in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PageKey(pub(crate) FileKind, pub(crate) PageNumber);

impl PageKey {
    /// The name under which policies know the page.
    fn name(self) -> u64 {
        (self.0 as u64) << 32 | u64::from(self.1)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    /// None in a free frame.
    page: Option<Arc<Page>>,
    key: PageKey,
    pins: u16,
    dirty: bool,
    /// Its image is on the way to the disk.
    flushing: bool,
}

impl Frame {
    pub(crate) fn page(&self) -> &Arc<Page> {
        self.page.as_ref().expect("frames in the tables hold pages")
    }

    pub(crate) fn key(&self) -> PageKey {
        self.key
    }
}

/// What the sweep came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// A frame may be used.
    Free,
    /// Only dirty pages could go, and must be written first.
    OnlyDirty,
    /// Everything is pinned or being written.
    Pinned,
}

const KINDS: usize = FileKind::TABLE;

/// The tables.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    limit: usize,
    frames: Chunks<Frame>,
    free: Vec<FrameId>,
    resident: usize,
    dirty: usize,
    /// By kind and page: the frame plus one, or 0.
    tables: [Arc<Vec<u32>>; KINDS],
    policy: Chosen,
    evictions: u64,
}

impl Cache {
    pub(crate) fn new(policy: CachePolicy, limit: usize) -> Cache {
        let limit = limit.max(1);
        Cache {
            limit,
            frames: Chunks::default(),
            free: Vec::new(),
            resident: 0,
            dirty: 0,
            tables: Default::default(),
            policy: Chosen::new(policy, limit),
            evictions: 0,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Allows so many frames from now on; eviction brings the number down as pages are used.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    pub(crate) fn resident(&self) -> usize {
        self.resident
    }

    pub(crate) fn dirty_pages(&self) -> usize {
        self.dirty
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many frames are pinned.
    pub(crate) fn pinned(&self) -> usize {
        self.frames.iter().filter(|frame| frame.pins > 0).count()
    }

    #[inline]
    pub(crate) fn find(&self, key: PageKey) -> Option<FrameId> {
        match self.tables[key.0 as usize].get(key.1 as usize) {
            Some(entry) if *entry != 0 => Some(*entry - 1),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn frame(&self, frame: FrameId) -> &Frame {
        &self.frames[frame as usize]
    }

    #[inline(always)]
    pub(crate) fn used(&mut self, frame: FrameId) {
        self.policy.used(frame);
    }

    /// Puts a page into a frame, beyond the limit if need be.
    pub(crate) fn insert(&mut self, key: PageKey, page: Arc<Page>, dirty: bool) -> FrameId {
        assert!(self.find(key).is_none(), "a page is resident once");
        let frame = Frame { page: Some(page), key, pins: 0, dirty, flushing: false };
        let id = match self.free.pop() {
            Some(id) => {
                self.frames[id as usize] = frame;
                id
            }
            None => {
                self.frames.push(frame);
                (self.frames.len() - 1) as FrameId
            }
        };
        let table = Arc::make_mut(&mut self.tables[key.0 as usize]);
        if table.len() <= key.1 as usize {
            table.resize(key.1 as usize + 1, 0);
        }
        table[key.1 as usize] = id + 1;
        self.policy.loaded(id, key.name());
        self.resident += 1;
        self.dirty += usize::from(dirty);
        id
    }

    /// The page in a frame, to change; it is dirty from now on.
    pub(crate) fn page_mut(&mut self, frame: FrameId) -> &mut Page {
        let frame = &mut self.frames[frame as usize];
        if !frame.dirty {
            frame.dirty = true;
            self.dirty += 1;
        }
        Arc::make_mut(frame.page.as_mut().expect("frames in the tables hold pages"))
    }

    /// Makes room for one more page, if a clean one can go.
    pub(crate) fn make_room(&mut self) -> Room {
        while self.resident >= self.limit {
            let frames = &self.frames;
            let clean = |id: FrameId| {
                let frame = &frames[id as usize];
                frame.page.is_some() && frame.pins == 0 && !frame.dirty && !frame.flushing
            };
            match self.policy.victim(clean) {
                Some(id) => self.evict(id),
                None if self.dirty > 0 => return Room::OnlyDirty,
                None => return Room::Pinned,
            }
        }
        Room::Free
    }

    /// Evicts up to `budget` clean pages until `spare` frames are free. Returns how many.
    pub(crate) fn keep_free(&mut self, spare: usize, budget: usize) -> usize {
        let mut evicted = 0;
        while evicted < budget && self.resident + spare > self.limit {
            let frames = &self.frames;
            let clean = |id: FrameId| {
                let frame = &frames[id as usize];
                frame.page.is_some() && frame.pins == 0 && !frame.dirty && !frame.flushing
            };
            let Some(id) = self.policy.victim(clean) else { break };
            self.evict(id);
            evicted += 1;
        }
        evicted
    }

    /// Dirty pages that the sweep would give up next, to be written: at most `most`.
    pub(crate) fn dirty_victims(&mut self, most: usize, out: &mut Vec<FrameId>) {
        for _ in 0..most {
            let frames = &self.frames;
            let may_go = |id: FrameId| {
                let frame = &frames[id as usize];
                frame.page.is_some()
                    && frame.pins == 0
                    && frame.dirty
                    && !frame.flushing
                    && !out.contains(&id)
            };
            let Some(id) = self.policy.victim(may_go) else { break };
            out.push(id);
        }
    }

    fn evict(&mut self, id: FrameId) {
        let frame = &mut self.frames[id as usize];
        frame.page = None;
        Arc::make_mut(&mut self.tables[frame.key.0 as usize])[frame.key.1 as usize] = 0;
        self.policy.removed(id, frame.key.name());
        self.free.push(id);
        self.resident -= 1;
        self.evictions += 1;
    }

    /// Takes the image of a page that is about to be written, sealed with `sequence` and its place
    /// in the batch. The page counts as clean unless it is changed again.
    pub(crate) fn begin_flush(
        &mut self,
        frame: FrameId,
        sequence: u64,
        batch: (u32, u32),
    ) -> (PageKey, Arc<Page>) {
        let frame = &mut self.frames[frame as usize];
        assert!(frame.dirty && !frame.flushing, "only dirty pages are flushed, once at a time");
        frame.dirty = false;
        frame.flushing = true;
        self.dirty -= 1;
        let page = frame.page.as_mut().expect("frames in the tables hold pages");
        Arc::make_mut(page).seal_in_batch(sequence, batch);
        (frame.key, page.clone())
    }

    /// The page's image did not get to its place: it is dirty again.
    pub(crate) fn fail_flush(&mut self, key: PageKey) {
        let frame = self.find(key).expect("pages stay while they are written");
        let frame = &mut self.frames[frame as usize];
        frame.flushing = false;
        if !frame.dirty {
            frame.dirty = true;
            self.dirty += 1;
        }
    }

    /// The page's image is in place.
    pub(crate) fn end_flush(&mut self, key: PageKey) {
        let frame = self.find(key).expect("pages stay while they are written");
        self.frames[frame as usize].flushing = false;
    }

    /// A planted bug: the page counts as clean, whatever has changed.
    pub(crate) fn forget_change(&mut self, key: PageKey) {
        if let Some(frame) = self.find(key) {
            let frame = &mut self.frames[frame as usize];
            self.dirty -= usize::from(core::mem::replace(&mut frame.dirty, false));
        }
    }

    /// Whether the page has changes that are not on the way to the disk.
    pub(crate) fn is_dirty(&self, frame: FrameId) -> bool {
        self.frames[frame as usize].dirty
    }

    /// Keeps the page in its frame until it is unpinned as often.
    pub(crate) fn pin(&mut self, frame: FrameId) {
        self.frames[frame as usize].pins += 1;
    }

    pub(crate) fn unpin(&mut self, frame: FrameId) {
        self.frames[frame as usize].pins -= 1;
    }

    /// All resident pages, in frame order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (FrameId, &Frame)> {
        let resident = |(id, frame): (usize, _)| (id as FrameId, frame);
        self.frames.iter().enumerate().map(resident).filter(|(_, frame)| frame.page.is_some())
    }
}
