//! Replication: reading the log for slaves, receiving and applying transactions as one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{LogMark, PlantedBugs, TxId};

use crate::disk::{DiskError, DiskReply, DiskRequest, FileKind, FileName};
use crate::error::StoreError;
use crate::io::{Pinner, Purpose, Ticket};
use crate::journal::Journal;
use crate::lifecycle::Mode;
use crate::log::{Framed, TxRecord, read_frame};
use crate::record::{FARTHEST, RecordKey, records_per_page};
use crate::store::{Ledger, Step, Stop, Store, StoreState};
use crate::tree::IndexKey;
use crate::value::Value;

/// Bytes of an old log file that are read at once.
const STRETCH: u32 = 128 << 10;
/// Bytes of transactions that are read at once: more only if the first one alone has more.
const READ_BYTES: usize = 8 << 20;
/// How many stretches are remembered: as many slaves can lag far behind at a time.
const STRETCHES: usize = 4;

/// What reading the log came to.
#[derive(Clone, Debug, PartialEq)]
pub enum LogRead {
    /// Durable transactions in order, the first right after the one asked for; empty if
    /// there are none yet. There may be more even if fewer than asked came.
    Records(Vec<Arc<TxRecord>>),
    /// That far back the log has been pruned.
    TooOld,
    /// Ask again when the ticket completes.
    Wait(Ticket),
    /// The log cannot be read.
    Failed(StoreError),
}

/// What asking for a transaction's mark came to.
#[derive(Clone, Debug, PartialEq)]
pub enum MarkOf {
    /// Here it is.
    Known(LogMark),
    /// The transaction lies beyond the durable end of the log.
    Missing,
    /// That far back the log has been pruned.
    TooOld,
    /// Ask again when the ticket completes.
    Wait(Ticket),
    /// The log cannot be read.
    Failed(StoreError),
}

/// Old log files being read, one stretch at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogReader {
    /// The least recently used first.
    stretches: Vec<Vec<Arc<TxRecord>>>,
    reading: Option<Reading>,
    failed: Option<StoreError>,
}

#[derive(Clone, Debug)]
struct Reading {
    ticket: Ticket,
    version: u32,
    offset: u64,
    wanted: TxId,
}

/// The first of some transactions: so many at the most, and as many as [`READ_BYTES`] hold, or one.
fn first_of<'a>(
    records: impl Iterator<Item = &'a Arc<TxRecord>>,
    max: usize,
) -> Vec<Arc<TxRecord>> {
    let mut left = READ_BYTES;
    let mut first = Vec::new();
    for record in records.take(max) {
        let size = record.content().len();
        if size > left && !first.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        first.push(record.clone());
    }
    first
}

impl Store {
    /// Reads up to `max` transactions that follow `from`, and no more than 8 MiB of them
    /// unless the first is larger: from memory, else from the files.
    pub fn read_log(&mut self, from: TxId, max: usize) -> LogRead {
        let Some(journal) = &self.journal else { return LogRead::Records(Vec::new()) };
        let durable = journal.durable().tx;
        if from >= durable || max == 0 {
            return LogRead::Records(Vec::new());
        }
        let wanted = from.next();
        let tail = journal.tail();
        if let Some(first) = tail.front().filter(|first| first.tx() <= wanted) {
            let skipped = (wanted.0 - first.tx().0) as usize;
            let known = tail.iter().skip(skipped).take_while(|record| record.tx() <= durable);
            return LogRead::Records(first_of(known, max));
        }
        if let Some(error) = self.reader.failed.take() {
            return LogRead::Failed(error);
        }
        let has = |stretch: &Vec<Arc<TxRecord>>| {
            stretch.first().is_some_and(|record| record.tx() <= wanted)
                && stretch.last().is_some_and(|record| record.tx() >= wanted)
        };
        if let Some(place) = self.reader.stretches.iter().position(has) {
            let stretch = self.reader.stretches.remove(place);
            let skipped = (wanted.0 - stretch[0].tx().0) as usize;
            let records = first_of(stretch.iter().skip(skipped), max);
            self.reader.stretches.push(stretch);
            return LogRead::Records(records);
        }
        if let Some(reading) = &self.reader.reading {
            return LogRead::Wait(reading.ticket);
        }
        let Some(file) = journal.files().iter().rev().find(|file| file.base.tx <= from) else {
            return LogRead::TooOld;
        };
        let (_, offset) = file.nearest(wanted);
        let ticket = self.io.ticket();
        self.reader.reading = Some(Reading { ticket, version: file.version, offset, wanted });
        self.read_stretch(u64::from(STRETCH));
        LogRead::Wait(ticket)
    }

    fn read_stretch(&mut self, bytes: u64) {
        let Some(Reading { version, offset, .. }) = self.reader.reading else { return };
        let files = self.journal.iter().flat_map(|journal| journal.files());
        let length = files.filter(|file| file.version == version).map(|file| file.length).next();
        let len = length.unwrap_or(offset).saturating_sub(offset).min(bytes) as u32;
        let file = FileName::log(version);
        self.io.submit(DiskRequest::ReadAt { file, offset, len }, Purpose::LogRead);
    }

    /// A stretch of an old log file came.
    pub(crate) fn log_was_read(&mut self, file: FileName, result: Result<DiskReply, DiskError>) {
        let Some(mut reading) = self.reader.reading.take() else { return };
        let damaged = StoreError::DamagedLog { file, offset: reading.offset };
        let bytes = match result {
            Ok(DiskReply::Bytes(bytes)) if !bytes.is_empty() => bytes,
            Ok(_) => return self.end_reading(&reading, Some(damaged)),
            // Pruned meanwhile: whoever asks again learns that it is too old.
            Err(DiskError::NotFound) => return self.end_reading(&reading, None),
            Err(error) => {
                let error = StoreError::Disk { operation: "read", file, error };
                return self.end_reading(&reading, Some(error));
            }
        };
        let mut files = self.journal.iter_mut().flat_map(|journal| journal.files_mut());
        let Some(log) = files.find(|log| log.version == file.version) else {
            return self.end_reading(&reading, None);
        };
        let mut stretch = Vec::new();
        let mut at = 0;
        let again = loop {
            let offset = reading.offset + at as u64;
            match read_frame(&bytes[at..], log.length.saturating_sub(offset)) {
                Framed::Entry { content, length, .. } => {
                    let Ok(record) = TxRecord::from_content(content) else {
                        return self.end_reading(&reading, Some(damaged));
                    };
                    log.note(record.tx(), offset);
                    stretch.push(Arc::new(record));
                    at += length;
                }
                Framed::More(need) => break need as u64,
                Framed::Invalid if offset < log.length => {
                    return self.end_reading(&reading, Some(damaged));
                }
                Framed::Invalid => break 0,
            }
        };
        let reached = stretch.last().is_some_and(|record| record.tx() >= reading.wanted);
        if reached || again == 0 {
            if stretch.is_empty() || !reached {
                return self.end_reading(&reading, Some(damaged));
            }
            if self.reader.stretches.len() == STRETCHES {
                self.reader.stretches.remove(0);
            }
            self.reader.stretches.push(stretch);
            return self.end_reading(&reading, None);
        }
        reading.offset += at as u64;
        self.reader.reading = Some(reading);
        self.read_stretch(again.max(u64::from(STRETCH)));
    }

    fn end_reading(&mut self, reading: &Reading, error: Option<StoreError>) {
        self.reader.failed = error;
        self.io.finish(reading.ticket);
    }

    /// Whether the log that is on disk ends with this mark.
    #[inline]
    pub fn ends_at(&self, mark: LogMark) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.durable() == mark)
    }

    /// The mark of a durable transaction: what two histories are compared by.
    pub fn mark_of(&mut self, tx: TxId) -> MarkOf {
        let Some(journal) = &self.journal else { return MarkOf::Missing };
        if tx == journal.durable().tx {
            return MarkOf::Known(journal.durable());
        }
        if tx > journal.durable().tx {
            return MarkOf::Missing;
        }
        if let Some(file) = journal.files().iter().find(|file| file.base.tx == tx) {
            return MarkOf::Known(file.base);
        }
        if tx <= TxId::BASE {
            return MarkOf::TooOld;
        }
        match self.read_log(TxId(tx.0 - 1), 1) {
            LogRead::Records(records) => match records.first() {
                Some(record) => MarkOf::Known(record.mark()),
                None => MarkOf::Missing,
            },
            LogRead::TooOld => MarkOf::TooOld,
            LogRead::Wait(ticket) => MarkOf::Wait(ticket),
            LogRead::Failed(error) => MarkOf::Failed(error),
        }
    }

    /// The journal, if the store may receive transactions: when it is ready, and while a
    /// copy is being completed.
    fn receiving_journal(&mut self) -> Result<&mut Journal, StoreError> {
        let copied = matches!(self.mode, Mode::Copied { completing: false });
        match &self.state {
            StoreState::Failed(error) => Err(error.clone()),
            StoreState::Empty if !copied => Err(StoreError::NotReady),
            StoreState::Opening => Err(StoreError::NotReady),
            _ => self.journal.as_mut().ok_or(StoreError::NotReady),
        }
    }

    /// Logs transactions of another instance. Each must follow the one before, and the first
    /// the last one here; otherwise nothing is taken. The ticket completes when all are
    /// durable.
    ///
    /// # Errors
    /// [`StoreError::OutOfSequence`], [`StoreError::ForeignHistory`] if the histories have
    /// parted, [`StoreError::NotReady`].
    pub fn receive(&mut self, records: &[Arc<TxRecord>]) -> Result<Ticket, StoreError> {
        let trusts = self.config.bugs.contains(PlantedBugs::BRANCH_RECEIVED);
        let journal = self.receiving_journal()?;
        let mut last = journal.last();
        for record in records {
            if record.tx() != last.tx.next() {
                return Err(StoreError::OutOfSequence { last: last.tx, found: record.tx() });
            }
            if record.before() != last.checksum && !trusts {
                return Err(StoreError::ForeignHistory(record.tx()));
            }
            last = record.mark();
        }
        let mut reach = self.received_reach;
        for record in records {
            if !self.within_reach(&mut reach, record.images().map(|(key, _)| key)) {
                return Err(StoreError::DamagedInput("a record far behind the end of its file"));
            }
        }
        self.received_reach = reach;
        // Where nobody begins a transaction, nothing else would ever let ids go.
        if self.free.any_rests() {
            self.settle_ids();
        }
        let mut ticket = None;
        for record in records {
            let journal = self.journal.as_mut().expect("checked above");
            ticket = Some(journal.commit(record.clone(), &mut self.io));
            self.received.push_back(record.clone());
        }
        Ok(ticket.unwrap_or_else(|| {
            let ticket = self.io.ticket();
            self.io.finish(ticket);
            ticket
        }))
    }

    /// The first id behind the pages of a file.
    pub(crate) fn end_of(&self, kind: FileKind) -> u64 {
        u64::from(self.counts.logical[kind as usize]) * records_per_page(kind)
    }

    /// Whether no record lies further than [`FARTHEST`] behind its file's pages and those
    /// before it; `reach` says how far earlier transactions go that are not applied.
    pub(crate) fn within_reach(
        &self,
        reach: &mut [u64; FileKind::TABLE],
        keys: impl Iterator<Item = RecordKey>,
    ) -> bool {
        keys.filter(|key| key.kind() != FileKind::Index).all(|key| {
            let reach = &mut reach[key.kind() as usize];
            let end = (*reach).max(self.end_of(key.kind()));
            *reach = end.max(key.id() + 1);
            key.id() <= end + FARTHEST
        })
    }

    /// How many received transactions are not applied.
    pub fn received_left(&self) -> usize {
        self.received.len()
    }

    /// Applies the next received transaction: `Value::Bool`, false if there was none. Waits
    /// for its sync and for pages.
    pub fn apply_received(&mut self, ledger: &mut Ledger) -> Step {
        if let Err(error) = self.receiving_journal() {
            return Step::Failed(error);
        }
        let backwards = self.config.bugs.contains(PlantedBugs::APPLIED_BACKWARDS);
        let next = if backwards { self.received.back() } else { self.received.front() };
        let Some(record) = next.cloned() else {
            return Step::Done(Value::Bool(false));
        };
        let journal = self.journal.as_ref().expect("checked above");
        if let Some(ticket) = journal.ticket_of(record.tx()) {
            return Step::Wait(ticket);
        }
        let before = *ledger;
        let skip = self.config.bugs.contains(PlantedBugs::APPLY_SKIPS_PROPERTY);
        match self.apply_images(&record, skip, ledger) {
            Ok(()) => {}
            Err(Stop::Wait(ticket)) => {
                *ledger = Ledger { faults: ledger.faults, ..before };
                self.account(&before, ledger);
                return Step::Wait(ticket);
            }
            Err(Stop::Failed(error)) => {
                self.fail(error.clone());
                return Step::Failed(error);
            }
        }
        self.account(&before, ledger);
        for (key, image) in record.images() {
            self.learn_token(key, image);
        }
        if backwards {
            self.received.pop_back();
        } else {
            self.received.pop_front();
        }
        self.note_applied(record.tx());
        Step::Done(Value::Bool(true))
    }

    /// Puts all after-images of a logged transaction into their pages at once.
    pub(crate) fn apply_images(
        &mut self,
        record: &TxRecord,
        skip_properties: bool,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let kept =
            |kind| kind != FileKind::Index && !(skip_properties && kind == FileKind::Properties);
        let entries = || {
            let images = record.images().filter(|(key, _)| key.kind() == FileKind::Index);
            images.map(|(_, image)| IndexKey::from_image(image))
        };
        let images = || record.images().filter(|(key, _)| kept(key.kind()));
        let records = images().map(|(key, _)| (key.kind(), key.id()));
        self.hold_pages(Pinner::RECEIVER, records, ledger)?;
        self.hold_tree(Pinner::RECEIVER, entries().map(|(key, _)| key), ledger)?;
        for (key, present) in entries() {
            self.write_entry(key, present, record.tx().0);
        }
        // Nobody holds an id from before the store was opened.
        let opening = self.state == StoreState::Opening;
        self.clock_ms = self.clock_ms.max(record.time_ms());
        for (key, image) in images() {
            self.write_image(key.kind(), key.id(), image, record.tx().0);
            self.note_use(key, image, opening);
        }
        ledger.records += record.record_count();
        self.unpin(Pinner::RECEIVER);
        Ok(())
    }
}
