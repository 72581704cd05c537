//! `happens`: how often does something happen that a fault could wait for?
//!
//! Counted from the end of the warm-up until the faults are healed: elections, reigns, store
//! copies, branches, denied joins.
//!
//! Exercised: a fault took effect, or the scenario has none.

use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Time};
use wavetank_world::{Bounds, Plan, Trigger};

use super::{limit_json, side};

/// The check.
#[derive(Clone, Debug)]
pub struct Happens {
    event: Trigger,
    count: Bounds<u64>,
    from: Time,
    over: bool,
    exercised: bool,
    seen: u64,
    last: Option<Time>,
}

impl Happens {
    /// A check of how often that happens.
    pub fn new(plan: &Plan, event: Trigger, count: Bounds<u64>) -> Self {
        Happens {
            event,
            count,
            from: Time::ZERO + plan.warm_up,
            over: false,
            exercised: plan.faults.is_empty(),
            seen: 0,
            last: None,
        }
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let verdict = if !self.exercised {
            Verdict::NotExercised
        } else if self.count.hold(&self.seen) {
            Verdict::Held
        } else {
            Verdict::Broke
        };
        let why = match self.last {
            _ if !self.exercised => "No fault took effect.".to_owned(),
            Some(at) => {
                format!("{} times, the last at {at}.{}", self.seen, side(&self.count, &self.seen))
            }
            None => format!("It never happened.{}", side(&self.count, &self.seen)),
        };
        ExpectationResult {
            check: format!("happens {}", self.event.name()),
            verdict,
            measured: self.seen.into(),
            limit: limit_json(&self.count, |count| (*count).into()),
            why,
        }
    }
}

impl Observer for Happens {
    fn interests(&self) -> Classes {
        Classes::CLUSTER | Classes::STORE | Classes::FAULTS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match fact {
            Fact::Healed => self.over = true,
            Fact::FaultBegan { .. } => self.exercised = true,
            _ if !self.over && at >= self.from && self.event.seen_in(fact).is_some() => {
                self.seen += 1;
                self.last = Some(at);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{FaultId, FaultKind, InstanceId, Span};

    #[test]
    fn only_what_happens_between_warm_up_and_healing_counts() {
        let plan = crate::testing::plan();
        let count = Bounds { min: Some(2), max: Some(2) };
        let mut check = Happens::new(&plan, Trigger::ElectionBegins, count);
        assert_eq!(check.finish().verdict, Verdict::Broke, "without faults it counts at once");
        check.exercised = false;
        let mut tell = |secs, fact| {
            check.observe(Time::ZERO + Span::from_secs(secs), 0, &fact);
            check.finish().verdict
        };
        let election = Fact::ElectionBegan { elector: InstanceId(1), version: 1 };
        assert_eq!(tell(0, election), Verdict::NotExercised);
        let (fault, kind, on) = (FaultId(0), FaultKind::Crash, InstanceId(1));
        assert_eq!(tell(2, Fact::FaultBegan { fault, kind, on, peer: None }), Verdict::Broke);
        assert_eq!(tell(3, election), Verdict::Broke);
        assert_eq!(tell(4, election), Verdict::Held);
        assert_eq!(tell(5, Fact::Healed), Verdict::Held);
        assert_eq!(tell(6, election), Verdict::Held);
    }
}
