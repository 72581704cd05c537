//! Two runs of the same Plan must be the same, event by event. When they are not, the
//! checkpoints say between which events they part, and a second pass over that range names
//! the first one that differs.

pub mod across;

use std::fmt;

use wavetank_kernel::{EventWindow, TracedEvent};
use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Time};
use wavetank_world::World;

/// Reads nothing: the digest does not depend on who listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Observer for Nobody {
    fn interests(&self) -> Classes {
        Classes::NONE
    }

    fn observe(&mut self, _at: Time, _seq: Seq, _fact: &Fact) {}
}

/// What comparing two runs gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// All events were the same.
    Same {
        /// Their digest.
        digest: u128,
        /// How many there were.
        events: u64,
    },
    /// They differ, first here.
    Parted(Parting),
}

/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    /// What the two runs are called.
    pub runs: [&'static str; 2],
    /// The digests of the two runs.
    pub digests: [u128; 2],
    /// The first event that differs, as each run had it; none when it had ended, or when
    /// the third pass no longer differed there.
    pub events: [Option<TracedEvent>; 2],
    /// Checkpoints say that the first difference is in this range of events.
    pub range: std::ops::Range<u64>,
}

/// Plays what `make` makes twice and compares; nothing is known if `go_on` says no before. `make`
/// must make the same world each time; finding out whether it does is the point.
pub fn compare(
    mut make: impl FnMut() -> World<Nobody>,
    go_on: impl Fn() -> bool,
) -> Option<Comparison> {
    let first = finished(make(), &go_on)?;
    let second = finished(make(), &go_on)?;
    let Some(range) = first.trail().parting(second.trail()) else {
        return Some(Comparison::Same { digest: first.digest(), events: first.events() });
    };
    let mut traced = || {
        let mut world = make();
        world.trace(EventWindow::new(range.clone()));
        finished(world, &go_on)
    };
    let (a, b) = (traced()?, traced()?);
    let events = match (a.traced(), b.traced()) {
        (Some(a), Some(b)) => first_difference(a.events(), b.events()),
        _ => [None, None],
    };
    let digests = [first.digest(), second.digest()];
    Some(Comparison::Parted(Parting { runs: ["first", "second"], digests, events, range }))
}

/// Events between two looks at whether somebody wants an end.
const STRIDE: u64 = 50_000;

fn finished(mut world: World<Nobody>, go_on: &impl Fn() -> bool) -> Option<World<Nobody>> {
    while go_on() {
        if !world.advance(STRIDE) {
            return Some(world);
        }
    }
    None
}

fn first_difference(a: &[TracedEvent], b: &[TracedEvent]) -> [Option<TracedEvent>; 2] {
    let length = a.len().max(b.len());
    (0..length)
        .map(|index| [a.get(index).copied(), b.get(index).copied()])
        .find(|[a, b]| a != b)
        .unwrap_or([None, None])
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the two runs differ: digests {:032x} and {:032x}",
            self.digests[0], self.digests[1]
        )?;
        match self.events {
            [None, None] => write!(
                f,
                "first diverging event: between {} and {} (a further pass did not differ there)",
                self.range.start, self.range.end
            ),
            events => {
                let index = events.iter().flatten().map(|e| e.index).min().unwrap_or(0);
                writeln!(f, "first diverging event: number {index}")?;
                for (run, event) in self.runs.iter().zip(events) {
                    match event {
                        Some(event) => writeln!(
                            f,
                            "  {run} run: at {} ({} ns) {} {:x} {:x}",
                            event.time,
                            event.time.as_nanos(),
                            World::<Nobody>::event_kind(event.words[0]),
                            event.words[1],
                            event.words[2]
                        )?,
                        None => writeln!(f, "  {run} run: had ended")?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// The Plan that a run is made from. A planted bug changes it behind the scenes at every
/// call, to try this check itself.
#[cfg(not(feature = "planted-bugs"))]
pub fn disturbed(
    plan: &std::sync::Arc<wavetank_world::Plan>,
) -> std::sync::Arc<wavetank_world::Plan> {
    plan.clone()
}

/// The Plan that a run is made from. A planted bug changes it behind the scenes at every
/// call, to try this check itself: a latency that depends on where the allocator put things
/// and on the clock, as such bugs do.
#[cfg(feature = "planted-bugs")]
pub fn disturbed(
    plan: &std::sync::Arc<wavetank_world::Plan>,
) -> std::sync::Arc<wavetank_world::Plan> {
    use std::hash::{BuildHasher, RandomState};
    use wavetank_vocabulary::{PlantedBugs, Span};
    let mut plan = plan.clone();
    if plan.bugs.contains(PlantedBugs::NONDETERMINISM) {
        let chance = RandomState::new().hash_one(0) % 1_000_000;
        let plan = std::sync::Arc::make_mut(&mut plan);
        if let Some(last) = plan.faults.last_mut() {
            last.at += Span::from_nanos(chance);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use wavetank_world::BaseGraph;

    use super::*;

    #[test]
    fn a_comparison_that_has_no_more_time_says_nothing() {
        let plan = Arc::new(crate::testing::plan());
        let base = Arc::new(BaseGraph::build(&plan.graph));
        let make = || World::new(plan.clone(), base.clone(), Nobody);
        let looks = Cell::new(0);
        let looked = |most: u32| {
            looks.set(0);
            let go_on = || looks.replace(looks.get() + 1) < most;
            compare(make, go_on)
        };
        let same = looked(u32::MAX);
        assert!(matches!(same, Some(Comparison::Same { events, .. }) if events > 0), "{same:?}");
        // It ends in the first run, in the second, and just before that is over.
        let all = looks.get();
        assert!(all >= 2, "{all}");
        for most in [0, all / 2, all - 1] {
            assert_eq!(looked(most), None, "{most} of {all}");
        }
    }
}
