//! Chains of dynamic records, as a transaction sees them: reading, writing, freeing.

use alloc::vec::Vec;

use crate::disk::FileKind;
use crate::error::StoreError;
use crate::locks::Slot;
use crate::record::{ArrayRecord, Dynamic, DynamicRecord, LabelRecord, NONE};
use crate::store::{Ledger, Stop, Store};

/// A chain with more pieces must be a circle (1 GiB of text).
const LONGEST: usize = 1 << 23;

fn broken(what: &str) -> Stop {
    StoreError::Inconsistent(what.into()).into()
}

/// A dynamic record that is to be freed.
pub(crate) type PieceKey = (FileKind, u64);

impl Store {
    /// The bytes of the chain that begins with `first`.
    pub(crate) fn load_pieces<R: Dynamic>(
        &mut self,
        slot: Slot,
        first: u64,
        ledger: &mut Ledger,
    ) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        let mut at = first;
        for _ in 0..LONGEST {
            if at == NONE {
                ledger.allocated += bytes.len() as u64;
                return Ok(bytes);
            }
            let record: R = self.get(slot, at, ledger)?;
            if !record.in_use() {
                return Err(broken("a long value leads to an unused record"));
            }
            bytes.extend_from_slice(record.contents());
            at = record.next();
        }
        Err(broken("a long value never ends"))
    }

    /// Appends the records of the chain to `out`.
    pub(crate) fn piece_keys<R: Dynamic>(
        &mut self,
        slot: Slot,
        first: u64,
        out: &mut Vec<PieceKey>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let mut at = first;
        while at != NONE {
            if out.len() > LONGEST {
                return Err(broken("a long value never ends"));
            }
            out.push((R::KIND, at));
            at = self.get::<R>(slot, at, ledger)?.next();
        }
        Ok(())
    }

    /// Writes bytes into new records; returns the first.
    pub(crate) fn store_pieces<R: Dynamic>(
        &mut self,
        slot: Slot,
        bytes: &[u8],
        ledger: &mut Ledger,
    ) -> u64 {
        let mut next = NONE;
        for piece in bytes.chunks(R::DATA).rev() {
            next = self.add(slot, &R::with(piece, next), ledger);
        }
        next
    }

    /// Marks records as unused.
    pub(crate) fn free_pieces(&mut self, slot: Slot, pieces: &[PieceKey], ledger: &mut Ledger) {
        for (kind, id) in pieces {
            match kind {
                FileKind::Arrays => self.put(slot, *id, &ArrayRecord::UNUSED, ledger),
                FileKind::NodeLabels => self.put(slot, *id, &LabelRecord::UNUSED, ledger),
                _ => self.put(slot, *id, &DynamicRecord::UNUSED, ledger),
            }
        }
    }
}
