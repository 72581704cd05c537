//! Writing pages: the double-write area, background eviction, checkpoints, log pruning.
//!
//! A page is written in place only after its image is durable in the double-write file, so
//! that a torn page can be repaired at the next start. The area is used from front to back;
//! before it is used again, the record files are synced: an image may go only when its page
//! is safe in place. A checkpoint writes every page that was dirty when it began, syncs the
//! record files, and then says so in the meta file.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::cache::{FrameId, PageKey};
use crate::disk::{DiskRequest, FileKind, FileName};
use crate::ids::FreeIds;
use crate::io::{Purpose, Ticket};
use crate::journal::LogPosition;
use crate::lifecycle::Mode;
use crate::meta::Meta;
use crate::page::Page;
use crate::record::records_per_page;
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
    /// What an opened store must assume: all files may have unsynced writes, and the
    /// double-write area may be in use.
    pub(crate) fn distrust(&mut self, files: impl Iterator<Item = FileKind>) {
        for kind in files {
            self.unsynced |= 1u32 << kind as u8;
        }
        self.next = u32::MAX;
    }

    /// Files were made whose names are not durable.
    pub(crate) fn name_files(&mut self) {
        self.new_names = true;
    }

    fn is_idle(&self) -> bool {
        self.phase == FlushPhase::Idle
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
enum CheckpointPhase {
    #[default]
    Idle,
    /// Writing the pages that were dirty at the beginning, from this place of the list.
    Flushing(usize),
    Syncing,
    Meta,
    MetaSync,
}

/// The checkpoint under way, and when the last one was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkpoint {
    pub(crate) wanted: bool,
    phase: CheckpointPhase,
    pages: Vec<PageKey>,
    meta: Option<Meta>,
    /// The ids that are unused as far as the checkpoint goes.
    free: FreeIds,
    /// What the last completed one covers.
    done: Option<(Meta, FreeIds)>,
    /// The meta page that was written last.
    pub(crate) slot: u32,
    /// The last transaction of the last checkpoint.
    pub(crate) last_tx: u64,
    /// When it began, in milliseconds.
    at_ms: u64,
    /// The meta file's name is durable.
    named: bool,
    /// Who waits for the next checkpoint, and for the one under way.
    waiting_next: Option<Ticket>,
    waiting: Option<Ticket>,
}

impl Store {
    fn may_flush(&self) -> bool {
        match self.state {
            StoreState::Ready => true,
            StoreState::Empty => matches!(self.mode, Mode::Copied { .. }),
            _ => false,
        }
    }

    /// Asks for a checkpoint at the next opportunity.
    pub fn request_checkpoint(&mut self) {
        self.checkpoint.wanted = true;
    }

    /// Asks for a checkpoint and gives its ticket.
    pub(crate) fn checkpoint_ticket(&mut self) -> Ticket {
        self.checkpoint.wanted = true;
        *self.checkpoint.waiting_next.get_or_insert_with(|| self.io.ticket())
    }

    /// Whether the checkpoint with this ticket is still to be completed.
    pub(crate) fn checkpoint_pending(&self, ticket: Ticket) -> bool {
        [self.checkpoint.waiting, self.checkpoint.waiting_next].contains(&Some(ticket))
    }

    /// What the last completed checkpoint covers.
    pub(crate) fn checkpoint_done(&self) -> Option<(Meta, &FreeIds)> {
        self.checkpoint.done.as_ref().map(|(meta, free)| (*meta, free))
    }

    fn checkpoint_due(&self) -> bool {
        if matches!(self.mode, Mode::Copied { completing: false }) {
            // A copy must not look complete before it is.
            return false;
        }
        let since = self.applied.0.saturating_sub(self.checkpoint.last_tx);
        let timed = self.config.checkpoint_interval_ms.is_some_and(|interval| {
            since > 0 && self.clock_ms >= self.checkpoint.at_ms.saturating_add(interval)
        });
        let due = self.checkpoint.wanted || timed || since >= self.config.checkpoint_interval_tx;
        due && self.checkpoint.phase == CheckpointPhase::Idle
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
        let flushing = matches!(self.checkpoint.phase, CheckpointPhase::Flushing(_));
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
    fn batch(&self) -> usize {
        BATCH.min(self.config.double_write_pages.max(1) as usize)
    }

    fn begin_checkpoint(&mut self) {
        let Some(journal) = &self.journal else { return };
        let high = FileKind::RECORDS.map(|kind| self.high[kind as usize].min(self.end_of(kind)));
        let checkpoint = &mut self.checkpoint;
        checkpoint.wanted = false;
        checkpoint.at_ms = self.clock_ms;
        checkpoint.waiting = checkpoint.waiting_next.take();
        let dirty = self.cache.iter().filter(|(id, _)| self.cache.is_dirty(*id));
        checkpoint.pages.clear();
        checkpoint.pages.extend(dirty.map(|(_, frame)| frame.key()));
        checkpoint.pages.sort_unstable();
        self.counters.checkpoint_pages = checkpoint.pages.len() as u64;
        checkpoint.meta = Some(Meta {
            store_id: journal.store_id(),
            position: journal.applied(),
            high,
            pages: FileKind::RECORDS.map(|kind| self.counts.logical[kind as usize]),
        });
        checkpoint.free = self.free.clone();
        // What open transactions have made is unused unless they commit, and then the log
        // behind the checkpoint says so.
        for tx in &self.transactions {
            for key in tx.overlay.made().filter(|key| key.kind() != FileKind::Tokens) {
                checkpoint.free.put(key.kind(), key.id());
            }
        }
        // Ids behind the last page were given to nobody who has committed.
        for kind in FileKind::RECORDS {
            let pages = u64::from(self.counts.logical[kind as usize]);
            self.checkpoint.free.truncate(kind, pages * records_per_page(kind));
        }
        self.checkpoint.phase = CheckpointPhase::Flushing(0);
    }

    /// Writes the next pages of the checkpoint; when there are none left, syncs. Returns
    /// how many pages it took on.
    fn continue_checkpoint(&mut self, budget: usize) -> usize {
        let CheckpointPhase::Flushing(mut place) = self.checkpoint.phase else { return 0 };
        let mut frames = Vec::new();
        while frames.len() < budget.min(self.batch()) && place < self.checkpoint.pages.len() {
            let frame = self.cache.find(self.checkpoint.pages[place]);
            frames.extend(frame.filter(|frame| self.cache.is_dirty(*frame)));
            place += 1;
        }
        self.checkpoint.phase = CheckpointPhase::Flushing(place);
        if frames.is_empty() {
            self.checkpoint.phase = CheckpointPhase::Syncing;
            self.sync_data();
        } else {
            self.flush(&frames);
        }
        frames.len()
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

    fn flush(&mut self, frames: &[FrameId]) {
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
        let count = frames.len() as u16;
        for (place, frame) in frames.iter().enumerate() {
            self.flusher.sequence += 1;
            let batch = (place as u16, count);
            let (key, image) = self.cache.begin_flush(*frame, self.flusher.sequence, batch);
            self.flusher.batch.push((key, image));
        }
        if self.flusher.next.saturating_add(frames.len() as u32) > self.config.double_write_pages {
            self.sync_data();
        } else {
            self.write_double();
        }
    }

    fn sync_data(&mut self) {
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

    fn data_synced(&mut self) {
        self.flusher.next = 0;
        if self.flusher.batch.is_empty() {
            self.flusher.phase = FlushPhase::Idle;
            self.write_meta();
            self.feed_starved();
        } else {
            self.write_double();
        }
    }

    fn write_double(&mut self) {
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
        match purpose {
            Purpose::MetaWrite => {
                self.checkpoint.phase = CheckpointPhase::MetaSync;
                let request = DiskRequest::Sync { file: live(FileKind::Meta) };
                self.io.submit(request, Purpose::MetaSync);
                return;
            }
            // A copy's first meta page makes the file; later ones find it there.
            Purpose::MetaSync
                if matches!(self.mode, Mode::Copied { .. }) && !self.checkpoint.named =>
            {
                self.checkpoint.named = true;
                self.io.submit(DiskRequest::SyncDir, Purpose::MetaSync);
                return;
            }
            Purpose::MetaSync => {
                self.end_checkpoint();
                return;
            }
            _ => {}
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
                    self.versions.written(key, image.sequence());
                    self.cache.end_flush(key);
                }
                self.feed_starved();
            }
            FlushPhase::Idle => panic!("an answer without a question"),
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
        self.give_checkpoint_up();
        self.feed_starved();
    }

    /// The meta page found no space: the other one still counts.
    pub(crate) fn checkpoint_failed(&mut self) {
        self.checkpoint.slot = 1 - self.checkpoint.slot;
        self.give_checkpoint_up();
    }

    fn give_checkpoint_up(&mut self) {
        if self.checkpoint.phase != CheckpointPhase::Idle {
            self.checkpoint.phase = CheckpointPhase::Idle;
            self.checkpoint.wanted = true;
            let waiting = self.checkpoint.waiting.take();
            // Who asked for the next one has that ticket; both wait for the same now.
            if let Some(ticket) = waiting
                && let Some(other) = self.checkpoint.waiting_next.replace(ticket)
            {
                self.io.finish(other);
            }
        }
    }

    fn write_meta(&mut self) {
        let meta = self.checkpoint.meta.expect("set at the beginning");
        self.checkpoint.phase = CheckpointPhase::Meta;
        self.checkpoint.slot = 1 - self.checkpoint.slot;
        self.flusher.sequence += 1;
        let image = Arc::new(meta.to_page(
            &self.checkpoint.free,
            self.checkpoint.slot,
            self.flusher.sequence,
        ));
        let (file, page) = (live(FileKind::Meta), self.checkpoint.slot);
        self.io.submit(DiskRequest::WritePage { file, page, image }, Purpose::MetaWrite);
    }

    fn end_checkpoint(&mut self) {
        self.checkpoint.phase = CheckpointPhase::Idle;
        let meta = self.checkpoint.meta.expect("set at the beginning");
        for (kind, pages) in FileKind::RECORDS.into_iter().zip(meta.pages) {
            self.counts.durable[kind as usize] = pages;
        }
        self.checkpoint.last_tx = meta.position.mark.tx.0;
        let free = core::mem::take(&mut self.checkpoint.free);
        self.checkpoint.done = Some((meta, free));
        self.counters.checkpoints += 1;
        self.counters.last_checkpoint_tx = self.checkpoint.last_tx;
        if let Some(ticket) = self.checkpoint.waiting.take() {
            self.io.finish(ticket);
        }
        self.prune(meta.position);
        self.checkpointed();
    }

    /// Removes log files that neither recovery nor a slave that lags a little needs.
    fn prune(&mut self, position: LogPosition) {
        let Some(journal) = &mut self.journal else { return };
        let needed = self.copies.oldest_log().map_or(position.version, |v| v.min(position.version));
        let last = journal.last().tx.0;
        let files = journal.files_mut();
        let let_go = self.config.log_retention.let_go(files, last, self.clock_ms);
        for _ in 0..let_go {
            if files.front().is_none_or(|file| file.version >= needed) {
                break;
            }
            let file = FileName::log(files.pop_front().expect("looked at").version);
            self.io.submit(DiskRequest::Unlink { file }, Purpose::Prune);
        }
    }
}
