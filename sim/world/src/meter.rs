//! Little's law on the queues of every run: the time-average of how many are in a queue is the
//! rate at which they arrive times the mean time that they stay (Little 1961).
//!
//! Both sides are added up independently. One integrates a counter of who is inside, the other
//! sums the stays of whoever left, by the arrival time that each carries through the queue.
//! Over a whole run, with those still inside counted up to its end, they are equal to the
//! nanosecond; work that is lost, served twice or put back wrongly makes them differ.

use wavetank_vocabulary::{InstanceId, Span, Time};

/// A queue that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// Tasks that wait for or have a core.
    Cores,
    /// Operations under way at the disk, those that the operating system answers excepted.
    Disk,
    /// Requests that wait for a lock of the database.
    Locks,
    /// Messages on the way from the instance to the others.
    Links,
}

impl QueueKind {
    /// The word that results use.
    pub const fn name(self) -> &'static str {
        match self {
            QueueKind::Cores => "cores",
            QueueKind::Disk => "disk",
            QueueKind::Locks => "locks",
            QueueKind::Links => "links",
        }
    }
}

/// What went through one queue up to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTotals {
    /// Whose queue.
    pub instance: InstanceId,
    /// Which one.
    pub queue: QueueKind,
    /// How many came.
    pub arrivals: u64,
    /// The integral of how many were inside, in nanoseconds.
    pub presence: u128,
    /// The sum of how long each was inside, in nanoseconds.
    pub stays: u128,
}

impl QueueTotals {
    /// Whether the two integrals agree, as Little's law demands.
    pub const fn little_holds(&self) -> bool {
        self.presence == self.stays
    }

    /// The mean number inside over a run that took so long; 0 for one that took no time.
    pub fn mean_inside(&self, run: Span) -> f64 {
        if run == Span::ZERO { 0.0 } else { self.presence as f64 / run.as_nanos() as f64 }
    }

    /// The mean stay; none if nobody came.
    pub fn mean_stay(&self) -> Option<Span> {
        let arrivals = u128::from(self.arrivals);
        self.stays.checked_div(arrivals).map(|mean| Span::from_nanos(mean as u64))
    }
}

/// Watches one queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    arrivals: u64,
    inside: u64,
    /// When the number inside last changed.
    changed: Option<Time>,
    presence: u128,
    stays: u128,
}

impl Meter {
    fn integrate(&mut self, now: Time) {
        let since = self.changed.replace(now).unwrap_or(now);
        self.presence += u128::from(self.inside) * u128::from(now.since(since).as_nanos());
    }

    /// Somebody comes.
    #[inline]
    pub(crate) fn arrive(&mut self, now: Time) {
        self.integrate(now);
        self.arrivals += 1;
        self.inside += 1;
    }

    /// Whoever came at `arrived` leaves.
    #[inline]
    pub(crate) fn leave(&mut self, now: Time, arrived: Time) {
        self.integrate(now);
        self.inside = self.inside.saturating_sub(1);
        self.stays += u128::from(now.since(arrived).as_nanos());
    }

    /// The totals, with those still inside, by when each came.
    pub(crate) fn totals(
        &self,
        now: Time,
        instance: InstanceId,
        queue: QueueKind,
        inside: impl Iterator<Item = Time>,
    ) -> QueueTotals {
        let mut meter = self.clone();
        meter.integrate(now);
        let waiting: u128 = inside.map(|at| u128::from(now.since(at).as_nanos())).sum();
        QueueTotals {
            instance,
            queue,
            arrivals: self.arrivals,
            presence: meter.presence,
            stays: self.stays + waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn both_sides_agree_unless_somebody_is_lost() {
        let mut meter = Meter::default();
        for (arrived, left) in [(1, 4), (4, 9), (9, 9)] {
            meter.arrive(at(arrived));
            meter.leave(at(left), at(arrived));
        }
        meter.arrive(at(10));
        let totals = |meter: &Meter, inside: &[Time]| {
            meter.totals(at(20), InstanceId(1), QueueKind::Cores, inside.iter().copied())
        };
        let right = totals(&meter, &[at(10)]);
        assert!(right.little_holds(), "{right:?}");
        assert_eq!(right.presence, 18_000_000);
        assert_eq!(right.mean_inside(Span::from_millis(20)), 0.9);
        assert_eq!(right.mean_stay(), Some(Span::from_micros(4_500)));
        assert!(!totals(&meter, &[]).little_holds(), "the one inside was forgotten");
    }
}
