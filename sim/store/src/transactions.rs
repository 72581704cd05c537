//! Transactions: begin, commit, apply, roll back.
//!
//! Uncommitted writes live in the overlay alone, and only durable transactions are applied
//! to pages: no page can get ahead of the log.

mod commit;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{NodeId, OperationKind, PlantedBugs, RelationshipId, TxId};

use crate::disk::{FileKind, FileName};
use crate::error::StoreError;
use crate::ids::Moment;
use crate::io::{Pinner, Ticket};
use crate::locks::{Grant, LockKey, LockMode, LockOwner, Slot};
use crate::log::TxHeader;
use crate::overlay::Overlay;
use crate::record::{LONGEST, Record, RecordKey, is_unused, locate};
use crate::remote::Guard;
use crate::schema::Building;
use crate::store::{Ledger, Stop, Store};
use crate::tree::IndexKey;
use crate::value::{TokenId, TokenKind};

pub use commit::Committing;

/// A transaction of this store. Stale handles are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxHandle {
    pub(crate) slot: Slot,
    pub(crate) generation: u32,
}

/// A relationship as an expansion finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Neighbour {
    /// The relationship.
    pub relationship: RelationshipId,
    /// The node at its other end.
    pub node: NodeId,
}

/// With the planted bug, those who would make the queue of a lock longer are forgotten.
const FORGOTTEN_BEYOND: usize = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Ended,
    Active,
    /// Logged under this id; `BASE` for a read-only one.
    Committing(TxId),
    /// The log had no space for it.
    Refused(FileName),
}

/// A slot of the slab of transactions; its buffers are used again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) generation: u32,
    /// How many transactions had begun before it.
    pub(crate) begun: u64,
    pub(crate) phase: Phase,
    pub(crate) header: TxHeader,
    pub(crate) overlay: Overlay,
    /// Relationships made here; the first `linked` stand in their chains.
    pub(crate) created: Vec<u64>,
    pub(crate) linked: usize,
    /// Relationships deleted here; the first `unlinked` are out of their chains.
    pub(crate) deleted: Vec<u64>,
    pub(crate) unlinked: usize,
    /// Nodes deleted here; the first `cleared` are gone from the overlay too.
    pub(crate) deleted_nodes: Vec<u64>,
    pub(crate) cleared: usize,
    pub(crate) tokens: Vec<(TokenKind, Arc<str>, TokenId)>,
    pub(crate) lock_ticket: Option<Ticket>,
    /// When the wait for that lock began, in milliseconds.
    pub(crate) waits_since_ms: u64,
    /// It holds the schema lock, shared.
    pub(crate) shares_schema: bool,
    pub(crate) results: Vec<Neighbour>,
    /// Nodes that the last search found.
    pub(crate) found: Vec<NodeId>,
    /// Index entries put in (true) and taken out.
    pub(crate) index: BTreeMap<IndexKey, bool>,
    /// The index that it makes or drops.
    pub(crate) building: Option<Building>,
    /// Its locks, ids and commit are the master's to give.
    pub(crate) guard: Option<Guard>,
}

impl Transaction {
    fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.phase = Phase::Ended;
        self.overlay.clear();
        self.created.clear();
        self.deleted.clear();
        self.deleted_nodes.clear();
        (self.linked, self.unlinked, self.cleared) = (0, 0, 0);
        self.tokens.clear();
        self.lock_ticket = None;
        self.shares_schema = false;
        self.results.clear();
        self.found.clear();
        self.index.clear();
        self.building = None;
        self.guard = None;
    }

    pub(crate) fn is_prepared(&self) -> bool {
        self.linked == self.created.len()
            && self.unlinked == self.deleted.len()
            && self.cleared == self.deleted_nodes.len()
            && self.building.is_none_or(|building| building.is_done())
    }
}

impl Store {
    /// Begins a transaction. `operation` is a word kept in its header (0: none), `now_ms`
    /// the clock's reading for it.
    pub fn begin(&mut self, operation: u64, now_ms: u64) -> TxHandle {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.transactions.push(Transaction::default());
            (self.transactions.len() - 1) as Slot
        });
        let server = self.config.server_id;
        let tx = &mut self.transactions[slot as usize];
        tx.phase = Phase::Active;
        tx.header = TxHeader { time_ms: now_ms, operation, master: server, author: server };
        tx.begun = self.begun;
        let generation = tx.generation;
        self.begun += 1;
        self.open_transactions += 1;
        self.locks.set_owner(slot, LockOwner { operation, kind: None });
        self.clock_ms = self.clock_ms.max(now_ms);
        if self.free.any_rests() {
            self.settle_ids();
        }
        TxHandle { slot, generation }
    }

    /// Says for which kind of operation the transaction is, for notices about its locks.
    pub fn set_lock_owner(&mut self, handle: TxHandle, operation: u64, kind: OperationKind) {
        if let Ok(slot) = self.slot(handle) {
            self.locks.set_owner(slot, LockOwner { operation, kind: Some(kind) });
        }
    }

    /// Lets ids go that no open transaction can still hold.
    pub(crate) fn settle_ids(&mut self) {
        let open = self.transactions.iter().filter(|tx| tx.phase != Phase::Ended);
        let oldest = open.map(|tx| tx.begun).min().unwrap_or(self.begun);
        let before = self.clock_ms.checked_sub(self.config.id_reuse_safe_zone_ms);
        if let Some(before) = before {
            self.free.settle(oldest, before);
        }
    }

    /// Notes an applied record as freed, if it was deleted.
    #[inline]
    pub(crate) fn note_freed(&mut self, key: RecordKey, image: &[u8]) {
        if is_unused(key.kind(), image) {
            let now = Moment { begun: self.begun, clock_ms: self.clock_ms };
            self.free.rest(key.kind(), key.id(), now);
        }
    }

    /// Notes whether a record is in use that another instance, or the log, has written.
    pub(crate) fn note_use(&mut self, key: RecordKey, image: &[u8], at_once: bool) {
        let (kind, id) = (key.kind(), key.id());
        if !at_once && self.config.bugs.contains(PlantedBugs::IDS_NOT_LEARNED) {
            return;
        }
        let high = &mut self.high[kind as usize];
        let first = core::mem::replace(high, (*high).max(id + 1));
        // Ids below that were passed over belong to transactions that did not commit.
        self.free.put_range(kind, first..id);
        match (is_unused(kind, image), at_once) {
            (false, _) => self.free.used(kind, id),
            (true, true) => self.free.put(kind, id),
            (true, false) => self.note_freed(key, image),
        }
    }

    /// Says at which server the transaction was begun, when not at this one: the master
    /// commits for slaves.
    pub fn set_author(&mut self, handle: TxHandle, author: u32) {
        if let Ok(slot) = self.slot(handle) {
            self.transactions[slot as usize].header.author = author;
        }
    }

    /// What the transaction's last expansion found.
    pub fn results(&self, handle: TxHandle) -> &[Neighbour] {
        match self.slot(handle) {
            Ok(slot) => &self.transactions[slot as usize].results,
            Err(_) => &[],
        }
    }

    #[inline]
    pub(crate) fn slot(&self, handle: TxHandle) -> Result<Slot, StoreError> {
        match self.transactions.get(handle.slot as usize) {
            Some(tx) if tx.generation == handle.generation && tx.phase != Phase::Ended => {
                Ok(handle.slot)
            }
            _ => Err(StoreError::NoSuchTransaction),
        }
    }

    /// The slot of a transaction that may still take steps.
    #[inline]
    pub(crate) fn active(&self, handle: TxHandle) -> Result<Slot, StoreError> {
        let slot = self.slot(handle)?;
        match self.transactions[slot as usize].phase {
            Phase::Active => Ok(slot),
            _ => Err(StoreError::Committing),
        }
    }

    /// A record as the transaction sees it: its own writes, else what is committed.
    // Always: else the record and the error that it could be are copied from call to call.
    #[inline(always)]
    pub(crate) fn get<R: Record>(
        &mut self,
        slot: Slot,
        id: u64,
        ledger: &mut Ledger,
    ) -> Result<R, Stop> {
        ledger.records += 1;
        let tx = &self.transactions[slot as usize];
        if let Some(image) = tx.overlay.get::<R>(id) {
            return Ok(R::decode(image));
        }
        self.get_committed(Pinner::transaction(slot), id, ledger)
    }

    #[inline(always)]
    pub(crate) fn get_committed<R: Record>(
        &mut self,
        pinner: Pinner,
        id: u64,
        ledger: &mut Ledger,
    ) -> Result<R, Stop> {
        if id >= self.high[R::KIND as usize] {
            return Ok(R::decode(&[0; LONGEST][..R::SIZE]));
        }
        let (number, offset) = locate(R::KIND, id);
        if number >= self.counts.logical[R::KIND as usize] {
            return Ok(R::decode(&[0; LONGEST][..R::SIZE]));
        }
        let frame = self.page(pinner, crate::cache::PageKey(R::KIND, number), ledger)?;
        let body = self.cache.frame(frame).page().body();
        Ok(R::decode(&body[offset..offset + R::SIZE]))
    }

    #[inline]
    pub(crate) fn put<R: Record>(&mut self, slot: Slot, id: u64, record: &R, ledger: &mut Ledger) {
        ledger.records += 1;
        ledger.allocated += R::SIZE as u64;
        self.transactions[slot as usize].overlay.put(id, record, false);
    }

    /// Puts a record under a new id.
    pub(crate) fn add<R: Record>(&mut self, slot: Slot, record: &R, ledger: &mut Ledger) -> u64 {
        let id = self
            .take_allotted(slot, R::KIND)
            .or_else(|| self.free.take(R::KIND))
            .unwrap_or_else(|| {
                let high = &mut self.high[R::KIND as usize];
                *high += 1;
                *high - 1
            });
        ledger.records += 1;
        ledger.allocated += R::SIZE as u64;
        self.transactions[slot as usize].overlay.put(id, record, true);
        id
    }

    pub(crate) fn made_here(&self, slot: Slot, kind: FileKind, id: u64) -> bool {
        self.transactions[slot as usize].overlay.created(RecordKey::new(kind, id))
    }

    /// Takes an exclusive lock or waits for it.
    #[inline]
    pub(crate) fn lock(&mut self, slot: Slot, key: LockKey) -> Result<(), Stop> {
        self.lock_in(slot, key, LockMode::Exclusive)
    }

    /// Shares the schema: it does not change before the transaction ends.
    #[inline]
    pub(crate) fn share_schema(&mut self, slot: Slot) -> Result<(), Stop> {
        self.check_no_schema_change(slot)?;
        if self.transactions[slot as usize].shares_schema {
            return Ok(());
        }
        self.lock_in(slot, LockKey::SCHEMA, LockMode::Shared)?;
        self.transactions[slot as usize].shares_schema = true;
        Ok(())
    }

    /// A transaction that changes the schema may write nothing else.
    pub(crate) fn check_no_schema_change(&self, slot: Slot) -> Result<(), Stop> {
        match self.transactions[slot as usize].building {
            None => Ok(()),
            Some(_) => Err(StoreError::SchemaAndData.into()),
        }
    }

    pub(crate) fn lock_in(&mut self, slot: Slot, key: LockKey, mode: LockMode) -> Result<(), Stop> {
        if self.transactions[slot as usize].guard.is_some() && key != LockKey::SCHEMA {
            return self.lock_guarded(slot, key, mode);
        }
        let grant = self.locks.request(slot, key, mode, &mut self.granted);
        self.wake_granted();
        match grant {
            Grant::Held => Ok(()),
            Grant::Deadlock if self.config.bugs.contains(PlantedBugs::DEADLOCK_UNDETECTED) => {
                Err(Stop::Wait(self.io.ticket()))
            }
            Grant::Deadlock => {
                self.counters.deadlocks += 1;
                Err(Stop::Failed(StoreError::DeadlockDetected))
            }
            Grant::Queued => {
                let waiting = &mut self.transactions[slot as usize].lock_ticket;
                if waiting.is_none() {
                    if self.config.bugs.contains(PlantedBugs::LOCK_FORGETS_WAITER) {
                        self.locks.forget(slot, FORGOTTEN_BEYOND);
                    }
                    self.counters.lock_waits += 1;
                    *waiting = Some(self.io.ticket());
                    self.transactions[slot as usize].waits_since_ms = self.clock_ms;
                }
                let waiting = self.transactions[slot as usize].lock_ticket;
                Err(Stop::Wait(waiting.expect("set above")))
            }
        }
    }

    /// Gives up a transaction: releases its locks and its place in any queue. Allowed at any
    /// moment before `commit`; without effect on one that has committed or ended.
    pub fn rollback(&mut self, handle: TxHandle) {
        if let Ok(slot) = self.active(handle) {
            self.abandon(slot);
        }
    }

    /// Ends a transaction of which nothing stays.
    pub(crate) fn abandon(&mut self, slot: Slot) {
        self.unpin(Pinner::transaction(slot));
        // Of a slave's transaction they are the master's, and used if it has committed.
        let own = self.transactions[slot as usize].guard.is_none();
        for key in self.transactions[slot as usize].overlay.made().filter(|_| own) {
            // Tokens are numbered without gaps, by the holder of their lock.
            if key.kind() != FileKind::Tokens {
                self.free.put(key.kind(), key.id());
            }
        }
        self.end(slot);
    }

    /// Ends every transaction at once; the lock table is empty afterwards.
    pub(crate) fn end_all_transactions(&mut self) {
        for slot in 0..self.transactions.len() {
            if self.transactions[slot].phase != Phase::Ended {
                self.unpin(Pinner::transaction(slot as Slot));
                self.end(slot as Slot);
            }
        }
    }

    fn end(&mut self, slot: Slot) {
        if self.transactions[slot as usize].lock_ticket.is_some() {
            self.count_lock_wait(slot);
        }
        let guard = self.transactions[slot as usize].guard.take();
        if let Some(ticket) = guard.and_then(Guard::into_ticket) {
            self.io.finish(ticket);
        }
        self.transactions[slot as usize].clear();
        self.free_slots.push(slot);
        self.open_transactions -= 1;
        self.locks.release_all(slot, &mut self.granted);
        self.wake_granted();
    }

    #[inline(always)]
    fn wake_granted(&mut self) {
        if !self.granted.is_empty() {
            self.wake_all_granted();
        }
    }

    #[cold]
    fn wake_all_granted(&mut self) {
        for place in 0..self.granted.len() {
            let next = self.granted[place];
            self.count_lock_wait(next);
            let waiting = self.transactions[next as usize].lock_ticket.take();
            self.io.finish(waiting.expect("who waits has a ticket"));
        }
        self.granted.clear();
    }

    /// A wait for a lock ends: granted, or given up.
    fn count_lock_wait(&mut self, slot: Slot) {
        let waited = self.clock_ms - self.transactions[slot as usize].waits_since_ms;
        self.counters.lock_wait_ms += waited;
        self.counters.longest_lock_wait_ms = self.counters.longest_lock_wait_ms.max(waited);
    }
}
