//! What members say to each other.

use wavetank_vocabulary::{Epoch, HaRole, InstanceId};

use crate::configuration::MemberSet;
use crate::election::Credentials;

/// The number of a Paxos instance, from 0.
pub type PaxosInstance = u32;

/// A ballot: 1000 times the try, plus the proposer's server id.
pub type Ballot = u32;

/// Where an instance listens: which of the addresses that its server id ever had.
pub type Address = u16;

/// The first address that a server id has.
pub(crate) const FIRST: Address = 0;

/// A message between two members. Small and `Copy`: it travels inside events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Heartbeat, sent when a link was idle for `ha.heartbeat_interval`.
    IAmAlive {
        /// The first Paxos instance that the sender has not delivered.
        learned: PaxosInstance,
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
    },
    /// To every initial host: is there a cluster?
    ConfigurationRequest {
        /// Where the sender listens.
        address: Address,
    },
    /// There is, and this is how it stands.
    ConfigurationResponse {
        /// Where the sender listens.
        address: Address,
        /// Whether the receiver is a member at the address from which it asked.
        known: bool,
        /// Its members, failed ones included.
        members: MemberSet,
        /// Those that are not at their first address: a [`Message::MemberAt`] follows for each.
        moved: MemberSet,
        /// The member elected last.
        coordinator: Option<InstanceId>,
        /// The first Paxos instance that the sender has not delivered.
        delivered: PaxosInstance,
    },
    /// Where a member is, after the configuration: the original's lists the address of each.
    MemberAt {
        /// Which member.
        whom: InstanceId,
        /// Its address.
        address: Address,
    },
    /// There is, and the receiver's server id is in use at another address.
    JoinDenied,
    /// To the coordinator's proposer, or a joiner's to the member that answered it.
    Propose(Value),
    /// Phase 1 of Paxos.
    Prepare {
        /// Which instance.
        instance: PaxosInstance,
        /// Its proposer's ballot.
        ballot: Ballot,
    },
    /// Nothing below this ballot will be accepted.
    Promise {
        /// Which instance.
        instance: PaxosInstance,
        /// The ballot.
        ballot: Ballot,
        /// What the acceptor accepted before.
        accepted: Option<Accepted>,
    },
    /// The ballot is too low.
    RejectPrepare {
        /// Which instance.
        instance: PaxosInstance,
        /// The ballot that was asked for.
        ballot: Ballot,
        /// The ballot that was promised to somebody else.
        promised: Ballot,
    },
    /// Phase 2 of Paxos.
    Accept {
        /// Which instance.
        instance: PaxosInstance,
        /// The ballot that was promised.
        ballot: Ballot,
        /// The value.
        value: Value,
    },
    /// It is.
    Accepted {
        /// Which instance.
        instance: PaxosInstance,
        /// The ballot.
        ballot: Ballot,
    },
    /// Another ballot was promised meanwhile.
    RejectAccept {
        /// Which instance.
        instance: PaxosInstance,
        /// The ballot that was to be accepted.
        ballot: Ballot,
    },
    /// A value was chosen.
    Learn {
        /// In which instance.
        instance: PaxosInstance,
        /// Which.
        value: Value,
    },
    /// The sender lacks the value of this instance.
    LearnRequest {
        /// Which instance.
        instance: PaxosInstance,
    },
    /// So does the one that it asked, or no longer remembers it.
    LearnFailed {
        /// Which instance.
        instance: PaxosInstance,
    },
    /// To the coordinator: who serves in which role?
    SnapshotRequest,
    /// The answer: at most one master, and the slaves.
    Snapshot {
        /// The first Paxos instance that is not part of it.
        delivered: PaxosInstance,
        /// The master, and its epoch.
        master: Option<(InstanceId, Epoch)>,
        /// The slaves.
        slaves: MemberSet,
    },
}

/// A value that an acceptor accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Accepted {
    /// In which ballot.
    pub ballot: Ballot,
    /// The value.
    pub value: Value,
}

/// What the atomic broadcast decides. Transactions are not among it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A member joins the cluster, at that address.
    Join(InstanceId, Address),
    /// A member leaves it for good; one that crashed has not left.
    Leave(InstanceId),
    /// The outcome of an election for coordinator.
    Elected {
        /// The winner; none when no candidate could be master.
        winner: Option<InstanceId>,
        /// Who counted.
        elector: InstanceId,
        /// Ascending over the elections of one elector.
        version: u64,
    },
    /// This member serves as master, in this epoch.
    Master(InstanceId, Epoch),
    /// This member serves as slave.
    Slave(InstanceId),
    /// This member serves in no role.
    Unavailable(InstanceId),
}

impl Value {
    /// That a member serves in a role, or in none.
    pub fn member(whom: InstanceId, availability: Availability) -> Value {
        match availability {
            Availability::Unavailable => Value::Unavailable(whom),
            Availability::Master(epoch) => Value::Master(whom, epoch),
            Availability::Slave => Value::Slave(whom),
        }
    }
}

/// `MemberIsAvailable` and `MemberIsUnavailable`.
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

impl From<Availability> for HaRole {
    fn from(availability: Availability) -> HaRole {
        match availability {
            Availability::Master(_) => HaRole::Master,
            Availability::Slave => HaRole::Slave,
            Availability::Unavailable => HaRole::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_small() {
        assert!(size_of::<Message>() <= 40, "{}", size_of::<Message>());
    }
}
