//! The whole: three nodes, what is in flight between them, and what may happen next.

use std::collections::{BTreeMap, HashMap};

use wavetank_cluster::{PaxosInstance, Timer, Value};

use crate::nodes::{Happening, Library, N, Outcome};

/// What is bounded, each kind by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A process dies.
    Crash,
    /// A message is lost.
    Drop,
    /// A message arrives and stays in flight.
    Repeat,
    /// A member is cut off from both others, losing what is in flight.
    Cut,
    /// A heartbeat is sent.
    Heartbeat,
    /// A member's silence is noticed.
    Suspicion,
    /// `ha.election_timeout` passes.
    Election,
    /// `ha.configuration_timeout` or `ha.join_timeout` passes.
    Discovery,
    /// `ha.phase1_timeout` or `ha.phase2_timeout` passes.
    Paxos,
    /// `ha.learn_timeout` passes.
    Learn,
    /// `ha.broadcast_timeout` passes.
    Broadcast,
    /// A switch of roles is completed.
    Switch,
}

/// How often each kind may happen, 15 at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds(pub [u8; 12]);

impl Bounds {
    /// The kinds, by the names that the command knows.
    pub const NAMES: [&'static str; 12] = [
        "crashes",
        "drops",
        "repeats",
        "cuts",
        "heartbeats",
        "suspicions",
        "elections",
        "discoveries",
        "paxos-timeouts",
        "learn-timeouts",
        "broadcasts",
        "switches",
    ];
}

/// The network between members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// TCP: what was sent first arrives first; a crash loses what is under way to the victim.
    Fifo,
    /// Datagrams: in any order, also to a later life of the receiver.
    Unordered,
}

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// This message in flight (link and number) arrives.
    Deliver(u32),
    /// It arrives, and will once more.
    Repeat(u32),
    /// It is lost.
    Drop(u32),
    /// The process of that member dies.
    Crash(u8),
    /// It starts again.
    Restart(u8),
    /// That member is cut off.
    Cut(u8),
    /// It no longer is.
    Mend(u8),
    /// The timer in that slot of that member is due.
    Fire(u8, u8),
    /// That member completes its switch.
    Finish(u8),
}

impl Action {
    /// In four bytes.
    pub fn pack(self) -> u32 {
        let (kind, rest) = match self {
            Action::Deliver(flight) => (0, flight),
            Action::Repeat(flight) => (1, flight),
            Action::Drop(flight) => (2, flight),
            Action::Crash(n) => (3, u32::from(n)),
            Action::Restart(n) => (4, u32::from(n)),
            Action::Cut(n) => (5, u32::from(n)),
            Action::Mend(n) => (6, u32::from(n)),
            Action::Fire(n, slot) => (7, u32::from(n) << 8 | u32::from(slot)),
            Action::Finish(n) => (8, u32::from(n)),
        };
        kind << 28 | rest
    }

    /// Out of four bytes that [`Self::pack`] made.
    pub fn unpack(packed: u32) -> Self {
        let (rest, n) = (packed & 0x0fff_ffff, packed as u8);
        match packed >> 28 {
            0 => Action::Deliver(rest),
            1 => Action::Repeat(rest),
            2 => Action::Drop(rest),
            3 => Action::Crash(n),
            4 => Action::Restart(n),
            5 => Action::Cut(n),
            6 => Action::Mend(n),
            7 => Action::Fire((rest >> 8) as u8, n),
            _ => Action::Finish(n),
        }
    }
}

/// A message in flight: the link in the upper bits, the message's number in the lower 24.
pub fn flight(from: usize, to: usize, message: u32) -> u32 {
    ((from * N + to) as u32) << 24 | message
}

/// Sender, receiver and number of a message in flight.
pub fn route(flight: u32) -> (usize, usize, u32) {
    let link = (flight >> 24) as usize;
    (link / N, link % N, flight & 0x00ff_ffff)
}

/// A state of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The nodes, by number.
    pub nodes: [u32; N],
    /// What was learned so far, by number.
    pub chosen: u32,
    /// Per [`Kind`], four bits: how often it happened.
    pub spent: u64,
    /// Bit `n`: member `n` is cut off.
    pub cut: u8,
    /// Messages in flight, by link; within a link in order, or sorted on an unordered network.
    pub net: Vec<u32>,
}

impl State {
    /// 128 bits that stand for the state.
    pub fn fingerprint(&self) -> u128 {
        let (mut a, mut b) = (0x9e37_79b9_7f4a_7c15u64, 0xc2b2_ae3d_27d4_eb4fu64);
        let mut take = |word: u64| {
            a = (a ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
            b = (b.rotate_left(17) ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25) ^ (b >> 31);
        };
        for node in self.nodes {
            take(u64::from(node));
        }
        take(u64::from(self.chosen) << 8 | u64::from(self.cut));
        take(self.spent);
        for flight in &self.net {
            take(u64::from(*flight));
        }
        let finish = |mut x: u64| {
            x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
            x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            x ^ x >> 33
        };
        u128::from(finish(a)) << 64 | u128::from(finish(b ^ a.rotate_left(32)))
    }
}

/// What must never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Two values were learned in one Paxos instance.
    ChosenTwice(PaxosInstance, Value, Value),
    /// One election of one elector has two winners.
    ElectedTwice(Value, Value),
    /// Without further faults the members do not agree on a coordinator in the end.
    NeverConverges,
}

/// The rules of the model, and what it has come across.
pub struct Model {
    /// Members and messages.
    pub library: Library,
    /// How often what may happen.
    pub bounds: Bounds,
    /// Between members.
    pub network: Network,
    chosen: Vec<BTreeMap<PaxosInstance, Value>>,
    chosen_numbers: HashMap<(u32, PaxosInstance), Vec<(Value, u32)>>,
}

fn kind_of(timer: Timer) -> Kind {
    match timer {
        Timer::SendHeartbeat(_) => Kind::Heartbeat,
        Timer::IAmAlive(_) => Kind::Suspicion,
        Timer::Election => Kind::Election,
        Timer::Configuration | Timer::Join | Timer::Leave => Kind::Discovery,
        Timer::Paxos(_) => Kind::Paxos,
        Timer::Learn => Kind::Learn,
        Timer::Broadcast => Kind::Broadcast,
    }
}

impl Model {
    /// A model without anything seen so far.
    pub fn new(library: Library, bounds: Bounds, network: Network) -> Self {
        let chosen = vec![BTreeMap::new()];
        Model { library, bounds, network, chosen, chosen_numbers: HashMap::new() }
    }

    /// Three members that were never started.
    pub fn unborn(&mut self) -> State {
        let node = self.library.unborn();
        State { nodes: [node; N], chosen: 0, spent: 0, cut: 0, net: Vec::new() }
    }

    /// All that was learned up to a state.
    pub fn chosen(&self, state: &State) -> &BTreeMap<PaxosInstance, Value> {
        &self.chosen[state.chosen as usize]
    }

    /// Everything that can happen next.
    pub fn actions(&self, state: &State, into: &mut Vec<Action>) {
        into.clear();
        let left = |kind: Kind| {
            let at = kind as usize;
            ((state.spent >> (4 * at)) & 15) < u64::from(self.bounds.0[at])
        };
        let mut last = u32::MAX;
        for flight in &state.net {
            let same = match self.network {
                // Only the head of each link.
                Network::Fifo => *flight >> 24 == last >> 24,
                Network::Unordered => *flight == last,
            };
            last = *flight;
            if same {
                continue;
            }
            into.push(Action::Deliver(*flight));
            if left(Kind::Drop) {
                into.push(Action::Drop(*flight));
            }
            if left(Kind::Repeat) {
                into.push(Action::Repeat(*flight));
            }
        }
        for n in 0..N as u8 {
            let node = self.library.node(state.nodes[usize::from(n)]);
            if state.cut >> n & 1 == 1 {
                into.push(Action::Mend(n));
            } else if left(Kind::Cut) {
                into.push(Action::Cut(n));
            }
            if node.member.is_none() {
                into.push(Action::Restart(n));
                continue;
            }
            if left(Kind::Crash) {
                into.push(Action::Crash(n));
            }
            if node.work.is_some() && left(Kind::Switch) {
                into.push(Action::Finish(n));
            }
            let mut armed = node.armed;
            while armed != 0 {
                let slot = armed.trailing_zeros() as u8;
                armed &= armed - 1;
                if Timer::at_slot(usize::from(slot), N).is_some_and(|timer| left(kind_of(timer))) {
                    into.push(Action::Fire(n, slot));
                }
            }
        }
    }

    /// The state after that action, and what it violates.
    pub fn apply(&mut self, state: &State, action: Action) -> (State, Option<Violation>) {
        let mut next = state.clone();
        let mut spend = |kind: Kind| next.spent += 1 << (4 * kind as usize);
        let (member, what) = match action {
            Action::Deliver(flight) | Action::Repeat(flight) | Action::Drop(flight) => {
                match action {
                    Action::Repeat(_) => spend(Kind::Repeat),
                    Action::Drop(_) => spend(Kind::Drop),
                    _ => {}
                }
                if !matches!(action, Action::Repeat(_))
                    && let Some(at) = next.net.iter().position(|other| *other == flight)
                {
                    next.net.remove(at);
                }
                if matches!(action, Action::Drop(_)) {
                    return (next, None);
                }
                let (from, to, message) = route(flight);
                (to, Happening::Receive(from as u8, message))
            }
            Action::Cut(n) => {
                spend(Kind::Cut);
                next.cut |= 1 << n;
                let n = usize::from(n);
                next.net.retain(|flight| !matches!(route(*flight), (a, b, _) if a == n || b == n));
                return (next, None);
            }
            Action::Mend(n) => {
                next.cut &= !(1 << n);
                return (next, None);
            }
            Action::Crash(n) => {
                spend(Kind::Crash);
                let n = usize::from(n);
                if self.network == Network::Fifo {
                    next.net.retain(|flight| route(*flight).1 != n);
                }
                (n, Happening::Crash)
            }
            Action::Restart(n) => (usize::from(n), Happening::Start),
            Action::Fire(n, slot) => {
                if let Some(timer) = Timer::at_slot(usize::from(slot), N) {
                    spend(kind_of(timer));
                }
                (usize::from(n), Happening::Fire(slot))
            }
            Action::Finish(n) => {
                spend(Kind::Switch);
                (usize::from(n), Happening::Finish)
            }
        };
        let outcome = self.library.step(member, next.nodes[member], what);
        let violation = self.take(&mut next, member, &outcome);
        (next, violation)
    }

    /// Enters what a step of a member led to.
    pub fn take(
        &mut self,
        state: &mut State,
        member: usize,
        outcome: &Outcome,
    ) -> Option<Violation> {
        state.nodes[member] = outcome.node;
        for (to, message) in &outcome.sent {
            let to = usize::from(*to);
            let up = self.library.node(state.nodes[to]).member.is_some();
            let cut = (state.cut >> member | state.cut >> to) & 1 == 1;
            if cut || !up && self.network == Network::Fifo {
                continue;
            }
            let flight = flight(member, to, *message);
            let at = match self.network {
                Network::Fifo => state.net.partition_point(|other| other >> 24 <= flight >> 24),
                Network::Unordered => state.net.partition_point(|other| *other <= flight),
            };
            state.net.insert(at, flight);
        }
        outcome.learned.iter().find_map(|(instance, value)| self.learned(state, *instance, *value))
    }

    fn learned(
        &mut self,
        state: &mut State,
        instance: PaxosInstance,
        value: Value,
    ) -> Option<Violation> {
        let known = &self.chosen[state.chosen as usize];
        if let Some(other) = known.get(&instance) {
            return (*other != value).then_some(Violation::ChosenTwice(instance, *other, value));
        }
        if let Value::Elected { elector, version, .. } = value {
            let same = |other: &&Value| {
                matches!(other, Value::Elected { elector: e, version: v, .. }
                    if (*e, *v) == (elector, version))
            };
            if let Some(other) = known.values().find(same).filter(|other| **other != value) {
                return Some(Violation::ElectedTwice(*other, value));
            }
        }
        let key = (state.chosen, instance);
        let found = self
            .chosen_numbers
            .get(&key)
            .and_then(|list| list.iter().find_map(|(v, number)| (*v == value).then_some(*number)));
        if let Some(number) = found {
            state.chosen = number;
            return None;
        }
        let mut grown = known.clone();
        grown.insert(instance, value);
        let same = self.chosen.iter().position(|other| *other == grown);
        let number = same.unwrap_or(self.chosen.len()) as u32;
        if same.is_none() {
            self.chosen.push(grown);
        }
        self.chosen_numbers.entry(key).or_default().push((value, number));
        state.chosen = number;
        None
    }
}
