//! Snapshot state machine: asks the coordinator who serves in which role.
//!
//! Nothing in the cluster asks by itself (HA specification 2.4): a joiner learns its master
//! because its entering causes an election, after which everybody announces itself anew.

use wavetank_vocabulary::Epoch;

use crate::configuration::{Configuration, MemberSet};
use crate::message::{Availability, Message, PaxosInstance};

/// Where this member stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Snapshot {
    /// In no cluster.
    #[default]
    Start,
    /// The coordinator was asked.
    Refreshing,
    /// Nothing is under way.
    Ready,
}

impl Snapshot {
    /// `join`.
    pub(crate) fn join(&mut self) {
        *self = Snapshot::Ready;
    }

    /// `leave`.
    pub(crate) fn leave(&mut self) {
        *self = Snapshot::Start;
    }

    /// `refreshSnapshot`, with that many members. True when the coordinator is to be asked.
    pub(crate) fn refresh(&mut self, members: usize) -> bool {
        let ask = *self != Snapshot::Start && members > 1;
        if ask {
            *self = Snapshot::Refreshing;
        }
        ask
    }

    /// `snapshot`: the answer came. True when it was waited for.
    pub(crate) fn received(&mut self) -> bool {
        let waited = *self == Snapshot::Refreshing;
        if waited {
            *self = Snapshot::Ready;
        }
        waited
    }

    /// `sendSnapshot`: the answer, from what is known of everybody's availability.
    pub(crate) fn answer(
        self,
        configuration: &Configuration,
        availability: &[Availability],
        delivered: PaxosInstance,
    ) -> Option<Message> {
        if self == Snapshot::Start {
            return None;
        }
        let mut master: Option<(usize, Epoch)> = None;
        let mut slaves = MemberSet::EMPTY;
        for (index, availability) in availability.iter().enumerate() {
            match *availability {
                // At most one entry: the epoch that began last.
                Availability::Master(epoch) if master.is_none_or(|(_, other)| epoch > other) => {
                    master = Some((index, epoch));
                }
                Availability::Slave => slaves = slaves.with(index),
                _ => {}
            }
        }
        let master = master.map(|(index, epoch)| (configuration.id(index), epoch));
        Some(Message::Snapshot { delivered, master, slaves })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::InstanceId;

    #[test]
    fn an_answer_is_taken_when_it_was_asked_for() {
        let mut s = Snapshot::default();
        assert!(!s.refresh(3) && !s.received());
        s.join();
        assert!(!s.refresh(1), "nobody to ask");
        assert!(!s.received());
        assert!(s.refresh(3) && s.received() && !s.received());
        s.leave();
        assert_eq!(s, Snapshot::Start);
    }

    #[test]
    fn a_snapshot_has_at_most_one_master() {
        let configuration = Configuration::new(InstanceId(1), &[1, 2, 3].map(InstanceId)).unwrap();
        let known =
            [Availability::Master(Epoch(5)), Availability::Master(Epoch(9)), Availability::Slave];
        assert_eq!(Snapshot::Start.answer(&configuration, &known, 4), None);
        let answer = Snapshot::Ready.answer(&configuration, &known, 4);
        let master = Some((InstanceId(2), Epoch(9)));
        let slaves = MemberSet::EMPTY.with(2);
        assert_eq!(answer, Some(Message::Snapshot { delivered: 4, master, slaves }));
    }
}
