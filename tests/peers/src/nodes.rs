//! One member of three with its surroundings, interned, and its steps, computed once each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wavetank_cluster::{
    Configuration, Effect, Input, Kept, Member, Message, Moment, PaxosInstance, Settings, Timer,
    Value,
};
use wavetank_vocabulary::{Epoch, InstanceId, PlantedBugs, Role, Span, Time, TxId};

/// Members of the model.
pub const N: usize = 3;
/// Timers of one of them.
pub const TIMERS: usize = Timer::count(N);

/// Work that a role change asked for, and that is not done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// The switch to master, beginning this epoch.
    ToMaster(Epoch),
    /// The switch to slave of that member.
    ToSlave(InstanceId),
}

/// A member and what belongs to its process and its disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// None while the process is down.
    pub member: Option<Member>,
    /// Bit `n`: the timer in slot `n` is armed.
    pub armed: u32,
    /// What the instance is busy with.
    pub work: Option<Work>,
    /// What durable acceptors asked to be kept.
    pub kept: BTreeMap<PaxosInstance, Kept>,
    /// How often it was started. Stands for the wall clock, which numbers elections.
    pub lives: u8,
    /// How often it became master: numbers epochs.
    pub reigns: u8,
}

/// What can happen to one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// The process starts.
    Start,
    /// The process dies.
    Crash,
    /// A message (by number) of that member (by index) comes in.
    Receive(u8, u32),
    /// The timer in that slot is due.
    Fire(u8),
    /// The instance is done with its switch.
    Finish,
}

/// What a step of a node led to.
#[derive(Debug)]
pub struct Outcome {
    /// The node after it.
    pub node: u32,
    /// Messages sent: to whom (by index), and which (by number).
    pub sent: Box<[(u8, u32)]>,
    /// Timers armed, with their spans, and cancelled, in order.
    pub timers: Box<[(u8, Option<Span>)]>,
    /// Values delivered.
    pub learned: Box<[(PaxosInstance, Value)]>,
    /// A switch began.
    pub began_work: bool,
}

/// The wall clock that a process finds when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clocks {
    /// Later than when it started last.
    #[default]
    Ascending,
    /// Set back to where it was then, so that versions of elections begin anew.
    SetBack,
}

impl Clocks {
    /// By the clock of a process in its life of that number.
    fn wall_ms(self, lives: u8) -> u64 {
        match self {
            Clocks::Ascending => u64::from(lives),
            Clocks::SetBack => 1,
        }
    }
}

/// All local states, messages and steps seen so far.
pub struct Library {
    settings: Settings,
    bugs: PlantedBugs,
    clocks: Clocks,
    nodes: Vec<Arc<Node>>,
    numbers: HashMap<Arc<Node>, u32>,
    messages: Vec<Message>,
    message_numbers: HashMap<Message, u32>,
    steps: HashMap<(u32, Happening), Arc<Outcome>>,
}

/// The server id of the member with that index.
pub fn id(index: usize) -> InstanceId {
    InstanceId(index as u16 + 1)
}

impl Library {
    /// An empty one, for members with these settings.
    pub fn new(settings: Settings) -> Self {
        Library {
            settings,
            bugs: PlantedBugs::NONE,
            clocks: Clocks::Ascending,
            nodes: Vec::new(),
            numbers: HashMap::new(),
            messages: Vec::new(),
            message_numbers: HashMap::new(),
            steps: HashMap::new(),
        }
    }

    /// The same, for members with these bugs.
    #[must_use]
    pub fn with_bugs(self, bugs: PlantedBugs) -> Self {
        Library { bugs, ..self }
    }

    /// The same, for members whose clocks do that.
    #[must_use]
    pub fn with_clocks(self, clocks: Clocks) -> Self {
        Library { clocks, ..self }
    }

    /// Local states known, and steps computed.
    pub fn size(&self) -> (usize, usize) {
        (self.nodes.len(), self.steps.len())
    }

    /// A member that was never started.
    pub fn unborn(&mut self) -> u32 {
        self.intern(Node {
            member: None,
            armed: 0,
            work: None,
            kept: BTreeMap::new(),
            lives: 0,
            reigns: 0,
        })
    }

    /// The node with that number.
    pub fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    /// The message with that number.
    pub fn message(&self, number: u32) -> Message {
        self.messages[number as usize]
    }

    fn intern(&mut self, node: Node) -> u32 {
        if let Some(number) = self.numbers.get(&node) {
            return *number;
        }
        let (number, node) = (self.nodes.len() as u32, Arc::new(node));
        self.nodes.push(Arc::clone(&node));
        self.numbers.insert(node, number);
        number
    }

    fn intern_message(&mut self, message: Message) -> u32 {
        let next = self.messages.len() as u32;
        let number = *self.message_numbers.entry(message).or_insert(next);
        if number == next {
            self.messages.push(message);
        }
        number
    }

    /// What happens to that node (the member with that index).
    pub fn step(&mut self, index: usize, number: u32, what: Happening) -> Arc<Outcome> {
        // Unborn members look alike.
        let key = (number * N as u32 + index as u32, what);
        if let Some(known) = self.steps.get(&key) {
            return Arc::clone(known);
        }
        let outcome = Arc::new(self.compute(index, number, what));
        self.steps.insert(key, Arc::clone(&outcome));
        outcome
    }

    fn compute(&mut self, index: usize, number: u32, what: Happening) -> Outcome {
        let mut node = Node::clone(&self.nodes[number as usize]);
        let mut run = Run { clocks: self.clocks, ..Run::default() };
        match what {
            Happening::Crash => {
                node.member = None;
                node.armed = 0;
                node.work = None;
            }
            Happening::Start => {
                node.lives += 1;
                let ids: Vec<_> = (0..N).map(id).collect();
                let configuration = Configuration::new(id(index), &ids).expect("1, 2 and 3");
                let settings = self.settings.clone();
                let wall_ms = self.clocks.wall_ms(node.lives);
                node.member = Some(Member::new(configuration, settings, false, wall_ms, self.bugs));
                for kept in node.kept.clone().into_values() {
                    run.input(&mut node, index, Input::Recall(kept));
                }
                run.input(&mut node, index, Input::Start);
            }
            Happening::Receive(from, message) => {
                let (from, message) = (id(usize::from(from)), self.message(message));
                run.input(&mut node, index, Input::Message { from, message });
            }
            Happening::Fire(slot) => {
                node.armed &= !(1 << slot);
                if let Some(timer) = Timer::at_slot(usize::from(slot), N) {
                    run.input(&mut node, index, Input::Timer(timer));
                }
            }
            Happening::Finish => {
                let input = match node.work.take() {
                    Some(Work::ToMaster(epoch)) => Some(Input::SwitchedToMaster(epoch)),
                    Some(Work::ToSlave(master)) => Some(Input::SwitchedToSlave(master)),
                    None => None,
                };
                if let Some(input) = input {
                    run.input(&mut node, index, input);
                }
            }
        }
        let sent = run.sent.iter().map(|(to, m)| (*to, self.intern_message(*m))).collect();
        Outcome {
            node: self.intern(node),
            sent,
            timers: run.timers.into(),
            learned: run.learned.into(),
            began_work: run.began_work,
        }
    }
}

/// What one step puts out.
#[derive(Default)]
struct Run {
    clocks: Clocks,
    sent: Vec<(u8, Message)>,
    timers: Vec<(u8, Option<Span>)>,
    learned: Vec<(PaxosInstance, Value)>,
    began_work: bool,
}

/// Time stands still; all stores are equal, so that server ids decide elections.
fn moment(node: &Node, clocks: Clocks) -> Moment {
    Moment { mono: Time::ZERO, wall_ms: clocks.wall_ms(node.lives), tx: Some(TxId(1)) }
}

impl Run {
    fn input(&mut self, node: &mut Node, index: usize, input: Input) {
        let now = moment(node, self.clocks);
        let Some(member) = &mut node.member else { return };
        let before = member.delivered();
        let mut effects = Vec::new();
        member.step(now, input, &mut effects);
        for instance in before..member.delivered() {
            self.learned.extend(value_of(member, index, instance).map(|value| (instance, value)));
        }
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.sent.push((to.0 as u8 - 1, message)),
                Effect::Arm { timer, after } => {
                    node.armed |= 1 << timer.slot(N);
                    self.timers.push((timer.slot(N) as u8, Some(after)));
                }
                Effect::Cancel(timer) => {
                    node.armed &= !(1 << timer.slot(N));
                    self.timers.push((timer.slot(N) as u8, None));
                }
                Effect::Keep(kept) => {
                    node.kept.insert(kept.instance, kept);
                }
                Effect::Switch(switch) => {
                    node.work = match (switch.to, switch.master) {
                        (Role::ToMaster, _) => {
                            node.reigns += 1;
                            let epoch = u64::from(id(index).0) << 8 | u64::from(node.reigns);
                            Some(Work::ToMaster(Epoch(epoch)))
                        }
                        (Role::ToSlave, Some((master, _))) => Some(Work::ToSlave(master)),
                        _ => None,
                    };
                    self.began_work |= node.work.is_some();
                }
                // Nobody is told to leave, and every server id is there once.
                Effect::JoinFailed(_) | Effect::Left | Effect::Fact(_) => {}
            }
        }
    }
}

/// What a member delivered in a Paxos instance: as any other member would ask for it. None
/// where it only heard that others had.
fn value_of(member: &Member, index: usize, instance: PaxosInstance) -> Option<Value> {
    let mut asked = member.clone();
    let mut effects = Vec::new();
    let now = Moment { mono: Time::ZERO, wall_ms: 1, tx: Some(TxId(1)) };
    let message = Message::LearnRequest { instance };
    asked.step(now, Input::Message { from: id((index + 1) % N), message }, &mut effects);
    effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Learn { instance: of, value }, .. } if *of == instance => {
            Some(*value)
        }
        _ => None,
    })
}
