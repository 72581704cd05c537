//! `copies` of a cluster: clusters that share no machine and no link are Worlds of their own.
//!
//! Each copy is the scenario drawn and played with a seed of its own, so its clients, its network
//! and its faults are its own, too; the first copy's seed is the scenario's. So a copy can be played
//! alone: `wavetank run FILE --seed SEED_OF_THE_COPY --set cluster.copies=1`.

use std::convert::Infallible;

use wavetank_kernel::{Digest, Streams};
use wavetank_reports::Verdict;

use crate::exit::Exit;
use crate::play::Judged;
use crate::workers::{Turn, in_turn};

/// The seed of each copy.
pub fn seeds(seed: u64, copies: u32) -> impl Iterator<Item = u64> {
    let streams = Streams::new(seed);
    (0..u64::from(copies)).map(move |copy| match copy {
        0 => seed,
        _ => streams.stream("copy", [copy, 0, 0]).next_u64(),
    })
}

/// A copy that is over.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Its seed.
    pub seed: u64,
    /// What became of it.
    pub judged: Judged,
}

/// The verdict on all copies: an expectation holds if it holds in each; counts are summed, and the
/// digest is that of all digests in order. Of one copy it is its own. None of no copies.
pub fn merged(copies: &[Copy]) -> Option<Judged> {
    let (first, rest) = copies.split_first()?;
    let mut all = first.judged.clone();
    if rest.is_empty() {
        return Some(all);
    }
    let worse = |verdict: Verdict| match verdict {
        Verdict::Held => 0,
        Verdict::NotExercised => 1,
        Verdict::Broke => 2,
    };
    let mut digest = Digest::new();
    digest.absorb(&[(all.digest >> 64) as u64, all.digest as u64]);
    for (index, result) in all.expectations.iter_mut().enumerate() {
        // The first of the worst.
        let verdicts = rest.iter().enumerate().map(|(n, copy)| (n + 2, copy));
        for (number, copy) in verdicts {
            let Some(other) = copy.judged.expectations.get(index) else { continue };
            if worse(other.verdict) > worse(result.verdict) {
                *result = other.clone();
                result.why = format!("Copy {number} (seed {}): {}", copy.seed, other.why);
            }
        }
    }
    for (number, Copy { seed, judged }) in rest.iter().enumerate() {
        digest.absorb(&[(judged.digest >> 64) as u64, judged.digest as u64]);
        for (kind, count) in &judged.faults {
            let sum = all.faults.entry(kind.clone()).or_default();
            sum.planned += count.planned;
            sum.took_effect += count.took_effect;
        }
        all.coverage.merge(&judged.coverage);
        if let (None, Some(waiting)) = (&all.waiting, &judged.waiting) {
            all.waiting = Some(format!("copy {} (seed {seed}): {waiting}", number + 2));
        }
        all.simulated += judged.simulated.since(wavetank_vocabulary::Time::ZERO);
        all.events += judged.events;
        all.exit = all.exit.worst(judged.exit);
    }
    all.digest = digest.value();
    Some(all)
}

/// The seed of the first copy that failed, if one did and there are several: of those that did not
/// recover, or where something broke that must hold for every seed, as `must` says of the
/// expectation at a place. Only if there are none, of those where anything broke.
pub fn first_failed(copies: &[Copy], must: impl Fn(usize) -> bool) -> Option<u64> {
    let worst = |copy: &&Copy| match copy.judged.exit {
        Exit::Held => false,
        Exit::Broke => {
            let mut all = copy.judged.expectations.iter().enumerate();
            all.any(|(at, it)| it.verdict != Verdict::Held && must(at))
        }
        _ => true,
    };
    let failed = |copy: &&Copy| copy.judged.exit != Exit::Held;
    let first = copies.iter().find(worst).or_else(|| copies.iter().find(failed));
    first.filter(|_| copies.len() > 1).map(|copy| copy.seed)
}

/// The seed of the first copy in which the expectation at that place did not hold, if there are
/// several copies and one such.
pub fn first_without(copies: &[Copy], at: usize) -> Option<u64> {
    let without = |copy: &&Copy| {
        copy.judged.expectations.get(at).is_some_and(|it| it.verdict != Verdict::Held)
    };
    copies.iter().find(without).filter(|_| copies.len() > 1).map(|copy| copy.seed)
}

/// Plays copies on `jobs` threads: only as many Worlds are in memory. `play` is given the place of
/// a copy and its seed; what it answers is put in order. None when it once answered none.
pub fn in_parallel<T: Send>(
    seeds: &[u64],
    jobs: usize,
    play: impl Fn(usize, u64) -> Option<T> + Sync,
) -> Option<Vec<T>> {
    let (results, whole) = in_turn(seeds.len() as u64, jobs.min(seeds.len()), |index| {
        let index = index as usize;
        let played = play(index, seeds[index]);
        Ok::<_, Infallible>(played.map_or(Turn::NoTime, Turn::Over))
    })
    .unwrap_or_else(|never| match never {});
    whole.then_some(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use wavetank_reports::ExpectationResult;
    use wavetank_vocabulary::Time;

    fn copy(seed: u64, verdict: Verdict, exit: Exit) -> Copy {
        let result = ExpectationResult {
            check: "replicas-equal".into(),
            verdict,
            measured: 0.into(),
            limit: 0.into(),
            why: "So it was.".into(),
        };
        let judged = Judged {
            expectations: vec![result],
            waiting: None,
            faults: BTreeMap::new(),
            coverage: wavetank_reports::Coverage::new(),
            simulated: Time::from_nanos(5),
            events: 7,
            digest: u128::from(seed),
            exit,
        };
        Copy { seed, judged }
    }

    #[test]
    fn one_copy_is_the_scenario_itself_and_others_have_seeds_of_their_own() {
        assert_eq!(seeds(7, 1).collect::<Vec<_>>(), [7]);
        let mut three: Vec<u64> = seeds(7, 3).collect();
        assert_eq!(three[..2], seeds(7, 2).collect::<Vec<_>>());
        three.dedup();
        assert_eq!(three.len(), 3);
        let alone = copy(7, Verdict::Held, Exit::Held);
        assert_eq!(merged(std::slice::from_ref(&alone)).unwrap().digest, 7);
        assert_eq!(first_failed(&[alone], |_| true), None);
    }

    #[test]
    fn an_expectation_holds_if_it_holds_in_every_copy() {
        let copies = [
            copy(1, Verdict::Held, Exit::Held),
            copy(2, Verdict::NotExercised, Exit::Broke),
            copy(3, Verdict::Broke, Exit::NotRecovered),
        ];
        let all = merged(&copies).unwrap();
        assert_eq!(all.expectations[0].why, "Copy 3 (seed 3): So it was.");
        assert_eq!(
            (all.exit, all.events, all.simulated),
            (Exit::NotRecovered, 21, Time::from_nanos(15))
        );
        assert_eq!(first_failed(&copies, |_| true), Some(2));
        let reversed = [copies[2].clone(), copies[1].clone(), copies[0].clone()];
        assert_ne!(merged(&reversed).unwrap().digest, all.digest);
    }

    #[test]
    fn the_copy_to_look_at_is_one_that_broke_what_every_seed_must() {
        let mut copies = [
            copy(1, Verdict::Held, Exit::Held),
            copy(2, Verdict::Broke, Exit::Broke),
            copy(3, Verdict::Held, Exit::Broke),
        ];
        for copy in &mut copies {
            let again = copy.judged.expectations[0].clone();
            copy.judged.expectations.push(again);
        }
        copies[1].judged.expectations[1].verdict = Verdict::Held;
        copies[2].judged.expectations[1].verdict = Verdict::NotExercised;
        // The first expectation need not hold for every seed, the second must.
        assert_eq!(first_failed(&copies, |at| at == 1), Some(3));
        assert_eq!(first_failed(&copies, |_| true), Some(2));
        assert_eq!([0, 1, 2].map(|at| first_without(&copies, at)), [Some(2), Some(3), None]);
        // Where nothing broke that must hold, what broke at all is looked at.
        assert_eq!(first_failed(&copies[..2], |at| at == 1), Some(2));
        copies[0].judged.exit = Exit::NotRecovered;
        assert_eq!(first_failed(&copies, |at| at == 1), Some(1));
    }

    #[test]
    fn results_are_in_order_whoever_was_first() {
        let seeds: Vec<u64> = (0..20).collect();
        let doubled = in_parallel(&seeds, 3, |_, seed| Some(seed * 2)).unwrap();
        assert_eq!(doubled, (0..20).map(|seed| seed * 2).collect::<Vec<_>>());
        assert_eq!(in_parallel(&seeds, 3, |index, _| (index != 11).then_some(())), None);
    }
}
