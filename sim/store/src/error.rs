//! What can go wrong in the store, as types.

use alloc::format;
use alloc::string::String;
use wavetank_vocabulary::{NodeId, RelationshipId, TxId};

use crate::disk::{DiskError, FileName, PageNumber};
use crate::page::PageDamage;
use crate::value::{TokenId, TokenKind};

/// Where a log is damaged. At its first byte begins the header.
fn place_in_log(offset: u64) -> String {
    match offset {
        0 => "its header is cut off, damaged, or of another log".into(),
        _ => format!("damaged at byte {offset}, with valid entries behind it"),
    }
}

/// An error of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The node does not exist.
    #[error("node {} not found", .0.0)]
    NodeNotFound(NodeId),
    /// The relationship does not exist.
    #[error("relationship {} not found", .0.0)]
    RelationshipNotFound(RelationshipId),
    /// The node cannot be deleted while it has relationships.
    #[error("node {} still has relationships", .0.0)]
    NodeHasRelationships(NodeId),
    /// Waiting for the lock would close a cycle; the requester must roll back.
    #[error("deadlock detected: the lock is held by a transaction that waits for this one")]
    DeadlockDetected,
    /// A number that stands for no label, relationship type or property key.
    #[error("no {kind:?} has number {}", id.0)]
    NoSuchToken {
        /// What it was to be.
        kind: TokenKind,
        /// The number.
        id: TokenId,
    },
    /// A name longer than 120 bytes, or more tokens of a kind than ids.
    #[error("token name is too long, or there are too many tokens")]
    TokenLimit,
    /// Another node with the label has the value, and there may be only one
    /// (`Neo.ClientError.Schema.ConstraintViolation`; when the constraint is being made,
    /// `ConstraintVerificationFailure`).
    #[error("node {} with label {} already has this value under key {}", node.0, label.0, key.0)]
    ConstraintViolation {
        /// The label.
        label: TokenId,
        /// The property key.
        key: TokenId,
        /// The node that has the value.
        node: NodeId,
    },
    /// There is an index or a constraint for the label and key
    /// (`Neo.ClientError.Schema.IndexAlreadyExists`, `ConstraintAlreadyExists`).
    #[error("there is already {} for this label and key", if *unique { "a constraint" } else { "an index" })]
    IndexExists {
        /// It is a constraint.
        unique: bool,
    },
    /// There is no index for the label and key (`Neo.ClientError.Schema.NoSuchIndex`).
    #[error("there is no index for this label and key")]
    NoSuchIndex,
    /// A transaction that changes the schema may change nothing else.
    #[error("a transaction cannot change both the schema and data")]
    SchemaAndData,
    /// A slave's transaction would change the schema, which only the master may.
    #[error("the schema can only be changed at the master")]
    SchemaAtSlave,
    /// The value is of a kind that cannot be stored as a property.
    #[error("this kind of value cannot be a property")]
    NotAProperty,
    /// The transaction has ended, or never was.
    #[error("no such transaction")]
    NoSuchTransaction,
    /// The transaction changed chains and was not prepared before its commit.
    #[error("the transaction must be prepared before it can commit")]
    NotPrepared,
    /// The transaction is larger than [`LARGEST_TRANSACTION`](crate::LARGEST_TRANSACTION): no
    /// other instance could be sent it.
    #[error("the transaction has {0} bytes, and no more than {most} can be replicated", most = crate::LARGEST_TRANSACTION)]
    TooLarge(usize),
    /// The transaction has begun to commit: no further step is allowed.
    #[error("the transaction is committing")]
    Committing,
    /// The operation is not possible in the store's present state.
    #[error("the store is not ready for this")]
    NotReady,
    /// A received transaction does not follow the last one.
    #[error("received transaction {} does not follow transaction {}", found.0, last.0)]
    OutOfSequence {
        /// The last transaction of this store.
        last: TxId,
        /// What came.
        found: TxId,
    },
    /// A received transaction follows another history than ours: this store has branched.
    #[error("received transaction {} follows another history", .0.0)]
    ForeignHistory(TxId),
    /// A received transaction, or a page of a copy, is damaged or makes no sense.
    #[error("what was received is damaged: {0}")]
    DamagedInput(&'static str),
    /// A page cannot be trusted.
    #[error("{file}, page {page}: {damage}")]
    DamagedPage {
        /// The file.
        file: FileName,
        /// The page.
        page: PageNumber,
        /// What is wrong.
        damage: PageDamage,
    },
    /// The log is damaged before its end: something valid stands behind the damage.
    #[error("{file}: {}", place_in_log(*.offset))]
    DamagedLog {
        /// The log file.
        file: FileName,
        /// The first byte that cannot be trusted.
        offset: u64,
    },
    /// The log ends before a transaction that a page holds, which no crash leaves.
    #[error("{file} ends with transaction {}, and the pages hold transaction {}: it was cut off", last.0, newest.0)]
    LogCutOff {
        /// The last log file.
        file: FileName,
        /// The last transaction in it.
        last: TxId,
        /// The last one in the pages.
        newest: TxId,
    },
    /// A file that the store needs is not there or is too short.
    #[error("{0} is missing or incomplete")]
    MissingFile(FileName),
    /// The disk failed; the store stops, to recover from its log at the next start.
    #[error("{operation} of {file} failed: {error}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: FileName,
        /// What the disk said.
        error: DiskError,
    },
    /// The store was written by another version of the format.
    #[error("the store has format {found}, and this program reads format {ours}")]
    OtherFormat {
        /// What the meta file says.
        found: u64,
        /// What could be read.
        ours: u64,
    },
    /// A record contradicts another one.
    #[error("inconsistent store: {0}")]
    Inconsistent(String),
}

impl StoreError {
    /// Whether it says that what is on the disk is damaged, rather than that something could
    /// not be done.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            StoreError::DamagedPage { .. }
                | StoreError::DamagedLog { .. }
                | StoreError::LogCutOff { .. }
                | StoreError::MissingFile(_)
                | StoreError::Inconsistent(_)
        )
    }
}
