//! `two-masters`: for how long were two instances master at once?
//!
//! An old master that nobody hears goes on until it notices; what it accepts meanwhile is lost
//! with its branch. The longest such time counts.
//!
//! Exercised: an instance became master.

use std::collections::BTreeSet;

use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::{Classes, Fact, InstanceId, Observer, Role, Seq, Span, Time};
use wavetank_world::Bounds;

use super::{limit_json, side};

/// The check.
#[derive(Clone, Debug)]
pub struct TwoMasters {
    lasts: Bounds<Span>,
    masters: BTreeSet<InstanceId>,
    since: Option<Time>,
    longest: Option<(Span, Time)>,
    exercised: bool,
    now: Time,
}

impl TwoMasters {
    /// A check that allows that much time.
    pub fn new(lasts: Bounds<Span>) -> Self {
        TwoMasters {
            lasts,
            masters: BTreeSet::new(),
            since: None,
            longest: None,
            exercised: false,
            now: Time::ZERO,
        }
    }

    fn longest(&self) -> Option<(Span, Time)> {
        let open = self.since.map(|since| (self.now.since(since), since));
        self.longest.into_iter().chain(open).max_by_key(|(took, _)| *took)
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let longest = self.longest();
        let (took, why) = match longest {
            Some((took, since)) => {
                let why = format!("From {since} on, for {:.3}s.", took.as_secs_f64());
                (took, why)
            }
            None => (Span::ZERO, "There was never more than one.".to_owned()),
        };
        let verdict = if !self.exercised {
            Verdict::NotExercised
        } else if self.lasts.hold(&took) {
            Verdict::Held
        } else {
            Verdict::Broke
        };
        ExpectationResult {
            check: "two-masters".into(),
            verdict,
            measured: format!("{:.3}s", took.as_secs_f64()).into(),
            limit: limit_json(&self.lasts, |span| span.to_string().into()),
            why: if self.exercised {
                format!("{why}{}", side(&self.lasts, &took))
            } else {
                "Nobody ever became master.".into()
            },
        }
    }
}

impl Observer for TwoMasters {
    fn interests(&self) -> Classes {
        Classes::CLUSTER | Classes::FAULTS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        self.now = at;
        let Fact::RoleChanged { instance, to, .. } = *fact else { return };
        if to == Role::Master {
            self.exercised = true;
            self.masters.insert(instance);
        } else {
            self.masters.remove(&instance);
        }
        match (self.since, self.masters.len() > 1) {
            (None, true) => self.since = Some(at),
            (Some(_), false) => {
                self.longest = self.longest();
                self.since = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::LogMark;

    fn role(check: &mut TwoMasters, secs: u64, id: u16, to: Role) {
        let fact = Fact::RoleChanged { instance: InstanceId(id), from: to, to, log: LogMark::BASE };
        check.observe(Time::ZERO + Span::from_secs(secs), 0, &fact);
    }

    #[test]
    fn the_longest_time_with_two_counts() {
        let mut check = TwoMasters::new(Bounds::at_most(Span::from_secs(5)));
        assert_eq!(check.finish().verdict, Verdict::NotExercised);
        role(&mut check, 1, 1, Role::Master);
        assert_eq!(check.finish().verdict, Verdict::Held);
        role(&mut check, 10, 2, Role::Master);
        role(&mut check, 14, 1, Role::Detached);
        assert_eq!(check.finish().measured, "4.000s");
        role(&mut check, 20, 1, Role::Master);
        role(&mut check, 29, 3, Role::Slave);
        let result = check.finish();
        assert_eq!((result.verdict, result.measured), (Verdict::Broke, "9.000s".into()));
    }
}
