//! Bugs that can be planted in product code, to prove that the checks catch them.
//!
//! Always compiled, always off: the set is empty unless a scenario says otherwise, and a
//! scenario can only say so in a command built with the `planted-bugs` feature.

use core::fmt;
use core::ops::BitOr;

/// A set of planted bugs; empty by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlantedBugs(u64);

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl PlantedBugs {
            $($(#[doc = $doc])* pub const $name: PlantedBugs = PlantedBugs(1 << $bit);)*

            /// Every bug with the name that a scenario uses.
            pub const ALL: &'static [(PlantedBugs, &'static str)] =
                &[$((PlantedBugs::$name, $text)),*];

            /// What is wrong, in a sentence; nothing for a set of several.
            pub fn about(self) -> &'static str {
                $(if self == PlantedBugs::$name {
                    return concat!($($doc),*);
                })*
                ""
            }
        }
    };
}

bugs! {
    // The store.
    /// The store acknowledges a commit without syncing its log.
    SYNC_SKIPPED = 0, "sync-skipped";
    /// The store acknowledges a commit when its log is written, and syncs afterwards.
    ACKNOWLEDGED_BEFORE_SYNC = 7, "acknowledged-before-sync";
    /// A sync acknowledges the transactions that joined while it was under way, too.
    GROUP_ACKNOWLEDGED_EARLY = 8, "group-acknowledged-early";
    /// Recovery counts the last transaction of the log, but does not apply it.
    RECOVERY_SKIPS_LAST = 9, "recovery-skips-last";
    /// A checkpoint publishes its position without having written the dirty pages.
    CHECKPOINT_WITHOUT_FLUSH = 10, "checkpoint-without-flush";
    /// Pages are written in place without having been in the double-write area.
    DOUBLE_WRITE_SKIPPED = 11, "double-write-skipped";
    /// Old log files are removed up to the present one, needed or not.
    LOG_PRUNED_EARLY = 12, "log-pruned-early";
    /// A page that is read is taken as it is, whatever its checksum says.
    PAGE_CHECKSUM_IGNORED = 13, "page-checksum-ignored";
    /// A page that changes while it is written counts as clean afterwards: once evicted, it
    /// is read as it was before.
    CHANGE_DURING_WRITE_LOST = 14, "change-during-write-lost";
    /// A transaction that the disk had no space for is acknowledged.
    NO_SPACE_ACKNOWLEDGED = 16, "no-space-acknowledged";
    /// Locks are released when the transaction is logged, before its writes are in the pages.
    LOCKS_RELEASED_EARLY = 17, "locks-released-early";
    /// A wait that closes a cycle is not noticed.
    DEADLOCK_UNDETECTED = 18, "deadlock-undetected";
    /// A unique value is looked for without its lock: of two transactions neither sees the other's.
    UNIQUE_UNLOCKED = 38, "unique-unlocked";
    /// A relationship is linked into the chain of the node where it begins only.
    CHAIN_ONE_SIDED = 19, "chain-one-sided";
    /// What a slave applies does not count as used: as master it gives the ids out again.
    IDS_NOT_LEARNED = 20, "ids-not-learned";
    /// A slave leaves property records out when it applies a transaction.
    APPLY_SKIPS_PROPERTY = 1, "apply-skips-property";
    /// A slave applies the transactions of a batch from its end.
    APPLIED_BACKWARDS = 21, "applied-backwards";
    /// A transaction of a foreign history is received like any other.
    BRANCH_RECEIVED = 22, "branch-received";
    // The protocol.
    /// The elector prefers the lowest transaction id.
    LOWEST_TX_WINS = 2, "lowest-tx-wins";
    /// An instance that lost its master never asks for an election.
    NO_ELECTION_AFTER_FAILURE = 3, "no-election-after-failure";
    /// One suspicion more than a quorum is needed for a member to count as failed.
    SUSPICION_QUORUM_OFF_BY_ONE = 23, "suspicion-quorum-off-by-one";
    /// A master gives its role up one member too late when it loses the quorum.
    QUORUM_LOSS_OFF_BY_ONE = 24, "quorum-loss-off-by-one";
    /// A sign of life does not take a suspicion back.
    SUSPICION_NEVER_CLEARED = 25, "suspicion-never-cleared";
    /// The wish for an election, or for a join, is not repeated when it got lost.
    ELECTION_NOT_RETRIED = 26, "election-not-retried";
    // The instance.
    /// A master waits for a push to a failed slave until the read timeout.
    PUSH_TO_FAILED_SLAVES = 4, "push-to-failed-slaves";
    /// A slave answers a push before it has what is pushed.
    PUSH_ANSWERED_EARLY = 27, "push-answered-early";
    /// After a push that failed, no push to that slave is ever sent again.
    PUSH_NEVER_AGAIN = 28, "push-never-again";
    /// The timer of pulls is not armed again once it has fired.
    PULL_TIMER_NOT_REARMED = 29, "pull-timer-not-rearmed";
    /// A master compares transaction ids only, not checksums, when a slave shakes hands.
    CHECKSUM_NOT_COMPARED = 30, "checksum-not-compared";
    /// A store copy is said to be as new as its last page, though its first ones are older.
    COPY_MARK_TOO_LATE = 31, "copy-mark-too-late";
    /// A request that failed is answered, and its transaction left open.
    ROLLBACK_FORGOTTEN = 32, "rollback-forgotten";
    /// An instance that lost its quorum goes on taking writes.
    DETACHED_TAKES_WRITES = 33, "detached-takes-writes";
    // Balancer and client.
    /// A balancer spreads reads over all instances, whatever its rule says.
    BALANCER_IGNORES_RULE = 6, "balancer-ignores-rule";
    /// A balancer never takes a master out of its pool.
    BALANCER_KEEPS_MASTER = 34, "balancer-keeps-master";
    /// A client takes a write whose outcome it does not know for one that was not done.
    UNKNOWN_TAKEN_FOR_FAILED = 35, "unknown-taken-for-failed";
    /// A client does not take back what it wrote beside the graph before it tries again.
    NO_COMPENSATION = 15, "no-compensation";
    /// A step that locks nodes takes no lock.
    LOCKS_IGNORED = 36, "locks-ignored";
    /// The command lets chance into the Plan, so that two runs differ.
    NONDETERMINISM = 5, "nondeterminism";
    /// A machine forgets tasks when many wait for a core.
    CORE_FORGETS_WORK = 37, "core-forgets-work";
    /// A lock forgets who comes when three wait for it already.
    LOCK_FORGETS_WAITER = 50, "lock-forgets-waiter";
    /// A link loses now and then a message that nobody is told of.
    LINK_LOSES_MESSAGE = 51, "link-loses-message";
}

impl PlantedBugs {
    /// No bug.
    pub const NONE: PlantedBugs = PlantedBugs(0);

    /// Whether every bug of `other` is planted.
    #[inline]
    pub const fn contains(self, other: PlantedBugs) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bug of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, text)| *text == name).map(|(bug, _)| *bug)
    }
}

impl BitOr for PlantedBugs {
    type Output = PlantedBugs;
    fn bitor(self, other: PlantedBugs) -> PlantedBugs {
        PlantedBugs(self.0 | other.0)
    }
}

impl fmt::Display for PlantedBugs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (bug, name) in Self::ALL {
            if self.contains(*bug) {
                write!(f, "{}{name}", if first { "" } else { ", " })?;
                first = false;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_one_of_its_own() {
        let mut all = 0;
        for (bug, name) in PlantedBugs::ALL {
            assert_eq!(bug.0.count_ones(), 1, "{name}");
            assert_eq!(all & bug.0, 0, "{name} has the place of another");
            all |= bug.0;
            assert_eq!(PlantedBugs::from_name(name), Some(*bug), "{name} is there twice");
        }
    }
}
