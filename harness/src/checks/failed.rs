//! `failed-operations`: does every operation come to a good end, after whatever retries?
//!
//! An end that is unknown counts by the last answer, as a failure does. What an operation's own
//! steps gave up is counted only if it is asked for. Operations that were due before the warm-up
//! was over, or after the clients stopped, are left out.
//!
//! Exercised: operations ended. Memory: none.

use wavetank_vocabulary::{Classes, Fact, OperationOutcome, Status, Time};
use wavetank_world::Plan;

use super::anomalies::{Tally, Watch};

#[derive(Clone, Debug)]
pub(super) struct Failed {
    status: Option<Status>,
    from: Time,
    until: Time,
}

impl Failed {
    pub(super) fn new(plan: &Plan, status: Option<Status>) -> Self {
        let from = Time::ZERO + plan.warm_up;
        Failed { status, from, until: Time::ZERO + plan.duration }
    }
}

impl Watch for Failed {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        let Fact::Completed { operation, outcome, status, attempts, instance, intended, .. } =
            *fact
        else {
            return;
        };
        if intended < self.from || intended >= self.until {
            return;
        }
        tally.looked += 1;
        let asked = match self.status {
            Some(asked) => asked.seen_as() == status.seen_as(),
            None => status != Status::Aborted,
        };
        if outcome != OperationOutcome::Ok && asked {
            tally.find(1, Some(at), vec![operation], instance.into_iter().collect(), || {
                let tries = if attempts == 1 { "attempt" } else { "attempts" };
                let place =
                    instance.map_or_else(String::new, |id| format!(" at instance {}", id.0));
                format!(
                    "{operation} ended at {at}{place} after {attempts} {tries} with: {}.",
                    status.name()
                )
            });
        }
    }

    fn looks_at(&self) -> &'static str {
        "operations"
    }
}
