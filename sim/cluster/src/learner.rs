//! Learner state machine of multi-Paxos: chosen values, delivered strictly in order.
//!
//! A value that comes too early waits for those before it. Who sees from a heartbeat's header
//! that it lags asks its sender for the first missing value, and so on, one by one; a hole
//! that stays for `ha.learn_timeout` is asked for everywhere (HA specification 2.3). Who
//! lags by more than the others remember can never catch up.

use alloc::collections::BTreeMap;

use crate::configuration::MemberSet;
use crate::flaws::Flaws;
use crate::interface::Timer;
use crate::message::{Message, PaxosInstance, Value};
use crate::out::Out;

/// Delivered Paxos instances that are kept for others (`PaxosInstanceStore.MAX_STORED`), and
/// how many that were at first ([`Flaws::LEARNER_MEMORY_100`]).
pub(crate) const MAX_STORED: u32 = 5000;
const STORED_AT_FIRST: u32 = 100;

/// The most missing values that are asked for at once. The first one alone lets delivery go
/// on, so that a wild number in a message makes no storm of questions.
const MAX_ASKED: u32 = 10;

/// Whether this learner takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Start,
    Learner,
}

/// The learner of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Learner {
    state: State,
    /// Learned values: delivered ones that are still kept, and those that wait for others.
    values: BTreeMap<PaxosInstance, Value>,
    /// The first Paxos instance that is not delivered yet.
    next: PaxosInstance,
    /// The first Paxos instance that nobody is known to have learned.
    known: PaxosInstance,
    /// Who is known to be up to date.
    source: Option<u8>,
    /// The learn timer runs: what comes meanwhile does not put it off.
    waiting: bool,
    /// Who answered that it does not remember the next value either.
    ignorant: MemberSet,
}

impl Learner {
    /// `join`: from now on values are learned, `delivered` being the first one of interest.
    /// Who said so is the one to ask for what was decided before this member was told.
    pub(crate) fn join(&mut self, delivered: PaxosInstance, source: Option<usize>) {
        *self = Learner {
            state: State::Learner,
            next: delivered,
            known: delivered,
            source: source.map(|index| index as u8),
            ..Self::default()
        };
    }

    /// `leave`: everything is forgotten.
    pub(crate) fn leave(&mut self) {
        *self = Learner::default();
    }

    /// How far values were delivered: the header of heartbeats.
    #[inline]
    pub fn delivered(&self) -> PaxosInstance {
        self.next
    }

    /// The first Paxos instance that nobody is known to have learned.
    #[inline]
    pub fn known(&self) -> PaxosInstance {
        self.known
    }

    /// `learn`: a value was chosen.
    pub(crate) fn learn(&mut self, instance: PaxosInstance, value: Value) {
        if self.state == State::Start || instance < self.next {
            return;
        }
        self.known = self.known.max(instance.saturating_add(1));
        // Further ahead than anyone remembers: of no use before the rest.
        if instance - self.next < MAX_STORED {
            self.values.entry(instance).or_insert(value);
        }
    }

    /// Whether another value is known of that Paxos instance: two were chosen. The first one
    /// stays.
    pub(crate) fn contradicts(&self, instance: PaxosInstance, value: Value) -> bool {
        self.values.get(&instance).is_some_and(|known| *known != value)
    }

    /// A member answers with the value that comes next: it may remember the following ones,
    /// too, so that they need not wait for the learn timer.
    pub(crate) fn answered(&mut self, from: usize, instance: PaxosInstance) {
        if instance == self.next && self.source.is_none() && self.has_hole() {
            self.source = Some(from as u8);
        }
    }

    /// The next value in order, once it is there.
    pub(crate) fn deliver(&mut self, flaws: Flaws) -> Option<(PaxosInstance, Value)> {
        let instance = self.next;
        let value = *self.values.get(&instance)?;
        // The last number of all is never passed: nobody honest comes so far.
        self.next = instance.checked_add(1)?;
        self.ignorant = MemberSet::EMPTY;
        let kept =
            if flaws.contains(Flaws::LEARNER_MEMORY_100) { STORED_AT_FIRST } else { MAX_STORED };
        if self.next > kept {
            self.values.remove(&(self.next - 1 - kept));
        }
        Some((instance, value))
    }

    /// Whether the next value to deliver is known to exist, but not here.
    fn has_hole(&self) -> bool {
        self.next < self.known && !self.values.contains_key(&self.next)
    }

    /// `catchUp`: a heartbeat of `from` says that it has delivered up to `learned`.
    #[inline]
    pub(crate) fn catch_up(&mut self, learned: PaxosInstance, from: usize, out: &mut Out<'_>) {
        if learned > self.known && self.state == State::Learner {
            self.known = learned;
            self.source = Some(from as u8);
            self.ask(out);
        }
    }

    /// Asks for the first missing value, if there is one, and sets the learn timer.
    pub(crate) fn ask(&mut self, out: &mut Out<'_>) {
        if !self.has_hole() {
            return;
        }
        if let Some(source) = self.source {
            out.send(usize::from(source), Message::LearnRequest { instance: self.next });
        }
        if !self.waiting {
            self.waiting = true;
            out.arm(Timer::Learn, out.settings.learn_timeout);
        }
    }

    /// `learnTimedout`: asks everybody for every missing value.
    pub(crate) fn timed_out(&mut self, others: MemberSet, out: &mut Out<'_>) {
        self.waiting = self.has_hole();
        if !self.waiting {
            return;
        }
        let missing = (self.next..self.known).filter(|i| !self.values.contains_key(i));
        for instance in missing.take(MAX_ASKED as usize) {
            out.send_all(others, Message::LearnRequest { instance });
        }
        out.arm(Timer::Learn, out.settings.learn_timeout);
    }

    /// `learnRequest`: the answer.
    pub(crate) fn requested(&self, instance: PaxosInstance) -> Option<Message> {
        if self.state == State::Start {
            return None;
        }
        Some(match self.values.get(&instance) {
            Some(value) => Message::Learn { instance, value: *value },
            None => Message::LearnFailed { instance },
        })
    }

    /// `learnFailed`: that member does not have the value either; the learn timer asks others.
    pub(crate) fn failed(&mut self, from: usize, instance: PaxosInstance) {
        if self.source == Some(from as u8) {
            self.source = None;
        }
        if instance == self.next {
            self.ignorant = self.ignorant.with(from);
        }
    }

    /// Whether it takes part, and has delivered all that it knows to exist.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.state == State::Learner && self.next == self.known
    }

    /// Whether the next value is lost: none of the others remembers it.
    pub(crate) fn is_stranded(&self, others: MemberSet) -> bool {
        self.has_hole() && !others.is_empty() && others.difference(self.ignorant).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use alloc::vec::Vec;
    use wavetank_vocabulary::InstanceId;

    fn value(n: u32) -> Value {
        Value::Leave(InstanceId(n as u16))
    }

    fn learner() -> Learner {
        let mut learner = Learner::default();
        learner.join(0, None);
        learner
    }

    #[test]
    fn there_is_an_end_to_the_numbers() {
        let mut l = Learner::default();
        l.join(PaxosInstance::MAX, None);
        l.learn(PaxosInstance::MAX, value(1));
        assert_eq!(l.deliver(Flaws::NONE), None, "it would be delivered again and again");
    }

    #[test]
    fn values_are_delivered_once_and_in_order() {
        let mut l = learner();
        l.learn(1, value(1));
        assert_eq!(l.deliver(Flaws::NONE), None);
        l.learn(0, value(0));
        l.learn(0, value(9));
        assert_eq!(l.deliver(Flaws::NONE), Some((0, value(0))));
        assert_eq!(l.deliver(Flaws::NONE), Some((1, value(1))));
        assert!(l.contradicts(1, value(7)) && !l.contradicts(1, value(1)));
        assert!(!l.contradicts(2, value(7)), "nothing is known of it");
        l.learn(1, value(7));
        assert_eq!(l.deliver(Flaws::NONE), None);
        assert_eq!(l.requested(1), Some(Message::Learn { instance: 1, value: value(1) }));
    }

    #[test]
    fn who_lags_asks_the_sender_one_by_one() {
        let mut bench = Bench::new(1, 3);
        let mut l = learner();
        l.catch_up(2, 2, &mut bench.out());
        assert_eq!(bench.take_sent(), [(3, Message::LearnRequest { instance: 0 })]);
        l.catch_up(2, 1, &mut bench.out());
        assert!(bench.take_sent().is_empty(), "nothing new");
        l.learn(0, value(0));
        assert!(l.deliver(Flaws::NONE).is_some());
        l.ask(&mut bench.out());
        assert_eq!(bench.take_sent(), [(3, Message::LearnRequest { instance: 1 })]);
    }

    #[test]
    fn a_hole_that_stays_is_asked_for_everywhere() {
        let mut bench = Bench::new(1, 3);
        let mut l = learner();
        l.learn(2, value(2));
        l.ask(&mut bench.out());
        assert!(bench.take_sent().is_empty(), "first it may come by itself");
        l.timed_out(MemberSet::EMPTY.with(1).with(2), &mut bench.out());
        let asked: Vec<_> = bench.take_sent();
        assert_eq!(asked.len(), 4);
        assert!(asked.contains(&(2, Message::LearnRequest { instance: 1 })));
        l.learn(u32::MAX, value(1));
        l.timed_out(MemberSet::EMPTY.with(1), &mut bench.out());
        assert_eq!(bench.take_sent().len(), MAX_ASKED as usize);
    }

    #[test]
    fn who_remembers_what_others_do_not_is_asked_for_all_the_rest() {
        let mut bench = Bench::new(1, 3);
        let mut l = learner();
        l.catch_up(100, 1, &mut bench.out());
        assert_eq!(bench.take_sent(), [(2, Message::LearnRequest { instance: 0 })]);
        l.failed(1, 0);
        l.ask(&mut bench.out());
        assert!(bench.take_sent().is_empty(), "nobody is known to have it");
        for instance in 0..99 {
            l.answered(2, instance);
            l.learn(instance, value(instance));
            assert!(l.deliver(Flaws::NONE).is_some());
            l.ask(&mut bench.out());
            let next = Message::LearnRequest { instance: instance + 1 };
            assert_eq!(bench.take_sent(), [(3, next)]);
        }
    }

    #[test]
    fn a_value_that_nobody_remembers_strands_the_learner() {
        let others = MemberSet::EMPTY.with(1).with(2);
        let mut l = learner();
        l.learn(1, value(1));
        l.failed(1, 0);
        l.failed(2, 7);
        assert!(!l.is_stranded(others));
        l.failed(2, 0);
        assert!(l.is_stranded(others) && !l.is_stranded(others.with(3)));
        l.learn(0, value(0));
        assert!(!l.is_stranded(others));
    }

    #[test]
    fn five_thousand_are_remembered() {
        let mut l = learner();
        for n in 0..=MAX_STORED {
            l.learn(n, value(n % 100));
            assert!(l.deliver(Flaws::NONE).is_some());
        }
        assert_eq!(l.requested(0), Some(Message::LearnFailed { instance: 0 }));
        assert!(matches!(l.requested(1), Some(Message::Learn { .. })));
        assert_eq!(Learner::default().requested(0), None);
    }

    #[test]
    fn a_hundred_were_remembered_at_first() {
        let mut l = learner();
        for n in 0..=STORED_AT_FIRST {
            l.learn(n, value(n));
            assert!(l.deliver(Flaws::LEARNER_MEMORY_100).is_some());
        }
        assert_eq!(l.requested(0), Some(Message::LearnFailed { instance: 0 }));
        assert!(matches!(l.requested(1), Some(Message::Learn { .. })));
    }
}
