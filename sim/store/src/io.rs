//! The store's side of submit and complete: operations under way, and tickets.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::cache::PageKey;
use crate::disk::{DiskOp, DiskRequest, FileKind, FileName};
use crate::locks::Slot;

/// What a step waits for. One ticket is shared by all who wait for the same page or sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why an operation was submitted, and so who takes its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A page for the cache.
    Load(PageKey),
    /// The flusher's writes and syncs.
    FlushDouble,
    FlushDoubleSync,
    FlushPlace,
    FlushData(FileKind),
    FlushVersions,
    FlushVersionsSync,
    /// The journal's append and sync, and the three steps of a rotation.
    LogAppend,
    LogSync,
    LogRotate,
    /// Cutting the log back after an append found no space.
    LogClear,
    /// The checkpoint's meta page.
    MetaWrite,
    MetaSync,
    /// Old log files.
    Prune,
    /// A stretch of an old log file, for a pulling slave.
    LogRead,
    /// A page for a store copy, by cursor and place in its batch.
    CopyRead(u32, PageKey),
    /// A page of a copy that is received, under its ticket.
    CopyWrite(Ticket),
    /// Opening, creating, setting aside: one thing at a time, with a number of its own.
    Lifecycle(u64),
}

/// Operations under way, tickets given out, tickets done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Io {
    next_op: u64,
    next_ticket: u64,
    out: Vec<(DiskOp, DiskRequest)>,
    /// The last operations, by number; none where one was answered. The first is not.
    pending: VecDeque<Option<(Purpose, FileName)>>,
    under_way: usize,
    completed: Vec<Ticket>,
}

impl Io {
    pub(crate) fn submit(&mut self, request: DiskRequest, purpose: Purpose) {
        let op = DiskOp(self.next_op);
        self.next_op += 1;
        let file = request.file().unwrap_or(FileName::live(FileKind::Meta));
        self.pending.push_back(Some((purpose, file)));
        self.under_way += 1;
        self.out.push((op, request));
    }

    /// What an answered operation was for; none if it is not one of ours.
    pub(crate) fn answered(&mut self, op: DiskOp) -> Option<(Purpose, FileName)> {
        let first = self.next_op - self.pending.len() as u64;
        let place = usize::try_from(op.0.checked_sub(first)?).ok()?;
        let answered = self.pending.get_mut(place)?.take()?;
        self.under_way -= 1;
        while let Some(None) = self.pending.front() {
            self.pending.pop_front();
        }
        Some(answered)
    }

    pub(crate) fn drain(&mut self, out: &mut Vec<(DiskOp, DiskRequest)>) {
        out.append(&mut self.out);
    }

    /// Whether there is anything to drain.
    #[inline]
    pub(crate) fn stirs(&self) -> bool {
        !self.out.is_empty() || !self.completed.is_empty()
    }

    /// How many operations are submitted and not answered.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Forgets what was queued and not yet drained, and ignores answers still to come.
    pub(crate) fn abandon(&mut self) {
        self.out.clear();
        self.pending.clear();
        self.under_way = 0;
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub(crate) fn finish(&mut self, ticket: Ticket) {
        self.completed.push(ticket);
    }

    pub(crate) fn completed(&mut self, out: &mut Vec<Ticket>) {
        out.append(&mut self.completed);
    }

    pub(crate) fn position(&self) -> (u64, u64) {
        (self.next_op, self.next_ticket)
    }
}

/// Who keeps pages from being evicted while a step waits for more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinner(pub(crate) u32);

impl Pinner {
    /// Recovery and the application of received transactions.
    pub(crate) const RECEIVER: Pinner = Pinner(0);

    pub(crate) fn transaction(slot: Slot) -> Pinner {
        Pinner(slot + 1)
    }
}
