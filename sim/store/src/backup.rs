//! Backup: a full or incremental copy of a running store into another one, and back.
//!
//! The target is a store of its own, on its own disk. If it is empty it gets a full backup:
//! a store copy and the transactions behind it; else an incremental one: the transactions
//! that it lacks. Either way it ends at a transaction boundary, with a checkpoint, and can be
//! opened like any store: to be checked, to be restored from (a backup of the backup), or as
//! a replica that then pulls what it lacks.
//!
//! Nothing damaged is taken: pages and log entries are verified where they are read. A full
//! backup that fails leaves no store behind, an incremental one the backup as it was.

use alloc::vec::Vec;
use core::fmt;
use wavetank_vocabulary::{LogMark, TxId};

use crate::copy::{CopyCursor, CopyStep};
use crate::error::StoreError;
use crate::io::Ticket;
use crate::replication::{LogRead, MarkOf};
use crate::store::{Ledger, Step, Store, StoreState};

/// Pages and transactions that one step takes on.
const PAGES_AT_ONCE: usize = 64;
const RECORDS_AT_ONCE: usize = 256;

/// Why a backup is refused or fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The target holds a backup of another store.
    #[error(
        "the target holds a backup of a logically different store ({found:016x}, not {expected:016x})"
    )]
    DifferentStore {
        /// The identity of the store that is backed up.
        expected: u64,
        /// The identity of what is in the target.
        found: u64,
    },
    /// The logs behind the last backup have been pruned.
    #[error("the logs since transaction {} are gone (keep_logical_logs): take a full backup into an empty target", .0.0)]
    LogsGone(TxId),
    /// The backup's history is not a part of the store's: one of the two has branched.
    #[error("the backup ends with transaction {}, which is not in the store's history: take a full backup into an empty target", .0.0)]
    Branched(TxId),
    /// The store cannot be read.
    #[error("the store: {0}")]
    Source(StoreError),
    /// The target cannot be written.
    #[error("the backup: {0}")]
    Target(StoreError),
}

/// What a backup came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Everything was copied, not only what was new.
    pub full: bool,
    /// Pages copied.
    pub pages: u64,
    /// Transactions taken from the log.
    pub transactions: u64,
    /// The last transaction in the backup.
    pub mark: LogMark,
}

impl fmt::Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.full { "full" } else { "incremental" };
        let BackupReport { pages, transactions, mark, .. } = self;
        write!(f, "{kind} backup up to transaction {}: ", mark.tx.0)?;
        write!(f, "{pages} pages, {transactions} transactions")
    }
}

/// What the next piece of a backup came to.
#[derive(Clone, Debug, PartialEq)]
pub enum BackupStep {
    /// Call again once operations of either store are done.
    Wait,
    /// It is complete.
    Done(BackupReport),
    /// It was refused or failed.
    Failed(BackupError),
}

#[derive(Clone, Debug)]
enum Phase {
    /// Comparing the histories.
    Compare,
    Pages(CopyCursor),
    /// Pages are copied; transactions up to this one follow.
    Log {
        goal: Option<TxId>,
    },
    /// The last checkpoint of the target.
    Closing(Ticket),
}

/// A backup under way.
#[derive(Clone, Debug)]
pub struct Backup {
    phase: Phase,
    cursor: Option<CopyCursor>,
    from: Option<LogMark>,
    report: BackupReport,
}

/// Why a piece of work stops.
enum Stop {
    Wait,
    Failed(BackupError),
}

fn source(error: StoreError) -> Stop {
    Stop::Failed(BackupError::Source(error))
}

fn target(error: StoreError) -> Stop {
    match error {
        // It is still at work on what it was given before.
        StoreError::NotReady => Stop::Wait,
        error => Stop::Failed(BackupError::Target(error)),
    }
}

impl Backup {
    /// Begins a backup of `source` into `target`, which has been opened: full if it is
    /// empty, else incremental.
    ///
    /// # Errors
    /// [`BackupError::DifferentStore`]; a store that has failed or is still opening.
    pub fn begin(source: &mut Store, target: &mut Store) -> Result<Backup, BackupError> {
        source.check_ready().map_err(BackupError::Source)?;
        let full = match target.state() {
            StoreState::Empty => true,
            StoreState::Ready => false,
            StoreState::Failed(error) => return Err(BackupError::Target(error.clone())),
            StoreState::Opening => return Err(BackupError::Target(StoreError::NotReady)),
        };
        let report = BackupReport { full, pages: 0, transactions: 0, mark: target.mark() };
        if !full {
            let (expected, found) = (source.store_id(), target.store_id());
            if expected != found {
                return Err(BackupError::DifferentStore { expected, found });
            }
            return Ok(Backup { phase: Phase::Compare, cursor: None, from: None, report });
        }
        target.begin_receive_copy();
        let cursor = source.begin_copy();
        let phase = Phase::Pages(cursor.clone());
        Ok(Backup { phase, cursor: Some(cursor), from: None, report })
    }

    /// Does the next piece. Both stores' disks must be served between the calls, and the
    /// source may go on committing.
    pub fn step(
        &mut self,
        source: &mut Store,
        target: &mut Store,
        ledger: &mut Ledger,
    ) -> BackupStep {
        let result = self.advance(source, target, ledger);
        if !matches!(result, Err(Stop::Wait))
            && let Some(cursor) = self.cursor.take()
        {
            source.end_copy(&cursor);
        }
        match result {
            Ok(()) => BackupStep::Done(self.report),
            Err(Stop::Wait) => BackupStep::Wait,
            Err(Stop::Failed(error)) => BackupStep::Failed(error),
        }
    }

    /// Ends it where it is: the source keeps nothing for it any more.
    #[cfg(feature = "std")]
    pub(crate) fn give_up(self, source: &mut Store) {
        if let Some(cursor) = &self.cursor {
            source.end_copy(cursor);
        }
    }

    fn advance(
        &mut self,
        from: &mut Store,
        to: &mut Store,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        if let StoreState::Failed(error) = to.state() {
            return Err(target(error.clone()));
        }
        loop {
            match &mut self.phase {
                Phase::Compare => {
                    compare(from, to)?;
                    self.phase = Phase::Log { goal: Some(from.mark().tx) };
                }
                Phase::Pages(cursor) => match from.copy_pages(cursor, PAGES_AT_ONCE, ledger) {
                    CopyStep::Pages(pages) => {
                        self.report.pages += pages.len() as u64;
                        to.receive_pages(pages).map_err(target)?;
                        // One batch at a time, so that the target's disk keeps up.
                        return Err(Stop::Wait);
                    }
                    CopyStep::Wait(_) => return Err(Stop::Wait),
                    CopyStep::Failed(error) => return Err(source(error)),
                    CopyStep::Done { from: mark } => {
                        self.from = Some(mark);
                        self.phase = Phase::Log { goal: None };
                    }
                },
                Phase::Log { goal: goal @ None } => {
                    let mark = self.from.expect("the pages are copied");
                    to.finish_receive_copy(mark).map_err(target)?;
                    // What the copied pages may hold already.
                    *goal = Some(from.applied().max(mark.tx));
                }
                Phase::Log { goal: Some(goal) } => {
                    let goal = *goal;
                    while to.received_left() > 0 {
                        match to.apply_received(ledger) {
                            Step::Done(_) => self.report.transactions += 1,
                            Step::Wait(_) => return Err(Stop::Wait),
                            Step::Failed(error) => return Err(target(error)),
                        }
                    }
                    if to.last_committed().tx >= goal {
                        let ticket = match self.report.full {
                            true => to.complete_copy().map_err(target)?,
                            false => to.checkpoint_ticket(),
                        };
                        self.phase = Phase::Closing(ticket);
                        continue;
                    }
                    take_log(from, to, goal)?;
                }
                Phase::Closing(ticket) => {
                    if to.checkpoint_pending(*ticket) {
                        return Err(Stop::Wait);
                    }
                    self.report.mark = to.mark();
                    return Ok(());
                }
            }
        }
    }
}

/// Whether the target's history is a part of the source's.
fn compare(from: &mut Store, to: &mut Store) -> Result<(), Stop> {
    let mark = to.mark();
    match from.mark_of(mark.tx) {
        MarkOf::Known(known) if known == mark => Ok(()),
        MarkOf::Known(_) | MarkOf::Missing => Err(Stop::Failed(BackupError::Branched(mark.tx))),
        // The base of all stores is in every history.
        MarkOf::TooOld if mark == LogMark::BASE => Ok(()),
        MarkOf::TooOld => Err(Stop::Failed(BackupError::LogsGone(mark.tx))),
        MarkOf::Wait(_) => Err(Stop::Wait),
        MarkOf::Failed(error) => Err(source(error)),
    }
}

/// Hands the next transactions over, none behind `goal`.
fn take_log(from: &mut Store, to: &mut Store, goal: TxId) -> Result<(), Stop> {
    let last = to.last_committed().tx;
    let most = RECORDS_AT_ONCE.min((goal.0 - last.0) as usize);
    match from.read_log(last, most) {
        // The goal was durable when it was set.
        LogRead::Records(records) if records.is_empty() => Err(Stop::Wait),
        LogRead::Records(records) => {
            let records: Vec<_> = records;
            to.receive(&records).map(|_| ()).map_err(target)
        }
        LogRead::TooOld => Err(Stop::Failed(BackupError::LogsGone(last))),
        LogRead::Wait(_) => Err(Stop::Wait),
        LogRead::Failed(error) => Err(source(error)),
    }
}
