//! The checks: one file each, streaming over facts. Each says what *exercised* means for it.

mod acknowledged_writes;
mod latency;
mod recovers;
mod replicas_equal;

use wavetank_reports::ExpectationResult;
use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Time};
use wavetank_world::{Expectation, Plan};

pub use acknowledged_writes::AcknowledgedWrites;
pub use latency::Latency;
pub use recovers::Recovers;
pub use replicas_equal::ReplicasEqual;

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
}

impl Check {
    /// The check of an expectation of that Plan.
    pub fn new(plan: &Plan, expectation: &Expectation) -> Self {
        match expectation {
            Expectation::AcknowledgedWritesLost { explained } => {
                Check::AcknowledgedWrites(AcknowledgedWrites::new(plan, *explained))
            }
            Expectation::ReplicasEqual => Check::ReplicasEqual(ReplicasEqual::new(plan.total())),
            Expectation::Latency { client, operation, limits } => {
                let latency = Latency::new(plan, client, operation.as_deref(), limits);
                Check::Latency(Box::new(latency))
            }
            Expectation::Recovers { within } => Check::Recovers(Recovers::new(plan, *within)),
        }
    }

    /// The verdict, when all facts were read.
    pub fn finish(&self) -> ExpectationResult {
        match self {
            Check::AcknowledgedWrites(check) => check.finish(),
            Check::ReplicasEqual(check) => check.finish(),
            Check::Latency(check) => check.finish(),
            Check::Recovers(check) => check.finish(),
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
        }
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        match self {
            Check::AcknowledgedWrites(check) => check.observe(at, seq, fact),
            Check::ReplicasEqual(check) => check.observe(at, seq, fact),
            Check::Latency(check) => check.observe(at, seq, fact),
            Check::Recovers(check) => check.observe(at, seq, fact),
        }
    }
}
