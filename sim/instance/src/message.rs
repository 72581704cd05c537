//! What instances say to each other about transactions and stores: the requests of the
//! master's and the slave's servers (HA specification 2.10).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use wavetank_store::{FileKind, LockRequest, PageImage, TxRecord};
use wavetank_vocabulary::{Epoch, LogMark, OperationId, OperationKind, TxId};

/// A message between two instances. Cluster messages are small and many; data messages are
/// shared, so that an event stays small.
#[derive(Clone, Debug)]
pub enum PeerMessage {
    /// Between the members' state machines.
    Cluster(wavetank_cluster::Message),
    /// Between the data servers.
    Data(Arc<DataMessage>),
    /// PULL_UPDATES: transactions after `mark` are asked for. One of the data servers' as well;
    /// a slave asks several times a second, so that it and the empty answer travel as they are.
    Pull {
        /// Counts the sender's pulls; comes back in the answer.
        attempt: u32,
        /// The end of the sender's log.
        mark: LogMark,
    },
    /// The answer to a pull that found nothing new.
    UpToDate {
        /// From the request.
        attempt: u32,
        /// The master's last transaction when it answered.
        target: TxId,
    },
}

/// Requests and answers of the data servers.
#[derive(Clone, Debug)]
pub enum DataMessage {
    /// HANDSHAKE: the sender wants to be a slave and says where its log ends.
    Handshake {
        /// Counts the sender's attempts; comes back in the answer.
        attempt: u32,
        /// The end of the sender's log.
        mark: LogMark,
    },
    /// The answer to a handshake.
    HandshakeAnswer {
        /// From the request.
        attempt: u32,
        /// What the comparison of the logs gave.
        verdict: Verdict,
        /// The master's epoch.
        epoch: Epoch,
        /// The identity of the master's store.
        store: u64,
    },
    /// A stream of transactions.
    Transactions {
        /// From the request.
        attempt: u32,
        /// The transactions, in order.
        records: Vec<Arc<TxRecord>>,
        /// The master's last transaction when it answered.
        target: TxId,
    },
    /// The pull cannot be served: the logs differ, or do not reach that far back.
    PullRefused {
        /// From the request.
        attempt: u32,
        /// Why.
        verdict: Verdict,
    },
    /// The slave server's pullUpdates: the receiver should have this transaction.
    Push {
        /// The transaction.
        tx: TxId,
        /// The sender's epoch.
        epoch: Epoch,
    },
    /// The receiver of a push has applied up to here.
    PushAnswer {
        /// From the push.
        tx: TxId,
        /// The last transaction applied; none when the sender follows another master.
        applied: Option<TxId>,
    },
    /// COPY_STORE: the next chunk of the master's store is asked for.
    CopyStore {
        /// Counts the sender's copies; comes back in the answer.
        attempt: u32,
        /// How many chunks of this copy the sender has; with 0 a copy begins.
        chunk: u32,
    },
    /// A chunk of the store.
    StoreChunk {
        /// From the request.
        attempt: u32,
        /// From the request, too.
        chunk: u32,
        /// Pages as they are now; the transactions since the checkpoint mend what changes.
        pages: Vec<PageImage>,
        /// When it was the last chunk: where the log that mends it begins.
        done: Option<LogMark>,
    },
    /// A request to the master's server for a transaction that was begun at the sender.
    Call {
        /// Counts the sender's requests; comes back in the answer.
        id: u32,
        /// The reign that the sender knows.
        epoch: Epoch,
        /// The end of the sender's log: its last transaction, with the checksum.
        mark: LogMark,
        /// The lock session that it belongs to; 0 is none.
        session: u32,
        /// What is asked.
        call: MasterCall,
    },
    /// The answer to a request.
    Reply {
        /// From the request.
        id: u32,
        /// From the request, too: the lock session, or 0.
        session: u32,
        /// What came of it.
        reply: MasterReply,
        /// The transaction obligation: the receiver goes on when it has applied up to here.
        obligation: TxId,
    },
}

/// What a slave asks of its master for one of its transactions.
#[derive(Clone, Debug)]
pub enum MasterCall {
    /// NEW_LOCK_SESSION. For whom it is, is for the record.
    NewLockSession {
        /// The operation.
        operation: OperationId,
        /// Its kind.
        kind: OperationKind,
    },
    /// ACQUIRE_EXCLUSIVE_LOCK and ACQUIRE_SHARED_LOCK.
    AcquireLock(LockRequest),
    /// END_LOCK_SESSION: the transaction is rolled back. Not answered.
    EndLockSession,
    /// ALLOCATE_IDS.
    AllocateIds(FileKind),
    /// COMMIT: the prepared transaction.
    Commit(Arc<TxRecord>),
}

/// The master's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterReply {
    /// The session exists, or the lock is held.
    Done,
    /// Ids that nobody else is given.
    Ids(FileKind, Range<u64>),
    /// The transaction's place in the history.
    Committed(LogMark),
    /// It was not done.
    Refused(Refusal),
}

/// Why a master does not do what a slave asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The epoch is not the master's: the slave follows an earlier reign.
    InvalidEpoch,
    /// The slave's last transaction is another one than the master's of that number.
    Branched,
    /// It is not master.
    NotMaster,
    /// The transaction's lock session is not known, or was reaped
    /// (`TransactionNotPresentOnMaster`).
    NoLockSession,
    /// The session is in use by another request, or exists already.
    ConcurrentRequest,
    /// The lock would close a cycle.
    Deadlock,
    /// The schema is being changed.
    SchemaModified,
    /// Its store refused.
    Failed,
    /// There was no answer, so it may have been done all the same. Slaves tell themselves
    /// so; it is never sent.
    Unreachable,
}

/// What comparing a log position with the master's log gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The log is a prefix of the master's.
    Same,
    /// The master has another transaction in that place, or none yet.
    Branched,
    /// The master cannot look the transaction up: it was pruned.
    OutOfDate,
    /// The receiver is not master.
    NotMaster,
}

impl PeerMessage {
    /// Whether the receiver's failure detector takes it for a sign of life of the sender:
    /// every cluster message but suspicions (HeartbeatIAmAliveProcessor).
    #[inline]
    pub fn is_sign_of_life(&self) -> bool {
        match self {
            PeerMessage::Cluster(message) => {
                !matches!(message, wavetank_cluster::Message::Suspicions(_))
            }
            PeerMessage::Data(_) | PeerMessage::Pull { .. } | PeerMessage::UpToDate { .. } => false,
        }
    }

    /// Takes the message out of an effect that is being carried out.
    #[inline]
    pub fn take(&mut self) -> PeerMessage {
        core::mem::replace(self, PeerMessage::Cluster(wavetank_cluster::Message::JoinDenied))
    }

    /// Whether it is for the data servers, which have connections of their own.
    #[inline]
    pub fn is_data(&self) -> bool {
        !matches!(self, PeerMessage::Cluster(_))
    }

    /// Bytes on the wire, near enough for transmission times: cluster messages as the
    /// original serialises them are a few hundred bytes.
    #[inline]
    pub fn wire_bytes(&self) -> u64 {
        match self {
            PeerMessage::Cluster(_) => 300,
            PeerMessage::Pull { .. } | PeerMessage::UpToDate { .. } => 64,
            PeerMessage::Data(data) => data.wire_bytes(),
        }
    }
}

impl DataMessage {
    /// Bytes on the wire, likewise.
    pub(crate) fn wire_bytes(&self) -> u64 {
        match self {
            DataMessage::Transactions { records, .. } => {
                64 + records.iter().map(|record| record.content().len() as u64).sum::<u64>()
            }
            DataMessage::StoreChunk { pages, .. } => {
                64 + (pages.len() * wavetank_store::PAGE_SIZE) as u64
            }
            DataMessage::Call { call: MasterCall::Commit(record), .. } => {
                64 + record.content().len() as u64
            }
            _ => 64,
        }
    }
}
