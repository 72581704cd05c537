//! What members say to each other.

use wavetank_vocabulary::{Epoch, InstanceId};

use crate::configuration::MemberSet;
use crate::election::Credentials;

/// A message between two members. Small and `Copy`: it travels inside events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Heartbeat, sent when a link was idle for `ha.heartbeat_interval`. The header says
    /// up to where the receiver's own broadcasts were learned.
    IAmAlive {
        /// The last sequence learned from the receiver.
        learned: u64,
    },
    /// All members that the sender suspects.
    Suspicions(MemberSet),
    /// To the elector: a role may need a new holder.
    PerformRoleElections,
    /// The elector asks for a vote.
    Vote {
        /// The version of the result to come.
        version: u64,
    },
    /// The answer to [`Message::Vote`].
    Voted {
        /// The version that was asked for.
        version: u64,
        /// How fit the sender is.
        credentials: Credentials,
        /// The version of the last result that the sender accepted: the new result must be
        /// above it, whoever counted the last time.
        accepted: u64,
    },
    /// A value that the sender broadcasts.
    Learn {
        /// The sender's sequence, ascending.
        sequence: u64,
        /// What is to be learned.
        value: Value,
    },
}

/// What the atomic broadcast decides. Transactions are not among it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// The outcome of an election for coordinator.
    Elected {
        /// The winner; none when no candidate could be master.
        winner: Option<InstanceId>,
        /// Who counted.
        elector: InstanceId,
        /// Ascending over the elections of one elector.
        version: u64,
    },
    /// The sender serves in a role, or no longer does.
    Member(Availability),
}

/// `MemberIsAvailable` and `MemberIsUnavailable`, about the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Availability {
    /// In no role.
    #[default]
    Unavailable,
    /// As master, in this epoch.
    Master(Epoch),
    /// As slave.
    Slave,
}
