//! Bugs that can be planted in product code, to prove that the checks catch them.
//!
//! Always compiled, always off: the set is empty unless a scenario says otherwise, and a
//! scenario can only say so in a command built with the `planted-bugs` feature.

use core::fmt;
use core::ops::BitOr;

/// A set of planted bugs; empty by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlantedBugs(u32);

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl PlantedBugs {
            $($(#[$doc])* pub const $name: PlantedBugs = PlantedBugs(1 << $bit);)*

            /// Every bug with the name that a scenario uses.
            pub const ALL: &'static [(PlantedBugs, &'static str)] =
                &[$((PlantedBugs::$name, $text)),*];
        }
    };
}

bugs! {
    /// The store acknowledges a commit without syncing its log.
    SYNC_SKIPPED = 0, "sync-skipped";
    /// A slave leaves property records out when it applies a transaction.
    APPLY_SKIPS_PROPERTY = 1, "apply-skips-property";
    /// The elector prefers the lowest transaction id.
    LOWEST_TX_WINS = 2, "lowest-tx-wins";
    /// An instance that lost its master never asks for an election.
    NO_ELECTION_AFTER_FAILURE = 3, "no-election-after-failure";
    /// A master waits for a push to a failed slave until the read timeout.
    PUSH_TO_FAILED_SLAVES = 4, "push-to-failed-slaves";
    /// A balancer spreads reads over all instances, whatever its rule says.
    BALANCER_IGNORES_RULE = 6, "balancer-ignores-rule";
    /// A client does not take back what it wrote beside the graph before it tries again.
    NO_COMPENSATION = 15, "no-compensation";
    /// The command lets chance into the Plan, so that two runs differ.
    NONDETERMINISM = 5, "nondeterminism";
    /// A machine forgets tasks when many wait for a core.
    CORE_FORGETS_WORK = 16, "core-forgets-work";
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
