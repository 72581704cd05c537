//! The pending events of a simulation, totally ordered by time and, at equal times, first
//! in first out.
//!
//! A ladder queue: a monotone radix heap whose buckets are sorted only when they are
//! reached. Times are read as numbers with 64-way digits. An event waits in the bucket
//! `(level, digit)` of the highest digit in which its time differs from `base`, a moment
//! that the clock has reached; so near events lie in fine buckets and far ones in coarse
//! buckets. The next bucket is found by two bit scans. A small one is sorted and becomes
//! the *bottom*, from which events are popped; a large one is dealt out to the levels
//! below first. An event moves down at most once per level, in practice two or three
//! times, by sequential copies of 16-byte keys; the event itself lies still in a slab.
//!
//! No sequence number is stored: events of equal time are always in the same bucket, in
//! the order in which they were pushed, and every step from there on is stable. The
//! structure follows Ahuja, Mehlhorn, Orlin and Tarjan, "Faster algorithms for the
//! shortest path problem" (JACM 37, 1990) for the digits and Tang, Goh and Thng, "Ladder
//! queue" (ACM TOMACS 15, 2005) for the lazily sorted bottom. Why it was chosen, in
//! numbers: `docs/kernel-queue.md`.

use alloc::vec::Vec;
use core::mem;

use wavetank_vocabulary::Time;

/// Bits of one digit: a level's occupancy is one 64-bit word.
const DIGIT_BITS: u32 = 6;
/// Buckets of one level.
const DIGITS: usize = 1 << DIGIT_BITS;
/// Levels that a 64-bit time needs.
const LEVELS: usize = (u64::BITS as usize).div_ceil(DIGIT_BITS as usize);
/// A bucket of at most this many events is sorted as a whole; a larger one is dealt out.
const SORT_AT_MOST: usize = 40;
/// A bottom that grows beyond this hands its later part back to the buckets.
const SPILL_ABOVE: usize = 24;
/// How many events a spilling bottom keeps.
const SPILL_KEEPS: usize = 8;

/// Where an event is due and where it lies.
#[derive(Clone, Copy, Debug)]
struct Key {
    time: u64,
    slot: u32,
}

/// A queue of events of type `E`, popped in order of time, first in first out at equal
/// times. Any time may be pushed; it is fastest when none is before the last popped one.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    events: Vec<Option<E>>,
    free: Vec<u32>,
    /// Sorted; what is before `head` has been popped. Holds every event up to `bottom_last`.
    bottom: Vec<Key>,
    head: usize,
    bottom_last: u64,
    spill_above: usize,
    /// At most `bottom_last + 1`, so that every key in a bucket is at least `base`.
    base: u64,
    /// Bit `l` is set when level `l` has an occupied bucket.
    levels: u32,
    /// Per level, the set of its occupied buckets.
    occupied: [u64; LEVELS],
    buckets: Vec<Vec<Key>>,
    /// An empty vector whose capacity is used again when a bucket is dealt out.
    spare: Vec<Key>,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> EventQueue<E> {
    /// An empty queue.
    pub fn new() -> Self {
        EventQueue {
            events: Vec::new(),
            free: Vec::new(),
            bottom: Vec::new(),
            head: 0,
            bottom_last: 0,
            spill_above: SPILL_ABOVE,
            base: 0,
            levels: 0,
            occupied: [0; LEVELS],
            buckets: (0..LEVELS * DIGITS).map(|_| Vec::new()).collect(),
            spare: Vec::new(),
        }
    }

    /// How many events are pending.
    pub fn len(&self) -> usize {
        self.events.len() - self.free.len()
    }

    /// Whether no event is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pending events, in an order that means nothing.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.events.iter().flatten()
    }

    /// Adds an event. It comes after all that were pushed before with the same time.
    // Always inlined, so that the event is built in its slot and not copied there.
    #[inline(always)]
    pub fn push(&mut self, at: Time, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.add_slot(),
        };
        self.events[slot as usize] = Some(event);
        self.order(Key { time: at.as_nanos(), slot });
    }

    #[cold]
    #[inline(never)]
    fn add_slot(&mut self) -> u32 {
        self.events.push(None);
        u32::try_from(self.events.len() - 1).expect("fewer than 2^32 pending events")
    }

    #[inline(never)]
    fn order(&mut self, key: Key) {
        if key.time <= self.bottom_last {
            self.insert_into_bottom(key);
        } else {
            self.place(key);
        }
    }

    /// Takes the first event out, with its time.
    #[inline]
    pub fn pop(&mut self) -> Option<(Time, E)> {
        self.pop_before(Time::NEVER)
    }

    /// Takes the first event out if it is due at `limit` or before.
    #[inline(always)]
    pub fn pop_before(&mut self, limit: Time) -> Option<(Time, E)> {
        loop {
            if let Some(&key) = self.bottom.get(self.head) {
                if key.time > limit.as_nanos() {
                    return None;
                }
                self.head += 1;
                if self.head == self.bottom.len() {
                    self.bottom.clear();
                    self.head = 0;
                }
                self.free.push(key.slot);
                let event = self.events[key.slot as usize].take().expect("a key names an event");
                return Some((Time::from_nanos(key.time), event));
            }
            if !self.load_bottom(limit.as_nanos()) {
                return None;
            }
        }
    }

    /// When the first event is due. Takes time in proportion to the first occupied bucket;
    /// a loop that plays up to a limit asks [`EventQueue::pop_before`] instead.
    pub fn peek_time(&self) -> Option<Time> {
        let first = match self.bottom.get(self.head) {
            Some(key) => key.time,
            None => {
                let (level, digit) = self.first_bucket()?;
                self.buckets[level * DIGITS + digit].iter().map(|key| key.time).min()?
            }
        };
        Some(Time::from_nanos(first))
    }

    /// The bucket that holds the earliest of the events outside the bottom.
    #[inline]
    fn first_bucket(&self) -> Option<(usize, usize)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// Puts a key that is after `bottom_last` into its bucket.
    #[inline]
    fn place(&mut self, key: Key) {
        let level = level_of(key.time ^ self.base);
        let digit = digit_of(key.time, level);
        self.levels |= 1 << level;
        self.occupied[level] |= 1 << digit;
        self.buckets[level * DIGITS + digit].push(key);
    }

    /// Insertion from the end: a new event is mostly later than the near ones.
    #[inline]
    fn insert_into_bottom(&mut self, key: Key) {
        if self.head >= SPILL_ABOVE && self.head * 2 >= self.bottom.len() {
            self.bottom.drain(..self.head);
            self.head = 0;
        }
        self.bottom.push(key);
        let live = &mut self.bottom[self.head..];
        insert_last(live);
        if live.len() > self.spill_above {
            self.spill();
        }
    }

    /// Hands the later part of an overgrown bottom back to the buckets.
    #[cold]
    fn spill(&mut self) {
        let mut keep = self.head + SPILL_KEEPS;
        // Equal times stay together, or the order among them would be lost.
        while keep < self.bottom.len() && self.bottom[keep].time == self.bottom[keep - 1].time {
            keep += 1;
        }
        if keep == self.bottom.len() {
            self.spill_above = 2 * (keep - self.head);
            return;
        }
        self.spill_above = SPILL_ABOVE;
        self.bottom_last = self.bottom[keep - 1].time;
        if self.bottom_last < self.base {
            self.lower_base(self.bottom_last);
        }
        let mut later = mem::take(&mut self.spare);
        later.extend(self.bottom.drain(keep..));
        for &key in &later {
            self.place(key);
        }
        later.clear();
        self.spare = later;
    }

    /// Moves `base` back. Only needed when events are pushed before a time up to which the
    /// queue was asked: keys that shared their upper digits with the old base now differ
    /// from the new one at a higher level, all in the same digit.
    fn lower_base(&mut self, base: u64) {
        let level = level_of(self.base ^ base);
        let digit = digit_of(self.base, level);
        let mut moved = mem::take(&mut self.spare);
        for below in 0..level {
            while self.occupied[below] != 0 {
                let bit = self.occupied[below].trailing_zeros() as usize;
                self.occupied[below] &= !(1 << bit);
                moved.append(&mut self.buckets[below * DIGITS + bit]);
            }
            self.levels &= !(1 << below);
        }
        if !moved.is_empty() {
            self.levels |= 1 << level;
            self.occupied[level] |= 1 << digit;
            self.buckets[level * DIGITS + digit].append(&mut moved);
        }
        self.spare = moved;
        self.base = base;
    }

    /// Turns the first bucket into the bottom, or deals it out to the levels below; the
    /// bottom must be empty. False when no bucket begins at `limit` or before.
    fn load_bottom(&mut self, limit: u64) -> bool {
        let Some((level, digit)) = self.first_bucket() else {
            return false;
        };
        let shift = level as u32 * DIGIT_BITS;
        let start = self.base & !low_bits(shift + DIGIT_BITS) | (digit as u64) << shift;
        if start > limit {
            return false;
        }
        self.occupied[level] &= !(1 << digit);
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
        self.base = start;
        self.spill_above = SPILL_ABOVE;
        let bucket = &mut self.buckets[level * DIGITS + digit];
        if level == 0 || bucket.len() <= SORT_AT_MOST {
            mem::swap(&mut self.bottom, bucket);
            self.bottom_last = start | low_bits(shift);
            if level > 0 {
                sort(&mut self.bottom);
            }
        } else {
            let mut dealt = mem::replace(bucket, mem::take(&mut self.spare));
            // Above level 0 a digit is greater than that of the base, so not zero.
            self.bottom_last = start - 1;
            for &key in &dealt {
                self.place(key);
            }
            dealt.clear();
            self.spare = dealt;
        }
        true
    }
}

/// The level of the highest digit that is not zero.
#[inline]
fn level_of(difference: u64) -> usize {
    ((63 - (difference | 1).leading_zeros()) / DIGIT_BITS) as usize
}

/// The digit of a time at a level.
#[inline]
fn digit_of(time: u64, level: usize) -> usize {
    (time >> (level as u32 * DIGIT_BITS)) as usize & (DIGITS - 1)
}

/// A mask of the lowest `bits` bits; all of them from 64 on.
#[inline]
fn low_bits(bits: u32) -> u64 {
    if bits >= u64::BITS { u64::MAX } else { (1 << bits) - 1 }
}

/// A stable insertion sort: buckets are small, and often nearly in order.
#[inline]
fn sort(keys: &mut [Key]) {
    for sorted in 2..=keys.len() {
        insert_last(&mut keys[..sorted]);
    }
}

/// Moves the last key to its place among those before it, which are in order.
#[inline(always)]
fn insert_last(keys: &mut [Key]) {
    let mut at = keys.len() - 1;
    let key = keys[at];
    while at > 0 && keys[at - 1].time > key.time {
        keys[at] = keys[at - 1];
        at -= 1;
    }
    keys[at] = key;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut EventQueue<u32>) -> Vec<(u64, u32)> {
        core::iter::from_fn(|| queue.pop()).map(|(t, e)| (t.as_nanos(), e)).collect()
    }

    #[test]
    fn equal_times_come_out_first_in_first_out() {
        for time in [0, 1, 64, 1 << 20, u64::MAX - 1, u64::MAX] {
            let mut queue = EventQueue::new();
            for event in 0..1000 {
                queue.push(Time::from_nanos(time), event);
            }
            let expected: Vec<_> = (0..1000).map(|event| (time, event)).collect();
            assert_eq!(drain(&mut queue), expected);
        }
    }

    #[test]
    fn pop_before_leaves_what_is_later_and_takes_what_is_pushed_before_it() {
        let mut queue = EventQueue::new();
        queue.push(Time::from_nanos(1_000_000), 1);
        assert_eq!(queue.pop_before(Time::from_nanos(999_999)), None);
        for event in 2..200 {
            queue.push(Time::from_nanos(1000 - u64::from(event)), event);
        }
        assert_eq!(queue.peek_time(), Some(Time::from_nanos(801)));
        let order: Vec<_> = drain(&mut queue).into_iter().map(|(_, event)| event).collect();
        let expected: Vec<_> = (2..200).rev().chain([1]).collect();
        assert_eq!(order, expected);
        assert!(queue.is_empty());
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = EventQueue::new();
        for n in 0..10_000u64 {
            queue.push(Time::from_nanos(n * 977), n);
            if n >= 8 {
                assert_eq!(queue.pop().map(|(_, event)| event), Some(n - 8));
            }
        }
        assert!(queue.events.len() <= 9, "{} slots", queue.events.len());
        assert!(queue.bottom.capacity() <= 512, "{} keys", queue.bottom.capacity());
    }
}
