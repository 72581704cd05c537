//! Which of thousands of operations matter? Guesses that take a single run each, and a search of
//! what no leaving out finds: a crash that comes at a moment of its own misses the operation that
//! is in flight as soon as there is less to do before it.

use wavetank_kernel::{Stream, Streams};
use wavetank_vocabulary::{OperationId, Span, Time};
use wavetank_world::Plan;

use super::trial::{Failed, Observed};
use super::{Shrinker, ddmin, passes};

/// How far from what broke, and from the faults, an operation may have been due to be guessed at.
const NEAR: [Span; 4] =
    [Span::from_millis(50), Span::from_millis(300), Span::from_secs(2), Span::from_secs(8)];
/// Every so manieth operation.
const THIN: [usize; 2] = [32, 6];
/// More operations than these are not searched for by chance.
const FEW: usize = 40;
/// After so many tries in vain the search ends.
const VAIN: u32 = 60;
/// A fault that is moved to an operation begins at most so long after that is due.
const FLIGHT: u64 = 20_000_000;

/// Operations that may be enough, fewer first: those that the violation is about, those that were
/// due near it, near a fault or near the end, and every so manieth.
pub(super) fn guesses(failed: &Failed) -> Vec<Vec<OperationId>> {
    let Observed { operations, struck, .. } = &failed.observed;
    let named = |id: &OperationId| failed.evidence.operations.contains(id);
    let due = operations.iter().filter(|(_, id)| named(id)).map(|(at, _)| *at);
    let mut moments: Vec<Time> =
        due.chain(failed.evidence.at).chain(struck.iter().copied()).collect();
    if moments.is_empty() {
        moments.extend(operations.last().map(|(at, _)| *at));
    }
    let those = |keep: &dyn Fn(usize, Time) -> bool| -> Vec<OperationId> {
        let kept =
            |(place, (at, id)): &(usize, &(Time, OperationId))| named(id) || keep(*place, *at);
        operations.iter().enumerate().filter(kept).map(|(_, (_, id))| *id).collect()
    };
    let apart = |a: Time, b: Time| if a < b { b.since(a) } else { a.since(b) };
    let mut all = vec![those(&|_, _| false)];
    for near in NEAR {
        all.push(those(&|_, at| moments.iter().any(|moment| apart(at, *moment) <= near)));
    }
    for thin in THIN {
        all.push(those(&|place, _| place % thin == thin - 1));
    }
    // What leaves little out is not worth a run of its own.
    all.retain(|some| some.len() * 4 <= operations.len() * 3);
    all.sort_by_key(Vec::len);
    all.dedup();
    all
}

impl<P: FnMut(&str, &Plan, u64)> Shrinker<P> {
    /// Takes the first guess that holds.
    pub(super) fn guess_operations(&mut self) {
        for some in guesses(&self.failed) {
            if self.trials.over() || self.take(passes::with_operations(&self.best, &some)) {
                return;
            }
        }
    }

    /// The fewest operations, by leaving out and then by chance.
    pub(super) fn operations(&mut self) {
        let due = |failed: &Failed| -> Vec<OperationId> {
            failed.observed.operations.iter().map(|(_, id)| *id).collect()
        };
        // Nothing is copied any more once the time is over.
        ddmin::minimise(due(&self.failed), |some| {
            !self.trials.over() && self.keeps(passes::with_operations(&self.best, some))
        });
        while self.search() {}
        if passes::operations(&self.best).is_none() {
            let all = due(&self.failed);
            if all.len() < 100 {
                self.take(passes::with_operations(&self.best, &all));
            }
        }
    }

    /// Looks for fewer operations than there are: some of them, or neighbours among all that the
    /// clients would send, with a fault moved to where they are in flight. Whether it found any.
    fn search(&mut self) -> bool {
        let few = self.failed.observed.operations.len();
        if !(2..=FEW).contains(&few) || passes::operations(&self.best).is_none() {
            return false;
        }
        let Some(all) = self.trials.observe(&passes::with_all_operations(&self.best)) else {
            return false;
        };
        let mut stream = Streams::new(self.best.seed).stream("shrink", [few as u64, 0, 0]);
        for _ in 0..VAIN {
            if self.trials.over() {
                return false;
            }
            if let Some(plan) = self.chance(&all.operations, few, &mut stream)
                && self.take(plan)
            {
                return true;
            }
        }
        false
    }

    /// A Plan with fewer operations than `few`, drawn from the stream.
    fn chance(&self, all: &[(Time, OperationId)], few: usize, stream: &mut Stream) -> Option<Plan> {
        let own = &self.failed.observed.operations;
        let count = 1 + stream.below((few - 1).min(8) as u64) as usize;
        let mut some: Vec<(Time, OperationId)> = if stream.below(2) == 0 {
            let mut some = own.clone();
            stream.shuffle(&mut some);
            some.truncate(count);
            some
        } else {
            let last = all.len().checked_sub(count)?;
            let first = stream.up_to(last as u64) as usize;
            all[first..first + count].to_vec()
        };
        some.sort_unstable();
        let ids: Vec<OperationId> = some.iter().map(|(_, id)| *id).collect();
        let mut plan = passes::with_operations(&self.best, &ids);
        let struck = stream.below(plan.faults.len() as u64 + 1) as usize;
        let beside = stream.pick(&some).map(|(at, _)| *at)?;
        if let Some(fault) = plan.faults.get_mut(struck)
            && fault.when.is_none()
        {
            // In whole tens of microseconds, so that it can be read.
            let to = beside + Span::from_nanos(stream.below(FLIGHT));
            let tens = to.since(Time::ZERO).as_nanos() / 10_000 * 10_000;
            fault.at = Time::ZERO + Span::from_nanos(tens);
        }
        Some(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::Evidence;
    use crate::shrink::Reason;
    use wavetank_vocabulary::ClientId;

    fn failed(struck: &[u64], named: &[u32]) -> Failed {
        let id = |index| OperationId { client: ClientId(0), index };
        let second = |n: u64| Time::ZERO + Span::from_secs(n);
        let operations = (0..100).map(|n| (second(u64::from(n)), id(n))).collect();
        let struck = struck.iter().map(|at| second(*at)).collect();
        let named = named.iter().map(|index| id(*index)).collect();
        Failed {
            index: None,
            reason: Reason { check: None, kind: String::new(), recovered: true },
            why: String::new(),
            evidence: Evidence { operations: named, ..Evidence::default() },
            observed: Observed { operations, struck, ..Observed::default() },
        }
    }

    fn indexes(guess: &[OperationId]) -> Vec<u32> {
        guess.iter().map(|id| id.index).collect()
    }

    #[test]
    fn what_is_guessed_lies_near_what_broke_and_the_faults() {
        let all = guesses(&failed(&[50], &[20]));
        assert_eq!(indexes(&all[0]), [20]);
        assert_eq!(indexes(&all[1]), [20, 50]);
        assert!(all.iter().any(|some| indexes(some) == [18, 19, 20, 21, 22, 48, 49, 50, 51, 52]));
        assert!(all.windows(2).all(|two| two[0].len() <= two[1].len()));
    }

    #[test]
    fn without_faults_the_end_is_guessed_at() {
        let all = guesses(&failed(&[], &[]));
        assert_eq!(indexes(&all[0]), Vec::<u32>::new());
        assert_eq!(indexes(&all[1]), [99]);
    }
}
