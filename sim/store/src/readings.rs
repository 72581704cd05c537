//! What can be asked of a store without a transaction: marks, names, counts.

use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_vocabulary::{LogMark, Time, TxId};

use crate::disk::{FileKind, FileName};
use crate::journal::Journal;
use crate::locks::{LockNotice, LockTotals};
use crate::store::{Recovery, Store, StoreState};
use crate::transactions::TxHandle;
use crate::value::{TokenId, TokenKind};

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

impl Store {
    /// What recovery found; none before the store is ready, or if it was created just now.
    pub fn recovery(&self) -> Option<Recovery> {
        self.recovery
    }

    /// Whether files of records lie where the store is to be, with a meta file of which no page is
    /// whole: what is left of a damaged store, or of a copy whose last write was torn. Only in state
    /// [`StoreState::Empty`].
    pub fn has_remains(&self) -> bool {
        self.state == StoreState::Empty
            && self.leftovers.contains(&FileName::live(FileKind::Meta))
            && self.leftovers.iter().any(FileName::is_live_record)
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

    /// Tells the time by which waits for locks are measured. It never goes back.
    #[inline]
    pub fn set_lock_clock(&mut self, now: Time) {
        self.locks.set_now(now);
    }

    /// From here on it is noted what becomes of locks: [`Self::lock_notices`].
    pub fn watch_locks(&mut self) {
        self.locks.watch();
    }

    /// Appends what became of locks since the last call, in order.
    #[inline]
    pub fn lock_notices(&mut self, out: &mut Vec<LockNotice>) {
        self.locks.take_notices(out);
    }

    /// Both sides of Little's law over the queues of all locks, up to `now`.
    pub fn lock_totals(&self, now: Time) -> LockTotals {
        self.locks.totals(now)
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

    /// One more than the highest property record id in use (there may be gaps below).
    pub fn property_ids(&self) -> u64 {
        self.high[FileKind::Properties as usize]
    }

    /// How many relationship types have a name.
    pub fn relationship_types(&self) -> usize {
        self.tokens.names(TokenKind::RelationshipType).len()
    }

    /// The number of the log file that is written to; 0 without a store.
    pub fn log_version(&self) -> u32 {
        self.journal.as_ref().map_or(0, Journal::version)
    }

    /// Whether the log is going on in a new file.
    pub fn is_rotating_log(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_rotating)
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

    /// Checkpoints completed.
    #[inline]
    pub fn checkpoints(&self) -> u64 {
        self.counters.checkpoints
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
}
