//! Transactions that are begun at a slave and committed by the master (HA specification 3).
//!
//! The slave's transaction is *guarded*: a step that needs a lock waits until the master has
//! granted it, and then takes it here as well, without waiting; new records get ids from
//! ranges that the master allotted. What a step waits for, [`Store::need`] tells; the driver
//! asks the master. The commit is the master's: [`Store::prepared`] packs the after-images,
//! and the slave applies them when it receives them back as one of the master's transactions.
//!
//! At the master an ordinary transaction stands for the slave's: [`Store::lock_for`] takes its
//! locks, [`Store::adopt`] its writes. After-images of whole records may travel, because every
//! record that a transaction changes is under a lock of its own, and the slave reads it only
//! when it has caught up with the master after the lock was granted.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::disk::FileKind;
use crate::error::StoreError;
use crate::io::Ticket;
use crate::locks::{LockKey, LockMode, Slot};
use crate::log::TxRecord;
use crate::record::{FARTHEST, MAX_ENTITIES, RecordKey};
use crate::steps::MicroStep;
use crate::store::{Ledger, Step, Stop, Store};
use crate::transactions::TxHandle;
use crate::tree::IndexKey;
use crate::value::{Array, TokenKind, Value};

/// A lock, as slaves ask the master for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockRequest {
    key: u64,
    shared: bool,
}

impl LockRequest {
    fn mode(self) -> LockMode {
        if self.shared { LockMode::Shared } else { LockMode::Exclusive }
    }

    /// As words, for messages between processes: which lock, and whether it is shared.
    pub fn to_words(self) -> (u64, bool) {
        (self.key, self.shared)
    }

    /// The request that [`Self::to_words`] came from.
    pub fn from_words((key, shared): (u64, bool)) -> LockRequest {
        LockRequest { key, shared }
    }

    /// Whether others may hold it too.
    pub fn is_shared(self) -> bool {
        self.shared
    }
}

/// What a slave's transaction needs of the master before its step can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A lock: [`Store::lock_granted`].
    Lock(LockRequest),
    /// Ids of this kind: [`Store::allot`].
    Ids(FileKind),
}

/// The part of a transaction that only a slave's has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    /// What it waits for.
    need: Option<(Need, Ticket)>,
    /// What the master has granted and the next step takes here.
    granted: Option<LockKey>,
    /// It took an id that the master did not give: it cannot commit.
    overran: bool,
}

impl Guard {
    /// What still waits for the master when the transaction ends.
    pub(crate) fn into_ticket(self) -> Option<Ticket> {
        self.need.map(|(_, ticket)| ticket)
    }
}

/// The most new records that one value of a property takes, apart from its own pieces.
const SPARE: u64 = 8;
/// Bytes of the shortest piece of a text, array or list of labels.
const PIECE: u64 = 56;

impl Store {
    // ---- at the slave -----------------------------------------------------------------

    /// As [`Self::begin`], for a transaction whose locks, ids and commit are the master's.
    pub fn begin_guarded(&mut self, operation: u64, now_ms: u64) -> TxHandle {
        let handle = self.begin(operation, now_ms);
        self.transactions[handle.slot as usize].guard = Some(Guard::default());
        handle
    }

    /// What the transaction's last step waits for, if that is the master's to give.
    pub fn need(&self, handle: TxHandle) -> Option<Need> {
        let slot = self.slot(handle).ok()?;
        let guard = self.transactions[slot as usize].guard.as_ref()?;
        guard.need.map(|(need, _)| need)
    }

    fn wait_for(&mut self, slot: Slot, need: Need) -> Stop {
        let Some(guard) = &mut self.transactions[slot as usize].guard else {
            return StoreError::NotReady.into();
        };
        if let Some((known, ticket)) = guard.need
            && known == need
        {
            return Stop::Wait(ticket);
        }
        let ticket = self.io.ticket();
        guard.need = Some((need, ticket));
        Stop::Wait(ticket)
    }

    /// Takes a lock here that the master has granted, or waits for that.
    pub(crate) fn lock_guarded(
        &mut self,
        slot: Slot,
        key: LockKey,
        mode: LockMode,
    ) -> Result<(), Stop> {
        if self.locks.holds(slot, key, mode) {
            return Ok(());
        }
        let guard = self.transactions[slot as usize].guard.as_mut();
        if guard.is_some_and(|guard| guard.granted.take_if(|granted| *granted == key).is_some()) {
            // Who holds it here without the master's grant is about to end; waiting here
            // while the lock is held there is how two instances wait for each other.
            return match self.locks.try_lock(slot, key, mode) {
                true => Ok(()),
                false => {
                    self.counters.deadlocks += 1;
                    Err(StoreError::DeadlockDetected.into())
                }
            };
        }
        let shared = mode == LockMode::Shared;
        Err(self.wait_for(slot, Need::Lock(LockRequest { key: key.0, shared })))
    }

    /// The master has granted the lock that the transaction waits for, and everything up to
    /// the grant is applied here: its step can be run again.
    pub fn lock_granted(&mut self, handle: TxHandle) {
        let Ok(slot) = self.active(handle) else { return };
        let Some(guard) = &mut self.transactions[slot as usize].guard else { return };
        if let Some((Need::Lock(request), ticket)) = guard.need {
            guard.granted = Some(LockKey(request.key));
            guard.need = None;
            self.io.finish(ticket);
        }
    }

    /// Ids that the master gave to this slave, and to nobody else. Who waits for some of
    /// that kind goes on.
    pub fn allot(&mut self, kind: FileKind, ids: Range<u64>) {
        if ids.is_empty() || !FileKind::RECORDS.contains(&kind) || ids.end > MAX_ENTITIES {
            return;
        }
        self.allotted[kind as usize].push_back(ids);
        for tx in &mut self.transactions {
            let Some(guard) = &mut tx.guard else { continue };
            if let Some((Need::Ids(wanted), ticket)) = guard.need
                && wanted == kind
            {
                guard.need = None;
                self.io.finish(ticket);
            }
        }
    }

    /// The master that allotted ids is master no more: another may give them to somebody
    /// else.
    pub fn forget_allotted(&mut self) {
        for ranges in &mut self.allotted {
            ranges.clear();
        }
    }

    /// The next id of a guarded transaction. Names are numbered by who holds the right to
    /// make them.
    pub(crate) fn take_allotted(&mut self, slot: Slot, kind: FileKind) -> Option<u64> {
        let guard = self.transactions[slot as usize].guard.as_mut()?;
        if kind == FileKind::Tokens {
            return None;
        }
        let ranges = &mut self.allotted[kind as usize];
        let id = ranges.front_mut().and_then(|range| range.next());
        if ranges.front().is_some_and(|range| range.is_empty()) {
            ranges.pop_front();
        }
        guard.overran |= id.is_none();
        id
    }

    /// Makes sure that the step cannot run out of ids half-way.
    pub(crate) fn ready_ids(&mut self, slot: Slot, step: &MicroStep) -> Result<(), Stop> {
        let wanted = match step {
            MicroStep::CreateNode { labels } => {
                [(FileKind::Nodes, 1), (FileKind::NodeLabels, labels.len() as u64)]
            }
            MicroStep::AddLabel { .. } => [(FileKind::NodeLabels, SPARE), (FileKind::Nodes, 0)],
            MicroStep::CreateRelationship { .. } => {
                [(FileKind::Relationships, 1), (FileKind::Nodes, 0)]
            }
            MicroStep::SetProperty { value, .. } => {
                let kind = match value {
                    Value::Text(_) => FileKind::Dynamic,
                    _ => FileKind::Arrays,
                };
                [(FileKind::Properties, SPARE), (kind, pieces(value))]
            }
            // A node that becomes dense gets a group for each type of its relationships.
            MicroStep::Prepare => {
                let tx = &self.transactions[slot as usize];
                let made = (tx.created.len() - tx.linked) as u64;
                let types = self.tokens.count(TokenKind::RelationshipType) as u64;
                [(FileKind::Groups, made.min(1) * 2 * (made + types)), (FileKind::Nodes, 0)]
            }
            _ => return Ok(()),
        };
        for (kind, count) in wanted {
            let left: u64 =
                self.allotted[kind as usize].iter().map(|range| range.end - range.start).sum();
            if left < count {
                return Err(self.wait_for(slot, Need::Ids(kind)));
            }
        }
        Ok(())
    }

    /// What a prepared transaction has written, for the master to commit; none if it wrote
    /// nothing. The transaction stays open, with its locks, until it is rolled back here.
    ///
    /// # Errors
    /// [`StoreError::NotPrepared`], [`StoreError::TooLarge`],
    /// [`StoreError::NoSuchTransaction`] and the like.
    pub fn prepared(
        &mut self,
        handle: TxHandle,
        ledger: &mut Ledger,
    ) -> Result<Option<Arc<TxRecord>>, StoreError> {
        self.check_ready()?;
        let slot = self.active(handle)?;
        let last = self.mark();
        let tx = &mut self.transactions[slot as usize];
        if !tx.is_prepared() {
            return Err(StoreError::NotPrepared);
        }
        if tx.guard.as_ref().is_none_or(|guard| guard.overran) {
            return Err(StoreError::Inconsistent("a record has no id from the master".into()));
        }
        if tx.overlay.is_empty() {
            return Ok(None);
        }
        tx.overlay.sort();
        let entries: Vec<_> = tx.index.iter().map(|(key, on)| key.to_image(*on)).collect();
        let entries = entries.iter().enumerate().map(|(place, image)| {
            (RecordKey::new(FileKind::Index, place as u64), image.as_slice())
        });
        let images = tx.overlay.iter().chain(entries);
        let record = TxRecord::new(last, tx.header, images, &mut self.scratch);
        record.check_size()?;
        ledger.allocated += record.content().len() as u64;
        ledger.records += record.record_count();
        Ok(Some(Arc::new(record)))
    }

    // ---- at the master ----------------------------------------------------------------

    /// Takes a lock for a slave's transaction, for which `handle` stands here. Waits as any
    /// step does, and may be refused as a deadlock.
    pub fn lock_for(&mut self, handle: TxHandle, request: LockRequest) -> Step {
        let before = Ledger::default();
        let mut ledger = before;
        let slot = match self.check_ready().and_then(|()| self.active(handle)) {
            Ok(slot) => slot,
            Err(error) => return Step::Failed(error),
        };
        let result = self.lock_in(slot, LockKey(request.key), request.mode());
        self.finish_step(slot, result.map(|()| Value::Null), &before, &mut ledger)
    }

    /// Shares the schema with a slave's transaction for its commit, if nobody changes it at
    /// this moment.
    pub fn try_share_schema(&mut self, handle: TxHandle) -> bool {
        match self.active(handle) {
            Ok(slot) => self.locks.try_lock(slot, LockKey::SCHEMA, LockMode::Shared),
            Err(_) => false,
        }
    }

    /// Ids for a slave, from the end of the file: they are not given out again, whether the
    /// slave uses them or not. Fewer than asked for when so many are given already that the last
    /// ones would lie too far behind the file (`FARTHEST`). None when the kind has no ids to
    /// give or they are at an end.
    pub fn allocate_ids(&mut self, kind: FileKind, count: u64) -> Option<Range<u64>> {
        let given = !matches!(kind, FileKind::Tokens | FileKind::Schema | FileKind::Index);
        if self.check_ready().is_err() || !given || !FileKind::RECORDS.contains(&kind) {
            return None;
        }
        let reach = self.end_of(kind) + FARTHEST;
        let high = &mut self.high[kind as usize];
        // Half of the way is open to all, the other half is divided ever more finely: enough for
        // several ranges in the hands of each slave of the largest cluster.
        let room = reach.saturating_sub(*high);
        let share = room.saturating_sub(FARTHEST / 2).max(room / 64).max(1024).min(room);
        let end =
            high.checked_add(count.min(share)).filter(|end| *end < MAX_ENTITIES && *end > *high)?;
        Some(core::mem::replace(high, end)..end)
    }

    /// Takes the writes of a slave's transaction; [`Self::commit`] comes next. `author` is
    /// the slave.
    ///
    /// # Errors
    /// [`StoreError::DamagedInput`] for records with ids that were never given out;
    /// [`StoreError::NotReady`] and the like. The transaction stays open.
    pub fn adopt(
        &mut self,
        handle: TxHandle,
        record: &TxRecord,
        author: u32,
    ) -> Result<(), StoreError> {
        self.check_ready()?;
        let slot = self.active(handle)?;
        let names = record.images().filter(|(key, _)| key.kind() == FileKind::Tokens);
        // Who makes a name holds the right to, so its number is the next one here, too.
        let tokens = self.tokens.total() + names.count() as u64;
        let known = |key: RecordKey| match key.kind() {
            FileKind::Index => true,
            FileKind::Tokens => key.id() < tokens,
            FileKind::Schema | FileKind::Meta => false,
            kind => key.id() < self.high[kind as usize],
        };
        if !record.images().all(|(key, _)| known(key)) {
            return Err(StoreError::DamagedInput("a record with an id that nobody was given"));
        }
        let high = &mut self.high[FileKind::Tokens as usize];
        *high = (*high).max(tokens);
        let tx = &mut self.transactions[slot as usize];
        tx.header.operation = record.operation();
        tx.header.author = author;
        for (key, image) in record.images() {
            if key.kind() == FileKind::Index {
                let (key, present) = IndexKey::from_image(image);
                tx.index.insert(key, present);
            } else {
                tx.overlay.put_image(key, image);
            }
        }
        Ok(())
    }
}

/// How many pieces the value's text or array may take.
fn pieces(value: &Value) -> u64 {
    match value {
        Value::Text(text) => text.len() as u64 / PIECE + 1,
        Value::Array(Array::Text(texts)) => {
            texts.iter().map(|text| text.len() as u64 + 8).sum::<u64>() / PIECE + SPARE
        }
        Value::Array(array) => array.len() as u64 * 8 / PIECE + SPARE,
        _ => 0,
    }
}
