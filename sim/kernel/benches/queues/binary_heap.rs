//! The baseline: what one writes first. Events lie in the standard heap, next to their time
//! and sequence number.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Queue;

struct Entry<E> {
    time: u64,
    sequence: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// Reversed: the standard heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.sequence).cmp(&(self.time, self.sequence))
    }
}

/// `std::collections::BinaryHeap` of (time, sequence, event).
pub(crate) struct PlainHeap<E> {
    heap: BinaryHeap<Entry<E>>,
    sequence: u64,
}

impl<E> Default for PlainHeap<E> {
    fn default() -> Self {
        PlainHeap { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<E> Queue<E> for PlainHeap<E> {
    #[inline(always)]
    fn push(&mut self, time: u64, event: E) {
        self.sequence += 1;
        self.heap.push(Entry { time, sequence: self.sequence, event });
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<(u64, E)> {
        self.heap.pop().map(|entry| (entry.time, entry.event))
    }
}
