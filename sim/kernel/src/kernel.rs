//! The simulation core: the queue, the clock that jumps from event to event, the digest of
//! what was delivered, and the trail of checkpoints.

use wavetank_vocabulary::{Span, Time};

use crate::digest::Digest;
use crate::queue::EventQueue;
use crate::trail::{Checkpoint, Trail};

/// Virtual time and the pending events of type `E` of one simulation.
#[derive(Clone, Debug)]
pub struct Kernel<E> {
    now: Time,
    queue: EventQueue<E>,
    events: u64,
    digest: Digest,
    trail: Trail,
}

impl<E> Default for Kernel<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Kernel<E> {
    /// A kernel at time zero without events.
    pub fn new() -> Self {
        Kernel {
            now: Time::ZERO,
            queue: EventQueue::new(),
            events: 0,
            digest: Digest::new(),
            trail: Trail::new(),
        }
    }

    /// The clock.
    #[inline]
    pub fn now(&self) -> Time {
        self.now
    }

    /// How many events are pending, cancelled timers included.
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// The pending events, in an order that means nothing: for sums over them.
    pub fn iter_pending(&self) -> impl Iterator<Item = &E> {
        self.queue.iter()
    }

    /// Adds an event at a time; at `now`, if that time is past. Among events of equal time
    /// the one scheduled first comes first.
    #[inline]
    pub fn schedule(&mut self, at: Time, event: E) {
        self.queue.push(at.max(self.now), event);
    }

    /// Adds an event `span` from now.
    #[inline]
    pub fn schedule_in(&mut self, span: Span, event: E) {
        self.queue.push(self.now + span, event);
    }

    /// The next event that is due at `limit` or before; the clock jumps to it. When there
    /// is none the clock stays: see [`Kernel::advance_to`].
    #[inline]
    pub fn next_before(&mut self, limit: Time) -> Option<E> {
        let (at, event) = self.queue.pop_before(limit)?;
        self.now = at;
        Some(event)
    }

    /// When the next event is due. For display: a loop asks [`Kernel::next_before`], which
    /// is faster.
    pub fn peek_time(&self) -> Option<Time> {
        self.queue.peek_time()
    }

    /// Moves the clock forward to `time`, once `next_before(time)` has given `None`; a
    /// time that is past changes nothing.
    ///
    /// An event that was skipped so would be delivered with a clock that goes back, so its
    /// owner must not.
    pub fn advance_to(&mut self, time: Time) {
        self.now = self.now.max(time);
    }

    /// Takes the event that was just delivered into the digest, and counts it. Stale timers
    /// are not recorded. The number of words must follow from the first, which names the
    /// kind of event: the digest of `[1, 2], [3]` is that of `[1], [2, 3]`.
    #[inline]
    pub fn record(&mut self, words: &[u64]) {
        self.events += 1;
        self.digest.absorb(&[self.now.as_nanos()]);
        self.digest.absorb(words);
    }

    /// How many events were recorded.
    #[inline]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The digest of all recorded events.
    pub fn digest(&self) -> u128 {
        self.digest.value()
    }

    /// Whether a checkpoint is due: ask after each [`Kernel::record`], and answer with
    /// [`Kernel::checkpoint`].
    #[inline]
    pub fn checkpoint_due(&self) -> bool {
        self.events >= self.trail.next_at()
    }

    /// Fixes a checkpoint with a hash of the owner's state.
    pub fn checkpoint(&mut self, state: u64) {
        let checkpoint = self.checkpoint_now(state);
        self.trail.push(checkpoint);
    }

    /// Fixes the last checkpoint, at the end of a run.
    pub fn close(&mut self, state: u64) {
        let checkpoint = self.checkpoint_now(state);
        self.trail.close(checkpoint);
    }

    /// The checkpoints so far.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    fn checkpoint_now(&self, state: u64) -> Checkpoint {
        Checkpoint { events: self.events, time: self.now, digest: self.digest.value(), state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::{Stream, Streams};

    /// A small world: each event schedules one or two others, up to a bound.
    #[derive(Clone)]
    struct World {
        kernel: Kernel<u64>,
        stream: Stream,
    }

    impl World {
        fn new(seed: u64) -> Self {
            let mut kernel = Kernel::new();
            for event in 0..64 {
                kernel.schedule(Time::from_nanos(event % 7), event);
            }
            World { kernel, stream: Streams::new(seed).stream("world", [0; 3]) }
        }

        fn play(&mut self, until: Time) {
            while let Some(event) = self.kernel.next_before(until) {
                self.kernel.record(&[event]);
                if self.kernel.checkpoint_due() {
                    self.kernel.checkpoint(event);
                }
                let again = 1 + u64::from(self.kernel.pending() < 40);
                for _ in 0..again {
                    let span = Span::from_nanos(self.stream.below(100_000));
                    self.kernel.schedule_in(span, self.stream.next_u64());
                }
            }
            self.kernel.advance_to(until);
        }
    }

    #[test]
    fn a_clone_taken_mid_run_plays_on_as_its_original() {
        let mut original = World::new(7);
        original.play(Time::from_nanos(3_333_333));
        let mut copy = original.clone();
        let end = Time::from_nanos(20_000_000);
        original.play(end);
        let mut unbroken = World::new(7);
        unbroken.play(end);
        copy.play(end);
        assert!(original.kernel.events() > 8_192);
        assert_eq!(original.kernel.digest(), copy.kernel.digest());
        assert_eq!(original.kernel.digest(), unbroken.kernel.digest());
        assert_eq!(original.kernel.trail(), copy.kernel.trail());
        let mut other = World::new(8);
        other.play(end);
        assert_ne!(original.kernel.digest(), other.kernel.digest());
    }

    #[test]
    fn a_past_time_means_now_and_comes_after_what_is_due_now() {
        let mut kernel = Kernel::new();
        kernel.advance_to(Time::from_nanos(50));
        kernel.schedule_in(Span::ZERO, 1);
        kernel.schedule(Time::from_nanos(3), 2);
        let order: alloc::vec::Vec<_> =
            core::iter::from_fn(|| kernel.next_before(Time::from_nanos(50))).collect();
        assert_eq!(order, [1, 2]);
        assert_eq!(kernel.now(), Time::from_nanos(50));
    }

    #[test]
    fn the_clock_stays_when_nothing_is_due() {
        let mut kernel = Kernel::new();
        kernel.schedule(Time::from_nanos(90), 1);
        assert_eq!(kernel.next_before(Time::from_nanos(89)), None);
        assert_eq!(kernel.now(), Time::ZERO);
        assert_eq!(kernel.peek_time(), Some(Time::from_nanos(90)));
        assert_eq!(kernel.next_before(Time::from_nanos(90)), Some(1));
        assert_eq!(kernel.now(), Time::from_nanos(90));
        assert_eq!(kernel.pending(), 0);
    }
}
