//! A full disk: transactions fail, the store stays readable, and goes on when space returns.
//!
//! Only an append or a page write that finds no space is survived: nothing durable depends on
//! it yet. The log is cut back to what was durable, and all transactions behind that are
//! refused; pages stay dirty in the cache, which grows over its limit rather than that reads
//! starve. A failed sync, of whatever kind, stops the store: what it left on the disk is not
//! known.
use wavetank_vocabulary::PlantedBugs;

use crate::disk::{DiskError, FileName};
use crate::error::StoreError;
use crate::io::Purpose;
use crate::journal::Journal;
use crate::locks::Slot;
use crate::store::Store;
use crate::transactions::{Phase, TxHandle};

pub(crate) const FULL: DiskError = DiskError::NoSpace;

impl Store {
    /// Whether writing pages rests because the disk was full.
    pub fn is_disk_full(&self) -> bool {
        self.disk_full
    }

    /// Says that there may be space again: page writes and checkpoints go on. A commit that
    /// succeeds says so too.
    pub fn retry_disk(&mut self) {
        self.disk_full = false;
    }

    /// An append or a page write found no space. False if that cannot be survived.
    pub(crate) fn found_no_space(&mut self, purpose: Purpose, file: FileName) -> bool {
        match purpose {
            Purpose::LogAppend | Purpose::LogRotate => {
                let Some(journal) = &mut self.journal else { return false };
                if !journal.cut_back(&mut self.io) {
                    return false;
                }
                self.refuse_lost(file);
            }
            Purpose::FlushVersions | Purpose::FlushDouble | Purpose::FlushPlace => {
                self.flush_failed();
            }
            Purpose::MetaWrite => self.checkpoint_failed(),
            _ => return false,
        }
        self.disk_full = true;
        true
    }

    /// Refuses the transactions that were to be logged and are not.
    fn refuse_lost(&mut self, file: FileName) {
        let durable = self.journal.as_ref().map_or(self.applied, |j| j.last().tx);
        for slot in 0..self.transactions.len() {
            if let Phase::Committing(id) = self.transactions[slot].phase
                && id > durable
            {
                if self.config.bugs.contains(PlantedBugs::NO_SPACE_ACKNOWLEDGED) {
                    self.transactions[slot].phase = Phase::Committing(durable);
                    continue;
                }
                self.transactions[slot].phase = Phase::Refused(file);
            }
        }
        self.received.retain(|record| record.tx() <= durable);
    }

    /// Whether the disk had no space for a transaction that was to be logged: its id may have
    /// been given to another one since.
    pub fn is_refused(&self, handle: TxHandle) -> bool {
        let slot = self.slot(handle);
        slot.is_ok_and(|slot| matches!(self.transactions[slot as usize].phase, Phase::Refused(_)))
    }

    /// Ends a transaction that was refused; its error.
    pub(crate) fn end_refused(&mut self, slot: Slot, file: FileName) -> StoreError {
        self.abandon(slot);
        StoreError::Disk { operation: "append", file, error: FULL }
    }

    /// The log's file is as it was before the append.
    pub(crate) fn log_cleared(&mut self) {
        if let Some(journal) = &mut self.journal {
            Journal::cleared(journal, &mut self.io);
        }
    }
}
