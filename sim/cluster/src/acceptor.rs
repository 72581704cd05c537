//! Acceptor state machine of multi-Paxos: promises and acceptances, per Paxos instance.
//!
//! Lives in memory only, so a restart forgets what was promised (HA specification 2.3): with
//! that, and with quorums of the alive set, chosen values may differ. The property tests of
//! this crate show both, and `tests/peers` finds the shortest ways there. To compare with,
//! [`AcceptorMemory::Durable`] lets the driver keep what was promised, as [`Kept`].

use alloc::collections::{BTreeMap, VecDeque};

use crate::message::{Accepted, Ballot, Message, PaxosInstance, Value};
use crate::settings::AcceptorMemory;

/// How many Paxos instances an acceptor remembers (`InMemoryAcceptorInstanceStore`).
pub(crate) const MAX_REMEMBERED: usize = 1000;

/// Whether this acceptor takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Start,
    Acceptor,
}

/// What is remembered of one Paxos instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Remembered {
    promised: Ballot,
    accepted: Option<Accepted>,
}

/// All that an acceptor knows of one Paxos instance, to be kept over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kept {
    /// Which instance.
    pub instance: PaxosInstance,
    /// No ballot below this one is accepted.
    pub promised: Ballot,
    /// What was accepted last.
    pub accepted: Option<Accepted>,
}

/// The acceptor of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acceptor {
    state: State,
    instances: BTreeMap<PaxosInstance, Remembered>,
    /// In which order they were first asked for; empty while nothing is to be forgotten.
    order: VecDeque<PaxosInstance>,
}

impl Acceptor {
    /// `join`: from now on questions are answered.
    pub(crate) fn join(&mut self) {
        self.state = State::Acceptor;
    }

    /// `leave`: everything is forgotten, unless it is kept over restarts, too.
    pub(crate) fn leave(&mut self, memory: AcceptorMemory) {
        self.state = State::Start;
        if memory == AcceptorMemory::Volatile {
            self.instances.clear();
            self.order.clear();
        }
    }

    /// What there is to keep of this Paxos instance.
    pub(crate) fn kept(&self, instance: PaxosInstance) -> Option<Kept> {
        let Remembered { promised, accepted } = *self.instances.get(&instance)?;
        Some(Kept { instance, promised, accepted })
    }

    /// What an earlier life kept of a Paxos instance.
    pub(crate) fn recall(&mut self, kept: Kept) {
        let Kept { instance, promised, accepted } = kept;
        self.instances.insert(instance, Remembered { promised, accepted });
    }

    /// Phase 1: the answer to `prepare`, if this acceptor takes part.
    pub(crate) fn prepare(&mut self, instance: PaxosInstance, ballot: Ballot) -> Option<Message> {
        if self.state == State::Start {
            return None;
        }
        let remembered = self
            .instances
            .entry(instance)
            .or_insert(Remembered { promised: ballot, accepted: None });
        let answer = if ballot >= remembered.promised {
            remembered.promised = ballot;
            Message::Promise { instance, ballot, accepted: remembered.accepted }
        } else {
            Message::RejectPrepare { instance, ballot, promised: remembered.promised }
        };
        Some(answer)
    }

    /// This Paxos instance was asked for: the thousand that were first asked for last are
    /// remembered. Not those with the highest numbers: then a wild number would hold its
    /// place for ever, and a thousand of them would leave none for any other.
    #[inline]
    pub(crate) fn forget_the_oldest(&mut self, asked: PaxosInstance) {
        if self.order.len() < self.instances.len() {
            self.order.push_back(asked);
        }
        if self.instances.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.instances.remove(&oldest);
        }
    }

    /// Phase 2: the answer to `accept`. Only the very ballot that was promised is accepted.
    pub(crate) fn accept(
        &mut self,
        instance: PaxosInstance,
        ballot: Ballot,
        value: Value,
    ) -> Option<Message> {
        if self.state == State::Start {
            return None;
        }
        match self.instances.get_mut(&instance) {
            Some(remembered) if remembered.promised == ballot => {
                remembered.accepted = Some(Accepted { ballot, value });
                Some(Message::Accepted { instance, ballot })
            }
            _ => Some(Message::RejectAccept { instance, ballot }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::InstanceId;

    const V: Value = Value::Leave(InstanceId(1));
    const W: Value = Value::Leave(InstanceId(2));

    fn acceptor() -> Acceptor {
        let mut acceptor = Acceptor::default();
        acceptor.join();
        acceptor
    }

    #[test]
    fn a_promise_binds_and_brings_what_was_accepted() {
        let mut a = acceptor();
        let promise = |ballot, accepted| Some(Message::Promise { instance: 3, ballot, accepted });
        assert_eq!(a.prepare(3, 1001), promise(1001, None));
        assert_eq!(a.accept(3, 1001, V), Some(Message::Accepted { instance: 3, ballot: 1001 }));
        assert_eq!(
            a.prepare(3, 1000),
            Some(Message::RejectPrepare { instance: 3, ballot: 1000, promised: 1001 })
        );
        let accepted = Some(Accepted { ballot: 1001, value: V });
        assert_eq!(a.prepare(3, 2002), promise(2002, accepted));
        let refused = Some(Message::RejectAccept { instance: 3, ballot: 1001 });
        assert_eq!(a.accept(3, 1001, W), refused);
        assert_eq!(a.prepare(3, 2002), promise(2002, accepted), "asked twice, told twice");
    }

    #[test]
    fn nothing_is_accepted_that_was_not_prepared() {
        let refused = Some(Message::RejectAccept { instance: 0, ballot: 1001 });
        assert_eq!(acceptor().accept(0, 1001, V), refused);
    }

    #[test]
    fn the_newest_thousand_are_remembered() {
        let mut a = acceptor();
        for instance in 0..=MAX_REMEMBERED as u32 {
            a.prepare(instance, 2000);
            a.forget_the_oldest(instance);
        }
        let forgotten = Some(Message::Promise { instance: 0, ballot: 1000, accepted: None });
        assert_eq!(a.prepare(0, 1000), forgotten);
        assert!(matches!(a.prepare(2, 1000), Some(Message::RejectPrepare { .. })));
    }

    #[test]
    fn wild_numbers_do_not_take_the_place_of_others() {
        let mut a = acceptor();
        for wild in 0..=MAX_REMEMBERED as u32 {
            a.prepare(u32::MAX - wild, 2000);
            a.forget_the_oldest(u32::MAX - wild);
        }
        for instance in 0..10 {
            a.prepare(instance, 2000);
            a.forget_the_oldest(instance);
            let accepted = Some(Message::Accepted { instance, ballot: 2000 });
            assert_eq!(a.accept(instance, 2000, V), accepted);
            a.forget_the_oldest(instance);
            assert_eq!(a.instances.len(), MAX_REMEMBERED);
        }
        assert!(matches!(a.prepare(0, 1000), Some(Message::RejectPrepare { .. })));
    }

    #[test]
    fn who_has_not_joined_does_not_answer_and_who_left_has_forgotten() {
        let mut a = Acceptor::default();
        assert_eq!((a.prepare(0, 1), a.accept(0, 1, V)), (None, None));
        a.join();
        a.prepare(0, 5);
        a.leave(AcceptorMemory::Volatile);
        a.join();
        assert!(matches!(a.prepare(0, 1), Some(Message::Promise { accepted: None, .. })));
    }

    #[test]
    fn what_was_kept_binds_the_next_life() {
        let mut first = acceptor();
        first.prepare(0, 1002);
        first.accept(0, 1002, V);
        first.leave(AcceptorMemory::Durable);
        assert_eq!(first.prepare(0, 3002), None, "it takes no part");
        let kept = first.kept(0).unwrap();
        let accepted = Some(Accepted { ballot: 1002, value: V });
        assert_eq!(kept, Kept { instance: 0, promised: 1002, accepted });
        assert_eq!(first.kept(1), None);

        let mut second = Acceptor::default();
        second.recall(kept);
        second.join();
        assert!(matches!(second.prepare(0, 1001), Some(Message::RejectPrepare { .. })));
        let promise = Message::Promise { instance: 0, ballot: 2001, accepted };
        assert_eq!(second.prepare(0, 2001), Some(promise));
    }
}
