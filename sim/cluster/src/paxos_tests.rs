//! Proposers, acceptors and learners on a network that loses, repeats and reorders.
//!
//! With acceptors (and proposers) that survive a restart, and quorums of the whole
//! membership, at most one value is chosen per Paxos instance, and all learn it. With the
//! original's rules that does not hold: the counterexamples are here.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;
use wavetank_vocabulary::InstanceId;

use crate::acceptor::Acceptor;
use crate::configuration::MemberSet;
use crate::learner::Learner;
use crate::message::{Message, PaxosInstance, Value};
use crate::proposer::{Audience, MAX_BOOKED, Proposer};
use crate::settings::AcceptorMemory;
use crate::testing::Bench;

/// What a restart leaves of a node's proposer and acceptor. Learners always begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Forgotten,
    Durable,
}

/// Who is asked to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quorum {
    OfTheAlive,
    OfAllMembers,
}

struct Node {
    bench: Bench,
    proposer: Proposer,
    acceptor: Acceptor,
    learner: Learner,
    /// Whom this node believes to be alive.
    alive: MemberSet,
}

struct Net {
    memory: Memory,
    quorum: Quorum,
    nodes: Vec<Node>,
    flying: Vec<(usize, usize, Message)>,
    /// Every value that was ever told to be chosen.
    chosen: BTreeMap<PaxosInstance, Vec<Value>>,
}

fn value(n: u64) -> Value {
    Value::Elected { winner: None, elector: InstanceId(1), version: n }
}

impl Net {
    fn new(n: u16, memory: Memory, quorum: Quorum) -> Self {
        let nodes = (1..=n)
            .map(|me| {
                let mut node = Node {
                    bench: Bench::new(me, n),
                    proposer: Proposer::default(),
                    acceptor: Acceptor::default(),
                    learner: Learner::default(),
                    alive: MemberSet::first(usize::from(n)),
                };
                node.proposer.join(InstanceId(me), 0);
                node.acceptor.join();
                node.learner.join(0, None);
                node
            })
            .collect();
        Net { memory, quorum, nodes, flying: Vec::new(), chosen: BTreeMap::new() }
    }

    fn audience(&self, node: usize) -> Audience {
        let everyone = MemberSet::first(self.nodes.len());
        let acceptors = match self.quorum {
            Quorum::OfAllMembers => everyone,
            Quorum::OfTheAlive => self.nodes[node].alive,
        };
        Audience { acceptors, learners: everyone }
    }

    fn propose(&mut self, at: usize, value: Value) {
        let audience = self.audience(at);
        let node = &mut self.nodes[at];
        node.proposer.propose(value, node.learner.known(), audience, &mut node.bench.out());
        self.sent(at);
    }

    fn timeout(&mut self, at: usize, slot: usize) -> Option<Value> {
        let audience = self.audience(at);
        let node = &mut self.nodes[at];
        let known = node.learner.known();
        let failed = node.proposer.timed_out(slot, known, audience, &mut node.bench.out());
        self.sent(at);
        failed
    }

    fn restart(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.learner.join(0, None);
        if self.memory == Memory::Forgotten {
            node.proposer.join(InstanceId(at as u16 + 1), 0);
            node.acceptor.leave(AcceptorMemory::Volatile);
            node.acceptor.join();
        }
    }

    fn sent(&mut self, from: usize) {
        for (to, message) in self.nodes[from].bench.take_sent() {
            if let Message::Learn { instance, value } = message {
                let known = self.chosen.entry(instance).or_default();
                if !known.contains(&value) {
                    known.push(value);
                }
            }
            self.flying.push((from, usize::from(to) - 1, message));
        }
    }

    fn deliver(&mut self, (from, at, message): (usize, usize, Message)) {
        let audience = self.audience(at);
        let Node { bench, proposer, acceptor, learner, .. } = &mut self.nodes[at];
        let known = learner.known();
        let out = &mut bench.out();
        match message {
            Message::Prepare { instance, ballot } => {
                if let Some(answer) = acceptor.prepare(instance, ballot) {
                    out.send(from, answer);
                }
            }
            Message::Promise { instance, ballot, accepted } => {
                proposer.promise(from, instance, ballot, accepted, out);
            }
            Message::RejectPrepare { instance, ballot, promised } => {
                proposer.reject_prepare(from, (instance, ballot), promised, audience, out);
            }
            Message::Accept { instance, ballot, value } => {
                if let Some(answer) = acceptor.accept(instance, ballot, value) {
                    out.send(from, answer);
                }
            }
            Message::Accepted { instance, ballot } => {
                proposer.accepted(from, (instance, ballot), known, audience, out);
            }
            Message::RejectAccept { .. } => {}
            Message::Learn { instance, value } => {
                learner.learn(instance, value);
                while let Some((instance, value)) = learner.deliver(crate::Flaws::NONE) {
                    proposer.learned(instance, value, learner.known(), audience, out);
                }
            }
            Message::LearnRequest { instance } => {
                if let Some(answer) = learner.requested(instance) {
                    out.send(from, answer);
                }
            }
            Message::LearnFailed { instance } => learner.failed(from, instance),
            other => panic!("not of Paxos: {other:?}"),
        }
        self.sent(at);
    }

    /// Delivers what flies between these nodes and loses the rest, until nothing flies.
    fn settle(&mut self, among: MemberSet) {
        let mut turns = 0;
        while !self.flying.is_empty() {
            let message = self.flying.remove(0);
            if among.contains(message.0) && among.contains(message.1) {
                self.deliver(message);
            }
            turns += 1;
            assert!(turns < 100_000, "never comes to rest");
        }
    }

    fn differing(&self) -> usize {
        self.chosen.values().filter(|values| values.len() > 1).count()
    }
}

#[derive(Clone, Debug)]
enum Action {
    Propose(usize),
    Deliver(usize),
    Drop(usize),
    Repeat(usize),
    Timeout(usize, usize),
    LearnTimeout(usize),
    Restart(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let node = || 0..5usize;
    let any = || 0..1000usize;
    let one = prop_oneof![
        3 => node().prop_map(Action::Propose),
        30 => any().prop_map(Action::Deliver),
        4 => any().prop_map(Action::Drop),
        4 => any().prop_map(Action::Repeat),
        3 => (node(), 0..MAX_BOOKED).prop_map(|(n, slot)| Action::Timeout(n, slot)),
        1 => node().prop_map(Action::LearnTimeout),
        1 => node().prop_map(Action::Restart),
    ];
    prop::collection::vec(one, 0..400)
}

impl Net {
    fn act(&mut self, action: &Action, values: &mut u64) {
        let n = self.nodes.len();
        let flying = self.flying.len();
        match *action {
            Action::Propose(node) => {
                *values += 1;
                self.propose(node % n, value(*values));
            }
            Action::Deliver(k) if flying > 0 => {
                let message = self.flying.swap_remove(k % flying);
                self.deliver(message);
            }
            Action::Drop(k) if flying > 0 => {
                self.flying.swap_remove(k % flying);
            }
            Action::Repeat(k) if flying > 0 => self.flying.push(self.flying[k % flying]),
            Action::Timeout(node, slot) => {
                self.timeout(node % n, slot);
            }
            Action::LearnTimeout(node) => self.learn_timeout(node % n),
            Action::Restart(node) => self.restart(node % n),
            _ => {}
        }
    }

    fn learn_timeout(&mut self, at: usize) {
        let others = MemberSet::first(self.nodes.len()).without(at);
        let node = &mut self.nodes[at];
        node.learner.timed_out(others, &mut node.bench.out());
        self.sent(at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn durable_acceptors_and_majorities_of_all_members_agree(
        n in 2..6u16,
        script in actions(),
    ) {
        let mut net = Net::new(n, Memory::Durable, Quorum::OfAllMembers);
        let mut values = 0;
        for action in &script {
            net.act(action, &mut values);
            prop_assert_eq!(net.differing(), 0, "{:?}", net.chosen);
        }
        // The network heals: what is under way is chosen, and nobody has learned otherwise.
        let everyone = MemberSet::first(usize::from(n));
        for _ in 0..30 {
            for node in 0..usize::from(n) {
                net.settle(everyone);
                for slot in 0..MAX_BOOKED {
                    net.timeout(node, slot);
                }
            }
        }
        net.settle(everyone);
        prop_assert_eq!(net.differing(), 0, "{:?}", net.chosen);
        for node in &net.nodes {
            for (instance, values) in &net.chosen {
                if let Some(Message::Learn { value, .. }) = node.learner.requested(*instance) {
                    prop_assert_eq!(values, &[value]);
                }
            }
        }
    }
}

/// Members 1 and 2 choose a value, of which only they know. Member 1 is cut off, 2 restarts,
/// and together with 3 it decides again.
fn restart_between_two_decisions(memory: Memory) -> Net {
    let mut net = Net::new(3, memory, Quorum::OfAllMembers);
    net.propose(0, value(1));
    net.settle(MemberSet::EMPTY.with(0).with(1));
    assert_eq!(net.chosen[&0], [value(1)]);
    net.restart(1);
    net.propose(2, value(2));
    net.settle(MemberSet::EMPTY.with(1).with(2));
    net
}

#[test]
fn acceptors_that_forget_choose_twice() {
    let flawed = restart_between_two_decisions(Memory::Forgotten);
    assert_eq!(flawed.chosen[&0], [value(1), value(2)]);
    let sound = restart_between_two_decisions(Memory::Durable);
    assert_eq!(sound.chosen[&0], [value(1)]);
    assert_eq!(sound.chosen[&1], [value(2)], "it comes next");
}

/// A partition: each side believes the other dead.
fn two_sides_of_a_partition(quorum: Quorum) -> Net {
    let mut net = Net::new(3, Memory::Durable, quorum);
    let (one, two) = (MemberSet::EMPTY.with(0), MemberSet::EMPTY.with(1).with(2));
    for (node, side) in [(0, one), (1, two), (2, two)] {
        net.nodes[node].alive = side;
    }
    net.propose(0, value(1));
    net.settle(one);
    net.propose(1, value(2));
    net.settle(two);
    net
}

#[test]
fn quorums_of_the_alive_choose_on_both_sides() {
    let flawed = two_sides_of_a_partition(Quorum::OfTheAlive);
    assert_eq!(flawed.chosen[&0], [value(1), value(2)]);
    let sound = two_sides_of_a_partition(Quorum::OfAllMembers);
    assert_eq!(sound.chosen[&0], [value(2)]);
}
