//! How a request failed, as the client sees it.

/// The classes of Neo4j's status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Classification {
    /// The request was wrong; trying again does not help.
    ClientError,
    /// The database failed.
    DatabaseError,
    /// Trying again may help.
    TransientError,
}

/// The end of one attempt. Neo4j sends a code for some; where a connection breaks or a
/// balancer answers, there is none, and a retry loop must decide without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Success.
    Ok,
    /// A lock request closed a cycle and this transaction was chosen as victim.
    DeadlockDetected,
    /// There is no master, or this instance is not one any more.
    NoMaster,
    /// The instance did not become available in time.
    DatabaseUnavailable,
    /// The master died or changed while the commit was under way: it may be committed.
    CommitInterrupted,
    /// An entity that the operation needs is not there.
    EntityNotFound,
    /// The store stopped itself: the log could not be written.
    CouldNotWriteToLog,
    /// The balancer had no server to send the request to (HTTP 503).
    NoServer,
    /// Nobody listens at that address.
    ConnectionRefused,
    /// The connection broke before an answer came.
    ConnectionReset,
    /// No answer within the client's time-out.
    ClientTimeout,
    /// The operation's own steps gave it up: nothing matched, or what it verifies did not
    /// hold. Nothing was done.
    Aborted,
    /// The open transaction is not known here: it expired, its instance restarted or changed
    /// its role, or the statement came to another instance.
    UnknownId,
    /// A value that must be unique is there already, or a node to be deleted still has
    /// relationships.
    ConstraintViolation,
    /// At a slave: what was received makes records new that the transaction may have read.
    Outdated,
    /// At a slave: the master does not know the transaction's lock session (any more).
    NotOnMaster,
    /// At a slave: the schema was being changed when its transaction was to commit.
    SchemaModified,
    /// The instance did not become master or slave within `ha.state_switch_timeout`.
    AccessTimeout,
    /// The transactional endpoint of 2.3 had an exception without a status.
    ExecutionFailure,
    /// The same, of a commit: it may be committed.
    ExecutionInterrupted,
    /// The server wants credentials that the client does not have (HTTP 401).
    Unauthorized,
    /// The transaction is larger than any that can be replicated. It was rolled back.
    TooLarge,
    /// Another request to the same open transaction is under way.
    ConcurrentRequest,
}

impl Status {
    /// Every status, in order, for tables indexed by it.
    pub const ALL: [Status; 23] = [
        Status::Ok,
        Status::DeadlockDetected,
        Status::NoMaster,
        Status::DatabaseUnavailable,
        Status::CommitInterrupted,
        Status::EntityNotFound,
        Status::CouldNotWriteToLog,
        Status::NoServer,
        Status::ConnectionRefused,
        Status::ConnectionReset,
        Status::ClientTimeout,
        Status::Aborted,
        Status::UnknownId,
        Status::ConstraintViolation,
        Status::Outdated,
        Status::NotOnMaster,
        Status::SchemaModified,
        Status::AccessTimeout,
        Status::ExecutionFailure,
        Status::ExecutionInterrupted,
        Status::Unauthorized,
        Status::TooLarge,
        Status::ConcurrentRequest,
    ];

    /// What the transactional endpoint of 2.2 and 2.3 makes of the failure: an exception that
    /// brings no status with it looks like a failure of the database (HA specification 4.3).
    #[must_use]
    pub const fn at_endpoint(self) -> Status {
        match self {
            Status::NoMaster | Status::AccessTimeout | Status::NotOnMaster => {
                Status::ExecutionFailure
            }
            Status::CommitInterrupted => Status::ExecutionInterrupted,
            other => other,
        }
    }

    /// Neo4j's status code, where it sends one (2.3: `Status.java`; the HA failures as the
    /// `TransientDatabaseFailure`s of the 2.3 line).
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Status::DeadlockDetected => Some("Neo.TransientError.Transaction.DeadlockDetected"),
            Status::NoMaster
            | Status::DatabaseUnavailable
            | Status::AccessTimeout
            | Status::CommitInterrupted => Some("Neo.TransientError.General.DatabaseUnavailable"),
            Status::Outdated => Some("Neo.TransientError.Transaction.Outdated"),
            Status::SchemaModified => Some("Neo.TransientError.Schema.ModifiedConcurrently"),
            // An exception without a status: the HTTP endpoint makes this of it.
            Status::NotOnMaster | Status::ExecutionFailure | Status::ExecutionInterrupted => {
                Some("Neo.DatabaseError.Statement.ExecutionFailure")
            }
            Status::EntityNotFound => Some("Neo.ClientError.Statement.EntityNotFound"),
            Status::CouldNotWriteToLog => Some("Neo.DatabaseError.Transaction.CouldNotWriteToLog"),
            Status::UnknownId => Some("Neo.ClientError.Transaction.UnknownId"),
            Status::ConstraintViolation => Some("Neo.ClientError.Schema.ConstraintViolation"),
            Status::TooLarge => Some("Neo.ClientError.Transaction.ValidationFailed"),
            Status::ConcurrentRequest => Some("Neo.ClientError.Transaction.ConcurrentRequest"),
            Status::Ok
            | Status::NoServer
            | Status::ConnectionRefused
            | Status::ConnectionReset
            | Status::ClientTimeout
            | Status::Unauthorized
            | Status::Aborted => None,
        }
    }

    /// The class of the code; none where there is no code.
    pub const fn classification(self) -> Option<Classification> {
        match self {
            Status::DeadlockDetected
            | Status::NoMaster
            | Status::DatabaseUnavailable
            | Status::AccessTimeout
            | Status::CommitInterrupted
            | Status::Outdated
            | Status::SchemaModified => Some(Classification::TransientError),
            Status::EntityNotFound
            | Status::UnknownId
            | Status::ConstraintViolation
            | Status::TooLarge
            | Status::ConcurrentRequest => Some(Classification::ClientError),
            Status::CouldNotWriteToLog
            | Status::NotOnMaster
            | Status::ExecutionFailure
            | Status::ExecutionInterrupted => Some(Classification::DatabaseError),
            Status::Ok
            | Status::NoServer
            | Status::ConnectionRefused
            | Status::ConnectionReset
            | Status::ClientTimeout
            | Status::Unauthorized
            | Status::Aborted => None,
        }
    }

    /// What scenarios call it: its code, or what a client sees where there is none. Two
    /// failures that look the same to a client have the same.
    pub const fn seen_as(self) -> &'static str {
        match (self.code(), self) {
            (Some(code), _) => code,
            (None, Status::NoServer) => "503",
            (None, Status::ConnectionRefused) => "refused",
            (None, Status::ConnectionReset) => "reset",
            (None, Status::ClientTimeout) => "timeout",
            (None, Status::Unauthorized) => "401",
            (None, Status::Aborted) => "aborted",
            (None, _) => "ok",
        }
    }

    /// A short name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::DeadlockDetected => "deadlock detected",
            Status::NoMaster => "no master",
            Status::DatabaseUnavailable => "database unavailable",
            Status::CommitInterrupted => "commit interrupted",
            Status::EntityNotFound => "entity not found",
            Status::CouldNotWriteToLog => "could not write to log",
            Status::NoServer => "no server (503)",
            Status::ConnectionRefused => "connection refused",
            Status::ConnectionReset => "connection reset",
            Status::ClientTimeout => "client time-out",
            Status::Aborted => "aborted by its steps",
            Status::UnknownId => "transaction not known",
            Status::ConstraintViolation => "constraint violation",
            Status::Outdated => "transaction outdated",
            Status::NotOnMaster => "transaction not present on master",
            Status::SchemaModified => "schema modified concurrently",
            Status::AccessTimeout => "not available in time",
            Status::ExecutionFailure => "execution failure",
            Status::ExecutionInterrupted => "execution failure in a commit",
            Status::Unauthorized => "unauthorized (401)",
            Status::TooLarge => "transaction too large",
            Status::ConcurrentRequest => "transaction in use",
        }
    }

    /// Whether the operation may have been done although it did not succeed.
    pub const fn is_ambiguous(self) -> bool {
        matches!(
            self,
            Status::CommitInterrupted
                | Status::ExecutionInterrupted
                | Status::ConnectionReset
                | Status::ClientTimeout
        )
    }
}

/// A set of statuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusSet(u32);

impl StatusSet {
    /// None.
    pub const EMPTY: StatusSet = StatusSet(0);

    const fn bit(status: Status) -> u32 {
        1 << status as u32
    }

    /// Adds one.
    pub const fn insert(&mut self, status: Status) {
        self.0 |= Self::bit(status);
    }

    /// Whether it is in the set.
    pub const fn contains(self, status: Status) -> bool {
        self.0 & Self::bit(status) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_tells_every_status_from_the_others() {
        for status in Status::ALL {
            let mut set = StatusSet::EMPTY;
            set.insert(status);
            assert!(Status::ALL.iter().all(|other| set.contains(*other) == (*other == status)));
        }
    }

    #[test]
    fn the_endpoint_hides_what_may_be_tried_again_and_not_what_is_unknown() {
        for status in Status::ALL {
            let seen = status.at_endpoint();
            assert_eq!(seen.is_ambiguous(), status.is_ambiguous(), "{status:?}");
            assert_eq!(seen.at_endpoint(), seen);
            if seen != status {
                assert_eq!(seen.classification(), Some(Classification::DatabaseError));
            }
        }
        assert_eq!(Status::DeadlockDetected.at_endpoint(), Status::DeadlockDetected);
    }

    #[test]
    fn a_code_names_its_classification() {
        for status in Status::ALL {
            match (status.code(), status.classification()) {
                (None, None) => {}
                (Some(code), Some(class)) => {
                    let name = match class {
                        Classification::ClientError => "Neo.ClientError.",
                        Classification::DatabaseError => "Neo.DatabaseError.",
                        Classification::TransientError => "Neo.TransientError.",
                    };
                    assert!(code.starts_with(name), "{code}");
                }
                other => panic!("{status:?}: {other:?}"),
            }
        }
    }
}
