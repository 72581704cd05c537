//! The classes of facts: what an observer subscribes to.

use core::ops::BitOr;

use crate::fact::Fact;

/// A set of fact classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Classes(u16);

impl Classes {
    /// No class.
    pub const NONE: Classes = Classes(0);
    /// Roles, suspicions, elections, epochs, branches.
    pub const CLUSTER: Classes = Classes(1);
    /// Commits, applications, pulls and pushes.
    pub const TRANSACTIONS: Classes = Classes(1 << 1);
    /// What clients asked for and got.
    pub const OPERATIONS: Classes = Classes(1 << 2);
    /// Faults that began, ended or found no target.
    pub const FAULTS: Classes = Classes(1 << 3);
    /// Sampled quantities.
    pub const SAMPLES: Classes = Classes(1 << 4);
    /// What the store does: recovery, checkpoints, failure.
    pub const STORE: Classes = Classes(1 << 5);
    /// What was found when the run was over.
    pub const AUDIT: Classes = Classes(1 << 6);
    /// Where the time of requests and operations went.
    pub const TIMES: Classes = Classes(1 << 7);
    /// What users wrote, and how much of it their reads could see.
    pub const SESSIONS: Classes = Classes(1 << 8);
    /// What operations read and wrote, and what they wrote beside the graph.
    pub const VALUES: Classes = Classes(1 << 9);
    /// What was going on when faults struck.
    pub const COVERAGE: Classes = Classes(1 << 10);
    /// What became of locks.
    pub const LOCKS: Classes = Classes(1 << 11);
    /// Lines of the user logs that no other fact says.
    pub const USER_LOG: Classes = Classes(1 << 12);
    /// Sampled quantities that only Neo4j's own metrics files show.
    pub const METRICS: Classes = Classes(1 << 13);
    /// Every class.
    pub const ALL: Classes = Classes((1 << 14) - 1);

    /// Whether any class of `other` is in this set.
    pub const fn intersects(self, other: Classes) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Classes {
    type Output = Classes;
    fn bitor(self, other: Classes) -> Classes {
        Classes(self.0 | other.0)
    }
}

impl Fact {
    /// The class that an observer subscribes to.
    pub const fn class(&self) -> Classes {
        match self {
            Fact::RoleChanged { .. }
            | Fact::Suspected { .. }
            | Fact::Cleared { .. }
            | Fact::MemberFailed { .. }
            | Fact::MemberAlive { .. }
            | Fact::JoinFailed { .. }
            | Fact::Left { .. }
            | Fact::ValuesDiffer { .. }
            | Fact::ElectionBegan { .. }
            | Fact::ElectionEnded { .. }
            | Fact::EpochBegan { .. }
            | Fact::Branched { .. }
            | Fact::BranchDiscarded { .. }
            | Fact::StoreCopy { .. } => Classes::CLUSTER,
            Fact::Logged { .. }
            | Fact::Committed { .. }
            | Fact::Applied { .. }
            | Fact::Pushed { .. }
            | Fact::LockSessionReaped { .. } => Classes::TRANSACTIONS,
            Fact::Recovered { .. } | Fact::Checkpoint { .. } | Fact::StoreFailed { .. } => {
                Classes::STORE
            }
            Fact::Invoked { .. } | Fact::Retried { .. } | Fact::Completed { .. } => {
                Classes::OPERATIONS
            }
            Fact::Served { .. } | Fact::Spent { .. } => Classes::TIMES,
            Fact::Session { .. } => Classes::SESSIONS,
            Fact::Observed { .. } | Fact::SecondStore { .. } => Classes::VALUES,
            Fact::LockWaited { .. } | Fact::Deadlock { .. } | Fact::LockReleased { .. } => {
                Classes::LOCKS
            }
            Fact::FaultBegan { .. }
            | Fact::FaultEnded { .. }
            | Fact::FaultSkipped { .. }
            | Fact::Healed
            | Fact::Converged => Classes::FAULTS,
            Fact::Sample { metric, .. } if metric.is_only_reported() => Classes::METRICS,
            Fact::Sample { .. } | Fact::Monitored { .. } => Classes::SAMPLES,
            Fact::Told { .. } => Classes::USER_LOG,
            Fact::StruckIn { .. } => Classes::COVERAGE,
            Fact::Final { .. }
            | Fact::Inconsistent { .. }
            | Fact::Found { .. }
            | Fact::FinalValue { .. }
            | Fact::FinalRelationship { .. } => Classes::AUDIT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_sets() {
        let both = Classes::CLUSTER | Classes::AUDIT;
        assert!(both.intersects(Classes::AUDIT));
        assert!(!both.intersects(Classes::SAMPLES));
        assert!(Classes::ALL.intersects(Fact::Healed.class()));
    }
}
