//! Facts of several processes, brought into the order of their times.

use std::collections::BTreeMap;
use std::time::Duration;

use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Time};

/// How long a fact may be on its way before later ones are passed on, however fast the clock of
/// the run is.
pub(super) const HOLD: Duration = Duration::from_millis(500);

/// Holds facts back until no earlier one can come any more.
#[derive(Debug)]
pub(super) struct Merge<O> {
    observer: O,
    interests: Classes,
    held: BTreeMap<(Time, u64), Fact>,
    arrived: u64,
    told: Seq,
    last: Time,
    /// Facts that came too late for their place: they were told late.
    late: u64,
}

impl<O: Observer> Merge<O> {
    pub(super) fn new(observer: O) -> Self {
        let interests = observer.interests();
        let held = BTreeMap::new();
        Merge { observer, interests, held, arrived: 0, told: 0, last: Time::ZERO, late: 0 }
    }

    /// Takes a fact that a node told.
    pub(super) fn take(&mut self, at: Time, fact: Fact) {
        if self.interests.intersects(fact.class()) {
            self.late += u64::from(at < self.last);
            self.held.insert((at, self.arrived), fact);
            self.arrived += 1;
        }
    }

    /// Passes on what happened until then.
    pub(super) fn release(&mut self, until: Time) {
        while let Some(first) = self.held.first_entry()
            && first.key().0 <= until
        {
            let ((at, _), fact) = first.remove_entry();
            // Time goes on for observers, whatever came late.
            self.last = self.last.max(at);
            self.observer.observe(self.last, self.told, &fact);
            self.told += 1;
        }
    }

    /// Facts passed on so far.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// Passes on all that is left; gives the observer back, and how many facts came late.
    pub(super) fn finish(mut self) -> (O, u64) {
        self.release(Time::NEVER);
        (self.observer, self.late)
    }
}

impl<O: Observer> Observer for Merge<O> {
    fn interests(&self) -> Classes {
        self.interests
    }

    fn observe(&mut self, at: Time, _: Seq, fact: &Fact) {
        self.take(at, *fact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::InstanceId;

    #[derive(Default)]
    struct Seen(Vec<(Time, Fact)>);

    impl Observer for Seen {
        fn interests(&self) -> Classes {
            Classes::CLUSTER
        }

        fn observe(&mut self, at: Time, _: Seq, fact: &Fact) {
            self.0.push((at, *fact));
        }
    }

    #[test]
    fn facts_are_told_in_the_order_of_their_times() {
        let left = |id| Fact::Left { instance: InstanceId(id) };
        let at = |nanos| Time::from_nanos(nanos);
        let mut merge = Merge::new(Seen::default());
        merge.take(at(30), left(3));
        merge.observe(at(10), 0, &left(1));
        merge.take(at(20), left(2));
        merge.take(at(20), Fact::Healed);
        merge.release(at(20));
        assert_eq!(merge.told(), 2);
        merge.take(at(15), left(4));
        let (seen, late) = merge.finish();
        assert_eq!(seen.0, [(10, 1), (20, 2), (20, 4), (30, 3)].map(|(t, id)| (at(t), left(id))));
        assert_eq!(late, 1);
    }
}
