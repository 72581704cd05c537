//! Writing pages: the double-write area and background eviction.
//!
//! A page is written in place only after its image is durable in the double-write file, so
//! that a torn page can be repaired at the next start. The area is used from front to back;
//! before it is used again, the record files are synced: an image may go only when its page
//! is safe in place. Checkpoints (`checkpoint`) have their pages written here.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::PlantedBugs;

use crate::cache::{FrameId, PageKey};
use crate::disk::{DiskRequest, FileKind};
use crate::io::Purpose;
use crate::lifecycle::Mode;
use crate::page::Page;
use crate::store::{Ledger, Store, StoreState, live};

/// Pages written in one go.
const BATCH: usize = 64;
/// How many pages of the index tree may wait to be written together.
const LINKED: usize = 32;
/// Dirty pages that a fault without a free frame has written.
const FAULT_BATCH: usize = 32;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FlushPhase {
    #[default]
    Idle,
    /// Syncing the record files.
    Data,
    /// Writing what the version map does not know yet.
    Versions,
    VersionsSync,
    /// A checkpoint's meta page is being written.
    Meta,
    Double,
    DoubleSync,
    Place,
}

/// The one batch of pages that is being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flusher {
    phase: FlushPhase,
    batch: Vec<(PageKey, Arc<Page>)>,
    /// The next free page of the double-write area.
    next: u32,
    /// A write of this phase found no space.
    failed: bool,
    /// Answers that are still to come in this phase.
    left: usize,
    /// Record files written since they were last synced, one bit per kind.
    unsynced: u32,
    /// A file was made whose name is not durable.
    new_names: bool,
    pub(crate) double_exists: bool,
    /// Counts flushed pages and meta pages, also across restarts.
    pub(crate) sequence: u64,
}

impl Flusher {
    /// What an opened store must assume: all files may have unsynced writes and names that are
    /// not durable, and the double-write area may be in use.
    pub(crate) fn distrust(&mut self, files: impl Iterator<Item = FileKind>) {
        for kind in files {
            self.unsynced |= 1u32 << kind as u8;
        }
        self.new_names = true;
        self.next = u32::MAX;
    }

    /// Files were made whose names are not durable.
    pub(crate) fn name_files(&mut self) {
        self.new_names = true;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.phase == FlushPhase::Idle
    }
}

impl Store {
    fn may_flush(&self) -> bool {
        match self.state {
            StoreState::Ready => true,
            StoreState::Empty => matches!(self.mode, Mode::Copied { .. }),
            _ => false,
        }
    }

    fn spare_frames(&self) -> usize {
        self.config.free_frames.min(self.cache.limit() / 2)
    }

    /// Whether [`Self::background`] has something to do now.
    pub fn wants_background(&self) -> bool {
        if !self.may_flush() || self.disk_full {
            return false;
        }
        if self.checkpoint_due() {
            return true;
        }
        let flushing = self.checkpoint.is_flushing();
        if self.tree_linked.len() > LINKED && self.flusher.is_idle() {
            return true;
        }
        let crowded = self.cache.resident() + self.spare_frames() > self.cache.limit();
        (flushing && self.flusher.is_idle()) || (crowded && !self.eviction_rests)
    }

    /// Evicts, writes dirty pages, and moves a checkpoint on: at most `pages` pages.
    pub fn background(&mut self, pages: u32, ledger: &mut Ledger) {
        if !self.may_flush() || self.disk_full || pages == 0 {
            return;
        }
        let budget = pages as usize;
        if self.checkpoint_due() {
            self.begin_checkpoint();
        }
        let mut handled = 0;
        if self.flusher.is_idle() {
            handled += self.continue_checkpoint(budget);
        }
        if self.tree_linked.len() > LINKED && self.flusher.is_idle() {
            let first = self.tree_linked.first().map(|page| PageKey(FileKind::Index, *page));
            let frame = first.and_then(|key| self.cache.find(key));
            let frame = frame.expect("pages that wait to be written stay");
            handled += self.tree_linked.len();
            self.flush(&[frame]);
        }
        let spare = self.spare_frames();
        if self.cache.resident() + spare > self.cache.limit() {
            let evicted = self.cache.keep_free(spare, budget);
            let missing = (self.cache.resident() + spare).saturating_sub(self.cache.limit());
            let mut flushed = false;
            if missing > 0 && self.flusher.is_idle() && evicted < budget {
                let mut victims = Vec::new();
                let most = missing.min(budget - evicted).min(self.batch());
                self.cache.dirty_victims(most, &mut victims);
                flushed = !victims.is_empty();
                handled += victims.len();
                self.flush(&victims);
            }
            handled += evicted;
            self.eviction_rests = evicted == 0 && !flushed;
        }
        ledger.hits += handled as u32;
    }

    /// How many pages are written in one go.
    pub(crate) fn batch(&self) -> usize {
        BATCH.min(self.config.double_write_pages.max(1) as usize)
    }

    /// Has dirty pages written so that a fault can be served. False if none can be.
    pub(crate) fn flush_victims(&mut self) -> bool {
        if !self.flusher.is_idle() {
            return true;
        }
        if self.disk_full {
            return false;
        }
        let mut victims = Vec::new();
        self.cache.dirty_victims(FAULT_BATCH.min(self.batch()), &mut victims);
        self.flush(&victims);
        !victims.is_empty()
    }

    pub(crate) fn flush(&mut self, frames: &[FrameId]) {
        if frames.is_empty() {
            return;
        }
        assert!(self.flusher.is_idle(), "one batch at a time");
        let mut frames = frames.to_vec();
        let linked = |frame: &FrameId| {
            let key = self.cache.frame(*frame).key();
            key.0 == FileKind::Index && self.tree_linked.contains(&key.1)
        };
        if frames.iter().any(linked) {
            // What splits have changed goes together or not at all.
            for page in core::mem::take(&mut self.tree_linked) {
                let frame = self.cache.find(PageKey(FileKind::Index, page));
                let frame = frame.filter(|frame| self.cache.is_dirty(*frame));
                frames.extend(frame.filter(|frame| !frames.contains(frame)));
            }
        }
        let count = frames.len() as u32;
        for (place, frame) in frames.iter().enumerate() {
            self.flusher.sequence += 1;
            let batch = (place as u32, count);
            let (key, image) = self.cache.begin_flush(*frame, self.flusher.sequence, batch);
            self.flusher.batch.push((key, image));
        }
        if self.flusher.next.saturating_add(frames.len() as u32) > self.config.double_write_pages {
            self.sync_data();
        } else {
            self.write_double();
        }
    }

    pub(crate) fn sync_data(&mut self) {
        self.flusher.phase = FlushPhase::Data;
        self.flusher.left = 0;
        for kind in FileKind::RECORDS {
            if self.flusher.unsynced & 1u32 << kind as u8 != 0 {
                self.flusher.left += 1;
                self.io.submit(DiskRequest::Sync { file: live(kind) }, Purpose::FlushData(kind));
            }
        }
        if self.flusher.new_names {
            self.flusher.left += 1;
            self.io.submit(DiskRequest::SyncDir, Purpose::FlushData(FileKind::Meta));
        }
        self.flusher.unsynced = 0;
        self.flusher.new_names = false;
        if self.flusher.left == 0 {
            self.data_synced();
        }
    }

    /// What was written is safe in place: the version map may say so, and must before the
    /// images in the double-write area are gone.
    fn data_synced(&mut self) {
        // Only a meta page can make a row count that does not go on from the last one.
        let for_checkpoint = self.flusher.batch.is_empty();
        let pages = self.versions.save(&mut self.flusher.sequence, for_checkpoint);
        if pages.is_empty() {
            self.versions_saved();
            return;
        }
        self.flusher.phase = FlushPhase::Versions;
        self.flusher.left = pages.len();
        for image in pages {
            let (_, page) = image.place().expect("it was made for a place");
            let file = live(FileKind::Versions);
            self.io.submit(DiskRequest::WritePage { file, page, image }, Purpose::FlushVersions);
        }
    }

    fn versions_saved(&mut self) {
        self.flusher.next = 0;
        if self.flusher.batch.is_empty() {
            self.flusher.phase = FlushPhase::Meta;
            self.write_meta();
        } else {
            self.write_double();
        }
    }

    /// The flusher can take a batch on again.
    pub(crate) fn flusher_rests(&mut self) {
        self.flusher.phase = FlushPhase::Idle;
        self.feed_starved();
    }

    fn write_double(&mut self) {
        if self.config.bugs.contains(PlantedBugs::DOUBLE_WRITE_SKIPPED) {
            self.write_in_place();
            return;
        }
        self.flusher.phase = FlushPhase::Double;
        self.flusher.left = self.flusher.batch.len();
        for (place, (_, image)) in self.flusher.batch.iter().enumerate() {
            let request = DiskRequest::WritePage {
                file: live(FileKind::DoubleWrite),
                page: self.flusher.next + place as u32,
                image: image.clone(),
            };
            self.io.submit(request, Purpose::FlushDouble);
        }
        self.flusher.next += self.flusher.batch.len() as u32;
    }

    fn write_in_place(&mut self) {
        self.flusher.phase = FlushPhase::Place;
        self.flusher.left = self.flusher.batch.len();
        for (key, image) in &self.flusher.batch {
            self.flusher.unsynced |= 1u32 << key.0 as u8;
            let on_disk = &mut self.counts.on_disk[key.0 as usize];
            self.flusher.new_names |= *on_disk == 0;
            *on_disk = (*on_disk).max(key.1 + 1);
            let request =
                DiskRequest::WritePage { file: live(key.0), page: key.1, image: image.clone() };
            self.io.submit(request, Purpose::FlushPlace);
        }
    }

    /// One of the flusher's or the checkpoint's operations is done.
    pub(crate) fn flush_answered(&mut self, purpose: Purpose) {
        if matches!(purpose, Purpose::MetaWrite | Purpose::MetaSync) {
            self.checkpoint_answered(purpose);
            return;
        }
        self.flusher.left -= 1;
        if self.flusher.left > 0 {
            return;
        }
        if self.flusher.failed {
            self.give_flush_up();
            return;
        }
        match self.flusher.phase {
            FlushPhase::Data => self.data_synced(),
            FlushPhase::Versions => {
                self.flusher.phase = FlushPhase::VersionsSync;
                self.flusher.left = 1;
                let request = DiskRequest::Sync { file: live(FileKind::Versions) };
                self.io.submit(request, Purpose::FlushVersionsSync);
                if !self.versions.exists {
                    self.versions.exists = true;
                    self.flusher.left = 2;
                    self.io.submit(DiskRequest::SyncDir, Purpose::FlushVersionsSync);
                }
            }
            FlushPhase::VersionsSync => {
                self.versions.synced();
                self.versions_saved();
            }
            FlushPhase::Double => {
                self.flusher.phase = FlushPhase::DoubleSync;
                self.flusher.left = 1;
                let request = DiskRequest::Sync { file: live(FileKind::DoubleWrite) };
                self.io.submit(request, Purpose::FlushDoubleSync);
                if !self.flusher.double_exists {
                    self.flusher.double_exists = true;
                    self.flusher.left = 2;
                    self.io.submit(DiskRequest::SyncDir, Purpose::FlushDoubleSync);
                }
            }
            FlushPhase::DoubleSync => self.write_in_place(),
            FlushPhase::Place => {
                self.flusher.phase = FlushPhase::Idle;
                self.counters.flushes += self.flusher.batch.len() as u64;
                for (key, image) in self.flusher.batch.drain(..) {
                    self.versions.written(key, &image);
                    self.cache.end_flush(key);
                    if self.config.bugs.contains(PlantedBugs::CHANGE_DURING_WRITE_LOST) {
                        self.cache.forget_change(key);
                    }
                }
                self.feed_starved();
            }
            FlushPhase::Idle | FlushPhase::Meta => panic!("an answer without a question"),
        }
    }

    /// A page write found no space. The batch is given up when all its answers are there.
    pub(crate) fn flush_failed(&mut self) {
        self.flusher.failed = true;
        self.flusher.left -= 1;
        if self.flusher.left == 0 {
            self.give_flush_up();
        }
    }

    /// The pages of the batch stay dirty, and a checkpoint begins again.
    fn give_flush_up(&mut self) {
        self.flusher.failed = false;
        self.flusher.phase = FlushPhase::Idle;
        for (key, _) in self.flusher.batch.drain(..) {
            self.cache.fail_flush(key);
            if key.0 == FileKind::Index {
                // Whether they belong together is forgotten: they all go together next time.
                self.tree_linked.insert(key.1);
            }
        }
        self.versions.give_up();
        self.give_checkpoint_up();
        self.feed_starved();
    }
}
