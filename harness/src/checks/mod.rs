//! The checks: one file each, streaming over facts. Each says what *exercised* means for it.

mod acknowledged_writes;
mod latency;
mod recovers;
mod replicas_equal;
mod sessions;

use wavetank_reports::ExpectationResult;
use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Time};
use wavetank_world::{Bounds, Expectation, Plan};

pub use acknowledged_writes::AcknowledgedWrites;
pub use latency::Latency;
pub use recovers::Recovers;
pub use replicas_equal::ReplicasEqual;
pub use sessions::Sessions;

use crate::explain::Evidence;
use crate::suite;

/// Limits for a result: the bare value where there is an upper one only.
fn limit_json<T>(bounds: &Bounds<T>, value: impl Fn(&T) -> serde_json::Value) -> serde_json::Value {
    let words = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    match (&bounds.min, &bounds.max) {
        (None, Some(max)) => value(max),
        (Some(min), None) => format!("at least {}", words(value(min))).into(),
        (Some(min), Some(max)) => format!("{} to {}", words(value(min)), words(value(max))).into(),
        (None, None) => serde_json::Value::Null,
    }
}

/// A check of one expectation.
#[derive(Clone, Debug)]
pub enum Check {
    /// `acknowledged-writes-lost`
    AcknowledgedWrites(AcknowledgedWrites),
    /// `replicas-equal`
    ReplicasEqual(ReplicasEqual),
    /// `latency`
    Latency(Box<Latency>),
    /// `recovers`
    Recovers(Recovers),
    /// `read-your-writes`, `monotonic-reads`
    Sessions(Box<Sessions>),
    /// One that a caller brought.
    Own(Box<dyn suite::Check>),
}

impl Check {
    /// The check of an expectation of that Plan.
    pub fn new(plan: &Plan, expectation: &Expectation) -> Self {
        match expectation {
            Expectation::AcknowledgedWritesLost { explained } => {
                Check::AcknowledgedWrites(AcknowledgedWrites::new(plan, *explained))
            }
            Expectation::ReplicasEqual => Check::ReplicasEqual(ReplicasEqual::new(plan.stores())),
            Expectation::Latency { client, operation, limits } => {
                let latency = Latency::new(plan, client, operation.as_deref(), limits);
                Check::Latency(Box::new(latency))
            }
            Expectation::Sessions { guarantee, client, stale } => {
                let sessions = Sessions::new(plan, *guarantee, client.as_deref(), *stale);
                Check::Sessions(Box::new(sessions))
            }
            Expectation::Recovers { within } => Check::Recovers(Recovers::new(plan, *within)),
        }
    }

    /// What proves the verdict, where the check can name it.
    pub fn evidence(&self) -> Evidence {
        match self {
            Check::AcknowledgedWrites(check) => check.evidence(),
            Check::ReplicasEqual(check) => check.evidence(),
            Check::Sessions(check) => check.evidence(),
            _ => Evidence::default(),
        }
    }

    /// The verdict, when all facts were read.
    pub fn finish(&self) -> ExpectationResult {
        match self {
            Check::AcknowledgedWrites(check) => check.finish(),
            Check::ReplicasEqual(check) => check.finish(),
            Check::Latency(check) => check.finish(),
            Check::Recovers(check) => check.finish(),
            Check::Sessions(check) => check.finish(),
            Check::Own(check) => check.finish().into_result(check.name()),
        }
    }
}

impl Observer for Check {
    fn interests(&self) -> Classes {
        match self {
            Check::AcknowledgedWrites(check) => check.interests(),
            Check::ReplicasEqual(check) => check.interests(),
            Check::Latency(check) => check.interests(),
            Check::Recovers(check) => check.interests(),
            Check::Sessions(check) => check.interests(),
            Check::Own(check) => check.interests(),
        }
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        match self {
            Check::AcknowledgedWrites(check) => check.observe(at, seq, fact),
            Check::ReplicasEqual(check) => check.observe(at, seq, fact),
            Check::Latency(check) => check.observe(at, seq, fact),
            Check::Recovers(check) => check.observe(at, seq, fact),
            Check::Sessions(check) => check.observe(at, seq, fact),
            Check::Own(check) => check.observe(at, seq, fact),
        }
    }
}
