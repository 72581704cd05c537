//! Atomic broadcast, in one round: spreads election results and availability.
//!
//! Every member numbers its own values and sends them to all others. A heartbeat carries,
//! as its `learned` header, the last number learned from its receiver; who sees that a peer
//! lags repeats what is still true. So a lost message costs one heartbeat interval. Only
//! the newest value of each kind is kept: an older one has nothing left to say.

use alloc::vec::Vec;

use crate::configuration::Configuration;
use crate::message::{Availability, Value};

/// What this member broadcasts, and what it learned from the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broadcast {
    /// The last number given. Starts from the wall clock, so that it ascends over restarts.
    sequence: u64,
    elected: Option<(u64, Value)>,
    availability: Option<(u64, Value)>,
    /// Per member: the last number learned from it.
    learned: Vec<u64>,
}

impl Broadcast {
    pub(crate) fn new(configuration: &Configuration, wall_ms: u64) -> Self {
        Broadcast {
            sequence: wall_ms << 10,
            elected: None,
            availability: None,
            learned: alloc::vec![0; configuration.total()],
        }
    }

    /// Numbers a value of mine.
    pub(crate) fn propose(&mut self, value: Value) -> u64 {
        self.sequence += 1;
        let slot = match value {
            Value::Elected { .. } => &mut self.elected,
            Value::Member(_) => &mut self.availability,
        };
        *slot = Some((self.sequence, value));
        self.sequence
    }

    /// A result newer than mine was learned: mine is not repeated any more.
    pub(crate) fn superseded(&mut self, newer: u64) {
        if let Some((_, Value::Elected { version, .. })) = self.elected
            && version < newer
        {
            self.elected = None;
        }
    }

    /// A value of `from` came in. False when it, or a later one, was learned before.
    pub(crate) fn learn(&mut self, from: usize, sequence: u64) -> bool {
        let new = sequence > self.learned[from];
        if new {
            self.learned[from] = sequence;
        }
        new
    }

    /// The header of a heartbeat to `to`.
    #[inline]
    pub(crate) fn learned_from(&self, to: usize) -> u64 {
        self.learned[to]
    }

    /// What a peer that learned up to `learned` still lacks, in order.
    #[inline]
    pub(crate) fn missing(&self, learned: u64) -> [Option<(u64, Value)>; 2] {
        if learned >= self.sequence {
            return [None, None];
        }
        let newer = |slot: Option<(u64, Value)>| slot.filter(|(sequence, _)| *sequence > learned);
        let mut both = [newer(self.elected), newer(self.availability)];
        if let [Some((a, _)), Some((b, _))] = both
            && a > b
        {
            both.swap(0, 1);
        }
        both
    }

    /// What I last said of myself.
    pub fn my_availability(&self) -> Availability {
        match self.availability {
            Some((_, Value::Member(availability))) => availability,
            _ => Availability::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{Epoch, InstanceId};

    fn broadcast(wall_ms: u64) -> Broadcast {
        let ids = [InstanceId(1), InstanceId(2)];
        Broadcast::new(&Configuration::new(InstanceId(1), &ids).unwrap(), wall_ms)
    }

    #[test]
    fn a_lagging_peer_is_told_what_is_still_true_in_order() {
        let mut b = broadcast(5);
        b.propose(Value::Member(Availability::Slave));
        let elected = Value::Elected { winner: None, elector: InstanceId(1), version: 9 };
        let first = b.propose(elected);
        let master = Value::Member(Availability::Master(Epoch(3)));
        let second = b.propose(master);
        assert_eq!(b.missing(0), [Some((first, elected)), Some((second, master))]);
        assert_eq!(b.missing(first), [None, Some((second, master))]);
        assert_eq!(b.missing(second), [None, None]);
        b.superseded(10);
        assert_eq!(b.missing(0), [None, Some((second, master))]);
    }

    #[test]
    fn numbers_ascend_over_a_restart() {
        let mut before = broadcast(5);
        for _ in 0..1000 {
            before.propose(Value::Member(Availability::Slave));
        }
        let last = before.propose(Value::Member(Availability::Slave));
        assert!(broadcast(6).propose(Value::Member(Availability::Slave)) > last);
    }

    #[test]
    fn a_value_is_learned_once() {
        let mut b = broadcast(5);
        assert!(b.learn(1, 7));
        assert!(!b.learn(1, 7));
        assert!(!b.learn(1, 6));
        assert_eq!(b.learned_from(1), 7);
    }
}
