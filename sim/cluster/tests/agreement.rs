//! Ways to a disagreement of the original's Paxos, event by event on three real members.
//!
//! `model-check` in `tests/peers` found each as a shortest one within its bounds and wrote it
//! down; here it is played again, on a network and by a driver that share nothing with the
//! explorer. With the switch that the way exploits turned round, the same events chose one
//! value only. `docs/model-check.md` tells the stories.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wavetank_cluster::{
    AcceptorMemory, Compat, Configuration, Effect, Input, Kept, Member, Message, Moment,
    PaxosInstance, Quorum, Settings, Timer, Value,
};
use wavetank_vocabulary::{Epoch, InstanceId, PlantedBugs, Role, Time, TxId};

/// An instance: what of it survives its process, and the process.
#[derive(Default)]
struct Node {
    member: Option<Member>,
    armed: BTreeSet<Timer>,
    switch: Option<Input>,
    kept: BTreeMap<PaxosInstance, Kept>,
    lives: u64,
}

struct Play {
    settings: Settings,
    nodes: [Node; 3],
    cut: BTreeSet<usize>,
    links: BTreeMap<(usize, usize), VecDeque<Message>>,
    /// Per Paxos instance, every value that was delivered anywhere.
    learned: BTreeMap<PaxosInstance, Vec<Value>>,
}

fn ids() -> Vec<InstanceId> {
    (1..=3).map(InstanceId).collect()
}

impl Play {
    /// A cluster that has formed: one coordinator, who is master, and its slaves.
    fn formed(memory: AcceptorMemory, quorum: Quorum) -> Self {
        let settings =
            Settings { acceptor_memory: memory, quorum, ..Settings::defaults(Compat::V2_3_6) };
        let mut play = Play {
            settings,
            nodes: Default::default(),
            cut: BTreeSet::new(),
            links: BTreeMap::new(),
            learned: BTreeMap::new(),
        };
        for index in 0..3 {
            play.start(index);
        }
        // Nothing fails; who waits for something asks again.
        for _ in 0..20 {
            play.calm();
            for index in 0..3 {
                let again = |timer: &Timer| {
                    !matches!(timer, Timer::IAmAlive(_) | Timer::Election | Timer::Join)
                };
                let armed: Vec<_> = play.nodes[index].armed.iter().copied().filter(again).collect();
                for timer in armed {
                    play.fire(index, timer);
                    play.calm();
                }
            }
        }
        play.calm();
        assert!(play.settled(), "a cluster forms: {:?}", play.roles());
        play
    }

    fn roles(&self) -> Vec<Role> {
        self.nodes.iter().filter_map(|node| node.member.as_ref()).map(Member::role).collect()
    }

    fn settled(&self) -> bool {
        self.roles() == [Role::Master, Role::Slave, Role::Slave]
    }

    /// Delivers everything, and completes every switch.
    fn calm(&mut self) {
        loop {
            let busy: Vec<_> =
                self.links.iter().filter(|(_, l)| !l.is_empty()).map(|(l, _)| *l).collect();
            for (from, to) in &busy {
                self.deliver(*from, *to, true);
            }
            let switching = self.nodes.iter().position(|node| node.switch.is_some());
            if let Some(index) = switching {
                self.finish(index);
            }
            if busy.is_empty() && switching.is_none() {
                return;
            }
        }
    }

    fn start(&mut self, index: usize) {
        let configuration = Configuration::new(ids()[index], &ids()).unwrap();
        let node = &mut self.nodes[index];
        node.lives += 1;
        let settings = self.settings.clone();
        let member = Member::new(configuration, settings, false, node.lives, PlantedBugs::NONE);
        node.member = Some(member);
        for kept in node.kept.clone().into_values() {
            self.step(index, Input::Recall(kept));
        }
        self.step(index, Input::Start);
    }

    fn crash(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        (node.member, node.switch) = (None, None);
        node.armed.clear();
        self.links.retain(|(_, to), _| *to != index);
    }

    fn cut(&mut self, index: usize) {
        self.cut.insert(index);
        self.links.retain(|(from, to), _| *from != index && *to != index);
    }

    fn deliver(&mut self, from: usize, to: usize, remove: bool) -> bool {
        let Some(link) = self.links.get_mut(&(from, to)) else { return false };
        let Some(message) = link.front().copied() else { return false };
        if remove {
            link.pop_front();
        }
        self.step(to, Input::Message { from: ids()[from], message });
        true
    }

    fn fire(&mut self, index: usize, timer: Timer) -> bool {
        let armed = self.nodes[index].armed.remove(&timer);
        if armed {
            self.step(index, Input::Timer(timer));
        }
        armed
    }

    fn finish(&mut self, index: usize) -> bool {
        let switch = self.nodes[index].switch.take();
        if let Some(input) = switch {
            self.step(index, input);
        }
        switch.is_some()
    }

    fn step(&mut self, index: usize, input: Input) {
        let node = &mut self.nodes[index];
        let Some(member) = &mut node.member else { return };
        let moment = Moment { mono: Time::ZERO, wall_ms: node.lives, tx: Some(TxId(1)) };
        let before = member.delivered();
        let mut effects = Vec::new();
        member.step(moment, input, &mut effects);
        // What was delivered is what it would tell another member.
        for instance in before..member.delivered() {
            let from = ids()[(index + 1) % 3];
            let message = Message::LearnRequest { instance };
            let mut answer = Vec::new();
            member.clone().step(moment, Input::Message { from, message }, &mut answer);
            for effect in answer {
                if let Effect::Send { message: Message::Learn { value, .. }, .. } = effect {
                    let values = self.learned.entry(instance).or_default();
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
            }
        }
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    let to = usize::from(to.0) - 1;
                    let lost = self.cut.contains(&index) || self.cut.contains(&to);
                    if !lost && self.nodes[to].member.is_some() {
                        self.links.entry((index, to)).or_default().push_back(message);
                    }
                }
                Effect::Arm { timer, .. } => {
                    self.nodes[index].armed.insert(timer);
                }
                Effect::Cancel(timer) => {
                    self.nodes[index].armed.remove(&timer);
                }
                Effect::Keep(kept) => {
                    self.nodes[index].kept.insert(kept.instance, kept);
                }
                Effect::Switch(switch) => {
                    self.nodes[index].switch = match (switch.to, switch.master) {
                        (Role::ToMaster, _) => Some(Input::SwitchedToMaster(Epoch(index as u64))),
                        (Role::ToSlave, Some((id, _))) => Some(Input::SwitchedToSlave(id)),
                        _ => None,
                    };
                }
                Effect::JoinFailed(_) | Effect::Left | Effect::Fact(_) => {}
            }
        }
    }

    /// Plays a line of a script; false when it cannot happen here.
    fn line(&mut self, line: &str) -> bool {
        let words: Vec<_> = line.split('#').next().unwrap().split_whitespace().collect();
        let member = |at: usize| words[at].parse::<usize>().unwrap() - 1;
        match words[0] {
            "deliver" => self.deliver(member(1), member(2), true),
            "repeat" => self.deliver(member(1), member(2), false),
            "drop" => {
                let link = self.links.get_mut(&(member(1), member(2)));
                link.and_then(VecDeque::pop_front).is_some()
            }
            "crash" => {
                self.crash(member(1));
                true
            }
            "restart" => {
                self.start(member(1));
                true
            }
            "cut" => {
                self.cut(member(1));
                true
            }
            "mend" => self.cut.remove(&member(1)),
            "finish" => self.finish(member(1)),
            "fire" => {
                let timer = match words[2] {
                    "IAmAlive" => Timer::IAmAlive(member(3) as u8),
                    "SendHeartbeat" => Timer::SendHeartbeat(member(3) as u8),
                    "Paxos" => Timer::Paxos(words[3].parse().unwrap()),
                    "Election" => Timer::Election,
                    "Configuration" => Timer::Configuration,
                    "Join" => Timer::Join,
                    "Learn" => Timer::Learn,
                    "Broadcast" => Timer::Broadcast,
                    other => panic!("no timer: {other}"),
                };
                self.fire(member(1), timer)
            }
            other => panic!("no event: {other}"),
        }
    }

    /// Plays a script; how many of its events could not happen.
    fn script(&mut self, text: &str) -> usize {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.filter(|line| !line.trim().is_empty()).filter(|line| !self.line(line)).count()
    }

    /// Paxos instances in which more than one value was learned.
    fn chosen_twice(&self) -> Vec<(PaxosInstance, &[Value])> {
        let more = self.learned.iter().filter(|(_, values)| values.len() > 1);
        more.map(|(instance, values)| (*instance, &values[..])).collect()
    }
}

const BOTH_SIDES_ALONE: &str = include_str!("agreement/both-sides-alone.script");

#[test]
fn quorums_of_the_alive_choose_alone_on_both_sides() {
    let value = |n| Value::Unavailable(InstanceId(n));
    for memory in [AcceptorMemory::Volatile, AcceptorMemory::Durable] {
        let mut flawed = Play::formed(memory, Quorum::OfTheAlive);
        assert_eq!(flawed.script(BOTH_SIDES_ALONE), 0, "every event can happen");
        let [(_, values)] = flawed.chosen_twice()[..] else { panic!("one instance") };
        assert_eq!(values, [value(2), value(3)]);

        let mut sound = Play::formed(memory, Quorum::OfAllHosts);
        sound.script(BOTH_SIDES_ALONE);
        assert_eq!(sound.chosen_twice(), []);
    }
}

/// Members 2 and 3 find 1 silent, and choose; the first to learn the value keeps it for itself,
/// for 3 is cut off and 2 dies. 1, which had lost both, is found by the new life of 2: the two
/// are a majority of all hosts again, and 1 says that it no longer serves, in the next instance
/// that it knows of.
fn restart_between_two_decisions(memory: AcceptorMemory) -> Play {
    let mut play = Play::formed(memory, Quorum::OfAllHosts);
    for line in ["fire 2 IAmAlive 1", "deliver 2 3", "fire 3 IAmAlive 1"] {
        assert!(play.line(line), "{line}");
    }
    let before = play.learned.len();
    while play.learned.len() == before {
        // What is for 1 stays under way, and is lost when 3 is cut off and 2 dies.
        let moved = play.deliver(2, 1, true) | play.deliver(1, 2, true);
        assert!(moved, "2 and 3 choose");
    }
    play.cut(2);
    play.links.clear();
    for line in ["fire 1 IAmAlive 2", "fire 1 IAmAlive 3", "crash 2", "restart 2"] {
        assert!(play.line(line), "{line}");
    }
    while play.deliver(0, 1, true) | play.deliver(1, 0, true) {}
    play
}

#[test]
fn acceptors_that_forget_choose_again_after_a_restart() {
    let flawed = restart_between_two_decisions(AcceptorMemory::Volatile);
    let [(_, values)] = flawed.chosen_twice()[..] else {
        panic!("one instance: {:?}", flawed.learned)
    };
    let later = Value::Unavailable(InstanceId(1));
    assert_eq!((values.len(), values[1]), (2, later));
    let sound = restart_between_two_decisions(AcceptorMemory::Durable);
    assert_eq!(sound.chosen_twice(), []);
    assert!(sound.learned.values().any(|values| *values == [later]), "it comes next");
}
