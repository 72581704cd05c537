//! What is measured at each point of a sweep, by name and unit.

use std::collections::BTreeMap;

use wavetank_reports::{OperationStats, Recorder};
use wavetank_vocabulary::{
    Classes, Fact, FaultId, InstanceId, Observer, OperationKind, OperationOutcome, Seq, Span, Time,
};
use wavetank_world::{Bounds, Expectation, Plan};

use crate::checks::Check;

/// Reads what no other observer counts: detection, outages of writing, staleness of reads.
#[derive(Clone, Debug)]
struct Watch {
    /// From here on.
    warm_up: Time,
    writes: Vec<bool>,
    /// When the faults began that are at work on an instance and that nobody has found out yet.
    undetected: BTreeMap<InstanceId, BTreeMap<FaultId, Time>>,
    detections: Vec<f64>,
    last_write: Time,
    longest_outage: Span,
    /// When each transaction was committed, by its id; the last time, where a branch was discarded.
    committed: Vec<Time>,
    reads: u64,
    /// How old what stale reads saw was: the time from the commit of the first transaction that
    /// they missed until they began.
    stale: Vec<Span>,
    healed: Option<Time>,
    converged: Option<Time>,
}

impl Watch {
    fn new(plan: &Plan) -> Self {
        let warm_up = Time::ZERO + plan.warm_up;
        Watch {
            warm_up,
            writes: plan.operations.iter().map(|program| program.writes()).collect(),
            undetected: BTreeMap::new(),
            detections: Vec::new(),
            last_write: warm_up,
            longest_outage: Span::ZERO,
            committed: Vec::new(),
            reads: 0,
            stale: Vec::new(),
            healed: None,
            converged: None,
        }
    }

    fn writes(&self, kind: OperationKind) -> bool {
        self.writes.get(kind.index()).copied().unwrap_or(false)
    }

    fn wrote(&mut self, at: Time) {
        self.longest_outage = self.longest_outage.max(at.since(self.last_write));
        self.last_write = self.last_write.max(at);
    }

    fn read(&mut self, seen: u64, began: Time) {
        self.reads += 1;
        let missed = self.committed.get(seen as usize + 1).copied();
        if let Some(missed) = missed.filter(|missed| *missed > Time::ZERO && *missed < began) {
            self.stale.push(began.since(missed));
        }
    }
}

impl Observer for Watch {
    fn interests(&self) -> Classes {
        Classes::CLUSTER
            | Classes::TRANSACTIONS
            | Classes::OPERATIONS
            | Classes::SESSIONS
            | Classes::FAULTS
    }

    fn observe(&mut self, at: Time, _: Seq, fact: &Fact) {
        match *fact {
            Fact::FaultBegan { fault, on, .. } => {
                self.undetected.entry(on).or_default().entry(fault).or_insert(at);
            }
            // Whoever fails after that does not fail of it.
            Fact::FaultEnded { fault, on, .. } => {
                if let Some(faults) = self.undetected.get_mut(&on) {
                    faults.remove(&fault);
                }
            }
            Fact::MemberFailed { whom, .. } => {
                let faults = self.undetected.remove(&whom).unwrap_or_default();
                if let Some(began) = faults.into_values().min() {
                    self.detections.push(at.since(began).as_secs_f64());
                }
            }
            Fact::MemberAlive { whom, .. } => {
                self.undetected.remove(&whom);
            }
            Fact::Committed { log, .. } => {
                let index = log.tx.0 as usize;
                if self.committed.len() <= index {
                    self.committed.resize(index + 1, Time::ZERO);
                }
                self.committed[index] = at;
            }
            Fact::Completed { kind, outcome: OperationOutcome::Ok, .. }
                if self.writes(kind) && at > self.warm_up =>
            {
                self.wrote(at);
            }
            Fact::Session { seen, wrote, intended, .. }
                if wrote.0 == 0 && intended >= self.warm_up =>
            {
                self.read(seen.0, intended);
            }
            // After it nobody asks any more: the last outage ends here.
            Fact::Healed => {
                self.wrote(at);
                self.healed = Some(at);
            }
            Fact::Converged => self.converged = Some(at),
            _ => {}
        }
    }
}

/// Reads everything that a sweep measures.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    recorder: Recorder,
    watch: Watch,
    losses: Check,
}

impl Meter {
    pub(super) fn new(plan: &Plan) -> Self {
        let expectation = Expectation::AcknowledgedWritesLost { explained: Bounds::default() };
        Meter {
            recorder: Recorder::new(plan),
            watch: Watch::new(plan),
            losses: Check::new(plan, &expectation),
        }
    }

    /// The outcomes of a run that is over.
    pub(super) fn outcomes(&self, plan: &Plan) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        let mut put = |name: String, value: Option<f64>| {
            // To a millionth: so a value that was written and is read again is the same.
            if let Some(value) = value {
                found.insert(name, (value * 1e6).round() / 1e6);
            }
        };
        for (number, client) in plan.clients.iter().enumerate() {
            for (kind, _) in &client.mix {
                let Some(stats) = self.recorder.operation(number, *kind) else { continue };
                let operation = &plan.operations[kind.index()].name;
                for (name, thousandths) in [("p50", 50_000), ("p90", 90_000), ("p99", 99_000)] {
                    let name = format!("latency {}.{operation} {name} [ms]", client.name);
                    put(name, stats.percentile(thousandths).map(|span| span.as_secs_f64() * 1e3));
                }
            }
        }
        let all = self.recorder.all();
        let measured = plan.duration.saturating_sub(plan.warm_up).as_secs_f64();
        put("throughput [ok/s]".into(), Some(all.ok as f64 / measured.max(1e-9)));
        put("operations not ok [%]".into(), not_ok(all));
        put("page cache hit rate [%]".into(), self.hit_rate());
        let Watch { detections, stale, reads, .. } = &self.watch;
        put("detection time [s]".into(), mean(detections.iter().copied()));
        let writes = plan
            .clients
            .iter()
            .flat_map(|client| &client.mix)
            .any(|(kind, _)| self.watch.writes(*kind));
        let outage = self.watch.longest_outage.as_secs_f64();
        put("longest time without an acknowledged write [s]".into(), writes.then_some(outage));
        let part = (*reads > 0).then(|| 100.0 * stale.len() as f64 / *reads as f64);
        put("stale reads [%]".into(), part);
        let ages = stale.iter().map(|age| age.as_secs_f64() * 1e3);
        put("age of stale reads, mean [ms]".into(), mean(ages));
        if let (Some(healed), Some(converged)) = (self.watch.healed, self.watch.converged) {
            put(
                "convergence after healing [s]".into(),
                Some(converged.since(healed).as_secs_f64()),
            );
        }
        let lost = self.losses.finish().measured;
        for what in ["explained", "unexplained"] {
            put(format!("lost writes, {what}"), lost.get(what).and_then(serde_json::Value::as_f64));
        }
        found
    }

    fn hit_rate(&self) -> Option<f64> {
        let sum = |of: fn(&wavetank_reports::InstanceStats) -> u64| -> u64 {
            self.recorder.instances().iter().map(of).sum()
        };
        let (hits, faults) = (sum(|instance| instance.hits), sum(|instance| instance.faults));
        (hits + faults > 0).then(|| 100.0 * hits as f64 / (hits + faults) as f64)
    }
}

impl Observer for Meter {
    fn interests(&self) -> Classes {
        self.recorder.interests() | self.watch.interests() | self.losses.interests()
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        let class = fact.class();
        self.recorder.observe(at, seq, fact);
        if self.watch.interests().intersects(class) {
            self.watch.observe(at, seq, fact);
        }
        if self.losses.interests().intersects(class) {
            self.losses.observe(at, seq, fact);
        }
    }
}

fn not_ok(stats: &OperationStats) -> Option<f64> {
    (stats.offered > 0).then(|| 100.0 * (1.0 - stats.ok as f64 / stats.offered as f64))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::FaultKind;

    #[test]
    fn what_is_found_out_is_dated_from_a_fault_that_is_still_at_work() {
        let mut watch = Watch::new(&crate::testing::plan());
        let (on, by) = (InstanceId(3), InstanceId(1));
        let mut told = |second, fact| watch.observe(Time::ZERO + Span::from_secs(second), 0, &fact);
        let began = |fault| Fact::FaultBegan {
            fault: FaultId(fault),
            kind: FaultKind::SlowCpu,
            on,
            peer: None,
        };
        let ended = |fault| Fact::FaultEnded {
            fault: FaultId(fault),
            kind: FaultKind::SlowCpu,
            on,
            peer: None,
        };
        told(15, began(1));
        told(16, ended(1));
        told(45, began(2));
        told(46, began(3));
        told(48, Fact::MemberFailed { by, whom: on });
        told(60, ended(2));
        told(61, Fact::MemberFailed { by, whom: on });
        assert_eq!(watch.detections, [3.0]);
    }
}
