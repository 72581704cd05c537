//! The end of a transaction: logged under the next id, then applied to the pages.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{LogMark, PlantedBugs, TxId};

use super::{Phase, TxHandle};
use crate::disk::FileKind;
use crate::error::StoreError;
use crate::io::{Pinner, Ticket};
use crate::log::TxRecord;
use crate::overlay::Overlay;
use crate::pages::Place;
use crate::record::{FARTHEST, Record, RecordKey, SchemaRecord, TokenRecord};
use crate::store::{Ledger, Step, Stop, Store};
use crate::tree::IndexKey;
use crate::value::Value;

/// A commit under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committing {
    /// The transaction's place in the history; for a read-only one, the last commit's.
    pub mark: LogMark,
    /// The checksum of the transaction before it.
    pub before: u64,
    /// Completes when the transaction is durable, or refused because the disk is full, which
    /// [`Store::apply`] then says; none for a read-only one.
    pub ticket: Option<Ticket>,
}

impl Store {
    /// Logs the transaction under the next id and asks for its sync. Afterwards only
    /// [`Store::apply`] may be called, once the ticket has completed; for a read-only
    /// transaction at once.
    ///
    /// # Errors
    /// [`StoreError::NotPrepared`] if relationships changed since the last
    /// [`MicroStep::Prepare`](crate::MicroStep::Prepare); [`StoreError::TooLarge`];
    /// [`StoreError::NotReady`] and the like. The transaction stays open.
    pub fn commit(
        &mut self,
        handle: TxHandle,
        ledger: &mut Ledger,
    ) -> Result<Committing, StoreError> {
        self.check_ready()?;
        let slot = self.active(handle)?;
        let tx = &mut self.transactions[slot as usize];
        if !tx.is_prepared() {
            return Err(StoreError::NotPrepared);
        }
        // What other instances would refuse to receive is not committed here.
        let far = |kind: &FileKind| self.high[*kind as usize] > self.end_of(*kind) + FARTHEST;
        if FileKind::RECORDS.iter().any(far) {
            let tx = &mut self.transactions[slot as usize];
            tx.overlay.sort();
            let keys = self.transactions[slot as usize].overlay.iter().map(|(key, _)| key);
            if !self.within_reach(&mut [0; FileKind::TABLE], keys) {
                return Err(StoreError::NotReady);
            }
        }
        let tx = &mut self.transactions[slot as usize];
        let journal = self.journal.as_mut().ok_or(StoreError::NotReady)?;
        let last = journal.last();
        if tx.overlay.is_empty() {
            tx.phase = Phase::Committing(TxId::BASE);
            return Ok(Committing { mark: last, before: last.checksum, ticket: None });
        }
        // A damaged pointer may have led anywhere; every record has been given its id.
        let given = |(key, _): (RecordKey, &[u8])| key.id() < self.high[key.kind() as usize];
        if !tx.overlay.iter().all(given) {
            let what = "a chain leads to a record that was never made";
            return Err(StoreError::Inconsistent(what.into()));
        }
        tx.overlay.sort();
        self.entry_images.clear();
        let entries = tx.index.iter().map(|(key, present)| key.to_image(*present));
        self.entry_images.extend(entries);
        let entries = self.entry_images.iter().enumerate().map(|(place, image)| {
            (RecordKey::new(FileKind::Index, place as u64), image.as_slice())
        });
        let images = tx.overlay.iter().chain(entries);
        let record = TxRecord::new(last, tx.header, images, &mut self.scratch);
        record.check_size()?;
        let mark = record.mark();
        ledger.logged += (record.content().len() + crate::log::FRAME) as u64;
        ledger.allocated += record.content().len() as u64;
        ledger.records += record.record_count();
        tx.phase = Phase::Committing(mark.tx);
        let ticket = journal.commit(Arc::new(record), &mut self.io);
        if self.config.bugs.contains(PlantedBugs::LOCKS_RELEASED_EARLY) {
            self.locks.release_all(slot, &mut self.granted);
            self.wake_granted();
        }
        Ok(Committing { mark, before: last.checksum, ticket: Some(ticket) })
    }

    /// Puts a durable transaction's writes into the pages, releases its locks and ends it.
    /// Waits for the sync if that is not done, and for pages.
    pub fn apply(&mut self, handle: TxHandle, ledger: &mut Ledger) -> Step {
        if let Err(error) = self.check_ready() {
            return Step::Failed(error);
        }
        let slot = match self.slot(handle) {
            Ok(slot) => slot,
            Err(error) => return Step::Failed(error),
        };
        let id = match self.transactions[slot as usize].phase {
            Phase::Committing(id) => id,
            Phase::Refused(file) => return Step::Failed(self.end_refused(slot, file)),
            _ => return Step::Failed(StoreError::NotReady),
        };
        let before = *ledger;
        if id != TxId::BASE {
            let journal = self.journal.as_ref().expect("it logged the transaction");
            if let Some(ticket) = journal.ticket_of(id) {
                return Step::Wait(ticket);
            }
            let pinner = Pinner::transaction(slot);
            // The overlay steps aside while the store's other parts are at work.
            let overlay = core::mem::take(&mut self.transactions[slot as usize].overlay);
            let index = core::mem::take(&mut self.transactions[slot as usize].index);
            let mut places = core::mem::take(&mut self.places);
            let held = self.hold_records(pinner, &overlay, &index, &mut places, ledger);
            if held.is_ok() {
                for (key, present) in &index {
                    self.write_entry(*key, *present, id.0);
                }
                for ((key, image), place) in overlay.iter().zip(&places) {
                    self.write_place(*place, image, id.0);
                    self.learn_token(key, image);
                    self.note_freed(key, image);
                }
                ledger.records += overlay.len() as u32;
            }
            self.places = places;
            self.transactions[slot as usize].overlay = overlay;
            self.transactions[slot as usize].index = index;
            match held {
                Ok(()) => {}
                Err(Stop::Wait(ticket)) => {
                    let faults = ledger.faults;
                    *ledger = Ledger { faults, ..before };
                    self.account(&before, ledger);
                    return Step::Wait(ticket);
                }
                Err(Stop::Failed(error)) => {
                    // Logged, but its pages cannot be had: only recovery can help.
                    self.fail(error.clone());
                    return Step::Failed(error);
                }
            }
            self.note_applied(id);
        }
        // A step that waited for pages may have been given up for the commit.
        self.unpin(Pinner::transaction(slot));
        self.account(&before, ledger);
        self.end(slot);
        Step::Done(Value::Null)
    }

    /// Has the pages of all records and entries in the cache until they are written, and finds
    /// the records' places there.
    fn hold_records(
        &mut self,
        pinner: Pinner,
        overlay: &Overlay,
        index: &BTreeMap<IndexKey, bool>,
        places: &mut Vec<Place>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let records = overlay.iter().map(|(key, _)| (key.kind(), key.id()));
        if index.is_empty() && self.find_places(records.clone(), places) {
            self.use_places(pinner, places, ledger);
            return Ok(());
        }
        self.hold_pages(pinner, records.clone(), ledger)?;
        self.hold_tree(pinner, index.keys().copied(), ledger)?;
        self.find_places(records, places);
        Ok(())
    }

    pub(crate) fn learn_token(&mut self, key: RecordKey, image: &[u8]) {
        match key.kind() {
            FileKind::Tokens => {
                self.tokens.learn(&TokenRecord::decode(image));
            }
            FileKind::Schema => self.schema.learn(key.id(), SchemaRecord::decode(image)),
            _ => {}
        }
    }

    pub(crate) fn note_applied(&mut self, id: TxId) {
        if id != self.applied.next() {
            self.applied_above.insert(id);
            return;
        }
        self.applied = id;
        while self.applied_above.remove(&self.applied.next()) {
            self.applied = self.applied.next();
        }
        if let Some(journal) = &mut self.journal {
            journal.note_applied(self.applied);
        }
    }
}
