//! Checkpoints: when one is due, its way through the phases, and log pruning behind it.
//!
//! A checkpoint writes every page that was dirty when it began, syncs the record files,
//! writes what the version map (`versions`) does not know yet, syncs it, and then says so in
//! the meta file. Log files wholly before it may then go.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::PlantedBugs;

use crate::cache::PageKey;
use crate::disk::{DiskRequest, FileKind, FileName};
use crate::ids::FreeIds;
use crate::io::{Purpose, Ticket};
use crate::journal::LogPosition;
use crate::lifecycle::Mode;
use crate::meta::Meta;
use crate::store::{Store, live};

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

impl Checkpoint {
    /// Whether pages of it are still to be written.
    pub(crate) fn is_flushing(&self) -> bool {
        matches!(self.phase, CheckpointPhase::Flushing(_))
    }
}

impl Store {
    /// Whether a checkpoint is under way.
    pub fn is_checkpointing(&self) -> bool {
        self.checkpoint.phase != CheckpointPhase::Idle
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

    pub(crate) fn checkpoint_due(&self) -> bool {
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

    pub(crate) fn begin_checkpoint(&mut self) {
        let Some(journal) = &self.journal else { return };
        let high = FileKind::RECORDS.map(|kind| self.high[kind as usize].min(self.end_of(kind)));
        let checkpoint = &mut self.checkpoint;
        checkpoint.wanted = false;
        checkpoint.at_ms = self.clock_ms;
        checkpoint.waiting = checkpoint.waiting_next.take();
        let dirty = self.cache.iter().filter(|(id, _)| self.cache.is_dirty(*id));
        checkpoint.pages.clear();
        if !self.config.bugs.contains(PlantedBugs::CHECKPOINT_WITHOUT_FLUSH) {
            checkpoint.pages.extend(dirty.map(|(_, frame)| frame.key()));
        }
        checkpoint.pages.sort_unstable();
        self.counters.checkpoint_pages = checkpoint.pages.len() as u64;
        checkpoint.meta = Some(Meta {
            store_id: journal.store_id(),
            position: journal.applied(),
            high,
            pages: FileKind::RECORDS.map(|kind| self.counts.logical[kind as usize]),
            versions: self.versions.row,
        });
        checkpoint.free = self.free.clone();
        // What open transactions have made is unused unless they commit, and then the log
        // behind the checkpoint says so. A slave's are committed by the master: they may be open
        // here when what they made is applied already, and before the checkpoint.
        for tx in self.transactions.iter().filter(|tx| tx.guard.is_none()) {
            for key in tx.overlay.made().filter(|key| key.kind() != FileKind::Tokens) {
                checkpoint.free.put(key.kind(), key.id());
            }
        }
        // Ids from the end on were given to nobody who has committed: the next ones are counted
        // up from there, after a restart, too.
        for (kind, end) in FileKind::RECORDS.into_iter().zip(high) {
            self.checkpoint.free.truncate(kind, end);
        }
        self.checkpoint.phase = CheckpointPhase::Flushing(0);
    }

    /// Writes the next pages of the checkpoint; when there are none left, syncs. Returns
    /// how many pages it took on.
    pub(crate) fn continue_checkpoint(&mut self, budget: usize) -> usize {
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

    /// The meta page found no space: the other one still counts.
    pub(crate) fn checkpoint_failed(&mut self) {
        self.checkpoint.slot = 1 - self.checkpoint.slot;
        self.versions.give_up();
        self.give_checkpoint_up();
        self.flusher_rests();
    }

    pub(crate) fn give_checkpoint_up(&mut self) {
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

    /// One of the checkpoint's own operations is done.
    pub(crate) fn checkpoint_answered(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::MetaWrite => {
                self.checkpoint.phase = CheckpointPhase::MetaSync;
                let request = DiskRequest::Sync { file: live(FileKind::Meta) };
                self.io.submit(request, Purpose::MetaSync);
            }
            // A copy's first meta page makes the file; later ones find it there.
            _ if matches!(self.mode, Mode::Copied { .. }) && !self.checkpoint.named => {
                self.checkpoint.named = true;
                self.io.submit(DiskRequest::SyncDir, Purpose::MetaSync);
            }
            _ => self.end_checkpoint(),
        }
    }

    /// The pages are safe in place, and the version map says so.
    pub(crate) fn write_meta(&mut self) {
        let mut meta = self.checkpoint.meta.expect("set at the beginning");
        meta.versions = self.versions.next();
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
        self.versions.publish();
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
        self.flusher_rests();
    }

    /// Removes log files that neither recovery nor a slave that lags a little needs.
    fn prune(&mut self, position: LogPosition) {
        let Some(journal) = &mut self.journal else { return };
        let mut needed =
            self.copies.oldest_log().map_or(position.version, |v| v.min(position.version));
        let last = journal.last().tx.0;
        let files = journal.files_mut();
        let mut let_go = self.config.log_retention.let_go(files, last, self.clock_ms);
        if self.config.bugs.contains(PlantedBugs::LOG_PRUNED_EARLY) {
            let_go = files.len().saturating_sub(1);
            needed = u32::MAX;
        }
        for _ in 0..let_go {
            if files.front().is_none_or(|file| file.version >= needed) {
                break;
            }
            let file = FileName::log(files.pop_front().expect("looked at").version);
            self.io.submit(DiskRequest::Unlink { file }, Purpose::Prune);
        }
    }
}
