//! The store: its parts in one value, and its front door.
//!
//! Inputs are calls and completed disk operations; outputs are submissions and completed
//! tickets. The work is in the modules beside this one: `pages` (faults), `flush`
//! (double-write, eviction, checkpoint), `transactions`, `steps`, `chains`, `properties`,
//! `lifecycle` and `recovery` (opening), `replication`, `copy`.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use wavetank_vocabulary::{LogMark, LookupMap, TxId};

use crate::cache::{Cache, PageKey};
use crate::checkpoint::Checkpoint;
use crate::config::StoreConfig;
use crate::copy::Copies;
use crate::disk::{DiskError, DiskOp, DiskReply, DiskRequest, FileKind, FileName};
use crate::error::StoreError;
use crate::flush::Flusher;
use crate::ids::FreeIds;
use crate::io::{Io, Pinner, Purpose, Ticket};
use crate::journal::Journal;
use crate::lifecycle::Mode;
use crate::locks::LockTable;
use crate::log::TxRecord;
use crate::pages::{FailedLoad, Load, PageCounts, PinSet, Place};
use crate::properties::Link;
use crate::readings::Counters;
use crate::replication::LogReader;
use crate::schema::Schema;
use crate::tokens::Tokens;
use crate::transactions::Transaction;
use crate::tree::IndexKey;
use crate::value::Value;
use crate::versions::Versions;

/// What a step cost. Steps add to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Records read or written.
    pub records: u32,
    /// Pages found in the cache.
    pub hits: u32,
    /// Pages that had to be waited for.
    pub faults: u32,
    /// Bytes logged.
    pub logged: u64,
    /// Bytes allocated, as a managed heap would feel them.
    pub allocated: u64,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It is done.
    Done(Value),
    /// Nothing was done; run the same step again when the ticket completes.
    Wait(Ticket),
    /// It cannot be done. The transaction is still open and should be rolled back.
    Failed(StoreError),
}

/// Why a step stops early, inside.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Wait(Ticket),
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Failed(error)
    }
}

/// Whether the store can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It reads, and perhaps recovers, what is on the disk.
    Opening,
    /// There is no store here, or an incomplete copy: it needs `create` or a copy.
    Empty,
    /// It can be used.
    Ready,
    /// It stopped for good. A new `open` recovers what was durable.
    Failed(StoreError),
}

/// What recovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The last transaction that is there.
    pub mark: LogMark,
    /// How many transactions were replayed.
    pub replayed: u64,
    /// Bytes cut off the end of the log: a tail that a crash had torn.
    pub cut: u64,
}

/// An embedded property-graph database that never waits. `Clone` shares its pages.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) config: StoreConfig,
    pub(crate) state: StoreState,
    pub(crate) mode: Mode,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) io: Io,
    pub(crate) cache: Cache,
    pub(crate) counts: PageCounts,
    pub(crate) versions: Versions,
    /// By kind: the first id behind all that was received.
    pub(crate) received_reach: [u64; FileKind::TABLE],
    /// The next free id of each kind of record, by `FileKind`.
    pub(crate) high: [u64; FileKind::TABLE],
    /// Unused ids below those.
    pub(crate) free: FreeIds,
    /// Kinds whose free ids must be searched for, and the next page to look at.
    pub(crate) unlisted: Vec<(FileKind, u32)>,
    /// How many transactions have begun, and the highest time that one was given.
    pub(crate) begun: u64,
    pub(crate) clock_ms: u64,
    pub(crate) loads: LookupMap<PageKey, Load>,
    pub(crate) failed_loads: LookupMap<PageKey, FailedLoad>,
    /// Loads that wait for a frame.
    pub(crate) starved: VecDeque<PageKey>,
    pub(crate) pins: Vec<PinSet>,
    pub(crate) locks: LockTable,
    pub(crate) transactions: Vec<Transaction>,
    /// Ids that the master gave to this slave, by kind.
    pub(crate) allotted: [VecDeque<Range<u64>>; FileKind::TABLE],
    pub(crate) free_slots: Vec<u32>,
    pub(crate) open_transactions: usize,
    pub(crate) journal: Option<Journal>,
    pub(crate) tokens: Tokens,
    pub(crate) schema: Schema,
    /// Pages of the index tree that a split has changed since they were last written.
    pub(crate) tree_linked: BTreeSet<u32>,
    /// Log images of index entries, made at a commit.
    pub(crate) entry_images: Vec<[u8; IndexKey::IMAGE]>,
    pub(crate) flusher: Flusher,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) applied: TxId,
    /// Applied transactions with unapplied ones before them.
    pub(crate) applied_above: BTreeSet<TxId>,
    /// Received and not applied.
    pub(crate) received: VecDeque<Arc<TxRecord>>,
    pub(crate) reader: LogReader,
    pub(crate) copies: Copies,
    pub(crate) counters: Counters,
    /// Live files of no store, to be removed before there is one.
    pub(crate) leftovers: Vec<FileName>,
    pub(crate) granted: Vec<u32>,
    pub(crate) chain: Vec<Link>,
    pub(crate) scratch: Vec<u8>,
    /// Where the records of a transaction stand that is being applied.
    pub(crate) places: Vec<Place>,
    /// Background eviction found nothing to do; cleared whenever something changes.
    pub(crate) eviction_rests: bool,
    /// A page write found no space: writing rests.
    pub(crate) disk_full: bool,
    /// As which branch it was last set aside.
    pub(crate) last_branch: Option<u16>,
}

impl Store {
    /// Begins to open whatever store the disk holds: submits a listing, then recovers. The
    /// state goes from `Opening` to `Ready`, `Empty` or `Failed`.
    pub fn open(config: StoreConfig) -> Store {
        let mut store = Store {
            cache: Cache::new(config.cache_policy, config.frames),
            config,
            state: StoreState::Opening,
            mode: Mode::Idle,
            recovery: None,
            io: Io::default(),
            counts: PageCounts::default(),
            versions: Versions::default(),
            received_reach: [0; FileKind::TABLE],
            high: [0; FileKind::TABLE],
            free: FreeIds::default(),
            unlisted: Vec::new(),
            begun: 0,
            clock_ms: 0,
            loads: LookupMap::new(),
            failed_loads: LookupMap::new(),
            starved: VecDeque::new(),
            pins: Vec::new(),
            locks: LockTable::default(),
            transactions: Vec::new(),
            allotted: Default::default(),
            free_slots: Vec::new(),
            open_transactions: 0,
            journal: None,
            tokens: Tokens::default(),
            schema: Schema::default(),
            tree_linked: BTreeSet::new(),
            entry_images: Vec::new(),
            flusher: Flusher::default(),
            checkpoint: Checkpoint::default(),
            applied: TxId::BASE,
            applied_above: BTreeSet::new(),
            received: VecDeque::new(),
            reader: LogReader::default(),
            copies: Copies::default(),
            counters: Counters::default(),
            leftovers: Vec::new(),
            granted: Vec::new(),
            chain: Vec::new(),
            scratch: Vec::new(),
            places: Vec::new(),
            eviction_rests: false,
            disk_full: false,
            last_branch: None,
        };
        store.begin_open();
        store
    }

    /// Gives the page cache so many frames from now on. What is too much leaves as pages are
    /// used, dirty ones after they were written.
    pub fn limit_frames(&mut self, frames: usize) {
        self.config.frames = frames;
        self.cache.set_limit(frames);
        self.eviction_rests = false;
    }

    /// Appends the operations to submit, in order.
    pub fn submissions(&mut self, out: &mut Vec<(DiskOp, DiskRequest)>) {
        self.io.drain(out);
    }

    /// Whether it has something new for [`Store::submissions`] or [`Store::completed`].
    #[inline]
    pub fn stirs(&self) -> bool {
        self.io.stirs()
    }

    /// Takes the answer of an operation. Unknown operations are ignored.
    pub fn complete(&mut self, op: DiskOp, result: Result<DiskReply, DiskError>) {
        let Some((purpose, file)) = self.io.answered(op) else { return };
        if matches!(self.mode, Mode::Draining(..)) {
            self.drained();
            return;
        }
        if matches!(self.state, StoreState::Failed(_)) && !matches!(purpose, Purpose::Lifecycle(_))
        {
            return;
        }
        self.eviction_rests = false;
        match purpose {
            Purpose::Load(key) => self.loaded(key, file, result),
            Purpose::CopyRead(cursor, key) => self.copy_read(cursor, key, file, result),
            Purpose::LogRead => self.log_was_read(file, result),
            Purpose::Lifecycle(tag) => self.lifecycle_answered(tag, file, result),
            purpose => match result {
                Ok(_) => self.written(purpose),
                Err(DiskError::NotFound) if purpose == Purpose::LogClear => self.log_cleared(),
                Err(DiskError::NoSpace) if self.found_no_space(purpose, file) => {}
                Err(error) => self.fail(StoreError::Disk { operation: name(purpose), file, error }),
            },
        }
        if matches!(self.mode, Mode::Opening(_)) {
            self.recover();
        }
    }

    /// A write, sync or the like is done.
    fn written(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::LogAppend | Purpose::LogSync | Purpose::LogRotate => {
                let Some(journal) = &mut self.journal else { return };
                match purpose {
                    Purpose::LogAppend => {
                        self.disk_full = false;
                        journal.appended(&mut self.io);
                    }
                    Purpose::LogSync => journal.synced(&mut self.io),
                    _ => journal.rotated(&mut self.io),
                }
            }
            Purpose::LogClear => self.log_cleared(),
            Purpose::CopyWrite(ticket) => self.copy_written(ticket),
            // Old log files are gone; nothing waits for that.
            Purpose::Prune => {}
            purpose => self.flush_answered(purpose),
        }
    }

    /// Stops the store: nothing that failed is tried again.
    pub(crate) fn fail(&mut self, error: StoreError) {
        if !matches!(self.state, StoreState::Failed(_)) {
            self.state = StoreState::Failed(error);
            self.mode = Mode::Idle;
        }
    }

    /// Tells the time in milliseconds, for what is due after a time: checkpoints, and the
    /// pruning of old logs. Beginning a transaction tells it too. It never goes back.
    pub fn set_clock(&mut self, now_ms: u64) {
        self.clock_ms = self.clock_ms.max(now_ms);
    }

    /// Appends the tickets that completed since the last call, in order.
    pub fn completed(&mut self, out: &mut Vec<Ticket>) {
        self.io.completed(out);
    }

    /// Whether the store can be used.
    pub fn state(&self) -> &StoreState {
        &self.state
    }

    /// Whether the store can serve steps.
    #[inline]
    pub(crate) fn check_ready(&self) -> Result<(), StoreError> {
        match &self.state {
            StoreState::Ready => Ok(()),
            StoreState::Failed(error) => Err(error.clone()),
            _ => Err(StoreError::NotReady),
        }
    }

    /// Adds what a step cost to the counters.
    #[inline]
    pub(crate) fn account(&mut self, before: &Ledger, after: &Ledger) {
        self.counters.hits += u64::from(after.hits - before.hits);
        self.counters.faults += u64::from(after.faults - before.faults);
    }

    /// Lets go of the pages that were kept for a step that is over.
    #[inline]
    pub(crate) fn unpin(&mut self, pinner: Pinner) {
        if self.pins.get(pinner.0 as usize).is_some_and(PinSet::is_active) {
            self.unpin_all(pinner);
        }
    }
}

/// The operation's name in an error.
fn name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::LogAppend | Purpose::LogRotate => "append",
        Purpose::LogSync
        | Purpose::FlushDoubleSync
        | Purpose::FlushData(_)
        | Purpose::FlushVersionsSync
        | Purpose::MetaSync => "sync",
        Purpose::Prune => "unlink",
        _ => "write",
    }
}

/// A live file of that kind.
pub(crate) fn live(kind: FileKind) -> FileName {
    FileName::live(kind)
}
