//! A 4-ary heap of packed 16-byte keys: half the depth of a binary heap, four children in
//! one cache line, one comparison of integers. The events lie in a slab.

use super::Queue;

/// Bits of a key that name the slot of the event; the sequence number has 40.
const SLOT_BITS: u32 = 24;

/// The heap: time, sequence and slot in one number.
pub(crate) struct QuadHeap<E> {
    keys: Vec<u128>,
    events: Vec<Option<E>>,
    free: Vec<u32>,
    sequence: u64,
}

impl<E> Default for QuadHeap<E> {
    fn default() -> Self {
        QuadHeap { keys: Vec::new(), events: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<E> Queue<E> for QuadHeap<E> {
    #[inline(always)]
    fn push(&mut self, time: u64, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            (self.events.len() - 1) as u32
        });
        self.events[slot as usize] = Some(event);
        self.sequence += 1;
        let rank = self.sequence << SLOT_BITS | u64::from(slot);
        let key = u128::from(time) << 64 | u128::from(rank);
        let mut at = self.keys.len();
        self.keys.push(key);
        while at > 0 {
            let parent = (at - 1) / 4;
            if self.keys[parent] <= key {
                break;
            }
            self.keys[at] = self.keys[parent];
            at = parent;
        }
        self.keys[at] = key;
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<(u64, E)> {
        let last = self.keys.pop()?;
        let first = match self.keys.first() {
            None => last,
            Some(&first) => {
                self.sift_down(last);
                first
            }
        };
        let slot = (first as u64 & ((1 << SLOT_BITS) - 1)) as usize;
        self.free.push(slot as u32);
        let event = self.events[slot].take().expect("a key names an event");
        Some(((first >> 64) as u64, event))
    }
}

impl<E> QuadHeap<E> {
    /// Puts `key` in the place of the root and lets it sink.
    #[inline(always)]
    fn sift_down(&mut self, key: u128) {
        let keys = &mut self.keys[..];
        let mut at = 0;
        loop {
            let first = 4 * at + 1;
            let least = if let Some(children) = keys.get(first..first + 4) {
                // Two rounds of a tournament: the compiler makes them without jumps.
                let left = if children[1] < children[0] { 1 } else { 0 };
                let right = if children[3] < children[2] { 3 } else { 2 };
                first + if children[right] < children[left] { right } else { left }
            } else {
                let Some(least) = (first..keys.len()).min_by_key(|&child| keys[child]) else {
                    break;
                };
                least
            };
            if keys[least] >= key {
                break;
            }
            keys[at] = keys[least];
            at = least;
        }
        keys[at] = key;
    }
}
