//! Opening, creating, setting aside: what happens to the store as a whole.
//!
//! Each is a script of disk operations in stages; a stage begins when all of the one before
//! is done. The order makes every crash in between harmless:
//! * the meta file comes last when a store is made and when it is set aside, so a live meta
//!   file means a whole store, and a branch without one means an unfinished setting-aside,
//!   which the next opening finishes;
//! * a copy that is being received has no meta file until it is complete.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{LogMark, LookupMap};

use crate::cache::Cache;
use crate::config::StoreConfig;
use crate::disk::{DiskError, DiskReply, DiskRequest, FileKind, FileName};
use crate::error::StoreError;
use crate::io::Purpose;
use crate::journal::{Journal, JournalConfig, LogFile, LogPosition};
use crate::log::LogHeader;
use crate::meta::{KINDS, Meta};
use crate::recovery::Opening;
use crate::store::{Store, StoreState, live};

/// What the store as a whole is doing.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// Nothing of the kind.
    Idle,
    /// Reading and recovering.
    Opening(alloc::boxed::Box<Opening>),
    /// A script of operations, and what follows.
    Script(Script),
    /// Waiting for operations under way to end before the store is set aside.
    Draining(u16, BranchedDataPolicy),
    /// The listing before the renames.
    ListingToSetAside(u16, BranchedDataPolicy),
    /// Pages of a copy are coming in.
    Receiving,
    /// All pages of a copy are here; transactions follow.
    Copied { completing: bool },
}

/// `ha.branched_data_policy`: what becomes of a store that differs from the master's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BranchedDataPolicy {
    /// It is kept beside all earlier ones.
    #[default]
    KeepAll,
    /// It is kept, and earlier ones are deleted.
    KeepLast,
    /// It is deleted.
    KeepNone,
}

impl BranchedDataPolicy {
    /// All policies.
    pub const ALL: [BranchedDataPolicy; 3] =
        [BranchedDataPolicy::KeepAll, BranchedDataPolicy::KeepLast, BranchedDataPolicy::KeepNone];

    /// The value as configuration files write it.
    pub const fn name(self) -> &'static str {
        match self {
            BranchedDataPolicy::KeepAll => "keep_all",
            BranchedDataPolicy::KeepLast => "keep_last",
            BranchedDataPolicy::KeepNone => "keep_none",
        }
    }
}

/// Operations in stages.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    stages: VecDeque<Vec<DiskRequest>>,
    left: usize,
    then: Then,
}

/// What follows a script.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// A new store is there.
    Created,
    /// Nothing is there any more.
    Emptied,
    /// Pages of a copy may be written.
    Receive,
    /// Recovery goes on.
    Recover(alloc::boxed::Box<Opening>),
}

impl Store {
    /// Forgets everything but the configuration, the numbering, and stale handles.
    pub(crate) fn reset(&mut self) {
        self.io.abandon();
        self.recovery = None;
        self.cache = Cache::new(self.config.cache_policy, self.config.frames);
        self.counts = Default::default();
        self.versions = Default::default();
        self.high = [0; FileKind::TABLE];
        self.free = Default::default();
        self.unlisted.clear();
        self.loads = LookupMap::new();
        self.failed_loads = LookupMap::new();
        self.starved.clear();
        self.pins.clear();
        self.locks = Default::default();
        self.journal = None;
        self.tokens = Default::default();
        self.schema = Default::default();
        self.tree_linked.clear();
        let sequence = self.flusher.sequence;
        self.flusher = Default::default();
        self.flusher.sequence = sequence;
        self.checkpoint = Default::default();
        self.applied = LogMark::BASE.tx;
        self.applied_above.clear();
        self.received.clear();
        self.reader = Default::default();
        self.copies = Default::default();
        self.eviction_rests = false;
        self.disk_full = false;
        self.end_all_transactions();
    }

    pub(crate) fn begin_open(&mut self) {
        self.state = StoreState::Opening;
        self.mode = Mode::Opening(Default::default());
        self.io.submit(DiskRequest::List, Purpose::Lifecycle(0));
    }

    pub(crate) fn run_script(&mut self, stages: Vec<Vec<DiskRequest>>, then: Then) {
        let stages = stages.into_iter().filter(|stage| !stage.is_empty()).collect();
        self.mode = Mode::Script(Script { stages, left: 0, then });
        self.next_stage();
    }

    fn next_stage(&mut self) {
        let Mode::Script(script) = &mut self.mode else { return };
        match script.stages.pop_front() {
            Some(stage) => {
                script.left = stage.len();
                for request in stage {
                    self.io.submit(request, Purpose::Lifecycle(0));
                }
            }
            None => {
                let Mode::Script(script) = core::mem::replace(&mut self.mode, Mode::Idle) else {
                    return;
                };
                match script.then {
                    Then::Created => self.state = StoreState::Ready,
                    Then::Emptied => self.state = StoreState::Empty,
                    Then::Receive => {
                        self.mode = Mode::Receiving;
                        self.write_received();
                    }
                    Then::Recover(opening) => {
                        self.mode = Mode::Opening(opening);
                        self.recover();
                    }
                }
            }
        }
    }

    /// An operation of this module or of recovery was answered.
    pub(crate) fn lifecycle_answered(
        &mut self,
        tag: u64,
        file: FileName,
        result: Result<DiskReply, DiskError>,
    ) {
        match &mut self.mode {
            Mode::Opening(_) => self.opening_answered(tag, file, result),
            Mode::Script(script) => match result {
                Ok(_) => {
                    script.left -= 1;
                    if script.left == 0 {
                        self.next_stage();
                    }
                }
                Err(error) => {
                    self.fail(StoreError::Disk { operation: "change", file, error });
                }
            },
            Mode::ListingToSetAside(area, policy) => {
                let (area, policy) = (*area, *policy);
                match result {
                    Ok(DiskReply::Files(files)) => {
                        // An earlier branch is never overwritten.
                        let free = |area: &u16| !files.iter().any(|(file, _)| file.area == *area);
                        let area = (area..=u16::MAX).find(free).unwrap_or(area);
                        match policy {
                            BranchedDataPolicy::KeepAll => self.rename_all(area, &files, false),
                            BranchedDataPolicy::KeepLast => self.rename_all(area, &files, true),
                            BranchedDataPolicy::KeepNone => self.remove_live(&files),
                        }
                    }
                    Ok(_) => self.fail(StoreError::NotReady),
                    Err(error) => {
                        self.fail(StoreError::Disk { operation: "list", file, error });
                    }
                }
            }
            _ => {}
        }
    }

    /// Makes a new, empty store. Only from [`StoreState::Empty`], else without effect.
    pub fn create(&mut self) {
        if self.state != StoreState::Empty || !matches!(self.mode, Mode::Idle) {
            return;
        }
        let mut stages = self.removal_of_leftovers();
        let header = LogHeader {
            version: 0,
            store_id: self.config.store_id,
            base: LogMark::BASE,
            base_time_ms: 0,
        };
        let position =
            LogPosition { mark: LogMark::BASE, version: 0, offset: LogHeader::SIZE as u64 };
        let meta = Meta {
            store_id: self.config.store_id,
            position,
            high: [0; KINDS],
            pages: [0; KINDS],
            versions: Default::default(),
        };
        self.reset();
        self.flusher.sequence += 1;
        let image = Arc::new(meta.to_page(&self.free, 0, self.flusher.sequence));
        let log = FileName::log(0);
        let bytes = header.encode().as_slice().into();
        stages.push(vec![DiskRequest::Append { file: log, bytes }]);
        stages.push(vec![DiskRequest::Sync { file: log }]);
        stages.push(vec![DiskRequest::SyncDir]);
        let file = live(FileKind::Meta);
        stages.push(vec![DiskRequest::WritePage { file, page: 0, image }]);
        stages.push(vec![DiskRequest::Sync { file }]);
        stages.push(vec![DiskRequest::SyncDir]);
        let files = [LogFile::new(0, LogMark::BASE)].into();
        self.journal =
            Some(Journal::new(journal_config(&self.config), meta.store_id, files, position));
        self.checkpoint.last_tx = position.mark.tx.0;
        self.state = StoreState::Opening;
        self.run_script(stages, Then::Created);
    }

    /// Stages that remove what an incomplete copy or an unfinished creation left.
    pub(crate) fn removal_of_leftovers(&mut self) -> Vec<Vec<DiskRequest>> {
        let files = core::mem::take(&mut self.leftovers);
        // The meta file goes first: without it the rest is known to be no store.
        let (meta, rest): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.kind == FileKind::Meta);
        let unlink = |files: Vec<FileName>| {
            files.into_iter().map(|file| DiskRequest::Unlink { file }).collect::<Vec<_>>()
        };
        let mut stages = vec![];
        for files in [unlink(meta), unlink(rest)] {
            if !files.is_empty() {
                stages.push(files);
                stages.push(vec![DiskRequest::SyncDir]);
            }
        }
        stages
    }

    /// Sets the live store aside as branch `area` (from 1), or the next number that is free:
    /// renames all its files. All
    /// transactions end; tickets that were not completed never are. Also possible in state
    /// `Failed`. Then the state becomes [`StoreState::Empty`].
    pub fn set_aside(&mut self, area: u16) {
        self.set_aside_by(BranchedDataPolicy::KeepAll, area);
    }

    /// The same, where the policy says what is kept of this branch and of earlier ones.
    pub fn set_aside_by(&mut self, policy: BranchedDataPolicy, area: u16) {
        let busy = matches!(self.mode, Mode::Opening(_) | Mode::Script(_) | Mode::Draining(..));
        if area == 0 || busy || matches!(self.mode, Mode::ListingToSetAside(..)) {
            return;
        }
        self.end_all_transactions();
        self.last_branch = None;
        self.state = StoreState::Opening;
        self.mode = Mode::Draining(area, policy);
        self.drained();
    }

    /// The number of the branch that the store was last set aside as, in the life of this value;
    /// none if it was not, or was deleted instead.
    pub fn last_branch(&self) -> Option<u16> {
        self.last_branch
    }

    /// Goes on with setting aside once nothing is under way.
    pub(crate) fn drained(&mut self) {
        let Mode::Draining(area, policy) = self.mode else { return };
        if self.io.under_way() == 0 {
            self.reset();
            self.mode = Mode::ListingToSetAside(area, policy);
            self.io.submit(DiskRequest::List, Purpose::Lifecycle(0));
        }
    }

    /// Removes the live files, the meta file first.
    fn remove_live(&mut self, files: &[(FileName, u64)]) {
        self.leftovers =
            files.iter().map(|(file, _)| *file).filter(|file| file.area == 0).collect();
        let stages = self.removal_of_leftovers();
        self.run_script(stages, Then::Emptied);
    }

    /// Renames the live files into the area, the meta file last; then the files of all other
    /// areas are removed, if only this branch is to be kept.
    pub(crate) fn rename_all(&mut self, area: u16, files: &[(FileName, u64)], only: bool) {
        let mut live_files: Vec<FileName> =
            files.iter().map(|(file, _)| *file).filter(|file| file.area == 0).collect();
        live_files.sort_unstable();
        let rename =
            |file: &FileName| DiskRequest::Rename { from: *file, to: FileName { area, ..*file } };
        let (meta, rest): (Vec<_>, Vec<_>) =
            live_files.iter().partition(|file| file.kind == FileKind::Meta);
        if meta.is_empty() {
            // Nothing that was ever a whole store.
            self.leftovers = live_files;
            self.mode = Mode::Idle;
            self.state = StoreState::Empty;
            return;
        }
        // None of them stays.
        self.leftovers.clear();
        self.last_branch = Some(area);
        let mut stages = vec![
            rest.into_iter().map(rename).collect(),
            vec![DiskRequest::SyncDir],
            meta.into_iter().map(rename).collect(),
            vec![DiskRequest::SyncDir],
        ];
        let older = files.iter().filter(|(file, _)| only && ![0, area].contains(&file.area));
        let older: Vec<_> = older.map(|(file, _)| DiskRequest::Unlink { file: *file }).collect();
        if !older.is_empty() {
            stages.push(older);
            stages.push(vec![DiskRequest::SyncDir]);
        }
        self.run_script(stages, Then::Emptied);
    }

    /// A checkpoint is complete.
    pub(crate) fn checkpointed(&mut self) {
        if matches!(self.mode, Mode::Copied { completing: true }) {
            self.mode = Mode::Idle;
            self.state = StoreState::Ready;
        }
    }
}

pub(crate) fn journal_config(config: &StoreConfig) -> JournalConfig {
    JournalConfig {
        rotate_at: config.log_rotation_threshold.0,
        tail: config.tail_transactions,
        bugs: config.bugs,
    }
}
