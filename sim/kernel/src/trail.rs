//! Checkpoints of a run, and the search for the first event at which two runs differ.
//!
//! A first pass over both runs leaves a [`Trail`] each. Where they part, [`Trail::parting`]
//! gives the range of events that holds the first difference. A second pass keeps the
//! events of that range in an [`EventWindow`] each, and comparing those gives the event.

use alloc::vec::Vec;
use core::ops::Range;

use wavetank_vocabulary::Time;

/// A checkpoint at first every so many events.
const FIRST_INTERVAL: u64 = 4096;
/// Checkpoints that are kept: beyond it every second one goes, and the interval doubles.
const AT_MOST: usize = 1024;

/// What a run had come to at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many events were recorded.
    pub events: u64,
    /// The clock.
    pub time: Time,
    /// The digest of the recorded events.
    pub digest: u128,
    /// A hash of the owner's state.
    pub state: u64,
}

/// The checkpoints of a run, at regular numbers of events, in bounded memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    interval: u64,
    next_at: u64,
    checkpoints: Vec<Checkpoint>,
    end: Option<Checkpoint>,
}

impl Default for Trail {
    fn default() -> Self {
        Self::new()
    }
}

impl Trail {
    /// A trail without checkpoints; the first is due at 4,096 events.
    pub const fn new() -> Self {
        Trail {
            interval: FIRST_INTERVAL,
            next_at: FIRST_INTERVAL,
            checkpoints: Vec::new(),
            end: None,
        }
    }

    /// A trail that was written down: its regular checkpoints in order, and the one at the end.
    pub fn restored(checkpoints: Vec<Checkpoint>, end: Checkpoint) -> Self {
        // The first one is at the first regular place, whatever the interval has come to.
        let interval = checkpoints.first().map_or(FIRST_INTERVAL, |first| first.events.max(1));
        let next_at = (end.events / interval + 1) * interval;
        Trail { interval, next_at, checkpoints, end: Some(end) }
    }

    /// The number of events at which the next checkpoint is due.
    #[inline]
    pub fn next_at(&self) -> u64 {
        self.next_at
    }

    /// Adds the checkpoint that is due.
    pub fn push(&mut self, checkpoint: Checkpoint) {
        self.checkpoints.push(checkpoint);
        if self.checkpoints.len() > AT_MOST {
            self.interval *= 2;
            let interval = self.interval;
            self.checkpoints.retain(|kept| kept.events % interval == 0);
        }
        self.next_at = (checkpoint.events / self.interval + 1) * self.interval;
    }

    /// Sets the checkpoint at the end of the run, which is at no regular place.
    pub fn close(&mut self, checkpoint: Checkpoint) {
        self.end = Some(checkpoint);
    }

    /// The regular checkpoints, in order.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// The checkpoint at the end, once the run was closed.
    pub fn end(&self) -> Option<&Checkpoint> {
        self.end.as_ref()
    }

    /// The range of event indexes (from zero) that holds the first difference between two
    /// runs: before it they agree. `None` when they agree throughout.
    ///
    /// The range is that between two checkpoints. When only the states differ at a
    /// checkpoint, the events in it may be the same. When one run is the longer, it ends
    /// with the index at which the other has no event.
    pub fn parting(&self, other: &Trail) -> Option<Range<u64>> {
        let interval = self.interval.max(other.interval);
        let coarse = |trail: &Trail| -> Vec<Checkpoint> {
            let regular = trail.checkpoints.iter().filter(|c| c.events % interval == 0);
            regular.copied().collect()
        };
        let mut agreed = 0;
        for (ours, theirs) in coarse(self).iter().zip(&coarse(other)) {
            if ours != theirs {
                return Some(agreed..ours.events.max(theirs.events));
            }
            agreed = ours.events;
        }
        let (ours, theirs) = (self.end?, other.end?);
        if ours == theirs {
            return None;
        }
        let shorter = ours.events.min(theirs.events);
        let longer = ours.events.max(theirs.events);
        Some(agreed..longer.min(shorter + 1))
    }
}

/// One recorded event, as kept for printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedEvent {
    /// Its place among all recorded events, from zero.
    pub index: u64,
    /// When it was delivered.
    pub time: Time,
    /// Its first words; zero where there were fewer.
    pub words: [u64; 4],
}

/// Keeps the events whose index lies in a range.
#[derive(Clone, Debug)]
pub struct EventWindow {
    range: Range<u64>,
    events: Vec<TracedEvent>,
}

impl EventWindow {
    /// The most events that a window keeps: 256 Ki, or 14 MiB.
    pub const AT_MOST: u64 = 1 << 18;

    /// An empty window over a range, which is cut after [`EventWindow::AT_MOST`] events.
    pub fn new(range: Range<u64>) -> Self {
        let end = range.end.min(range.start.saturating_add(Self::AT_MOST));
        EventWindow { range: range.start..end, events: Vec::new() }
    }

    /// Keeps the event, if its index is in the range.
    #[inline]
    pub fn note(&mut self, index: u64, time: Time, words: &[u64]) {
        if self.range.contains(&index) {
            let mut kept = [0; 4];
            for (to, from) in kept.iter_mut().zip(words) {
                *to = *from;
            }
            self.events.push(TracedEvent { index, time, words: kept });
        }
    }

    /// Whether all of the range is past once `events` events were recorded.
    pub fn is_past(&self, events: u64) -> bool {
        events >= self.range.end
    }

    /// The events kept, in order.
    pub fn events(&self) -> &[TracedEvent] {
        &self.events
    }

    /// The first place at which two windows over the same range differ: what this one and
    /// the other have there, nothing where a run was over.
    pub fn first_difference(
        &self,
        other: &EventWindow,
    ) -> Option<(Option<TracedEvent>, Option<TracedEvent>)> {
        let longer = self.events.len().max(other.events.len());
        (0..longer)
            .map(|place| (self.events.get(place).copied(), other.events.get(place).copied()))
            .find(|(ours, theirs)| ours != theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    /// Plays `events` numbered events of which those in `odd` differ from a plain run's.
    fn play(events: u64, odd: Range<u64>, window: &mut EventWindow) -> Trail {
        let mut trail = Trail::new();
        let mut digest = Digest::new();
        for index in 0..events {
            let word = if odd.contains(&index) { index + 1 } else { index };
            digest.absorb(&[word]);
            window.note(index, Time::from_nanos(index), &[word]);
            if index + 1 >= trail.next_at() {
                trail.push(at(index + 1, &digest));
            }
        }
        trail.close(at(events, &digest));
        trail
    }

    fn at(events: u64, digest: &Digest) -> Checkpoint {
        Checkpoint { events, time: Time::from_nanos(events), digest: digest.value(), state: 0 }
    }

    fn nowhere() -> EventWindow {
        EventWindow::new(0..0)
    }

    #[test]
    fn the_trail_stays_within_its_bound_and_regular() {
        let trail = play(FIRST_INTERVAL * 5000, 0..0, &mut nowhere());
        let kept = trail.checkpoints();
        assert!(kept.len() <= AT_MOST && kept.len() >= AT_MOST / 2, "{}", kept.len());
        for (n, checkpoint) in kept.iter().enumerate() {
            assert_eq!(checkpoint.events, (n as u64 + 1) * trail.interval);
        }
    }

    #[test]
    fn the_first_difference_is_found_in_two_passes() {
        for (events, odd) in [(100_000, 71_234..71_235), (100, 0..1), (5000, 4999..5000)] {
            let range = play(events, 0..0, &mut nowhere())
                .parting(&play(events, odd.clone(), &mut nowhere()))
                .expect("the runs differ");
            assert!(range.contains(&odd.start), "{range:?} {odd:?}");
            let (mut ours, mut theirs) = (EventWindow::new(range.clone()), EventWindow::new(range));
            play(events, 0..0, &mut ours);
            play(events, odd.clone(), &mut theirs);
            let (plain, other) = ours.first_difference(&theirs).expect("an event differs");
            assert_eq!(plain.map(|e| (e.index, e.words[0])), Some((odd.start, odd.start)));
            assert_eq!(other.map(|e| (e.index, e.words[0])), Some((odd.start, odd.start + 1)));
        }
    }

    #[test]
    fn a_run_that_ends_early_differs_where_it_ends() {
        let range = play(9000, 0..0, &mut nowhere())
            .parting(&play(8500, 0..0, &mut nowhere()))
            .expect("the runs differ");
        assert_eq!(range, 8192..8501);
        let (mut ours, mut theirs) = (EventWindow::new(range.clone()), EventWindow::new(range));
        play(9000, 0..0, &mut ours);
        play(8500, 0..0, &mut theirs);
        let (longer, shorter) = ours.first_difference(&theirs).expect("one is longer");
        assert_eq!(longer.map(|e| e.index), Some(8500));
        assert_eq!(shorter, None);
    }

    #[test]
    fn equal_runs_do_not_part() {
        let (one, two) = (play(50_000, 0..0, &mut nowhere()), play(50_000, 0..0, &mut nowhere()));
        assert_eq!(one.parting(&two), None);
    }
}
