//! `slave-lag`: for how long did a slave lack a transaction that its master had committed?
//!
//! Measured at each slave, while it is one, from the commit (or from when it became slave, if
//! that was later) until the transaction is applied or the faults are healed; in steps of
//! 100 ms. An instance that is down, or on its way to slave, lags behind nobody.
//!
//! Exercised: a transaction was committed while there was a slave.

use std::collections::{BTreeMap, VecDeque};

use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::{Classes, Fact, InstanceId, Observer, Role, Seq, Span, Time, TxId};
use wavetank_world::Bounds;

use super::{limit_json, side};

/// Commits within this time of the first one are one entry.
const STEP: Span = Span::from_millis(100);

/// A slave, and how far it is.
#[derive(Clone, Copy, Debug)]
struct Slave {
    since: Time,
    applied: TxId,
}

/// The check.
#[derive(Clone, Debug)]
pub struct SlaveLag {
    lag: Bounds<Span>,
    /// Commits that a slave lacks: the last of each step, and when the first was.
    commits: VecDeque<(TxId, Time)>,
    slaves: BTreeMap<InstanceId, Slave>,
    longest: Option<(Span, InstanceId, Time)>,
    exercised: bool,
    over: bool,
}

impl SlaveLag {
    /// A check that allows that much.
    pub fn new(lag: Bounds<Span>) -> Self {
        SlaveLag {
            lag,
            commits: VecDeque::new(),
            slaves: BTreeMap::new(),
            longest: None,
            exercised: false,
            over: false,
        }
    }

    /// Notes how long this slave has lacked something by now.
    fn look(&mut self, id: InstanceId, now: Time) {
        let Some(slave) = self.slaves.get(&id) else { return };
        let Some((_, first)) = self.commits.iter().find(|(tx, _)| *tx > slave.applied) else {
            return;
        };
        let since = slave.since.max(*first);
        let lag = now.since(since);
        if self.longest.is_none_or(|(longest, ..)| lag > longest) {
            self.longest = Some((lag, id, since));
        }
    }

    fn committed(&mut self, tx: TxId, at: Time) {
        if self.slaves.is_empty() {
            return;
        }
        self.exercised = true;
        match self.commits.back_mut() {
            Some((last, first)) if at.since(*first) < STEP => *last = tx.max(*last),
            _ => self.commits.push_back((tx, at)),
        }
    }

    /// What every slave has is of no interest any more.
    fn forget(&mut self) {
        let least = self.slaves.values().map(|slave| slave.applied).min();
        while let Some((tx, _)) = self.commits.front()
            && least.is_none_or(|least| *tx <= least)
        {
            self.commits.pop_front();
        }
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let lag = self.longest.map_or(Span::ZERO, |(lag, ..)| lag);
        let seconds = format!("{:.1}s", lag.as_secs_f64());
        let (verdict, why) = match self.longest {
            _ if !self.exercised => {
                (Verdict::NotExercised, "Nothing was committed while there was a slave.".into())
            }
            longest => {
                let verdict = if self.lag.hold(&lag) { Verdict::Held } else { Verdict::Broke };
                let what = match longest {
                    Some((_, id, since)) => format!(
                        "Instance {} lacked what was committed at {since} for {seconds}.",
                        id.0
                    ),
                    None => "Every slave had everything at once.".to_owned(),
                };
                (verdict, format!("{what}{}", side(&self.lag, &lag)))
            }
        };
        ExpectationResult {
            check: "slave-lag".into(),
            verdict,
            measured: seconds.into(),
            limit: limit_json(&self.lag, |span| span.to_string().into()),
            why,
        }
    }
}

impl Observer for SlaveLag {
    fn interests(&self) -> Classes {
        Classes::CLUSTER | Classes::TRANSACTIONS | Classes::FAULTS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        if self.over {
            return;
        }
        match *fact {
            Fact::RoleChanged { instance, to, log, .. } => {
                self.look(instance, at);
                self.slaves.remove(&instance);
                if to == Role::Slave {
                    self.slaves.insert(instance, Slave { since: at, applied: log.tx });
                }
                self.forget();
            }
            // A new history: what went beyond its beginning is gone.
            Fact::EpochBegan { log, .. } => self.commits.retain(|(tx, _)| *tx <= log.tx),
            Fact::Committed { log, .. } => self.committed(log.tx, at),
            Fact::Applied { instance, log, .. } => {
                self.look(instance, at);
                if let Some(slave) = self.slaves.get_mut(&instance) {
                    slave.applied = log.tx;
                }
                self.forget();
            }
            Fact::Healed => {
                let slaves: Vec<InstanceId> = self.slaves.keys().copied().collect();
                for id in slaves {
                    self.look(id, at);
                }
                self.over = true;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::LogMark;

    fn mark(tx: u64) -> LogMark {
        LogMark { tx: TxId(tx), ..LogMark::BASE }
    }

    #[test]
    fn the_lag_runs_from_the_commit_to_its_application() {
        let mut check = SlaveLag::new(Bounds::at_most(Span::from_secs(3)));
        assert_eq!(check.finish().verdict, Verdict::NotExercised);
        let mut tell = |secs, fact| {
            check.observe(Time::ZERO + Span::from_secs(secs), 0, &fact);
            let result = check.finish();
            (result.verdict, result.measured.as_str().unwrap_or_default().to_owned())
        };
        let commit =
            |tx| Fact::Committed { instance: InstanceId(1), log: mark(tx), operation: None };
        let applied =
            |id, tx| Fact::Applied { instance: InstanceId(id), log: mark(tx), transactions: 1 };
        let role = |id, to| Fact::RoleChanged {
            instance: InstanceId(id),
            from: Role::Pending,
            to,
            log: mark(2),
        };
        tell(0, role(2, Role::Slave));
        tell(0, role(3, Role::Slave));
        tell(1, commit(3));
        tell(2, commit(4));
        assert_eq!(tell(3, applied(2, 3)), (Verdict::Held, "2.0s".into()));
        assert_eq!(tell(5, applied(2, 4)), (Verdict::Held, "3.0s".into()));
        // Instance 3 lacks the first one all the time.
        assert_eq!(tell(9, Fact::Healed), (Verdict::Broke, "8.0s".into()));
    }
}
