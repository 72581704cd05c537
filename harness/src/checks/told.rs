//! For the tests of checks: tells a check what it would hear of operations on one node of a
//! cluster with one master, a millisecond between two facts.

use std::collections::BTreeMap;

use wavetank_vocabulary::{
    Epoch, Fact, InstanceId, LogMark, NodeId, Observation, OperationId, OperationKind,
    OperationOutcome, Span, Status, Subject, Time, TxId,
};

use super::anomalies::{Tally, Watch};

/// A check, and what it has found.
pub(super) struct Told<W> {
    pub(super) check: W,
    pub(super) tally: Tally,
    clock: Time,
    /// The present attempt of whoever was tried again; of others it is the first.
    attempts: BTreeMap<u32, u16>,
}

impl<W: Watch> Told<W> {
    /// The first reign has begun.
    pub(super) fn new(check: W) -> Told<W> {
        let mut told =
            Told { check, tally: Tally::default(), clock: Time::ZERO, attempts: BTreeMap::new() };
        told.epoch();
        told
    }

    fn tell(&mut self, fact: Fact) {
        self.clock += Span::from_millis(1);
        self.check.observe(self.clock, &fact, &mut self.tally);
    }

    /// A new reign begins.
    pub(super) fn epoch(&mut self) {
        let (instance, epoch, log) = (InstanceId(1), Epoch::default(), LogMark::BASE);
        self.tell(Fact::EpochBegan { instance, epoch, log });
    }

    fn id(index: u32) -> OperationId {
        OperationId { index, ..OperationId::default() }
    }

    /// A client asks.
    pub(super) fn call(&mut self, index: u32, kind: OperationKind) {
        self.tell(Fact::Invoked { operation: Self::id(index), kind });
    }

    /// The operation's return step at `place` reports a value.
    pub(super) fn report(&mut self, index: u32, what: Observation, place: u8, value: i64) {
        self.report_of(index, what, place, (7, value));
    }

    /// The same, of another node.
    pub(super) fn report_of(
        &mut self,
        index: u32,
        what: Observation,
        place: u8,
        (node, value): (u64, i64),
    ) {
        self.tell(Fact::Observed {
            operation: Self::id(index),
            attempt: self.attempt(index),
            instance: InstanceId(1),
            what,
            place,
            index: 0,
            node: NodeId(node),
            value: Some(value),
        });
    }

    fn attempt(&self, index: u32) -> u16 {
        self.attempts.get(&index).copied().unwrap_or(1)
    }

    /// A transaction of the operation is committed.
    pub(super) fn committed(&mut self, index: u32, tx: u64) {
        let log = LogMark { tx: TxId(tx), checksum: tx };
        let operation = Some(Self::id(index));
        self.tell(Fact::Committed { instance: InstanceId(1), log, operation });
    }

    /// The client is told of a deadlock and tries again.
    pub(super) fn retried(&mut self, index: u32, may_have_done: bool) {
        let attempt = self.attempt(index) + 1;
        self.attempts.insert(index, attempt);
        let (operation, status) = (Self::id(index), Status::DeadlockDetected);
        self.tell(Fact::Retried { operation, status, attempt, may_have_done });
    }

    /// What the property of node 7 is at the end.
    pub(super) fn finally(&mut self, value: i64) {
        self.tell(Fact::FinalValue { property: 0, node: NodeId(7), value });
    }

    /// The client is answered, or gives up.
    pub(super) fn end(&mut self, index: u32, kind: OperationKind, outcome: OperationOutcome) {
        self.tell(Fact::Completed {
            operation: Self::id(index),
            kind,
            outcome,
            status: Status::Ok,
            attempts: self.attempt(index),
            instance: Some(InstanceId(1)),
            tx: TxId(0),
            subject: Subject::Nothing,
            intended: Time::ZERO,
        });
    }

    /// What was looked at, and what of it was wrong.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.tally.looked, self.tally.found)
    }

    /// The story of the first find.
    pub(super) fn story(&self) -> &str {
        self.tally.first.as_ref().map_or("", |(story, _)| story)
    }
}
