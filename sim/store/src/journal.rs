//! The transaction log's writing side: group commit and rotation.
//!
//! Transactions that commit while a sync is under way gather in a group; when the sync is
//! done, the group is appended in one piece and synced in turn. The file is rotated between
//! groups, so that a file is wholly durable before its successor has an entry. Failures are
//! not handled here: a failed append or sync stops the store.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{LogMark, PlantedBugs, TxId};

use crate::disk::{DiskRequest, FileName};
use crate::io::{Io, Purpose, Ticket};
use crate::log::{LogHeader, TxRecord, frame};

/// Every so many transactions of a file, the place of one is remembered.
const INDEXED_EVERY: u64 = 64;

/// A log file of the live store.
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    pub(crate) version: u32,
    pub(crate) base: LogMark,
    /// The time of that transaction, in milliseconds: until then go the files before.
    pub(crate) base_time_ms: u64,
    pub(crate) length: u64,
    /// Transactions and where their frames begin, ascending; sparse.
    pub(crate) index: Arc<Vec<(TxId, u64)>>,
}

impl LogFile {
    pub(crate) fn new(version: u32, base: LogMark) -> LogFile {
        let length = LogHeader::SIZE as u64;
        LogFile { version, base, base_time_ms: 0, length, index: Arc::default() }
    }

    /// Remembers where a transaction begins, if it is one of those to remember.
    pub(crate) fn note(&mut self, tx: TxId, offset: u64) {
        if self.index.last().is_none_or(|(last, _)| tx.0 >= last.0 + INDEXED_EVERY) {
            Arc::make_mut(&mut self.index).push((tx, offset));
        }
    }

    /// The nearest known place at or before transaction `tx`, and which one begins there.
    pub(crate) fn nearest(&self, tx: TxId) -> (TxId, u64) {
        match self.index.partition_point(|(at, _)| *at <= tx) {
            0 => (self.base.tx.next(), LogHeader::SIZE as u64),
            after => self.index[after - 1],
        }
    }
}

/// A place in the log: the end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogPosition {
    pub(crate) mark: LogMark,
    pub(crate) version: u32,
    pub(crate) offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Of a rotation: header append, sync, directory sync.
    Rotating(u8),
    Appending,
    Syncing,
    /// Undoing an append that found no space.
    Clearing,
}

/// What the journal is set up with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalConfig {
    pub(crate) rotate_at: u64,
    pub(crate) tail: usize,
    pub(crate) bugs: PlantedBugs,
}

/// The writing side of the log.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    config: JournalConfig,
    store_id: u64,
    /// Oldest first; the last is written to. Never empty.
    files: VecDeque<LogFile>,
    /// The last committed transaction.
    last: LogMark,
    /// The last durable one.
    durable: LogMark,
    /// How much of the current file is durable.
    durable_length: u64,
    group: Vec<Arc<TxRecord>>,
    group_ticket: Option<Ticket>,
    written: Option<(LogMark, Ticket)>,
    phase: Phase,
    /// The most recent transactions, for slaves that pull.
    tail: Arc<VecDeque<Arc<TxRecord>>>,
    /// Ends of transactions that are not known to be applied.
    ends: VecDeque<LogPosition>,
    applied: LogPosition,
    bytes: u64,
    /// The latest time of a transaction in the log, in milliseconds.
    time_ms: u64,
    scratch: Vec<u8>,
}

impl Journal {
    /// Continues the log at `position`, the end of the last of `files`.
    pub(crate) fn new(
        config: JournalConfig,
        store_id: u64,
        files: VecDeque<LogFile>,
        position: LogPosition,
    ) -> Journal {
        let current = files.back().expect("a log has a file");
        assert_eq!((current.version, current.length), (position.version, position.offset));
        Journal {
            config,
            store_id,
            durable_length: current.length,
            files,
            last: position.mark,
            durable: position.mark,
            group: Vec::new(),
            group_ticket: None,
            written: None,
            phase: Phase::Idle,
            tail: Arc::default(),
            ends: VecDeque::new(),
            applied: position,
            bytes: 0,
            time_ms: 0,
            scratch: Vec::new(),
        }
    }

    /// Begins a new log with the file of version 0; commits wait for its header.
    pub(crate) fn begin(
        config: JournalConfig,
        store_id: u64,
        base: LogMark,
        io: &mut Io,
    ) -> Journal {
        let file = LogFile::new(0, base);
        let position = LogPosition { mark: base, version: 0, offset: file.length };
        let mut journal = Journal::new(config, store_id, [file].into(), position);
        journal.write_header(io);
        journal
    }

    fn write_header(&mut self, io: &mut Io) {
        let current = self.files.back().expect("a log has a file");
        let header = LogHeader {
            version: current.version,
            store_id: self.store_id,
            base: current.base,
            base_time_ms: current.base_time_ms,
        };
        let file = FileName::log(current.version);
        self.durable_length = LogHeader::SIZE as u64;
        self.phase = Phase::Rotating(0);
        let bytes = header.encode().as_slice().into();
        io.submit(DiskRequest::Append { file, bytes }, Purpose::LogRotate);
    }

    pub(crate) fn last(&self) -> LogMark {
        self.last
    }

    pub(crate) fn durable(&self) -> LogMark {
        self.durable
    }

    pub(crate) fn store_id(&self) -> u64 {
        self.store_id
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The log holds a transaction of this time.
    pub(crate) fn note_time(&mut self, time_ms: u64) {
        self.time_ms = self.time_ms.max(time_ms);
    }

    pub(crate) fn files(&self) -> &VecDeque<LogFile> {
        &self.files
    }

    pub(crate) fn files_mut(&mut self) -> &mut VecDeque<LogFile> {
        &mut self.files
    }

    pub(crate) fn tail(&self) -> &VecDeque<Arc<TxRecord>> {
        &self.tail
    }

    /// The place up to which everything is applied.
    pub(crate) fn applied(&self) -> LogPosition {
        self.applied
    }

    /// Everything up to `tx` is applied.
    pub(crate) fn note_applied(&mut self, tx: TxId) {
        while self.ends.front().is_some_and(|end| end.mark.tx <= tx) {
            self.applied = self.ends.pop_front().expect("looked at");
        }
    }

    /// Adds a transaction that follows the last one; the ticket completes when it is durable.
    pub(crate) fn commit(&mut self, record: Arc<TxRecord>, io: &mut Io) -> Ticket {
        self.last = record.mark();
        let tail = Arc::make_mut(&mut self.tail);
        tail.push_back(record.clone());
        if tail.len() > self.config.tail {
            tail.pop_front();
        }
        self.group.push(record);
        let ticket = *self.group_ticket.get_or_insert_with(|| io.ticket());
        if self.phase == Phase::Idle {
            self.next_group(io);
        }
        ticket
    }

    /// The number of the file that is written to.
    pub(crate) fn version(&self) -> u32 {
        self.files.back().map_or(0, |file| file.version)
    }

    /// Whether the next file is being made.
    pub(crate) fn is_rotating(&self) -> bool {
        matches!(self.phase, Phase::Rotating(_))
    }

    /// The ticket of the group that transaction `tx` is in; none if it is durable.
    pub(crate) fn ticket_of(&self, tx: TxId) -> Option<Ticket> {
        match self.written {
            _ if tx <= self.durable.tx => None,
            Some((mark, ticket)) if tx <= mark.tx => Some(ticket),
            _ => self.group_ticket,
        }
    }

    fn next_group(&mut self, io: &mut Io) {
        if self.group.is_empty() {
            self.phase = Phase::Idle;
            return;
        }
        let current = self.files.back_mut().expect("a log has a file");
        if current.length >= self.config.rotate_at && current.length > LogHeader::SIZE as u64 {
            let before = self.group[0].before();
            let base = LogMark { tx: TxId(self.group[0].tx().0 - 1), checksum: before };
            let version = current.version + 1;
            let base_time_ms = self.time_ms;
            self.files.push_back(LogFile { base_time_ms, ..LogFile::new(version, base) });
            self.write_header(io);
            return;
        }
        self.scratch.clear();
        for record in &self.group {
            let offset = current.length + self.scratch.len() as u64;
            current.note(record.tx(), offset);
            self.time_ms = self.time_ms.max(record.time_ms());
            frame(record, self.durable_length, &mut self.scratch);
            self.ends.push_back(LogPosition {
                mark: record.mark(),
                version: current.version,
                offset: current.length + self.scratch.len() as u64,
            });
        }
        current.length += self.scratch.len() as u64;
        self.bytes += self.scratch.len() as u64;
        let mark = self.group.last().expect("not empty").mark();
        let ticket = self.group_ticket.take().expect("a group has a ticket");
        self.group.clear();
        self.written = Some((mark, ticket));
        self.phase = Phase::Appending;
        let file = FileName::log(current.version);
        let bytes = self.scratch.as_slice().into();
        io.submit(DiskRequest::Append { file, bytes }, Purpose::LogAppend);
    }

    /// The append is done.
    pub(crate) fn appended(&mut self, io: &mut Io) {
        assert_eq!(self.phase, Phase::Appending, "appends end once");
        if self.config.bugs.contains(PlantedBugs::SYNC_SKIPPED) {
            self.finish_group(io);
            return;
        }
        if self.config.bugs.contains(PlantedBugs::ACKNOWLEDGED_BEFORE_SYNC)
            && let Some((mark, ticket)) = self.written
        {
            self.durable = mark;
            io.finish(ticket);
        }
        self.phase = Phase::Syncing;
        let file = FileName::log(self.files.back().expect("a log has a file").version);
        io.submit(DiskRequest::Sync { file }, Purpose::LogSync);
    }

    /// The sync is done.
    pub(crate) fn synced(&mut self, io: &mut Io) {
        assert_eq!(self.phase, Phase::Syncing, "syncs end once");
        self.durable_length = self.files.back().expect("a log has a file").length;
        self.finish_group(io);
    }

    fn finish_group(&mut self, io: &mut Io) {
        let (mark, ticket) = self.written.take().expect("a group was written");
        self.durable = mark;
        if !self.config.bugs.contains(PlantedBugs::ACKNOWLEDGED_BEFORE_SYNC) {
            io.finish(ticket);
        }
        if self.config.bugs.contains(PlantedBugs::GROUP_ACKNOWLEDGED_EARLY)
            && let Some(joined) = self.group_ticket
        {
            self.durable = self.last;
            io.finish(joined);
        }
        self.next_group(io);
    }

    /// An append found no space: forgets all transactions that are not durable, and cuts the
    /// file back. Their tickets complete. False if it was no append.
    pub(crate) fn cut_back(&mut self, io: &mut Io) -> bool {
        let request = match self.phase {
            Phase::Appending => {
                let length = self.durable_length;
                let current = self.files.back_mut().expect("a log has a file");
                current.length = length;
                Arc::make_mut(&mut current.index).retain(|(_, offset)| *offset < length);
                DiskRequest::SetLen { file: FileName::log(current.version), len: length }
            }
            Phase::Rotating(0) if self.files.len() > 1 => {
                let begun = self.files.pop_back().expect("there are two");
                let current = self.files.back().expect("there were two");
                // A file is wholly durable before its successor is begun.
                self.durable_length = current.length;
                DiskRequest::Unlink { file: FileName::log(begun.version) }
            }
            _ => return false,
        };
        let durable = self.durable;
        self.last = durable;
        self.group.clear();
        Arc::make_mut(&mut self.tail).retain(|record| record.tx() <= durable.tx);
        self.ends.retain(|end| end.mark.tx <= durable.tx);
        let written = self.written.take().map(|(_, ticket)| ticket);
        for ticket in written.into_iter().chain(self.group_ticket.take()) {
            io.finish(ticket);
        }
        self.phase = Phase::Clearing;
        io.submit(request, Purpose::LogClear);
        true
    }

    /// The append is undone.
    pub(crate) fn cleared(&mut self, io: &mut Io) {
        assert_eq!(self.phase, Phase::Clearing, "what is cut back is cleared once");
        self.next_group(io);
    }

    /// One step of a rotation is done.
    pub(crate) fn rotated(&mut self, io: &mut Io) {
        let Phase::Rotating(step) = self.phase else { panic!("rotations go step by step") };
        self.phase = Phase::Rotating(step + 1);
        match step {
            0 => {
                let file = FileName::log(self.files.back().expect("a log has a file").version);
                io.submit(DiskRequest::Sync { file }, Purpose::LogRotate);
            }
            1 => io.submit(DiskRequest::SyncDir, Purpose::LogRotate),
            _ => self.next_group(io),
        }
    }
}
