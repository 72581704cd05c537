//! Every queue against a sorted map, on schedules of all kinds: equal times, times in the
//! far future, bursts, pushes at the present, and pushes before what was last popped.

#[path = "../benches/queues.rs"]
mod queues;

use std::collections::BTreeMap;

use proptest::prelude::*;
use queues::{Calendar, PlainHeap, QuadHeap, Queue};
use wavetank_kernel::EventQueue;
use wavetank_vocabulary::Time;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// One event at the present plus this.
    Push(u64),
    /// So many events at the present plus this.
    Burst(u64, usize),
    /// So many events, each this much earlier than the one before, but not past.
    Descend {
        from: u64,
        by: u64,
        count: usize,
    },
    /// So many events before the time up to which was asked last, each this much earlier
    /// than the one before, perhaps past.
    Before {
        by: u64,
        count: usize,
    },
    /// One event at a time of its own, perhaps past.
    Anywhere(u64),
    Pop(usize),
    /// Pop what is due within this; only some queues can, for the others it is a pop each.
    PopWithin(u64),
}

/// Distances of every magnitude.
fn distance() -> impl Strategy<Value = u64> {
    (0..64u32, any::<u64>()).prop_map(|(bits, number)| number >> bits)
}

fn step() -> impl Strategy<Value = Step> {
    let near = prop_oneof![Just(0), 0..4u64, 0..100_000u64];
    prop_oneof![
        6 => near.clone().prop_map(Step::Push),
        3 => distance().prop_map(Step::Push),
        2 => (prop_oneof![near, distance()], 0..150usize).prop_map(|(at, n)| Step::Burst(at, n)),
        2 => (distance(), 0..1000u64, 0..150usize)
            .prop_map(|(from, by, count)| Step::Descend { from, by, count }),
        2 => (distance(), 0..150usize).prop_map(|(by, count)| Step::Before { by, count }),
        1 => any::<u64>().prop_map(Step::Anywhere),
        6 => (0..120usize).prop_map(Step::Pop),
        2 => distance().prop_map(Step::PopWithin),
    ]
}

/// The model: a sorted map, the clock as the last popped time, and the time up to which
/// was asked last.
#[derive(Default)]
struct Model {
    events: BTreeMap<(u64, u64), u64>,
    pushed: u64,
    now: u64,
    asked: u64,
}

impl Model {
    /// The next event, if it is due at `limit` or before.
    fn pop(&mut self, limit: u64) -> Option<(u64, u64)> {
        self.asked = if limit == u64::MAX { self.now } else { limit };
        let first = self.events.first_entry().filter(|first| first.key().0 <= limit)?;
        let ((time, _), event) = first.remove_entry();
        self.now = self.now.max(time);
        Some((time, event))
    }
}

/// Takes the first event up to a limit.
type PopBefore<Q> = fn(&mut Q, u64) -> Option<(u64, u64)>;

/// Plays the steps on a queue and the model.
fn check<Q: Queue<u64>>(
    steps: &[Step],
    pop_before: Option<PopBefore<Q>>,
) -> Result<(), TestCaseError> {
    let mut queue = Q::default();
    let mut model = Model::default();
    fn push<Q: Queue<u64>>(queue: &mut Q, model: &mut Model, time: u64) {
        queue.push(time, model.pushed);
        model.events.insert((time, model.pushed), model.pushed);
        model.pushed += 1;
    }
    for &step in steps {
        let now = model.now;
        match step {
            Step::Push(after) => push(&mut queue, &mut model, now.saturating_add(after)),
            Step::Burst(after, count) => {
                for _ in 0..count {
                    push(&mut queue, &mut model, now.saturating_add(after));
                }
            }
            Step::Descend { from, by, count } => {
                for n in 0..count as u64 {
                    let after = from.saturating_sub(n * by);
                    push(&mut queue, &mut model, now.saturating_add(after));
                }
            }
            Step::Before { by, count } => {
                for n in 0..count as u64 {
                    let time = model.asked.saturating_sub(n.saturating_mul(by));
                    push(&mut queue, &mut model, time);
                }
            }
            Step::Anywhere(time) => push(&mut queue, &mut model, time),
            Step::Pop(count) => {
                for _ in 0..count {
                    prop_assert_eq!(queue.pop(), model.pop(u64::MAX));
                }
            }
            Step::PopWithin(span) => {
                let limit = now.saturating_add(span);
                let Some(pop_before) = pop_before else {
                    prop_assert_eq!(queue.pop(), model.pop(u64::MAX));
                    continue;
                };
                loop {
                    let popped = pop_before(&mut queue, limit);
                    prop_assert_eq!(popped, model.pop(limit));
                    if popped.is_none() {
                        break;
                    }
                }
            }
        }
    }
    while let Some(expected) = model.pop(u64::MAX) {
        prop_assert_eq!(queue.pop(), Some(expected));
    }
    prop_assert_eq!(queue.pop(), None);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_chosen_queue_keeps_the_order(steps in prop::collection::vec(step(), 0..80)) {
        fn pop_before(queue: &mut EventQueue<u64>, limit: u64) -> Option<(u64, u64)> {
            let (len, peeked) = (queue.len(), queue.peek_time());
            let popped = queue.pop_before(Time::from_nanos(limit));
            match popped {
                Some((time, _)) => assert_eq!((peeked, queue.len()), (Some(time), len - 1)),
                None => assert!(peeked.is_none_or(|time| time.as_nanos() > limit)),
            }
            popped.map(|(time, event)| (time.as_nanos(), event))
        }
        check::<EventQueue<u64>>(&steps, Some(pop_before))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_plain_heap_keeps_the_order(steps in prop::collection::vec(step(), 0..80)) {
        check::<PlainHeap<u64>>(&steps, None)?;
    }

    #[test]
    fn the_quad_heap_keeps_the_order(steps in prop::collection::vec(step(), 0..80)) {
        check::<QuadHeap<u64>>(&steps, None)?;
    }

    #[test]
    fn the_calendar_keeps_the_order(steps in prop::collection::vec(step(), 0..80)) {
        check::<Calendar<u64>>(&steps, None)?;
    }
}
