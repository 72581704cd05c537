//! The part of the Plan that says what must hold. The checks that judge it are not in this room.

use alloc::string::String;
use alloc::vec::Vec;

use wavetank_vocabulary::{Ratio, Span};

use crate::anomaly::Anomaly;
use crate::trigger::Trigger;

/// A lower and an upper limit, both allowed values themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds<T> {
    /// At the least.
    pub min: Option<T>,
    /// At the most.
    pub max: Option<T>,
}

impl<T> Bounds<T> {
    /// Limited from above only.
    pub const fn at_most(max: T) -> Self {
        Bounds { min: None, max: Some(max) }
    }
}

impl<T: PartialOrd> Bounds<T> {
    /// Whether the value lies within them.
    pub fn hold(&self, value: &T) -> bool {
        self.min.as_ref().is_none_or(|min| value >= min)
            && self.max.as_ref().is_none_or(|max| value <= max)
    }
}

/// How many of a campaign's seeds an expectation must hold for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeedRule {
    /// All of them.
    #[default]
    Every,
    /// At least one.
    Any,
    /// At least this part of them.
    AtLeast(Ratio),
}

impl SeedRule {
    /// Whether it is enough that an expectation held for `held` of `runs` seeds.
    pub fn satisfied(self, held: u64, runs: u64) -> bool {
        match self {
            SeedRule::Every => held == runs,
            SeedRule::Any => held > 0,
            SeedRule::AtLeast(part) => {
                u128::from(held) * u128::from(part.denominator)
                    >= u128::from(runs) * u128::from(part.numerator)
            }
        }
    }
}

/// What one user may expect of reads after each other (Terry et al. 1994).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionGuarantee {
    /// A read sees the user's own acknowledged writes.
    ReadYourWrites,
    /// A read sees at least what the user's reads before it had seen.
    MonotonicReads,
}

impl SessionGuarantee {
    /// The name that scenarios use.
    pub const fn name(self) -> &'static str {
        match self {
            SessionGuarantee::ReadYourWrites => "read-your-writes",
            SessionGuarantee::MonotonicReads => "monotonic-reads",
        }
    }
}

/// An expectation, and how a campaign judges it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// What must hold.
    pub check: Expectation,
    /// For how many seeds.
    pub seeds: SeedRule,
}

impl From<Expectation> for Expected {
    fn from(check: Expectation) -> Self {
        Expected { check, seeds: SeedRule::Every }
    }
}

/// What must hold at the end.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// No acknowledged write is lost, but for `explained` ones up to the limit.
    AcknowledgedWritesLost {
        /// How many may be lost together with a branch that was discarded.
        explained: Bounds<u64>,
    },
    /// All instances have the same contents once the cluster has recovered.
    ReplicasEqual,
    /// Percentiles of the latency of one client's operation, from the intended start.
    Latency {
        /// The client's name.
        client: String,
        /// The operation's name; none is all of them together.
        operation: Option<String>,
        /// Percentile in thousandths of a percent (99 % is 99,000) and its limits.
        limits: Vec<(u32, Bounds<Span>)>,
    },
    /// Of the reads that could have, only so many miss what their user had written or seen.
    Sessions {
        /// Which.
        guarantee: SessionGuarantee,
        /// The client's name; none is all of them.
        client: Option<String>,
        /// The part of the reads that may be stale.
        stale: Bounds<Ratio>,
    },
    /// Two instances are master at once for so long.
    TwoMasters {
        /// The longest such time.
        lasts: Bounds<Span>,
    },
    /// Something happens so often between warm-up and healing.
    Happens {
        /// What.
        event: Trigger,
        /// How often.
        count: Bounds<u64>,
    },
    /// The longest time without a success.
    Availability {
        /// The client's name.
        client: String,
        /// The operation's name; none is all of them together.
        operation: Option<String>,
        /// That time.
        outage: Bounds<Span>,
    },
    /// A slave lacks what its master committed for so long.
    SlaveLag {
        /// The longest such time.
        lag: Bounds<Span>,
    },
    /// The cluster is out of order when everything has been healed, and stays so.
    DoesNotRecover,
    /// The cluster recovers from each fault.
    Recovers {
        /// From the fault's start.
        within: Span,
    },
    /// So often something happened to the data that should not.
    Anomalies {
        /// What.
        of: Anomaly,
        /// How often.
        found: Bounds<u64>,
    },
}
