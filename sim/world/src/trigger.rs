//! Triggers: what a fault can wait for instead of a time. They reach states that a clock
//! time misses, such as the middle of a store copy: something that is told, or that an instance is
//! in the middle of something.

use wavetank_vocabulary::{Classes, Fact, InstanceId, ProtocolState, Role};

/// Something that happens in the cluster at one instance, or that one is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// An election for coordinator begins, at the elector.
    ElectionBegins,
    /// An election ends, at its winner.
    ElectionEnds,
    /// A member counts as failed; the instance is the one that failed.
    MemberFails,
    /// A switch to master begins.
    ToMasterBegins,
    /// A master begins its reign.
    ReignBegins,
    /// A switch to slave begins.
    ToSlaveBegins,
    /// An instance becomes slave.
    SlaveBegins,
    /// A copy of the master's store begins, at the receiver.
    StoreCopyBegins,
    /// A copy of the master's store is complete, at the receiver.
    StoreCopyEnds,
    /// A log is found to differ from the master's.
    BranchFound,
    /// A store has opened.
    RecoveryEnds,
    /// A checkpoint was taken.
    CheckpointEnds,
    /// The cluster denies an instance the entry.
    JoinDenied,
    /// A member is told of another value of a Paxos instance than it knows.
    ValuesDiffer,
    /// An instance is in the middle of this.
    In(ProtocolState),
}

impl Trigger {
    /// All triggers with the names that scenarios use: those that are told, then states.
    pub const ALL: [(Trigger, &'static str); 22] = [
        (Trigger::ElectionBegins, "election begins"),
        (Trigger::ElectionEnds, "election ends"),
        (Trigger::MemberFails, "member fails"),
        (Trigger::ToMasterBegins, "to-master begins"),
        (Trigger::ReignBegins, "reign begins"),
        (Trigger::ToSlaveBegins, "to-slave begins"),
        (Trigger::SlaveBegins, "slave begins"),
        (Trigger::StoreCopyBegins, "store-copy begins"),
        (Trigger::StoreCopyEnds, "store-copy ends"),
        (Trigger::BranchFound, "branch found"),
        (Trigger::RecoveryEnds, "recovery ends"),
        (Trigger::CheckpointEnds, "checkpoint ends"),
        (Trigger::JoinDenied, "join denied"),
        (Trigger::ValuesDiffer, "paxos values differ"),
        within(ProtocolState::Recovery),
        within(ProtocolState::StoreCopyOut),
        within(ProtocolState::Checkpoint),
        within(ProtocolState::CommitSync),
        within(ProtocolState::CommitApply),
        within(ProtocolState::Push),
        within(ProtocolState::Pull),
        within(ProtocolState::PullApply),
    ];

    /// Those that are told, and so can be counted.
    pub const TOLD: &'static [(Trigger, &'static str)] = Self::ALL.split_at(14).0;

    /// The name that scenarios use.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(trigger, _)| *trigger == self).map_or("", |(_, name)| name)
    }

    /// Whether it is told when it happens: else it is a state that somebody must look for.
    pub const fn is_told(self) -> bool {
        !matches!(self, Trigger::In(_))
    }

    /// The class of the facts that it is seen in; none of a state.
    pub(crate) const fn class(self) -> Classes {
        match self {
            Trigger::In(_) => Classes::NONE,
            Trigger::RecoveryEnds | Trigger::CheckpointEnds => Classes::STORE,
            _ => Classes::CLUSTER,
        }
    }

    /// The instance at which it happens, if this fact is it.
    pub fn seen_in(self, fact: &Fact) -> Option<InstanceId> {
        match (self, *fact) {
            (Trigger::ElectionBegins, Fact::ElectionBegan { elector, .. }) => Some(elector),
            (Trigger::ElectionEnds, Fact::ElectionEnded { winner, .. }) => winner,
            (Trigger::MemberFails, Fact::MemberFailed { whom, .. }) => Some(whom),
            (Trigger::ReignBegins, Fact::EpochBegan { instance, .. })
            | (Trigger::BranchFound, Fact::Branched { instance, .. })
            | (Trigger::RecoveryEnds, Fact::Recovered { instance, .. })
            | (Trigger::CheckpointEnds, Fact::Checkpoint { instance, .. })
            | (Trigger::ValuesDiffer, Fact::ValuesDiffer { instance, .. })
            | (Trigger::JoinDenied, Fact::JoinFailed { instance, denied: true })
            | (Trigger::ToMasterBegins, Fact::RoleChanged { instance, to: Role::ToMaster, .. })
            | (Trigger::ToSlaveBegins, Fact::RoleChanged { instance, to: Role::ToSlave, .. })
            | (Trigger::SlaveBegins, Fact::RoleChanged { instance, to: Role::Slave, .. })
            | (Trigger::StoreCopyBegins, Fact::StoreCopy { instance, done: false, .. })
            | (Trigger::StoreCopyEnds, Fact::StoreCopy { instance, done: true, .. }) => {
                Some(instance)
            }
            _ => None,
        }
    }
}

/// A state as a trigger has the name that the coverage matrix has for it.
const fn within(state: ProtocolState) -> (Trigger, &'static str) {
    (Trigger::In(state), state.name())
}
