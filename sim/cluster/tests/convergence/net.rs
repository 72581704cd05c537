//! The network that the tests of convergence run members on, and the operator who restarts
//! those that nothing else helps.

use std::collections::BTreeMap;

use wavetank_cluster::{
    Compat, Configuration, Effect, Input, Member, Message, Moment, PaxosInstance, Settings, Timer,
    Value,
};
use wavetank_vocabulary::{Epoch, InstanceId, PlantedBugs, Role, Span, Time, TxId};

/// What is to happen at a time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Deliver {
        from: InstanceId,
        to: usize,
        message: Message,
    },
    Timer {
        member: usize,
        timer: Timer,
        life: u32,
        armed: u64,
    },
    Switched {
        member: usize,
        input: Input,
        life: u32,
    },
    Disturb(Disturbance),
    /// Somebody reads the logs, and restarts who is stranded.
    Operator,
}

#[derive(Clone, Debug)]
pub(crate) enum Disturbance {
    Kill(usize),
    Start(usize),
    Cut(usize),
    Join(usize),
    /// Tells a running member something from outside.
    Tell(usize, Input),
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) member: Option<Member>,
    /// Counts restarts, so that what belongs to an earlier life is dropped.
    life: u32,
    pub(crate) cut: bool,
    pub(crate) tx: TxId,
    armed: BTreeMap<Timer, u64>,
}

/// What a member says of a heartbeat before it takes it.
fn at_rest(member: &Member, input: &Input) -> Option<Vec<Effect>> {
    match *input {
        Input::Message { from, message } => {
            let (timer, after) = member.merely_heard(from, &message)?;
            Some(vec![Effect::Arm { timer, after }])
        }
        Input::Timer(timer) => {
            let (to, message, after) = member.heartbeat_due(timer)?;
            Some(vec![Effect::Send { to, message }, Effect::Arm { timer, after }])
        }
        _ => None,
    }
}

#[derive(Clone)]
pub(crate) struct Net {
    compat: Compat,
    ids: Vec<InstanceId>,
    pub(crate) nodes: Vec<Node>,
    queue: BTreeMap<(Time, u64), Event>,
    /// When the last message on each link arrives.
    links: BTreeMap<(usize, usize), Time>,
    now: Time,
    sequence: u64,
    random: u64,
    /// By Paxos instance, the first value that anybody was told.
    told: BTreeMap<PaxosInstance, Value>,
    /// Whether two values were chosen in one Paxos instance.
    values_differ: bool,
}

impl Net {
    pub(crate) fn new(n: u16, compat: Compat, seed: u64) -> Self {
        let ids: Vec<_> = (1..=n).map(InstanceId).collect();
        let nodes = ids
            .iter()
            .map(|id| Node {
                member: None,
                life: 0,
                cut: false,
                tx: TxId(100 + u64::from(id.0) % 2),
                armed: BTreeMap::new(),
            })
            .collect();
        let mut net = Net {
            compat,
            ids,
            nodes,
            queue: BTreeMap::new(),
            links: BTreeMap::new(),
            now: Time::ZERO,
            sequence: 0,
            random: seed | 1,
            told: BTreeMap::new(),
            values_differ: false,
        };
        for index in 0..usize::from(n) {
            net.at(Span::ZERO, Event::Disturb(Disturbance::Start(index)));
        }
        net
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    pub(crate) fn at(&mut self, after: Span, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), event);
    }

    pub(crate) fn run_until(&mut self, end: Time) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((now, _), event) = entry.remove_entry();
            self.now = now;
            self.happen(&event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Deliver { from, to, message } => {
                if !self.nodes[to].cut && !self.nodes[usize::from(from.0) - 1].cut {
                    self.step(to, Input::Message { from, message });
                }
            }
            Event::Timer { member, timer, life, armed } => {
                let node = &self.nodes[member];
                if node.life == life && node.armed.get(&timer) == Some(&armed) {
                    self.step(member, Input::Timer(timer));
                }
            }
            Event::Switched { member, input, life } => {
                if self.nodes[member].life == life {
                    self.step(member, input);
                }
            }
            Event::Operator => {
                let masters = self.nodes_in(Role::Master);
                let counted_out = self.counted_out();
                for index in 0..self.nodes.len() {
                    let stranded =
                        self.nodes[index].member.as_ref().is_some_and(Member::is_stranded);
                    let surplus =
                        !self.compat.detaches() && masters.iter().skip(1).any(|m| *m == index);
                    // By the rules of 2.2 and 2.3.0 (HA specification 2.2); never later.
                    let kept_apart = self.keeps_apart(index);
                    assert!(!kept_apart || !self.compat.detaches());
                    // By a majority of the alive, in every version (2.3); and by that alone.
                    let counted_out = counted_out.contains(&index);
                    assert!(!counted_out || self.values_differ);
                    if stranded || surplus || kept_apart || counted_out {
                        self.nodes[index].member = None;
                        self.at(Span::from_secs(1), Event::Disturb(Disturbance::Start(index)));
                    }
                }
            }
            Event::Disturb(Disturbance::Kill(member)) => self.nodes[member].member = None,
            Event::Disturb(Disturbance::Cut(member)) => self.nodes[member].cut = true,
            Event::Disturb(Disturbance::Join(member)) => self.nodes[member].cut = false,
            Event::Disturb(Disturbance::Tell(member, input)) => self.step(member, input),
            Event::Disturb(Disturbance::Start(member)) => {
                if self.nodes[member].member.is_none() {
                    let configuration = Configuration::new(self.ids[member], &self.ids).unwrap();
                    let wall_ms = self.now.as_nanos() / 1_000_000 + 1;
                    let node = &mut self.nodes[member];
                    node.life += 1;
                    node.armed.clear();
                    node.member = Some(Member::new(
                        configuration,
                        Settings::defaults(self.compat),
                        false,
                        wall_ms,
                        PlantedBugs::NONE,
                    ));
                    self.step(member, Input::Start);
                }
            }
        }
    }

    fn step(&mut self, index: usize, input: Input) {
        let moment = Moment {
            mono: self.now,
            wall_ms: self.now.as_nanos() / 1_000_000,
            tx: Some(self.nodes[index].tx),
        };
        let mut effects = Vec::new();
        let node = &mut self.nodes[index];
        let Some(member) = &mut node.member else { return };
        let (before, quick) = (member.clone(), at_rest(member, &input));
        member.step(moment, input, &mut effects);
        if let Some(quick) = quick {
            assert_eq!(effects, quick, "{input:?}");
            assert!(*member == before, "{input:?}");
        }
        let life = node.life;
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    if let Message::Learn { instance, value } = message {
                        let first = *self.told.entry(instance).or_insert(value);
                        self.values_differ |= first != value;
                    }
                    // Links are TCP: what is sent first arrives first.
                    let from = self.ids[index];
                    let to = usize::from(to.0) - 1;
                    let earliest = self.now + Span::from_micros(200 + self.draw(800));
                    let arrival = self.links.entry((index, to)).or_default();
                    *arrival = (*arrival).max(earliest);
                    let delay = arrival.since(self.now);
                    self.at(delay, Event::Deliver { from, to, message });
                }
                Effect::Arm { timer, after } => {
                    let armed = self.sequence + 1;
                    self.nodes[index].armed.insert(timer, armed);
                    self.at(after, Event::Timer { member: index, timer, life, armed });
                }
                Effect::Cancel(timer) => {
                    self.nodes[index].armed.remove(&timer);
                }
                Effect::Switch(switch) => {
                    let input = match switch.to {
                        Role::ToMaster => Input::SwitchedToMaster(Epoch(self.now.as_nanos())),
                        Role::ToSlave => Input::SwitchedToSlave(switch.master.unwrap().0),
                        _ => continue,
                    };
                    let work = Span::from_millis(20 + self.draw(100));
                    self.at(work, Event::Switched { member: index, input, life });
                }
                Effect::JoinFailed(_) | Effect::Left | Effect::Fact(_) | Effect::Keep(_) => {}
            }
        }
    }

    pub(crate) fn roles(&self) -> Vec<Role> {
        let role = |node: &Node| node.member.as_ref().map_or(Role::Down, Member::role);
        self.nodes.iter().map(role).collect()
    }

    pub(crate) fn nodes_in(&self, role: Role) -> Vec<usize> {
        let roles = self.roles();
        (0..roles.len()).filter(|index| roles[*index] == role).collect()
    }

    pub(crate) fn masters(&self) -> usize {
        self.nodes_in(Role::Master).len()
    }

    pub(crate) fn member(&self, index: usize) -> &Member {
        self.nodes[index].member.as_ref().expect("it runs")
    }

    pub(crate) fn run_to(&mut self, second: u64) {
        self.run_until(Time::ZERO + Span::from_secs(second));
    }

    pub(crate) fn now(&mut self, disturbance: Disturbance) {
        self.at(Span::ZERO, Event::Disturb(disturbance));
    }

    /// Whether that member counts others as failed that it hears, by the word of the failed.
    pub(crate) fn keeps_apart(&self, index: usize) -> bool {
        let member = self.nodes[index].member.as_ref();
        member.is_some_and(|member| !member.held_by_the_failed().is_empty())
    }

    /// Who takes itself for a member that somebody else counts out for good.
    pub(crate) fn counted_out(&self) -> Vec<usize> {
        let members = || self.nodes.iter().map(|node| node.member.as_ref());
        let out = |(index, member): (usize, Option<&Member>)| {
            let member = member?;
            members().flatten().any(|other| member.is_counted_out_by(other)).then_some(index)
        };
        members().enumerate().filter_map(out).collect()
    }

    /// An operator looks in five times, beginning at 180 s.
    pub(crate) fn run_with_operator(&mut self) {
        let first = (Time::ZERO + Span::from_secs(180)).since(self.now);
        for round in 0..5 {
            self.at(first + Span::from_secs(30 * round), Event::Operator);
        }
        self.run_to(400);
    }
}

/// One master, and everybody else its slave.
pub(crate) fn settled(net: &Net) -> bool {
    net.masters() == 1
        && net.roles().iter().filter(|role| **role == Role::Slave).count() == net.nodes.len() - 1
}

/// Plays a script of disturbances and heals everything at 130 s.
pub(crate) fn healed(n: u16, compat: Compat, seed: u64, script: &[(u64, Disturbance)]) -> Net {
    let mut net = Net::new(n, compat, seed);
    for (at, disturbance) in script {
        let member = match *disturbance {
            Disturbance::Kill(m)
            | Disturbance::Start(m)
            | Disturbance::Cut(m)
            | Disturbance::Join(m)
            | Disturbance::Tell(m, _) => m,
        };
        if member < usize::from(n) {
            net.at(Span::from_secs(*at), Event::Disturb(disturbance.clone()));
        }
    }
    for member in 0..usize::from(n) {
        net.at(Span::from_secs(130), Event::Disturb(Disturbance::Join(member)));
        net.at(Span::from_secs(130), Event::Disturb(Disturbance::Start(member)));
    }
    net
}
