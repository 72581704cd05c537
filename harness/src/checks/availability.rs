//! `availability`: the longest time in which nothing of one client's operations succeeded.
//!
//! From the end of the warm-up to the end of the duration. A client that only writes tells for
//! how long there was no writing, one that only reads for how long there was no reading.
//!
//! Exercised: such an operation was due in that time.

use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::{
    Classes, ClientId, Fact, Observer, OperationId, OperationKind, OperationOutcome, Seq, Span,
    Time,
};
use wavetank_world::{Bounds, Plan};

use super::{limit_json, side};

/// The check.
#[derive(Clone, Debug)]
pub struct Availability {
    of: String,
    client: Option<ClientId>,
    kind: Option<OperationKind>,
    outage: Bounds<Span>,
    from: Time,
    until: Time,
    exercised: bool,
    last: Time,
    longest: Span,
    began: Time,
}

impl Availability {
    /// A check of that operation of that client; of all its operations when none is named.
    pub fn new(plan: &Plan, client: &str, operation: Option<&str>, outage: Bounds<Span>) -> Self {
        let client_index = plan.clients.iter().position(|c| c.name == client);
        let kind = operation
            .and_then(|name| plan.operations.iter().position(|o| o.name == name))
            .map(|index| OperationKind(index as u16));
        let from = Time::ZERO + plan.warm_up;
        Availability {
            of: operation.map_or(client.to_owned(), |operation| format!("{client}.{operation}")),
            client: client_index.map(|index| ClientId(index as u16)),
            kind,
            outage,
            from,
            until: Time::ZERO + plan.duration,
            exercised: false,
            last: from,
            longest: Span::ZERO,
            began: from,
        }
    }

    fn concerns(&self, operation: OperationId, kind: OperationKind) -> bool {
        Some(operation.client) == self.client && self.kind.is_none_or(|wanted| wanted == kind)
    }

    fn look(&mut self, at: Time) {
        let at = at.min(self.until);
        if at > self.last {
            let silent = at.since(self.last);
            if silent > self.longest {
                (self.longest, self.began) = (silent, self.last);
            }
            self.last = at;
        }
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let mut whole = self.clone();
        whole.look(self.until);
        let (longest, began) = (whole.longest, whole.began);
        let verdict = if !self.exercised {
            Verdict::NotExercised
        } else if self.outage.hold(&longest) {
            Verdict::Held
        } else {
            Verdict::Broke
        };
        let seconds = format!("{:.3}s", longest.as_secs_f64());
        let why = if self.exercised {
            let side = side(&self.outage, &longest);
            format!("The longest time without a success began at {began}: {seconds}.{side}")
        } else {
            "No such operation was due.".to_owned()
        };
        ExpectationResult {
            check: format!("availability {}", self.of),
            verdict,
            measured: seconds.into(),
            limit: limit_json(&self.outage, |span| span.to_string().into()),
            why,
        }
    }
}

impl Observer for Availability {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Invoked { operation, kind } if self.concerns(operation, kind) => {
                self.exercised |= at >= self.from;
            }
            Fact::Completed { operation, kind, outcome: OperationOutcome::Ok, .. }
                if self.concerns(operation, kind) =>
            {
                self.look(at);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{InstanceId, Status, Subject, TxId};

    fn completed(client: u16, outcome: OperationOutcome) -> Fact {
        Fact::Completed {
            operation: OperationId { client: ClientId(client), index: 0 },
            kind: OperationKind(0),
            outcome,
            status: Status::Ok,
            attempts: 1,
            instance: Some(InstanceId(1)),
            tx: TxId(0),
            subject: Subject::Nothing,
            intended: Time::ZERO,
        }
    }

    #[test]
    fn the_longest_time_without_a_success_counts() {
        // From 1 s to 10 s.
        let plan = crate::testing::plan();
        let limit = Bounds::at_most(Span::from_secs(4));
        let mut check = Availability::new(&plan, "app", None, limit);
        assert_eq!(check.finish().verdict, Verdict::NotExercised);
        let mut tell = |secs, fact| {
            check.observe(Time::ZERO + Span::from_secs(secs), 0, &fact);
            let result = check.finish();
            (result.verdict, result.measured.as_str().unwrap_or_default().to_owned())
        };
        let operation = OperationId { client: ClientId(0), index: 0 };
        let invoked = Fact::Invoked { operation, kind: OperationKind(0) };
        assert_eq!(tell(2, invoked), (Verdict::Broke, "9.000s".into()));
        let ok = completed(0, OperationOutcome::Ok);
        assert_eq!(tell(4, ok), (Verdict::Broke, "6.000s".into()));
        assert_eq!(tell(6, completed(0, OperationOutcome::Failed)).1, "6.000s");
        assert_eq!(tell(7, completed(1, OperationOutcome::Ok)).1, "6.000s", "another's");
        assert_eq!(tell(8, ok), (Verdict::Held, "4.000s".into()));
        assert_eq!(tell(20, ok), (Verdict::Held, "4.000s".into()), "after the end");
    }
}
