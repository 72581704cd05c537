//! Flaws that releases of Neo4j had and that were mended later: each can be switched on by
//! itself, so that the same faults show the outage with it and none without it.
//!
//! Off unless a scenario names them (`[cluster] flaws`) or the modelled version has them
//! ([`Settings::defaults`](crate::Settings::defaults)). Those that concern the store, the
//! puller or the switch of roles are read by the instance.

use core::fmt;
use core::ops::BitOr;

/// A set of flaws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flaws(u32);

macro_rules! flaws {
    ($($name:ident = $bit:literal, $text:literal, $source:literal, $about:literal;)*) => {
        impl Flaws {
            $(#[doc = $about] pub const $name: Flaws = Flaws(1 << $bit);)*

            /// Every flaw: the name that scenarios use, where it was reported or mended in
            /// the public repository, and what it does.
            pub const ALL: &'static [(Flaws, &'static str, &'static str, &'static str)] =
                &[$((Flaws::$name, $text, $source, $about)),*];
        }
    };
}

flaws! {
    LEARNER_MEMORY_100 = 0, "learner-memory-100", "PR #4032",
        "Members remember the last 100 delivered Paxos instances, not 5,000: who was away for longer never catches up.";
    HEARTBEATS_WITHOUT_LEARNED = 1, "heartbeats-without-learned", "PR #2090, #2091",
        "Heartbeats do not say how far their sender has learned: who missed the last value does not know that there is one.";
    LEAVERS_STAY_FAILED = 2, "leavers-stay-failed", "PR #2767",
        "A member that left counts among the failed for good, so that too few seem to be alive.";
    STALE_EPOCHS = 3, "stale-epochs", "PR #1813, #3217, #3891",
        "A master that comes back before anybody noticed is followed on in its old epoch.";
    ELECTIONS_UNSEAT_SLAVES = 4, "elections-unseat-slaves", "PR #3598, #3891",
        "Every result of an election sends slaves to PENDING, also when their master won again.";
    ARBITER_ELECTION_LOOP = 5, "arbiter-election-loop", "neo4j#942",
        "An arbiter that saw a member come back asks for elections again and again.";
    ILLEGAL_TRANSITIONS_IGNORED = 6, "illegal-transitions-ignored", "PR #5654",
        "A member that hears what does not go with its state logs an exception and stays as it is (compat 2.2 and 2.3.0 have it).";
    STORE_COPY_NOT_RETRIED = 7, "store-copy-not-retried", "PR #5505, #8120",
        "A slave whose store copy failed does not try again.";
    CATCH_UP_TARGET_MOVES = 8, "catch-up-target-moves", "PR #3203, #3285",
        "A switch to slave goes on pulling as long as the master commits anything meanwhile.";
    PULLER_LEFT_PAUSED = 9, "puller-left-paused", "PR #3430, #5315",
        "A master announced again during a switch to slave leaves the slave's puller paused.";
    MASTER_SWITCH_WAITS = 10, "master-switch-waits", "PR #5702",
        "A switch to master waits for every open transaction, reads included.";
}

impl Flaws {
    /// No flaw.
    pub const NONE: Flaws = Flaws(0);

    /// Whether every flaw of `other` is on.
    #[inline]
    pub const fn contains(self, other: Flaws) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flaw of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, text, ..)| *text == name).map(|(flaw, ..)| *flaw)
    }

    /// The names of those that are on.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(flaw, ..)| self.contains(*flaw)).map(|(_, name, ..)| *name)
    }
}

impl BitOr for Flaws {
    type Output = Flaws;
    fn bitor(self, other: Flaws) -> Flaws {
        Flaws(self.0 | other.0)
    }
}

impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_flaw_has_a_bit_and_a_name_of_its_own() {
        let mut all = Flaws::NONE;
        for (flaw, name, source, _) in Flaws::ALL {
            assert!(!all.contains(*flaw), "{name}");
            all = all | *flaw;
            assert_eq!(Flaws::from_name(name), Some(*flaw));
            assert!(source.contains('#'), "{name} needs a source");
        }
        assert_eq!(all.names().count(), Flaws::ALL.len());
        assert_eq!(
            (Flaws::STALE_EPOCHS | Flaws::LEARNER_MEMORY_100).to_string(),
            "learner-memory-100, stale-epochs"
        );
        assert_eq!(Flaws::from_name("no such"), None);
    }
}
