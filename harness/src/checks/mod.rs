//! The checks: one file each, streaming over facts. Each says what *exercised* means for it.

mod acknowledged_writes;
mod anomalies;
mod availability;
mod bank_total;
mod counters;
mod deeds;
mod does_not_recover;
mod failed;
mod forbidden_pair;
mod happens;
mod ids_again;
mod latency;
mod linearizable;
mod list_append;
mod lost_updates;
mod observed;
mod recovers;
mod replicas_equal;
mod sessions;
mod slave_lag;
mod stores_agree;
mod stuck;
#[cfg(test)]
mod told;
mod two_masters;
mod unique;
mod unique_value;

use wavetank_reports::ExpectationResult;
use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Time};
use wavetank_world::{Bounds, Expectation, Plan};

pub use acknowledged_writes::AcknowledgedWrites;
pub use anomalies::Anomalies;
pub use availability::Availability;
pub use does_not_recover::DoesNotRecover;
pub use happens::Happens;
pub use latency::Latency;
pub use recovers::Recovers;
pub use replicas_equal::ReplicasEqual;
pub use sessions::Sessions;
pub use slave_lag::SlaveLag;
pub use two_masters::TwoMasters;

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

/// What to add to a sentence when the limits do not hold; nothing when they do.
fn side<T: PartialOrd + std::fmt::Display>(bounds: &Bounds<T>, value: &T) -> String {
    match (&bounds.min, &bounds.max) {
        (_, Some(max)) if value > max => format!(" That is more than {max}."),
        _ => less(bounds, value),
    }
}

/// What every sentence has in it that says a bound was missed from below: shrinking tells the
/// two sides of a bound apart by it.
pub(crate) const LESS: &str = "That is less than";

/// What to add to a sentence when it is too little; nothing otherwise.
fn less<T: PartialOrd + std::fmt::Display>(bounds: &Bounds<T>, value: &T) -> String {
    match &bounds.min {
        Some(min) if value < min => format!(" {LESS} {min}."),
        _ => String::new(),
    }
}

/// A check of one expectation.
#[derive(Clone, Debug)]
pub enum Check {
    /// `acknowledged-writes-lost`
    AcknowledgedWrites(Box<AcknowledgedWrites>),
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
    /// `two-masters`
    TwoMasters(TwoMasters),
    /// `happens`
    Happens(Happens),
    /// `availability`
    Availability(Availability),
    /// `slave-lag`
    SlaveLag(SlaveLag),
    /// `does-not-recover`
    DoesNotRecover(DoesNotRecover),
    /// What happens to the data: `lost-updates`, `unique-relationship` and others.
    Anomalies(Box<Anomalies>),
}

impl Check {
    /// The check of an expectation of that Plan.
    pub fn new(plan: &Plan, expectation: &Expectation) -> Self {
        match expectation {
            Expectation::AcknowledgedWritesLost { explained } => {
                Check::AcknowledgedWrites(Box::new(AcknowledgedWrites::new(plan, *explained)))
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
            Expectation::Anomalies { of, found } => {
                Check::Anomalies(Box::new(Anomalies::new(plan, of, *found)))
            }
            Expectation::Recovers { within } => Check::Recovers(Recovers::new(plan, *within)),
            Expectation::TwoMasters { lasts } => Check::TwoMasters(TwoMasters::new(*lasts)),
            Expectation::Happens { event, count } => {
                Check::Happens(Happens::new(plan, *event, *count))
            }
            Expectation::Availability { client, operation, outage } => {
                let operation = operation.as_deref();
                Check::Availability(Availability::new(plan, client, operation, *outage))
            }
            Expectation::SlaveLag { lag } => Check::SlaveLag(SlaveLag::new(*lag)),
            Expectation::DoesNotRecover => Check::DoesNotRecover(DoesNotRecover::default()),
        }
    }

    /// What proves the verdict, where the check can name it.
    pub fn evidence(&self) -> Evidence {
        match self {
            Check::AcknowledgedWrites(check) => check.evidence(),
            Check::ReplicasEqual(check) => check.evidence(),
            Check::Sessions(check) => check.evidence(),
            Check::Anomalies(check) => check.evidence(),
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
            Check::TwoMasters(check) => check.finish(),
            Check::Happens(check) => check.finish(),
            Check::Availability(check) => check.finish(),
            Check::SlaveLag(check) => check.finish(),
            Check::DoesNotRecover(check) => check.finish(),
            Check::Anomalies(check) => check.finish(),
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
            Check::TwoMasters(check) => check.interests(),
            Check::Happens(check) => check.interests(),
            Check::Availability(check) => check.interests(),
            Check::SlaveLag(check) => check.interests(),
            Check::DoesNotRecover(check) => check.interests(),
            Check::Anomalies(check) => check.interests(),
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
            Check::TwoMasters(check) => check.observe(at, seq, fact),
            Check::Happens(check) => check.observe(at, seq, fact),
            Check::Availability(check) => check.observe(at, seq, fact),
            Check::SlaveLag(check) => check.observe(at, seq, fact),
            Check::DoesNotRecover(check) => check.observe(at, seq, fact),
            Check::Anomalies(check) => check.observe(at, seq, fact),
        }
    }
}
