//! Proposer state machine of multi-Paxos: gets values chosen, each in a Paxos instance.
//!
//! Ballots start at 1000 + server id and rise by 1000 with each try. At most ten instances
//! are under way at once; further values queue. The acceptors are whoever is alive when a
//! ballot begins, and a majority *of those* decides (HA specification 2.3): not of all
//! members, so that the two sides of a partition may choose different values.
//!
//! Of the original's states of a Paxos instance, `empty`, `closed` and `delivered` are the
//! absence of a [`Booking`] here, and `p1_ready` is passed through within one step.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use wavetank_vocabulary::InstanceId;

use crate::configuration::MemberSet;
use crate::interface::Timer;
use crate::message::{Accepted, Ballot, Message, PaxosInstance, Value};
use crate::out::Out;
use crate::settings::Quorum;

/// How many Paxos instances a proposer has under way at most.
pub(crate) const MAX_BOOKED: usize = 10;
/// A ballot of this size that gets no quorum of promises is the last one.
const LAST_BALLOT: Ballot = 10_000;
/// What a ballot rises by.
const STEP: Ballot = 1000;

/// Whether this proposer takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Start,
    Proposer,
}

/// Where a Paxos instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Promises are awaited.
    P1Pending,
    /// Acceptances are awaited.
    P2Pending,
}

/// A Paxos instance under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Booking {
    instance: PaxosInstance,
    ballot: Ballot,
    phase: Phase,
    /// What is proposed: the client's value, unless a promise brought another.
    value: Value,
    /// Whether `value` is the client's.
    own: bool,
    /// The highest ballot that a promise of this round brought a value from.
    found: Option<Accepted>,
    acceptors: MemberSet,
    votes: MemberSet,
}

/// The proposer of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Proposer {
    state: State,
    first_ballot: Ballot,
    /// The first Paxos instance that was never booked here.
    next: PaxosInstance,
    /// Booked once and given up: taken again before new ones, or nobody ever fills them.
    vacant: BTreeSet<PaxosInstance>,
    booked: Vec<Option<Booking>>,
    queue: VecDeque<Value>,
}

/// Who is asked and who is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience {
    /// Whom promises and acceptances are asked of.
    pub(crate) acceptors: MemberSet,
    /// Whom a chosen value is told to.
    pub(crate) learners: MemberSet,
}

impl Audience {
    fn of(self, value: Value, out: &Out<'_>) -> Audience {
        match value {
            // A joiner learns that it is in.
            Value::Join(id, _) => match out.configuration.index_of(id) {
                Some(joiner) => Audience { learners: self.learners.with(joiner), ..self },
                None => self,
            },
            // A leaver decides no more, but learns that it is out.
            Value::Leave(id) if out.settings.quorum == Quorum::OfTheAlive => {
                match out.configuration.index_of(id) {
                    Some(leaver) if self.acceptors.len() > 1 => {
                        Audience { acceptors: self.acceptors.without(leaver), ..self }
                    }
                    _ => self,
                }
            }
            _ => self,
        }
    }
}

impl Proposer {
    /// `join`: from now on values are proposed, from Paxos instance `next` on.
    pub(crate) fn join(&mut self, me: InstanceId, next: PaxosInstance) {
        *self = Proposer {
            state: State::Proposer,
            first_ballot: STEP + Ballot::from(me.0),
            next,
            ..Self::default()
        };
    }

    /// `leave`: everything is forgotten.
    pub(crate) fn leave(&mut self, out: &mut Out<'_>) {
        for slot in 0..self.booked.len() {
            out.cancel(Timer::Paxos(slot as u8));
        }
        *self = Proposer::default();
    }

    /// `propose`: gets a value chosen, or queues it behind those under way. `known` is the
    /// first Paxos instance that nobody is known to have learned.
    pub(crate) fn propose(
        &mut self,
        value: Value,
        known: PaxosInstance,
        audience: Audience,
        out: &mut Out<'_>,
    ) {
        if self.state == State::Start {
            return;
        }
        self.queue.push_back(value);
        self.start_queued(known, audience, out);
    }

    /// Finds out what was decided in a Paxos instance that no learner remembers: by proposing
    /// a value there, that yields to what the acceptors know and goes elsewhere then.
    pub(crate) fn fill(
        &mut self,
        instance: PaxosInstance,
        value: Value,
        known: PaxosInstance,
        audience: Audience,
        out: &mut Out<'_>,
    ) {
        if self.state == State::Start
            || self.booked.iter().flatten().any(|b| b.instance == instance)
        {
            return;
        }
        self.vacant.insert(instance);
        if !self.queue.contains(&value) {
            self.queue.push_front(value);
        }
        self.start_queued(known, audience, out);
    }

    fn start_queued(&mut self, known: PaxosInstance, audience: Audience, out: &mut Out<'_>) {
        while !self.queue.is_empty() {
            // All numbers are used up: nobody honest comes so far.
            if self.vacant.is_empty() && self.next.max(known) == PaxosInstance::MAX {
                return;
            }
            let free = self.booked.iter().position(Option::is_none);
            let slot = match free {
                Some(slot) => slot,
                None if self.booked.len() < MAX_BOOKED => {
                    self.booked.push(None);
                    self.booked.len() - 1
                }
                None => return,
            };
            let Some(value) = self.queue.pop_front() else { return };
            let instance = self.vacant.pop_first().unwrap_or_else(|| {
                let instance = self.next.max(known);
                self.next = instance.saturating_add(1);
                instance
            });
            self.booked[slot] = Some(Booking {
                instance,
                ballot: self.first_ballot,
                phase: Phase::P1Pending,
                value,
                own: true,
                found: None,
                acceptors: MemberSet::EMPTY,
                votes: MemberSet::EMPTY,
            });
            self.prepare(slot, audience, out);
        }
    }

    /// Begins a round with the booking's ballot.
    fn prepare(&mut self, slot: usize, audience: Audience, out: &mut Out<'_>) {
        let Some(booking) = &mut self.booked[slot] else { return };
        booking.phase = Phase::P1Pending;
        booking.found = None;
        booking.votes = MemberSet::EMPTY;
        booking.acceptors = audience.of(booking.value, out).acceptors;
        let (instance, ballot) = (booking.instance, booking.ballot);
        out.send_all(booking.acceptors, Message::Prepare { instance, ballot });
        out.arm(Timer::Paxos(slot as u8), out.settings.phase1_timeout);
    }

    fn find(
        &mut self,
        instance: PaxosInstance,
        ballot: Ballot,
        phase: Phase,
    ) -> Option<(usize, &mut Booking)> {
        self.booked.iter_mut().enumerate().find_map(|(slot, booking)| {
            let booking = booking.as_mut()?;
            (booking.instance == instance && booking.ballot == ballot && booking.phase == phase)
                .then_some((slot, booking))
        })
    }

    /// `promise`: with a quorum of them, phase 2 begins.
    pub(crate) fn promise(
        &mut self,
        from: usize,
        instance: PaxosInstance,
        ballot: Ballot,
        accepted: Option<Accepted>,
        out: &mut Out<'_>,
    ) {
        let Some((slot, booking)) = self.find(instance, ballot, Phase::P1Pending) else { return };
        if !booking.acceptors.contains(from) {
            return;
        }
        booking.votes = booking.votes.with(from);
        if let Some(accepted) = accepted
            && booking.found.is_none_or(|found| accepted.ballot > found.ballot)
        {
            booking.found = Some(accepted);
        }
        if booking.votes.len() <= booking.acceptors.len() / 2 {
            return;
        }
        booking.phase = Phase::P2Pending;
        booking.votes = MemberSet::EMPTY;
        let mut displaced = None;
        if let Some(found) = booking.found {
            if booking.own && booking.value != found.value {
                displaced = Some(booking.value);
                booking.own = false;
            }
            booking.value = found.value;
        }
        let value = booking.value;
        out.send_all(booking.acceptors, Message::Accept { instance, ballot, value });
        out.arm(Timer::Paxos(slot as u8), out.settings.phase2_timeout);
        if let Some(value) = displaced {
            self.queue.push_front(value);
        }
    }

    /// `rejectPrepare`: tries again with a ballot above the one that was promised.
    pub(crate) fn reject_prepare(
        &mut self,
        from: usize,
        (instance, ballot): (PaxosInstance, Ballot),
        promised: Ballot,
        audience: Audience,
        out: &mut Out<'_>,
    ) {
        let Some((slot, booking)) = self.find(instance, ballot, Phase::P1Pending) else { return };
        if !booking.acceptors.contains(from) {
            return;
        }
        let steps = promised.saturating_sub(ballot) / STEP + 1;
        // A ballot that has no successor is waited out.
        if let Some(higher) = steps.checked_mul(STEP).and_then(|rise| ballot.checked_add(rise)) {
            booking.ballot = higher;
            self.prepare(slot, audience, out);
        }
    }

    /// `accepted`: with a quorum of them, the value is chosen and all are told.
    pub(crate) fn accepted(
        &mut self,
        from: usize,
        (instance, ballot): (PaxosInstance, Ballot),
        known: PaxosInstance,
        audience: Audience,
        out: &mut Out<'_>,
    ) {
        let Some((slot, booking)) = self.find(instance, ballot, Phase::P2Pending) else { return };
        if !booking.acceptors.contains(from) {
            return;
        }
        booking.votes = booking.votes.with(from);
        if booking.votes.len() <= booking.acceptors.len() / 2 {
            return;
        }
        let value = booking.value;
        out.send_all(audience.of(value, out).learners, Message::Learn { instance, value });
        out.cancel(Timer::Paxos(slot as u8));
        self.booked[slot] = None;
        self.start_queued(known.max(instance.saturating_add(1)), audience, out);
    }

    /// `phase1Timeout` and `phase2Timeout`: tries again with a higher ballot. Returns a value of
    /// the client's that could not be got through: the proposal has failed.
    pub(crate) fn timed_out(
        &mut self,
        slot: usize,
        known: PaxosInstance,
        audience: Audience,
        out: &mut Out<'_>,
    ) -> Option<Value> {
        let booking = self.booked.get_mut(slot)?.as_mut()?;
        if booking.phase == Phase::P1Pending && booking.ballot > LAST_BALLOT {
            let failed = *booking;
            self.booked[slot] = None;
            if failed.instance >= known {
                self.vacant.insert(failed.instance);
            }
            self.start_queued(known, audience, out);
            return failed.own.then_some(failed.value);
        }
        booking.ballot = booking.ballot.saturating_add(STEP);
        self.prepare(slot, audience, out);
        None
    }

    /// A value was learned in a Paxos instance: what was under way there is over, and a
    /// client's value that lost goes first in the next one.
    pub(crate) fn learned(
        &mut self,
        instance: PaxosInstance,
        value: Value,
        known: PaxosInstance,
        audience: Audience,
        out: &mut Out<'_>,
    ) {
        self.vacant.remove(&instance);
        let there = |booking: &Option<Booking>| booking.is_some_and(|b| b.instance == instance);
        let Some(slot) = self.booked.iter().position(there) else { return };
        if let Some(lost) = self.booked[slot].take()
            && lost.own
            && lost.value != value
        {
            self.queue.push_front(lost.value);
        }
        out.cancel(Timer::Paxos(slot as u8));
        self.start_queued(known, audience, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    const V: Value = Value::Leave(InstanceId(7));
    const W: Value = Value::Leave(InstanceId(8));

    fn audience() -> Audience {
        Audience { acceptors: MemberSet::first(3), learners: MemberSet::first(3) }
    }

    fn proposer(bench: &mut Bench) -> Proposer {
        let mut p = Proposer::default();
        p.propose(V, 0, audience(), &mut bench.out());
        assert!(bench.take_sent().is_empty(), "not joined yet");
        p.join(InstanceId(1), 0);
        p.propose(V, 0, audience(), &mut bench.out());
        let prepare = Message::Prepare { instance: 0, ballot: 1001 };
        assert_eq!(bench.take_sent(), [(2, prepare), (3, prepare), (1, prepare)]);
        p
    }

    #[test]
    fn a_value_is_chosen_in_two_rounds() {
        let mut bench = Bench::new(1, 3);
        let mut p = proposer(&mut bench);
        p.promise(0, 0, 1001, None, &mut bench.out());
        assert!(bench.take_sent().is_empty(), "one of three is no quorum");
        p.promise(0, 0, 1001, None, &mut bench.out());
        assert!(bench.take_sent().is_empty(), "nor is the same one twice");
        p.promise(2, 0, 1001, None, &mut bench.out());
        let accept = Message::Accept { instance: 0, ballot: 1001, value: V };
        assert_eq!(bench.take_sent()[0], (2, accept));
        p.accepted(0, (0, 1001), 0, audience(), &mut bench.out());
        p.accepted(1, (0, 1001), 0, audience(), &mut bench.out());
        let learn = Message::Learn { instance: 0, value: V };
        assert_eq!(bench.take_sent(), [(2, learn), (3, learn), (1, learn)]);
        p.propose(W, 1, audience(), &mut bench.out());
        assert_eq!(bench.take_sent()[0].1, Message::Prepare { instance: 1, ballot: 1001 });
    }

    #[test]
    fn a_value_found_goes_first_and_the_own_one_next() {
        let mut bench = Bench::new(1, 3);
        let mut p = proposer(&mut bench);
        let older = Some(Accepted { ballot: 5, value: V });
        let newer = Some(Accepted { ballot: 900, value: W });
        p.promise(0, 0, 1001, newer, &mut bench.out());
        p.promise(1, 0, 1001, older, &mut bench.out());
        let accept = Message::Accept { instance: 0, ballot: 1001, value: W };
        assert_eq!(bench.take_sent()[0].1, accept);
        p.accepted(0, (0, 1001), 0, audience(), &mut bench.out());
        p.accepted(1, (0, 1001), 0, audience(), &mut bench.out());
        let sent = bench.take_sent();
        assert_eq!(sent[0].1, Message::Learn { instance: 0, value: W });
        assert!(sent.contains(&(2, Message::Prepare { instance: 1, ballot: 1001 })));
    }

    #[test]
    fn a_rejected_ballot_rises_above_the_promised_one() {
        let mut bench = Bench::new(1, 3);
        let mut p = proposer(&mut bench);
        p.reject_prepare(1, (0, 1001), 3002, audience(), &mut bench.out());
        assert_eq!(bench.take_sent()[0].1, Message::Prepare { instance: 0, ballot: 4001 });
        p.reject_prepare(1, (0, 1001), 9002, audience(), &mut bench.out());
        assert!(bench.take_sent().is_empty(), "an old answer");
        p.reject_prepare(3, (0, 4001), 9002, audience(), &mut bench.out());
        assert!(bench.take_sent().is_empty(), "it was not asked");
        p.reject_prepare(1, (0, 4001), u32::MAX, audience(), &mut bench.out());
        assert!(bench.take_sent().is_empty(), "no higher ballot exists");
    }

    #[test]
    fn without_a_quorum_the_proposal_fails_in_the_end_and_its_place_is_used_again() {
        let mut bench = Bench::new(1, 3);
        let mut p = proposer(&mut bench);
        let mut failed = None;
        for _ in 0..10 {
            assert_eq!(failed, None);
            failed = p.timed_out(0, 0, audience(), &mut bench.out());
        }
        assert_eq!(failed, Some(V));
        bench.take_sent();
        p.propose(W, 0, audience(), &mut bench.out());
        assert_eq!(bench.take_sent()[0].1, Message::Prepare { instance: 0, ballot: 1001 });
    }

    #[test]
    fn a_forgotten_value_is_asked_of_the_acceptors() {
        let mut bench = Bench::new(1, 3);
        let mut p = proposer(&mut bench);
        p.learned(0, V, 3, audience(), &mut bench.out());
        p.fill(1, W, 3, audience(), &mut bench.out());
        p.fill(1, W, 3, audience(), &mut bench.out());
        let sent = bench.take_sent();
        let prepare = Message::Prepare { instance: 1, ballot: 1001 };
        assert_eq!(sent, [(2, prepare), (3, prepare), (1, prepare)], "once");
        let known = Some(Accepted { ballot: 1002, value: V });
        p.promise(1, 1, 1001, known, &mut bench.out());
        p.promise(2, 1, 1001, None, &mut bench.out());
        let accept = Message::Accept { instance: 1, ballot: 1001, value: V };
        assert_eq!(bench.take_sent()[0].1, accept);
        p.learned(1, V, 3, audience(), &mut bench.out());
        p.propose(W, 3, audience(), &mut bench.out());
        assert_eq!(bench.take_sent()[0].1, Message::Prepare { instance: 3, ballot: 1001 });
    }

    #[test]
    fn ten_are_under_way_and_the_others_wait() {
        let mut bench = Bench::new(1, 3);
        let mut p = proposer(&mut bench);
        for _ in 0..20 {
            p.propose(W, 0, audience(), &mut bench.out());
        }
        assert_eq!(bench.take_sent().len(), 3 * 9);
        p.learned(4, V, 5, audience(), &mut bench.out());
        assert_eq!(bench.take_sent()[0].1, Message::Prepare { instance: 10, ballot: 1001 });
        assert_eq!(p.queue.front(), Some(&W));
    }

    #[test]
    fn a_joiner_learns_and_a_leaver_does_not_decide() {
        let mut bench = Bench::new(1, 3);
        let two = Audience { acceptors: MemberSet::first(2), learners: MemberSet::first(2) };
        let joining = two.of(Value::Join(InstanceId(3), 0), &bench.out());
        assert_eq!((joining.acceptors.len(), joining.learners.len()), (2, 3));
        let leaving = two.of(Value::Leave(InstanceId(2)), &bench.out());
        assert_eq!((leaving.acceptors.len(), leaving.learners.len()), (1, 2));
        bench.settings.quorum = Quorum::OfAllHosts;
        let leaving = two.of(Value::Leave(InstanceId(2)), &bench.out());
        assert_eq!(leaving.acceptors.len(), 2, "the majority stays the same");
    }
}
