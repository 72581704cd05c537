//! `recovers`: how long is the cluster out of service after a fault?
//!
//! It serves when exactly one instance is master, and every other one that is not itself
//! under a fault is its slave. Two waits are measured for each fault: from its start until
//! those that are not hit serve again, and from its end until all do. The longest counts.
//!
//! Exercised: a fault took effect.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::{Classes, Fact, FaultId, InstanceId, Observer, Role, Seq, Span, Time};
use wavetank_world::Plan;

/// The check.
#[derive(Clone, Debug)]
pub struct Recovers {
    within: Span,
    roles: BTreeMap<InstanceId, Role>,
    /// How many faults each instance is under.
    hit: BTreeMap<InstanceId, u32>,
    /// Moments from which a recovery is awaited, and what happened then.
    awaited: Vec<(Time, String)>,
    longest: Option<(Span, String)>,
    exercised: bool,
    /// Faults at work, and on whom. One with several links tells one fact for each: the first
    /// one counts.
    active: BTreeSet<(FaultId, InstanceId)>,
}

impl Recovers {
    /// A check that allows that much time.
    pub fn new(plan: &Plan, within: Span) -> Self {
        Recovers {
            within,
            roles: plan.instances.iter().map(|i| (i.id, Role::Down)).collect(),
            hit: BTreeMap::new(),
            awaited: Vec::new(),
            longest: None,
            exercised: false,
            active: BTreeSet::new(),
        }
    }

    fn serves(&self) -> bool {
        let free = |id: &InstanceId| self.hit.get(id).is_none_or(|count| *count == 0);
        let mut masters = 0;
        for (id, role) in &self.roles {
            match role {
                _ if !free(id) => {}
                Role::Master => masters += 1,
                Role::Slave | Role::Arbiter => {}
                _ => return false,
            }
        }
        masters == 1
    }

    fn look(&mut self, now: Time) {
        if self.awaited.is_empty() || !self.serves() {
            return;
        }
        for (since, what) in std::mem::take(&mut self.awaited) {
            self.note(now.since(since), what);
        }
    }

    fn note(&mut self, took: Span, what: String) {
        if self.longest.as_ref().is_none_or(|(longest, _)| took > *longest) {
            self.longest = Some((took, what));
        }
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let (verdict, measured, why) = if let Some((since, what)) = self.awaited.first() {
            let why = format!("After {what} at {since} the cluster did not serve again.");
            (Verdict::Broke, "never".to_owned(), why)
        } else if !self.exercised {
            let why = "No fault took effect.".to_owned();
            (Verdict::NotExercised, "0s".to_owned(), why)
        } else {
            let (took, what) = self.longest.clone().unwrap_or_default();
            let seconds = format!("{:.3}s", took.as_secs_f64());
            let why = format!("The longest wait was after {what}: {seconds}.");
            let verdict = if took > self.within { Verdict::Broke } else { Verdict::Held };
            (verdict, seconds, why)
        };
        ExpectationResult {
            check: "recovers".into(),
            verdict,
            measured: measured.into(),
            limit: self.within.to_string().into(),
            why,
        }
    }
}

impl Observer for Recovers {
    fn interests(&self) -> Classes {
        Classes::CLUSTER | Classes::FAULTS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::RoleChanged { instance, to, .. } => {
                self.roles.insert(instance, to);
                self.look(at);
            }
            Fact::FaultBegan { fault, kind, on, .. } => {
                self.exercised = true;
                if self.active.insert((fault, on)) {
                    *self.hit.entry(on).or_default() += 1;
                    let what = match on {
                        InstanceId::NOBODY => format!("the {}", kind.name()),
                        on => format!("the {} of instance {}", kind.name(), on.0),
                    };
                    self.awaited.push((at, what));
                    self.look(at);
                }
            }
            Fact::FaultEnded { fault, kind, on, .. } if self.active.remove(&(fault, on)) => {
                if let Some(count) = self.hit.get_mut(&on) {
                    *count = count.saturating_sub(1);
                }
                let what = match on {
                    InstanceId::NOBODY => format!("the end of the {}", kind.name()),
                    on if kind.downs() => format!("the return of instance {}", on.0),
                    on => format!("the healing of instance {}", on.0),
                };
                self.awaited.push((at, what));
                self.look(at);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{FaultKind, LogMark};

    struct Story(Recovers);

    impl Story {
        fn new() -> Self {
            let mut story = Story(Recovers::new(&crate::testing::plan(), Span::from_secs(20)));
            for (id, role) in [(1, Role::Master), (2, Role::Slave), (3, Role::Slave)] {
                story.role(0, id, role);
            }
            story
        }

        fn tell(&mut self, secs: u64, fact: Fact) {
            self.0.observe(Time::ZERO + Span::from_secs(secs), 0, &fact);
        }

        fn role(&mut self, secs: u64, id: u16, to: Role) {
            let log = LogMark::BASE;
            let fact = Fact::RoleChanged { instance: InstanceId(id), from: to, to, log };
            self.tell(secs, fact);
        }

        fn fault(&mut self, secs: u64, on: u16, begins: bool) {
            let (fault, kind, on) = (FaultId(0), FaultKind::PowerLoss, InstanceId(on));
            self.tell(
                secs,
                if begins {
                    Fact::FaultBegan { fault, kind, on, peer: None }
                } else {
                    Fact::FaultEnded { fault, kind, on, peer: None }
                },
            );
        }
    }

    #[test]
    fn the_wait_runs_from_the_fault_to_the_new_master() {
        let mut story = Story::new();
        story.fault(10, 1, true);
        story.role(10, 1, Role::Down);
        story.role(22, 2, Role::ToMaster);
        story.role(24, 2, Role::Master);
        let result = story.0.finish();
        assert_eq!((result.verdict, result.measured), (Verdict::Held, "14.000s".into()));
    }

    #[test]
    fn the_return_is_measured_too() {
        let mut story = Story::new();
        story.fault(10, 3, true);
        story.role(10, 3, Role::Down);
        story.fault(30, 3, false);
        assert_eq!(story.0.finish().measured, "never");
        story.role(55, 3, Role::Slave);
        let result = story.0.finish();
        assert_eq!((result.verdict, result.measured), (Verdict::Broke, "25.000s".into()));
    }

    #[test]
    fn two_masters_do_not_count_as_service() {
        let mut story = Story::new();
        story.fault(10, 1, true);
        story.role(22, 2, Role::Master);
        story.fault(30, 1, false);
        assert_eq!(story.0.finish().measured, "never", "both are master");
        story.role(31, 1, Role::Slave);
        assert_eq!(story.0.finish().verdict, Verdict::Held);
    }

    #[test]
    fn a_fault_that_ends_at_once_is_over() {
        let mut story = Story::new();
        story.fault(10, 1, true);
        story.fault(10, 1, false);
        assert_eq!(story.0.finish().verdict, Verdict::Held, "it is no longer hit");
    }

    #[test]
    fn without_a_fault_nothing_was_exercised() {
        assert_eq!(Story::new().0.finish().verdict, Verdict::NotExercised);
    }
}
