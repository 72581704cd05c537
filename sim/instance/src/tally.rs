//! What Neo4j's metrics say of an instance (HA specification 8): what its store does not count is
//! counted here.

use wavetank_store::FileKind;
use wavetank_vocabulary::{Metric, Span, Time, TxId};

use crate::instance::Instance;
use crate::message::{DataMessage, MasterCall};

/// How often something took its time, and how long.
#[derive(Clone, Copy, Debug, Default)]
struct Timed {
    began: Option<Time>,
    total: Span,
    last: Span,
}

impl Timed {
    /// Looks whether it goes on now.
    fn look(&mut self, goes_on: bool, now: Time) {
        match (self.began, goes_on) {
            (None, true) => self.began = Some(now),
            (Some(began), false) => {
                self.began = None;
                self.last = now.since(began);
                self.total += self.last;
            }
            _ => {}
        }
    }
}

/// Since the process started. Where there are two, the first is of operations that only read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    started: u64,
    peak: u64,
    open: [u64; 2],
    committed: [u64; 2],
    rolled_back: [u64; 2],
    terminated: [u64; 2],
    slave_tx_bytes: u64,
    master_tx_bytes: u64,
    master_store_bytes: u64,
    pulls: u64,
    pulled_up_to: TxId,
    checkpoints: Timed,
    rotations: Timed,
    /// The log file that was written to when the store opened.
    first_log: u32,
}

impl Tally {
    /// The store has opened, and writes to this log file.
    pub(crate) fn opened(&mut self, log: u32) {
        self.first_log = log;
    }

    /// A transaction of a request begins.
    pub(crate) fn begins(&mut self, writes: bool) {
        self.started += 1;
        self.open[usize::from(writes)] += 1;
        self.peak = self.peak.max(self.open[0] + self.open[1]);
    }

    /// It ends well.
    pub(crate) fn commits(&mut self, writes: bool, wrote: bool) {
        self.open[usize::from(writes)] -= 1;
        self.committed[usize::from(wrote)] += 1;
    }

    /// It does not.
    pub(crate) fn rolls_back(&mut self, writes: bool) {
        self.open[usize::from(writes)] -= 1;
        self.rolled_back[usize::from(writes)] += 1;
    }

    /// The instance is about to roll it back of its own accord.
    pub(crate) fn terminates(&mut self, writes: bool) {
        self.terminated[usize::from(writes)] += 1;
    }

    /// That goes out.
    pub(crate) fn sends(&mut self, message: &DataMessage) {
        match message {
            DataMessage::Transactions { .. } => self.master_tx_bytes += message.wire_bytes(),
            DataMessage::StoreChunk { .. } => self.master_store_bytes += message.wire_bytes(),
            DataMessage::Call { call: MasterCall::Commit(_), .. } => {
                self.slave_tx_bytes += message.wire_bytes();
            }
            _ => {}
        }
    }

    /// The master answered a pull.
    pub(crate) fn pulled(&mut self) {
        self.pulls += 1;
    }

    /// What a pull brought is applied up to there.
    pub(crate) fn pulled_up_to(&mut self, tx: TxId) {
        self.pulled_up_to = tx;
    }

    /// Looks what the store is at.
    pub(crate) fn look(&mut self, checkpointing: bool, rotating: bool, now: Time) {
        self.checkpoints.look(checkpointing, now);
        self.rotations.look(rotating, now);
    }
}

impl Instance {
    /// What Neo4j's metrics files say of it and no figure shows; the times in nanoseconds.
    pub fn reported(&self) -> [(Metric, u64); 28] {
        let (tally, store) = (&self.tally, &self.store);
        let in_use = |kind, high: u64| high.saturating_sub(store.free_ids(kind) as u64);
        [
            (Metric::ResidentPages, store.resident_pages() as u64),
            (Metric::PageCacheFrames, self.config.frames as u64),
            (Metric::TransactionsStarted, tally.started),
            (Metric::PeakTransactions, tally.peak),
            (Metric::ActiveReads, tally.open[0]),
            (Metric::ActiveWrites, tally.open[1]),
            (Metric::CommittedReads, tally.committed[0]),
            (Metric::CommittedWrites, tally.committed[1]),
            (Metric::RolledBackReads, tally.rolled_back[0]),
            (Metric::RolledBackWrites, tally.rolled_back[1]),
            (Metric::TerminatedReads, tally.terminated[0]),
            (Metric::TerminatedWrites, tally.terminated[1]),
            (Metric::LastClosedTx, store.applied().0),
            (Metric::NodeIds, in_use(FileKind::Nodes, store.node_ids())),
            (Metric::RelationshipIds, in_use(FileKind::Relationships, store.relationship_ids())),
            (Metric::PropertyIds, in_use(FileKind::Properties, store.property_ids())),
            (Metric::RelationshipTypeIds, store.relationship_types() as u64),
            (Metric::SlaveTxWrites, tally.slave_tx_bytes),
            (Metric::MasterTxWrites, tally.master_tx_bytes),
            (Metric::MasterStoreWrites, tally.master_store_bytes),
            (Metric::Checkpoints, store.checkpoints()),
            (Metric::CheckpointTime, tally.checkpoints.total.as_nanos()),
            (Metric::LastCheckpointTime, tally.checkpoints.last.as_nanos()),
            (Metric::LogRotations, u64::from(store.log_version().saturating_sub(tally.first_log))),
            (Metric::LogRotationTime, tally.rotations.total.as_nanos()),
            (Metric::LastLogRotationTime, tally.rotations.last.as_nanos()),
            (Metric::PullUpdates, tally.pulls),
            (Metric::PulledUpTo, tally.pulled_up_to.0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_is_open_or_ended() {
        let mut tally = Tally::default();
        for writes in [false, true, true, false] {
            tally.begins(writes);
        }
        tally.commits(false, false);
        tally.commits(true, true);
        tally.begins(true);
        tally.terminates(true);
        tally.rolls_back(true);
        let ended: u64 = tally.committed.iter().chain(&tally.rolled_back).sum();
        assert_eq!((tally.started, ended, tally.open), (5, 3, [1, 1]));
        assert_eq!((tally.peak, tally.terminated), (4, [0, 1]));
    }

    #[test]
    fn times_add_up() {
        let mut timed = Timed::default();
        let at = |ms| Time::ZERO + Span::from_millis(ms);
        for (goes_on, ms) in [(false, 1), (true, 5), (true, 6), (false, 9), (true, 20), (false, 22)]
        {
            timed.look(goes_on, at(ms));
        }
        assert_eq!((timed.total, timed.last), (Span::from_millis(6), Span::from_millis(2)));
    }
}
