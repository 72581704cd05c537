//! `does-not-recover`: does the cluster stay out of order, although all faults are healed?
//!
//! For scenarios of outages that ended with a restart by hand only. A run for which this holds
//! counts as recovered, for nothing else was expected.
//!
//! Exercised: the faults were healed.

use wavetank_reports::{ExpectationResult, STAYS_BROKEN, Verdict};
use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Time};

/// The check.
#[derive(Clone, Copy, Debug, Default)]
pub struct DoesNotRecover {
    healed: Option<Time>,
    converged: Option<Time>,
}

impl DoesNotRecover {
    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let (verdict, measured, why) = match (self.healed, self.converged) {
            (None, _) => (Verdict::NotExercised, "", "The faults were not healed.".to_owned()),
            (Some(_), Some(at)) => {
                (Verdict::Broke, "recovered", format!("It had recovered at {at}."))
            }
            (Some(at), None) => {
                (Verdict::Held, "never", format!("It was healed at {at} and did not recover."))
            }
        };
        ExpectationResult {
            check: STAYS_BROKEN.into(),
            verdict,
            measured: measured.into(),
            limit: "never".into(),
            why,
        }
    }
}

impl Observer for DoesNotRecover {
    fn interests(&self) -> Classes {
        Classes::FAULTS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match fact {
            Fact::Healed => self.healed = Some(at),
            Fact::Converged => self.converged = Some(at),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_reports::Overall;

    #[test]
    fn a_cluster_that_recovers_breaks_it() {
        let mut check = DoesNotRecover::default();
        assert_eq!(check.finish().verdict, Verdict::NotExercised);
        check.observe(Time::ZERO, 0, &Fact::Healed);
        let held = check.finish();
        assert_eq!(held.verdict, Verdict::Held);
        assert_eq!(Overall::of(false, &[held]), Overall::Held);
        check.observe(Time::ZERO, 1, &Fact::Converged);
        assert_eq!(Overall::of(true, &[check.finish()]), Overall::Broke);
    }
}
