//! A calendar queue (Brown, "Calendar queues", CACM 31, 1988) that tunes itself: the number
//! of days follows the number of events, the length of a day the spacing of the first ones.
//! Both are powers of two.

use super::Queue;

#[derive(Clone, Copy)]
struct Entry<E> {
    time: u64,
    sequence: u64,
    event: E,
}

/// Days of the year are buckets, sorted with the first event at the end.
pub(crate) struct Calendar<E> {
    days: Vec<Vec<Entry<E>>>,
    /// The length of a day is two to this power.
    shift: u32,
    /// The day (counted from time zero) on which the search for the next event begins.
    today: u64,
    len: usize,
    sequence: u64,
}

const FEWEST_DAYS: usize = 16;

impl<E> Default for Calendar<E> {
    fn default() -> Self {
        Calendar { days: new_days(FEWEST_DAYS), shift: 20, today: 0, len: 0, sequence: 0 }
    }
}

fn new_days<E>(days: usize) -> Vec<Vec<Entry<E>>> {
    (0..days).map(|_| Vec::new()).collect()
}

impl<E> Queue<E> for Calendar<E> {
    #[inline(always)]
    fn push(&mut self, time: u64, event: E) {
        self.sequence += 1;
        self.len += 1;
        let day = time >> self.shift;
        self.today = self.today.min(day);
        let index = day as usize & (self.days.len() - 1);
        let entries = &mut self.days[index];
        let later = entries.iter().rev().take_while(|entry| entry.time <= time).count();
        entries.insert(entries.len() - later, Entry { time, sequence: self.sequence, event });
        if self.len > 2 * self.days.len() {
            self.rebuild(2 * self.days.len());
        }
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<(u64, E)> {
        if self.len == 0 {
            return None;
        }
        let mask = self.days.len() - 1;
        let mut left = self.days.len();
        loop {
            let entries = &mut self.days[self.today as usize & mask];
            if entries.last().is_some_and(|entry| entry.time >> self.shift == self.today) {
                break;
            }
            left -= 1;
            self.today = if left > 0 { self.today + 1 } else { self.first_day() };
        }
        let entry = self.days[self.today as usize & mask].pop().expect("a day was found");
        self.len -= 1;
        if self.days.len() > FEWEST_DAYS && self.len < self.days.len() / 2 {
            self.rebuild(self.days.len() / 2);
        }
        Some((entry.time, entry.event))
    }
}

impl<E> Calendar<E> {
    /// The day of the earliest event, when a whole year was empty.
    #[cold]
    fn first_day(&self) -> u64 {
        let first = self.days.iter().filter_map(|day| day.last()).map(|entry| entry.time).min();
        first.expect("an event is pending") >> self.shift
    }

    #[cold]
    fn rebuild(&mut self, days: usize) {
        let mut entries: Vec<_> = self.days.drain(..).flatten().collect();
        entries.sort_unstable_by_key(|entry| (entry.time, entry.sequence));
        let near = entries.len().min(64);
        if let (Some(first), Some(last)) = (entries.first(), entries.get(near.max(1) - 1)) {
            let width = 3 * ((last.time - first.time) / near as u64);
            self.shift = 63 - (width.clamp(1, 1 << 62)).leading_zeros();
            self.today = first.time >> self.shift;
        }
        self.days = new_days(days);
        for entry in entries.into_iter().rev() {
            let day = (entry.time >> self.shift) as usize & (days - 1);
            self.days[day].push(entry);
        }
    }
}
