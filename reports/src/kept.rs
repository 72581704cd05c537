//! Facts kept as they were told, in bounded memory: the first and the last of them.

use std::collections::VecDeque;

use wavetank_vocabulary::{Fact, Seq, Time};

/// Kept from the start of the run, and as many from its end.
const KEPT: usize = 1_000;

/// A fact with its place in time and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Time,
    /// Its number among all facts.
    pub seq: Seq,
    /// What.
    pub fact: Fact,
}

/// All facts up to 2,000, else the first and the last thousand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    first: Vec<Event>,
    last: VecDeque<Event>,
    told: u64,
}

impl Kept {
    pub(crate) fn keep(&mut self, event: Event) {
        self.told += 1;
        if self.first.len() < KEPT {
            self.first.push(event);
            return;
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(event);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Event> {
        self.first.iter().chain(&self.last)
    }

    /// How many were not kept.
    pub(crate) fn left_out(&self) -> u64 {
        self.told - (self.first.len() + self.last.len()) as u64
    }

    /// Before which of those kept the others are missing.
    pub(crate) fn gap(&self) -> Option<usize> {
        (self.left_out() > 0).then_some(KEPT)
    }
}
