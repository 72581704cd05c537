//! The narrow waist: what happened, as one flat enum.
//!
//! Checks, charts, metrics and traces read facts and nothing else. A fact is small,
//! `Copy`, and holds identifiers instead of names. Every fact has a class; one that
//! nobody subscribed to is not constructed, and subscribing never changes a run.

use crate::classes::Classes;
use crate::coverage::ProtocolStates;
use crate::fault::FaultKind;
use crate::ids::{Epoch, FaultId, InstanceId, LogMark, NodeId, OperationId, OperationKind, TxId};
use crate::locked::Locked;
use crate::metric::Metric;
use crate::observed::{Observation, OperationOutcome, SecondWrite, Subject};
use crate::role::{Monitored, Role};
use crate::server_time::{Micros, ServerTime};
use crate::status::Status;
use crate::units::{Span, Time};
use crate::user_log::LogLine;

/// The place of a fact in the order of all facts of a run.
pub type Seq = u64;

/// Something that happened. The observer is told when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A member's role changed; `log` is where its log stood.
    RoleChanged {
        /// Whose.
        instance: InstanceId,
        /// What it was.
        from: Role,
        /// What it is.
        to: Role,
        /// The end of its log at that moment.
        log: LogMark,
    },
    /// `by` began to suspect `whom`.
    Suspected {
        /// Who suspects.
        by: InstanceId,
        /// Who is suspected.
        whom: InstanceId,
    },
    /// `by` took its suspicion of `whom` back.
    Cleared {
        /// Who suspected.
        by: InstanceId,
        /// Who was suspected.
        whom: InstanceId,
    },
    /// For `by`, a quorum suspects `whom`: it counts as failed.
    MemberFailed {
        /// In whose eyes.
        by: InstanceId,
        /// Who failed.
        whom: InstanceId,
    },
    /// For `by`, `whom` is alive again.
    MemberAlive {
        /// In whose eyes.
        by: InstanceId,
        /// Who is alive.
        whom: InstanceId,
    },
    /// A start ended because the cluster did not let the instance in, and never will.
    JoinFailed {
        /// Whose start.
        instance: InstanceId,
        /// `ClusterEntryDenied`: its server id is alive at another address. Else two that
        /// start have the same server id.
        denied: bool,
    },
    /// An instance left the cluster of its own accord: it is no member any more.
    Left {
        /// Who.
        instance: InstanceId,
    },
    /// A member that knows the value of a Paxos instance was told of another one: two were
    /// chosen.
    ValuesDiffer {
        /// Who was told.
        instance: InstanceId,
        /// The number of the Paxos instance.
        paxos: u32,
    },
    /// An election for coordinator began.
    ElectionBegan {
        /// Who counts the votes.
        elector: InstanceId,
        /// The elector's version of the result to come.
        version: u64,
    },
    /// An election ended.
    ElectionEnded {
        /// Who counted the votes.
        elector: InstanceId,
        /// The version of the result.
        version: u64,
        /// Who won, if anyone could.
        winner: Option<InstanceId>,
    },
    /// A master began its reign; `log` is the history that it starts from.
    EpochBegan {
        /// The master.
        instance: InstanceId,
        /// Its epoch.
        epoch: Epoch,
        /// The end of its log.
        log: LogMark,
    },
    /// A transaction was appended to the master's log. Until it is forced, a crash may or
    /// may not keep it.
    Logged {
        /// The master.
        instance: InstanceId,
        /// The transaction and the checksum of the chain that ends with it.
        log: LogMark,
        /// Checksum of the chain before it.
        before: u64,
        /// The client operation, if one asked for it.
        operation: Option<OperationId>,
    },
    /// A transaction is in the master's log and forced to disk.
    Committed {
        /// The master.
        instance: InstanceId,
        /// The transaction and the checksum of the chain that ends with it.
        log: LogMark,
        /// The client operation, if one asked for it.
        operation: Option<OperationId>,
    },
    /// A slave appended and applied a batch of transactions.
    Applied {
        /// The slave.
        instance: InstanceId,
        /// The end of its log afterwards.
        log: LogMark,
        /// How many.
        transactions: u32,
    },
    /// A push of a committed transaction was answered, or given up.
    Pushed {
        /// The master.
        instance: InstanceId,
        /// The slave.
        to: InstanceId,
        /// The transaction.
        tx: TxId,
        /// Whether the slave has it now.
        ok: bool,
    },
    /// A slave's lock session was idle for too long: the master released its locks.
    LockSessionReaped {
        /// The master.
        instance: InstanceId,
        /// Whose session.
        slave: InstanceId,
    },
    /// A log was found to differ from the master's.
    Branched {
        /// Whose log.
        instance: InstanceId,
        /// The master that it was compared with.
        master: InstanceId,
        /// The end of the log that differs.
        log: LogMark,
    },
    /// A branch was set aside: these transactions are no longer in this instance's log.
    BranchDiscarded {
        /// Whose.
        instance: InstanceId,
        /// The end of the log that was set aside.
        log: LogMark,
    },
    /// A copy of the master's store began, or ended.
    StoreCopy {
        /// The receiver.
        instance: InstanceId,
        /// The source.
        master: InstanceId,
        /// Pages received so far.
        pages: u64,
        /// Whether the copy is complete.
        done: bool,
    },
    /// A store opened.
    Recovered {
        /// Whose.
        instance: InstanceId,
        /// The end of its log.
        log: LogMark,
        /// Transactions replayed.
        replayed: u64,
        /// Bytes of a torn log tail cut off.
        cut: u64,
    },
    /// A checkpoint was taken.
    Checkpoint {
        /// Whose.
        instance: InstanceId,
        /// Transactions up to this one need no replay.
        tx: TxId,
        /// Pages written for it.
        pages: u64,
    },
    /// A store stopped itself after a failed sync or append, or refused to open.
    StoreFailed {
        /// Whose.
        instance: InstanceId,
    },
    /// A client operation was due.
    Invoked {
        /// Which.
        operation: OperationId,
        /// Its kind.
        kind: OperationKind,
    },
    /// A client operation is to be tried again.
    Retried {
        /// Which.
        operation: OperationId,
        /// Why the last attempt failed.
        status: Status,
        /// Which attempt comes now, from 2.
        attempt: u16,
        /// Whether the last one may have changed something, now or later: its outcome is unknown,
        /// or an earlier transaction of it was committed.
        may_have_done: bool,
    },
    /// A client operation ended.
    Completed {
        /// Which.
        operation: OperationId,
        /// Its kind.
        kind: OperationKind,
        /// How it ended.
        outcome: OperationOutcome,
        /// The last answer.
        status: Status,
        /// Attempts made.
        attempts: u16,
        /// Who answered last, if anyone did.
        instance: Option<InstanceId>,
        /// The transaction that was acknowledged ([`TxId`] 0: none).
        tx: TxId,
        /// What can be looked for afterwards.
        subject: Subject,
        /// When the operation was due: latency counts from here.
        intended: Time,
    },
    /// An instance answers a request: the view from inside, which knows nothing of the way,
    /// nor whether anybody still waits for the answer.
    Served {
        /// Which operation asked.
        operation: OperationId,
        /// Its kind.
        kind: OperationKind,
        /// In which attempt, from 1.
        attempt: u16,
        /// Who answers.
        instance: InstanceId,
        /// How the request ended.
        status: Status,
        /// Where its time went.
        time: ServerTime,
    },
    /// Where the time of an operation went that just ended: told right after
    /// [`Fact::Completed`]. The parts add up to its latency, but for roundings.
    Spent {
        /// Which.
        operation: OperationId,
        /// Attempts before the last one, with the waits after them.
        earlier: Micros,
        /// In the last attempt, at the instance; its view, and the wait at its door while
        /// its machine stood still.
        server: ServerTime,
        /// The rest of the last attempt.
        outside: Micros,
        /// Whether the rest was the way there and back, the balancer included; else it was
        /// waiting for an answer that did not come.
        answered: bool,
    },
    /// A client operation ended well: what its user wrote, and how much of what was written
    /// before it could see. Told right after its `Completed` and `Spent`.
    Session {
        /// Which.
        operation: OperationId,
        /// For whom.
        user: NodeId,
        /// The last transaction of the store that answered, when the operation's began there.
        seen: TxId,
        /// The transaction that was acknowledged ([`TxId`] 0: it only read).
        wrote: TxId,
        /// Who answered.
        instance: InstanceId,
        /// When the operation was due.
        intended: Time,
    },
    /// What an operation read or wrote, where its program says `return`: told at the moment
    /// itself, by the instance. It counts if the operation's [`Fact::Completed`] is `Ok` and
    /// names the same attempt as its last.
    Observed {
        /// Which operation.
        operation: OperationId,
        /// In which attempt, from 1.
        attempt: u16,
        /// Where.
        instance: InstanceId,
        /// Read, written, or a part of a list.
        what: Observation,
        /// Which of the program's return steps, from 0.
        place: u8,
        /// Of a list: which element, from 0, or how many there were. Of a value: a bit for each
        /// variable of the program that is a relationship which a MERGE before it found in place,
        /// and so did not create.
        index: u32,
        /// The node that it is about.
        node: NodeId,
        /// The value: a number, or one that stands for a text; none where there is none.
        value: Option<i64>,
    },
    /// A transaction's wait for a lock is over.
    LockWaited {
        /// Where.
        instance: InstanceId,
        /// For what.
        lock: Locked,
        /// For which operation, if one asked for the transaction.
        operation: Option<OperationId>,
        /// Its kind.
        kind: Option<OperationKind>,
        /// The kind of the operation that held the lock, or stood last in its queue, when the
        /// wait began.
        behind: Option<OperationKind>,
        /// How long it took.
        waited: Span,
        /// Whether the lock was got: else the wait was given up.
        granted: bool,
    },
    /// A transaction would have closed a cycle of waits: it is the victim, and fails.
    Deadlock {
        /// Where.
        instance: InstanceId,
        /// The lock that closed the cycle.
        lock: Locked,
        /// The victim, if a client's operation asked for the transaction.
        operation: Option<OperationId>,
        /// Its kind.
        kind: Option<OperationKind>,
        /// The kind of the operation that held the lock, or stood last in its queue.
        behind: Option<OperationKind>,
    },
    /// A transaction has released a lock.
    LockReleased {
        /// Where.
        instance: InstanceId,
        /// What.
        lock: Locked,
        /// The kind of the operation that held it.
        kind: Option<OperationKind>,
        /// For how long it was held.
        held: Span,
    },
    /// The second store beside the graph was written.
    SecondStore {
        /// By which operation.
        operation: OperationId,
        /// In which attempt, from 1.
        attempt: u16,
        /// Which store: its place among the Plan's.
        store: u8,
        /// Written or taken back.
        what: SecondWrite,
        /// Under which node.
        node: NodeId,
        /// What stands there now.
        value: Option<i64>,
    },
    /// A fault took effect on an instance (and, for a link, on its peer).
    FaultBegan {
        /// Which.
        fault: FaultId,
        /// Its kind.
        kind: FaultKind,
        /// Who is hit.
        on: InstanceId,
        /// The other end of a link.
        peer: Option<InstanceId>,
    },
    /// What an instance was in the middle of when a fault struck it.
    StruckIn {
        /// Which.
        fault: FaultId,
        /// Its kind.
        kind: FaultKind,
        /// Who is hit.
        on: InstanceId,
        /// In the middle of what.
        states: ProtocolStates,
    },
    /// A fault was healed.
    FaultEnded {
        /// Which.
        fault: FaultId,
        /// Its kind.
        kind: FaultKind,
        /// Who was hit.
        on: InstanceId,
        /// The other end of a link.
        peer: Option<InstanceId>,
    },
    /// A fault found nobody to hit (no master at that moment, already down).
    FaultSkipped {
        /// Which.
        fault: FaultId,
        /// Its kind.
        kind: FaultKind,
    },
    /// A sampled quantity.
    Sample {
        /// Whose.
        instance: InstanceId,
        /// What.
        metric: Metric,
        /// How much, in the metric's unit.
        value: u64,
    },
    /// The operators' monitoring asked an instance for its management bean.
    Monitored {
        /// Which.
        instance: InstanceId,
        /// What it answered; none when it gave no answer.
        bean: Option<Monitored>,
    },
    /// An instance wrote a line to its user log.
    Told {
        /// Which instance.
        instance: InstanceId,
        /// What the line says.
        line: LogLine,
    },
    /// The clients stopped and every fault was healed: from here the cluster must recover.
    Healed,
    /// The cluster has recovered: one master, all others its slaves, all with the same log,
    /// nothing under way.
    Converged,
    /// At the end: where an instance stands.
    Final {
        /// Whose.
        instance: InstanceId,
        /// Its role.
        role: Role,
        /// The end of its log.
        log: LogMark,
        /// Digest of the logical contents of its store, halves of 128 bits; none when the
        /// store could not be read.
        contents: Option<[u64; 2]>,
        /// Transactions still open.
        open_transactions: u32,
    },
    /// At the end: the consistency check of the final master's store found something.
    Inconsistent {
        /// Whose store.
        instance: InstanceId,
        /// How many records contradict others.
        records: u32,
    },
    /// At the end: the mark of a client operation was found in the final master's store.
    Found {
        /// The operation.
        operation: OperationId,
        /// Where.
        subject: Subject,
    },
    /// At the end: a number on a node of the final master's store, of a property that some
    /// expectation asks for. Told by property, then by node.
    FinalValue {
        /// The property: its place among those that the Plan audits.
        property: u8,
        /// The node.
        node: NodeId,
        /// The number.
        value: i64,
    },
    /// At the end: a relationship in the final master's store, of a type that some expectation
    /// asks for. Told by type, then by where it begins, then by where it ends.
    FinalRelationship {
        /// The type: its place among those that the Plan audits.
        kind: u8,
        /// Where it begins.
        from: NodeId,
        /// Where it ends.
        to: NodeId,
        /// Which operation created it, if it says so.
        operation: Option<OperationId>,
    },
}

/// Reads the stream of facts. Observers are cloned with the World.
pub trait Observer {
    /// The classes that this observer wants.
    fn interests(&self) -> Classes;

    /// Takes the fact `seq`, which happened at `at`. Called in order.
    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_fits_a_cache_line() {
        assert!(size_of::<Fact>() <= 64, "{}", size_of::<Fact>());
    }
}
