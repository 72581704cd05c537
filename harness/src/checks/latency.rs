//! `latency`: percentiles of one client's operation, from the intended start to the answer.
//!
//! Counted are operations that were due after the warm-up and succeeded; what failed is the
//! error rate's business.
//!
//! Exercised: there are enough of them for the percentile (`samples_needed`).

use hdrhistogram::Histogram;
use serde_json::Map;
use wavetank_reports::{ExpectationResult, Verdict, grouped, samples_needed};
use wavetank_vocabulary::{
    Classes, ClientId, Fact, Observer, OperationKind, OperationOutcome, Seq, Span, Time,
};
use wavetank_world::{Bounds, Plan};

use super::limit_json;

/// Latencies are cut at a day: the histogram grows with its largest value.
const LONGEST_NANOS: u64 = 86_400_000_000_000;

/// The check.
#[derive(Clone, Debug)]
pub struct Latency {
    of: String,
    client: Option<ClientId>,
    kind: Option<OperationKind>,
    limits: Vec<(u32, Bounds<Span>)>,
    from: Time,
    until: Time,
    nanos: Histogram<u64>,
}

impl Latency {
    /// A check of that operation of that client; of all its operations when none is named.
    /// Percentiles are in thousandths of a percent.
    pub fn new(
        plan: &Plan,
        client: &str,
        operation: Option<&str>,
        limits: &[(u32, Bounds<Span>)],
    ) -> Self {
        let client_index = plan.clients.iter().position(|c| c.name == client);
        let kind = operation
            .and_then(|name| plan.operations.iter().position(|o| o.name == name))
            .map(|index| OperationKind(index as u16));
        Latency {
            of: operation.map_or(client.to_owned(), |operation| format!("{client}.{operation}")),
            client: client_index.map(|index| ClientId(index as u16)),
            kind,
            limits: limits.to_vec(),
            from: Time::ZERO + plan.warm_up,
            until: Time::ZERO + plan.duration,
            nanos: Histogram::new(3).expect("three digits are within what a histogram can do"),
        }
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let mut measured = Map::new();
        let mut limits = Map::new();
        let mut broken = Vec::new();
        let mut lacking = None;
        for (thousandths, limit) in &self.limits {
            let percent = f64::from(*thousandths) / 1000.0;
            let value = Span::from_nanos(self.nanos.value_at_percentile(percent));
            let name = format!("p{percent}").replace("p99.9", "p999");
            if self.nanos.len() < samples_needed(*thousandths) {
                lacking.get_or_insert(name.clone());
            } else if !limit.hold(&value) {
                let (side, limit) = match limit.max.filter(|max| value > *max) {
                    Some(max) => ("above", max),
                    None => ("below", limit.min.unwrap_or_default()),
                };
                broken.push(format!("{name} is {:.1} ms, {side} {limit}", value.as_millis_f64()));
            }
            let millis = format!("{:.3}ms", value.as_millis_f64());
            measured.insert(name.clone(), millis.into());
            limits.insert(name, limit_json(limit, |span| span.to_string().into()));
        }
        let count = self.nanos.len();
        let (verdict, why) = match (broken.is_empty(), lacking) {
            (false, _) => {
                let of = grouped(count);
                (Verdict::Broke, format!("Of {of} operations, {}.", broken.join(", ")))
            }
            (true, Some(name)) => {
                (Verdict::NotExercised, format!("{count} operations are too few for {name}."))
            }
            (true, None) => (Verdict::Held, format!("Over {} operations.", grouped(count))),
        };
        ExpectationResult {
            check: format!("latency {}", self.of),
            verdict,
            measured: measured.into(),
            limit: limits.into(),
            why,
        }
    }
}

impl Observer for Latency {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        if let Fact::Completed { operation, kind, outcome: OperationOutcome::Ok, intended, .. } =
            *fact
            && Some(operation.client) == self.client
            && self.kind.is_none_or(|wanted| wanted == kind)
            && intended >= self.from
            && intended < self.until
        {
            let nanos = at.since(intended).as_nanos().min(LONGEST_NANOS);
            self.nanos.record(nanos).expect("the index of a day fits a usize");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{OperationId, Status, Subject, TxId};

    fn verdict(samples: u64, limit_ms: u64) -> Verdict {
        within(samples, Bounds::at_most(Span::from_millis(limit_ms)))
    }

    fn within(samples: u64, limit: Bounds<Span>) -> Verdict {
        let mut plan = crate::testing::plan();
        plan.warm_up = Span::ZERO;
        let limits = [(50_000, limit)];
        let mut check = Latency::new(&plan, &plan.clients[0].name, None, &limits);
        for n in 0..samples {
            let fact = Fact::Completed {
                operation: OperationId::default(),
                kind: OperationKind(0),
                outcome: OperationOutcome::Ok,
                status: Status::Ok,
                attempts: 1,
                instance: None,
                tx: TxId(0),
                subject: Subject::Nothing,
                intended: Time::ZERO,
            };
            check.observe(Time::ZERO + Span::from_millis(n % 100), n, &fact);
        }
        check.finish().verdict
    }

    #[test]
    fn the_percentile_is_held_against_its_limit() {
        assert_eq!(verdict(1000, 60), Verdict::Held);
        assert_eq!(verdict(1000, 40), Verdict::Broke);
        assert_eq!(verdict(3, 60), Verdict::NotExercised);
        let at_least = |ms| Bounds { min: Some(Span::from_millis(ms)), max: None };
        assert_eq!(within(1000, at_least(40)), Verdict::Held);
        assert_eq!(within(1000, at_least(60)), Verdict::Broke);
    }
}
