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

use wavetank_vocabulary::{Bytes, LogMark, LookupMap, PlantedBugs, TxId};

use crate::cache::policy::CachePolicy;
use crate::cache::{Cache, PageKey};
use crate::checkpoint::Checkpoint;
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
use crate::pages::{Load, PageCounts, PinSet};
use crate::properties::Link;
use crate::replication::LogReader;
use crate::retention::LogRetention;
use crate::schema::Schema;
use crate::tokens::Tokens;
use crate::transactions::{Transaction, TxHandle};
use crate::tree::IndexKey;
use crate::value::{TokenId, TokenKind, Value};
use crate::versions::Versions;

/// How a store is set up.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Frames of the page cache, 8 KiB each. May be millions: tables grow as they are used.
    pub frames: usize,
    /// Which page the cache gives up.
    pub cache_policy: CachePolicy,
    /// A log file is closed once it is this long (`dbms.logs... rotation`, 250 MB in Neo4j).
    pub log_rotation_threshold: Bytes,
    /// A checkpoint is due after this many transactions.
    pub checkpoint_interval_tx: u64,
    /// How many recent transactions are kept in memory for slaves that pull.
    pub tail_transactions: usize,
    /// A checkpoint is due so long after the last one if there is a new transaction, in
    /// milliseconds of the clock (see [`Store::set_clock`]); none: only when asked.
    pub checkpoint_interval_ms: Option<u64>,
    /// Which log files are kept behind the checkpoint (`keep_logical_logs`).
    pub log_retention: LogRetention,
    /// How many frames background eviction keeps free (at most half of all).
    pub free_frames: usize,
    /// Pages of the double-write area: the most that are written in place at once.
    pub double_write_pages: u32,
    /// From how many relationships on a node is dense (`dense_node_threshold`).
    pub dense_node_threshold: u32,
    /// How long a freed id is not used again, in milliseconds (`id_reuse_safe_zone`): so
    /// long may a slave that lags still read the old record.
    pub id_reuse_safe_zone_ms: u64,
    /// This server's number, written into transactions as master and author.
    pub server_id: u32,
    /// The identity that `create` gives a new store.
    pub store_id: u64,
    /// Bugs to have, for testing the checks; normally none.
    pub bugs: PlantedBugs,
}

impl Default for StoreConfig {
    /// Neo4j 2.3's settings where it has them (HA specification, section 6).
    fn default() -> StoreConfig {
        StoreConfig {
            frames: 4096,
            cache_policy: CachePolicy::ClockSweep,
            log_rotation_threshold: Bytes::mib(250),
            checkpoint_interval_tx: 100_000,
            tail_transactions: 4096,
            checkpoint_interval_ms: None,
            log_retention: LogRetention::Age(7 * 86_400_000),
            free_frames: 30,
            double_write_pages: 256,
            dense_node_threshold: 50,
            id_reuse_safe_zone_ms: 3_600_000,
            server_id: 1,
            store_id: 1,
            bugs: PlantedBugs::NONE,
        }
    }
}

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

/// What happened since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Page accesses that found the page in the cache.
    pub hits: u64,
    /// Page accesses that had to wait for the page.
    pub faults: u64,
    /// Pages evicted.
    pub evictions: u64,
    /// Pages written in place.
    pub flushes: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Checkpoints completed.
    pub checkpoints: u64,
    /// The last transaction that the last checkpoint covers; 0 before the first.
    pub last_checkpoint_tx: u64,
    /// Pages that the last checkpoint found dirty.
    pub checkpoint_pages: u64,
    /// Lock requests that had to wait.
    pub lock_waits: u64,
    /// Milliseconds that transactions waited for locks, by the store's clock, all together;
    /// counted when a wait ends.
    pub lock_wait_ms: u64,
    /// The longest of these waits.
    pub longest_lock_wait_ms: u64,
    /// The most transactions that ever waited for one lock.
    pub lock_queue_peak: u64,
    /// Lock requests refused because they would have closed a cycle.
    pub deadlocks: u64,
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
    pub(crate) failed_loads: LookupMap<PageKey, StoreError>,
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
    /// Background eviction found nothing to do; cleared whenever something changes.
    pub(crate) eviction_rests: bool,
    /// A page write found no space: writing rests.
    pub(crate) disk_full: bool,
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
            eviction_rests: false,
            disk_full: false,
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

    /// What recovery found; none before the store is ready, or if it was created just now.
    pub fn recovery(&self) -> Option<Recovery> {
        self.recovery
    }

    /// The identity of the store, the same on all members of a cluster; 0 without a store.
    pub fn store_id(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::store_id)
    }

    /// The last committed and durable transaction.
    pub fn mark(&self) -> LogMark {
        self.journal.as_ref().map_or(LogMark::BASE, Journal::durable)
    }

    /// The last committed transaction, durable or not.
    pub fn last_committed(&self) -> LogMark {
        self.journal.as_ref().map_or(LogMark::BASE, Journal::last)
    }

    /// All transactions up to this one are applied.
    pub fn applied(&self) -> TxId {
        self.applied
    }

    /// How many transactions are open.
    pub fn open_transactions(&self) -> usize {
        self.open_transactions
    }

    /// How many locks are held.
    pub fn held_locks(&self) -> usize {
        self.locks.held()
    }

    /// How many transactions wait for a lock.
    pub fn lock_waiters(&self) -> usize {
        self.locks.waiting()
    }

    /// How many frames of the page cache hold a page.
    pub fn resident_pages(&self) -> usize {
        self.cache.resident()
    }

    /// How many resident pages have changes that are not on the way to the disk.
    pub fn dirty_pages(&self) -> usize {
        self.cache.dirty_pages()
    }

    /// How many frames are pinned by steps that wait for further pages.
    pub fn pinned_pages(&self) -> usize {
        self.cache.pinned()
    }

    /// The number of a committed name.
    pub fn token(&self, kind: TokenKind, name: &str) -> Option<TokenId> {
        self.tokens.id(kind, name)
    }

    /// The number of a name as a transaction sees it: committed, or its own.
    pub fn token_in(&self, tx: TxHandle, kind: TokenKind, name: &str) -> Option<TokenId> {
        self.token(kind, name).or_else(|| {
            let made = &self.transactions[self.slot(tx).ok()? as usize].tokens;
            made.iter().find(|(of, made, _)| *of == kind && **made == *name).map(|made| made.2)
        })
    }

    /// The name under a number.
    pub fn token_name(&self, kind: TokenKind, id: TokenId) -> Option<&Arc<str>> {
        self.tokens.name(kind, id)
    }

    /// All committed names of a kind, by number.
    pub fn token_names(&self, kind: TokenKind) -> &[Arc<str>] {
        self.tokens.names(kind)
    }

    /// One more than the highest node id in use (there may be gaps below).
    pub fn node_ids(&self) -> u64 {
        self.high[FileKind::Nodes as usize]
    }

    /// One more than the highest relationship id in use (there may be gaps below).
    pub fn relationship_ids(&self) -> u64 {
        self.high[FileKind::Relationships as usize]
    }

    /// How many ids of a kind of record can be given out again, those included that still
    /// rest.
    pub fn free_ids(&self, kind: FileKind) -> usize {
        if FileKind::RECORDS.contains(&kind) { self.free.count(kind) } else { 0 }
    }

    /// How many pages the record files have, those not yet written included.
    pub fn store_pages(&self) -> u64 {
        FileKind::RECORDS.iter().map(|kind| u64::from(self.counts.logical[*kind as usize])).sum()
    }

    /// What happened since the store was opened.
    pub fn counters(&self) -> Counters {
        Counters {
            evictions: self.cache.evictions(),
            lock_queue_peak: self.locks.longest_queue() as u64,
            log_bytes: self.journal.as_ref().map_or(0, Journal::bytes),
            ..self.counters
        }
    }

    /// A hash of marks, counters and allocation: cheap, and different as soon as two runs
    /// did different things.
    pub fn fingerprint(&self) -> u64 {
        let counters = self.counters();
        let (ops, tickets) = self.io.position();
        let words = [
            self.last_committed().tx.0,
            self.last_committed().checksum,
            self.mark().tx.0,
            self.applied.0,
            self.open_transactions as u64,
            self.locks.held() as u64,
            self.cache.resident() as u64,
            self.cache.dirty_pages() as u64,
            self.received.len() as u64,
            self.io.under_way() as u64,
            ops,
            tickets,
            counters.hits,
            counters.faults,
            counters.evictions,
            counters.flushes,
            counters.lock_waits,
            counters.deadlocks,
            self.high[1],
            self.high[2],
            self.high[3],
            self.high[4],
            self.high[6],
            self.high[7],
            self.high[8],
        ];
        let mut bytes = [0; 25 * 8];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        xxhash_rust::xxh3::xxh3_64(&bytes)
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
