//! Blank pages that a power loss leaves behind the end of the last checkpoint.
//!
//! A page that was written while one before it was not makes a file with a hole. Replay fills it
//! if a transaction of the log is in it, but none need be: its ids may have been given to a
//! transaction that never committed. Recovery makes such a page an empty one that has to be
//! written, for the next checkpoint says of all pages up to the end that they were.

use alloc::collections::VecDeque;

use crate::cache::PageKey;
use crate::disk::FileKind;
use crate::error::StoreError;
use crate::io::Pinner;
use crate::store::{Ledger, Stop, Store};

impl Store {
    /// The pages which no checkpoint has covered.
    pub(crate) fn perhaps_holes(&self) -> VecDeque<PageKey> {
        let counts = &self.counts;
        let behind = |kind: FileKind| {
            let (from, to) = (counts.durable[kind as usize], counts.on_disk[kind as usize]);
            (from..to).map(move |page| PageKey(kind, page))
        };
        FileKind::RECORDS.into_iter().flat_map(behind).collect()
    }

    /// Looks at these pages and makes the blank ones empty. False if one must be waited for.
    pub(crate) fn fill_holes(&mut self, pages: &mut VecDeque<PageKey>) -> Result<bool, StoreError> {
        while let Some(key) = pages.front().copied() {
            let frame = match self.page(Pinner::RECEIVER, key, &mut Ledger::default()) {
                Ok(frame) => frame,
                Err(Stop::Wait(_)) => return Ok(false),
                Err(Stop::Failed(error)) => return Err(error),
            };
            // What was ever written has a number.
            if self.cache.frame(frame).page().sequence() == 0 {
                self.cache.page_mut(frame);
            }
            self.unpin(Pinner::RECEIVER);
            pages.pop_front();
        }
        Ok(true)
    }
}
