//! The World: owns everything, borrows nothing, and can be cloned at any instant.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_instance::{Effect, Input, Instance, Now, PeerMessage, Programs, Timer};
use wavetank_kernel::{EventWindow, Fired, Kernel, Stream, Streams, Trail};
use wavetank_store::{DiskRequest, StoreState};
use wavetank_vocabulary::{
    Classes, Fact, InstanceId, Observer, PlantedBugs, Seq, Span, Time, WALL_START_MS,
};

use crate::balancer::Balancer;
use crate::beside::Beside;
use crate::clients::{Client, Flights};
use crate::disk::{SimDisk, Submitted};
use crate::event::Event;
use crate::faults::{ActiveFault, Triggers};
use crate::graph::BaseGraph;
use crate::machine::Machine;
use crate::meter::QueueTotals;
use crate::network::{Network, Sent, latency};
use crate::outside::Outside;
use crate::plan::Plan;
use crate::workload::Driven;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Clients arrive, faults strike.
    Running,
    /// Clients have stopped and faults are healed.
    Healing,
    /// It is over.
    Done,
}

/// A simulation of one cluster. `O` reads its facts.
#[derive(Clone, Debug)]
pub struct World<O> {
    pub(crate) plan: Arc<Plan>,
    pub(crate) base: Arc<BaseGraph>,
    pub(crate) programs: Programs,
    /// The server ids, side by side: nearly every message asks for one.
    ids: Arc<[InstanceId]>,
    /// Of each instance.
    pub(crate) settings: Vec<Arc<wavetank_instance::Settings>>,
    pub(crate) streams: Streams,
    pub(crate) kernel: Kernel<Event>,
    pub(crate) network: Network,
    pub(crate) machines: Vec<Machine>,
    pub(crate) balancers: Vec<Balancer>,
    pub(crate) clients: Vec<Client>,
    pub(crate) flights: Flights,
    /// Latencies between each client and its balancer.
    pub(crate) client_links: Vec<Stream>,
    /// Latencies between balancers and instances, row by row.
    pub(crate) balancer_links: Vec<Stream>,
    pub(crate) faults: Vec<Option<ActiveFault>>,
    pub(crate) triggers: Triggers,
    pub(crate) phase: Phase,
    pub(crate) converged: bool,
    pub(crate) beside: Beside,
    /// Where the instances are, if not here.
    pub(crate) outside: Option<Box<Outside>>,
    observer: O,
    interests: Classes,
    seq: Seq,
    window: Option<EventWindow>,
    // Reused from step to step.
    effects: Vec<Effect>,
    pub(crate) work: VecDeque<(u16, Input)>,
    spent: bool,
}

impl<O: Observer> World<O> {
    /// The world of a Plan at time zero. `base` must be the graph of that Plan.
    ///
    /// # Panics
    /// When the Plan's server ids are not distinct: the scenario language rules that out.
    pub fn new(plan: Arc<Plan>, base: Arc<BaseGraph>, observer: O) -> Self {
        let streams = Streams::new(plan.seed);
        let total = plan.total();
        let machines = plan
            .instances
            .iter()
            .map(|instance| {
                let disk = SimDisk::new(&instance.volume, &base.image);
                let draws = ["disk", "core"]
                    .map(|name| streams.stream(name, [u64::from(instance.id.0), 0, 0]));
                Machine::new(total, instance.cores, disk, draws)
            })
            .collect();
        let clients: Vec<_> = plan
            .clients
            .iter()
            .enumerate()
            .map(|(index, client)| Client::new(index, client, base.nodes, &base.edges, streams))
            .collect();
        let pairs = (0..plan.balancers.len() as u64)
            .flat_map(|b| (0..total as u64).map(move |i| [b, i, 0]));
        let mut world = World {
            programs: plan.operations.clone().into(),
            ids: plan.instances.iter().map(|instance| instance.id).collect(),
            settings: settings(&plan),
            network: Network::new(&plan, streams),
            balancers: alloc::vec![Balancer::new(total); plan.balancers.len()],
            client_links: (0..clients.len() as u64)
                .map(|c| streams.stream("client-link", [c, 0, 0]))
                .collect(),
            balancer_links: pairs.map(|key| streams.stream("balancer-link", key)).collect(),
            clients,
            flights: Flights::default(),
            faults: alloc::vec![None; plan.faults.len()],
            triggers: Triggers::new(plan.faults.len()),
            machines,
            streams,
            kernel: Kernel::new(),
            phase: Phase::Running,
            converged: false,
            beside: Beside::new(&plan),
            outside: None,
            interests: observer.interests(),
            observer,
            seq: 0,
            window: None,
            effects: Vec::new(),
            work: VecDeque::new(),
            spent: false,
            plan,
            base,
        };
        world.open();
        world
    }

    /// Schedules what a run begins with.
    fn open(&mut self) {
        for instance in 0..self.machines.len() as u16 {
            self.kernel.schedule(Time::ZERO, Event::Start { instance });
        }
        for balancer in 0..self.balancers.len() as u16 {
            self.kernel.schedule(Time::ZERO, Event::Poll { balancer });
        }
        let plan = self.plan.clone();
        for (index, client) in plan.clients.iter().enumerate() {
            if let Some(users) = &client.users {
                for user in 0..users.count {
                    let think = self.clients[index].think(user, users, self.streams);
                    self.kernel.schedule_in(think, Event::UserActs { client: index as u16, user });
                }
                continue;
            }
            if let Some(gap) = self.clients[index].first_gap(client) {
                self.kernel.schedule_in(gap, Event::Arrival { client: index as u16 });
            }
        }
        for (index, fault) in plan.faults.iter().enumerate() {
            self.kernel.schedule(fault.at, Event::FaultBegins { fault: index as u16 });
        }
        self.kernel.schedule_in(plan.sample_every, Event::Sample);
        self.kernel.schedule_in(plan.monitor_every, Event::Monitor);
        self.kernel.schedule(Time::ZERO + plan.duration, Event::Heal);
    }

    /// Lets workloads decide what clients ask for, from here on. They are to be made for the Plan
    /// that is played.
    pub fn drive(&mut self, driven: &[Driven]) {
        for driven in driven {
            if let Some(client) = self.clients.get_mut(driven.client) {
                client.drive(driven.clone());
            }
        }
    }

    /// The Plan that is played.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Virtual time.
    pub fn now(&self) -> Time {
        self.kernel.now()
    }

    /// Where the run is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Events delivered so far.
    pub fn events(&self) -> u64 {
        self.kernel.events()
    }

    /// The digest of all events delivered so far.
    pub fn digest(&self) -> u128 {
        self.kernel.digest()
    }

    /// The checkpoints by which two runs are compared.
    pub fn trail(&self) -> &Trail {
        self.kernel.trail()
    }

    /// What went through every queue so far: of each machine, its cores, its disk, the locks of
    /// its database and its links to the others.
    pub fn queues(&self) -> Vec<QueueTotals> {
        let now = self.kernel.now();
        let machines = self.machines.iter().zip(&self.plan.instances);
        let mut queues = Vec::new();
        for (index, (machine, plan)) in machines.enumerate() {
            queues.extend(machine.queues(now, plan.id));
            let under_way = self.kernel.iter_pending().filter_map(|event| match event {
                Event::Deliver { from, sent, .. } if usize::from(*from) == index => Some(*sent),
                _ => None,
            });
            queues.push(self.network.totals(now, (index, plan.id), under_way));
        }
        queues
    }

    /// Messages between instances so far, those that were lost on the way included.
    pub fn messages(&self) -> u64 {
        self.network.sent()
    }

    /// Whether the cluster recovered after everything was healed.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Nodes and relationships that the graph began with.
    pub fn graph_counts(&self) -> (u32, u64) {
        (self.base.nodes, self.base.relationships)
    }

    /// The running process of an instance, to be asked as its web server would be; none when
    /// it is down.
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.machines[usize::from(self.index_of(id)?)].instance.as_ref()
    }

    /// Who reads the facts.
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// The same, to be told something from outside: that cannot change the run.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Ends the world and hands its observer out.
    pub fn into_observer(self) -> O {
        self.observer
    }

    /// Keeps the events of a range, by index, to be compared with another run's.
    pub fn trace(&mut self, window: EventWindow) {
        self.window = Some(window);
    }

    /// What was kept.
    pub fn traced(&self) -> Option<&EventWindow> {
        self.window.as_ref()
    }

    /// The name of the kind of a traced event.
    pub fn event_kind(word: u64) -> &'static str {
        Event::kind_name(word)
    }

    /// Plays on until the run is over or `events` more events were taken from the queue.
    /// True while there is more to play.
    pub fn advance(&mut self, events: u64) -> bool {
        for _ in 0..events {
            if self.phase == Phase::Done {
                return false;
            }
            // Sampling goes on until the end, so there always is a next event.
            match self.kernel.next_before(Time::NEVER) {
                Some(event) => self.happen(event),
                None => self.finish(),
            }
        }
        self.phase != Phase::Done
    }

    /// Tells the observer, if it wants to know.
    #[inline]
    pub(crate) fn tell(&mut self, fact: Fact) {
        if self.triggers.wait_for(fact.class()) {
            self.pull_triggers(&fact);
        }
        if self.interests.intersects(fact.class()) {
            self.observer.observe(self.kernel.now(), self.seq, &fact);
            self.seq += 1;
        }
    }

    #[inline]
    pub(crate) fn wants(&self, classes: Classes) -> bool {
        self.interests.intersects(classes) || self.triggers.wait_for(classes)
    }

    /// Takes a delivered event into the digest.
    #[inline]
    fn record(&mut self, words: [u64; 3]) {
        if let Some(window) = &mut self.window {
            window.note(self.kernel.events(), self.kernel.now(), &words);
        }
        self.kernel.record(&words);
        if self.kernel.checkpoint_due() {
            let state = self.fingerprint();
            self.kernel.checkpoint(state);
        }
    }

    /// A hash of the world's state.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut state = self.flights.live() as u64;
        for machine in &self.machines {
            let instance = machine.instance.as_ref().map_or(0, Instance::fingerprint);
            state = state.rotate_left(9).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ instance;
            state ^= u64::from(machine.life) << 32 ^ machine.disk.queue();
        }
        state
    }

    /// The instance that an event is delivered to, when a pause of its machine holds it up.
    #[inline]
    fn delivered_to(event: &Event) -> Option<u16> {
        match event {
            Event::Deliver { to, .. } => Some(*to),
            Event::Timer { instance, .. }
            | Event::CoreDone { instance, .. }
            | Event::CoreIdle { instance, .. }
            | Event::DiskDone { instance, .. }
            | Event::PeerLost { instance, .. }
            | Event::AtInstance { instance, .. }
            | Event::PollArrives { instance, .. }
            | Event::Called { instance, .. }
            | Event::Start { instance } => Some(*instance),
            _ => None,
        }
    }

    fn happen(&mut self, event: Event) {
        if let Some(instance) = Self::delivered_to(&event) {
            let until = self.machines[usize::from(instance)].paused_until;
            if until > self.kernel.now() {
                if let Event::AtInstance { flight, generation, .. } = event
                    && let Some(operation) = self.flights.get_mut(flight, generation)
                {
                    operation.held_up += until.since(self.kernel.now());
                }
                self.kernel.schedule(until, event);
                return;
            }
        }
        let words = event.words();
        match event {
            Event::Deliver { from, to, sent, message } => {
                let now = self.kernel.now();
                self.network.ends(now, usize::from(from), sent);
                if self.network.is_open(now, usize::from(from), usize::from(to)) {
                    self.record(words);
                    self.deliver(from, to, message);
                }
            }
            Event::Timer { instance, slot, generation } => {
                let now = self.kernel.now();
                let machine = &mut self.machines[usize::from(instance)];
                match machine.timers.fire(slot, generation, now) {
                    Fired::Stale => {}
                    Fired::Rearm(at) => self.kernel.schedule(at, event),
                    Fired::Due => {
                        self.record(words);
                        let total = self.ids.len();
                        if let Some(timer) = Timer::at_slot(slot as usize, total) {
                            self.timer_due(instance, timer);
                        }
                    }
                }
            }
            Event::CoreDone { instance, life, task, stolen } => {
                let machine = &mut self.machines[usize::from(instance)];
                if machine.life != life {
                    return;
                }
                // A pause in between: the rest of the work still has to be done.
                let extra = machine.stolen - stolen;
                if extra > 0 {
                    let stolen = machine.stolen;
                    let event = Event::CoreDone { instance, life, task, stolen };
                    self.kernel.schedule_in(Span::from_nanos(extra), event);
                    return;
                }
                machine.cores.free(machine.at(self.kernel.now()), task);
                self.record(words);
                self.input(instance, Input::Ran(task));
            }
            Event::CoreIdle { instance, life } => {
                let now = self.kernel.now();
                let machine = &mut self.machines[usize::from(instance)];
                // An earlier one may have come in between: then nobody waits for this one.
                if machine.life == life && machine.woken.is_some_and(|at| at <= now) {
                    machine.woken = None;
                    self.record(words);
                    self.go_on(instance);
                }
            }
            Event::DiskDone { instance, life, op } => {
                let machine = &mut self.machines[usize::from(instance)];
                if machine.life != life {
                    return;
                }
                if let Some(result) = machine.disk.complete(self.kernel.now(), op) {
                    self.record(words);
                    if self.machines[usize::from(instance)].disk.is_ill() {
                        self.disk_struck(instance);
                    }
                    self.input(instance, Input::Disk { op, result });
                }
            }
            Event::Start { instance } => {
                self.record(words);
                self.start(instance);
            }
            Event::PeerLost { instance, peer } => {
                self.record(words);
                let peer = self.ids[usize::from(peer)];
                self.input(instance, Input::PeerLost(peer));
            }
            Event::Called { instance, life, task } => {
                if self.machines[usize::from(instance)].life == life {
                    self.record(words);
                    self.input(instance, Input::Called(task));
                }
            }
            Event::Sample => {
                self.record(words);
                self.sample();
            }
            Event::Monitor => {
                self.record(words);
                self.monitor();
            }
            Event::Heal => {
                self.record(words);
                self.heal();
            }
            Event::Look => {
                self.record(words);
                self.look();
            }
            Event::FaultBegins { fault } => {
                self.record(words);
                self.fault_begins(fault);
            }
            Event::FaultEnds { fault } => {
                self.record(words);
                self.fault_ends(fault);
            }
            Event::FaultTurns { fault } => {
                self.record(words);
                self.fault_turns(fault);
            }
            traffic => {
                if self.is_current(&traffic) {
                    self.record(words);
                    self.traffic(&traffic);
                }
            }
        }
    }

    fn deliver(&mut self, from: u16, to: u16, message: PeerMessage) {
        let watched = self.wants(Classes::SAMPLES);
        let machine = &mut self.machines[usize::from(to)];
        let listens = !message.is_data() || !self.plan.instances[usize::from(to)].arbiter;
        if machine.instance.is_some() && listens {
            if watched && message.is_sign_of_life() {
                machine.heard(usize::from(from), self.kernel.now());
            }
            let from = self.ids[usize::from(from)];
            let process = machine.instance.as_ref();
            if let Some((timer, after)) =
                process.and_then(|process| process.merely_heard(from, &message))
            {
                self.arm(to, timer, after);
                return;
            }
            self.input(to, Input::Peer { from, message });
        } else if machine.powered && message.is_data() {
            // Nobody listens: the machine's kernel resets the connection.
            if let Some(at) =
                self.network.send(self.kernel.now(), usize::from(to), usize::from(from), 64)
            {
                self.kernel.schedule(at, Event::PeerLost { instance: from, peer: to });
            }
        }
    }

    fn timer_due(&mut self, instance: u16, timer: Timer) {
        let process = self.machines[usize::from(instance)].instance.as_ref();
        let heartbeat = process.and_then(|process| process.heartbeat_due(timer));
        if let Some((to, message, after)) = heartbeat {
            self.send(instance, to, message);
            self.arm(instance, timer, after);
            return;
        }
        self.input(instance, Input::Timer(timer));
    }

    /// Gives an instance an input, and goes on until nothing more follows at this moment.
    pub(crate) fn input(&mut self, instance: u16, input: Input) {
        if self.is_outside() {
            return self.order_input(instance, &input);
        }
        self.step(instance, input);
        self.go_on(instance);
    }

    /// Lets happen what follows at this moment: tasks get cores as long as there are any.
    fn go_on(&mut self, instance: u16) {
        let now = self.kernel.now();
        loop {
            if let Some((instance, input)) = self.work.pop_front() {
                self.step(instance, input);
                continue;
            }
            let machine = &mut self.machines[usize::from(instance)];
            let at = machine.at(now);
            if let Some(task) = machine.cores.take(at) {
                self.spent = false;
                self.step(instance, Input::Run(task));
                if !self.spent {
                    self.machines[usize::from(instance)].cores.free(at, task);
                }
                continue;
            }
            if let Some(wake) = machine.cores.wakes(at.stolen)
                && machine.woken.is_none_or(|woken| wake < woken)
            {
                machine.woken = Some(wake);
                let life = machine.life;
                self.kernel.schedule(wake, Event::CoreIdle { instance, life });
            }
            break;
        }
    }

    fn step(&mut self, instance: u16, input: Input) {
        let now = self.clocks(instance);
        let Some(process) = &mut self.machines[usize::from(instance)].instance else { return };
        let mut effects = core::mem::take(&mut self.effects);
        process.step(now, input, &mut effects);
        // In place: taken out one by one, each would be copied once more.
        for effect in &mut effects {
            self.carry_out(instance, effect);
        }
        effects.clear();
        self.effects = effects;
    }

    /// The clocks of a machine.
    #[inline]
    fn clocks(&self, instance: u16) -> Now {
        let mono = self.kernel.now();
        let wall_ms = WALL_START_MS + mono.as_nanos() / 1_000_000;
        Now { mono, wall_ms: self.machines[usize::from(instance)].wall_ms(mono, wall_ms) }
    }

    /// How many frames the page cache of an instance has now.
    pub(crate) fn frames(&self, instance: u16) -> usize {
        let index = usize::from(instance);
        self.machines[index].frames(self.plan.instances[index].page_cache)
    }

    /// A disk with a fault has done something: faults that lay in wait may have struck.
    #[cold]
    fn disk_struck(&mut self, instance: u16) {
        for fault in self.machines[usize::from(instance)].disk.struck() {
            self.disk_fault_strikes(instance, fault);
        }
    }

    /// Both ends of a connection learn that it broke.
    #[cold]
    fn connection_breaks(&mut self, at: Time, from: u16, to: u16) {
        for (instance, peer) in [(from, to), (to, from)] {
            self.kernel.schedule(at, Event::PeerLost { instance, peer });
        }
    }

    #[inline]
    fn send(&mut self, instance: u16, to: InstanceId, message: PeerMessage) {
        let Some(to) = self.index_of(to) else { return };
        let (now, from) = (self.kernel.now(), usize::from(instance));
        let (bytes, data) = (message.wire_bytes(), message.is_data());
        match self.network.send_message(now, from, usize::from(to), bytes, data) {
            Sent::Arrives(at) => {
                self.network.departs(now, from);
                if self.plan.bugs.contains(PlantedBugs::LINK_LOSES_MESSAGE)
                    && self.network.sent().is_multiple_of(LOST_EVERY)
                {
                    return;
                }
                let event = Event::Deliver { from: instance, to, sent: now, message };
                self.kernel.schedule(at, event);
            }
            Sent::Breaks(at) => self.connection_breaks(at, instance, to),
            Sent::Lost => {}
        }
    }

    #[inline]
    fn arm(&mut self, instance: u16, timer: Timer, after: Span) {
        let slot = timer.slot(self.ids.len()) as u32;
        let deadline = self.kernel.now() + after;
        let timers = &mut self.machines[usize::from(instance)].timers;
        if let Some(armed) = timers.arm(slot, deadline) {
            let generation = armed.generation;
            self.kernel.schedule(armed.at, Event::Timer { instance, slot, generation });
        }
    }

    /// Does what an instance wants done; what an effect owns is taken out of it.
    #[inline]
    fn carry_out(&mut self, instance: u16, effect: &mut Effect) {
        let now = self.kernel.now();
        let index = usize::from(instance);
        let machine = &mut self.machines[index];
        match *effect {
            Effect::Send { to, ref mut message } => self.send(instance, to, message.take()),
            Effect::Arm { timer, after } => self.arm(instance, timer, after),
            Effect::Cancel(timer) => machine.timers.cancel(timer.slot(self.ids.len()) as u32),
            Effect::Disk { op, ref mut request } => {
                let request = core::mem::replace(request, DiskRequest::List);
                match machine.disk.submit(now, op, request, &mut machine.disk_stream) {
                    Submitted::Now(result) => {
                        if machine.disk.is_ill() {
                            self.disk_struck(instance);
                        }
                        self.work.push_back((instance, Input::Disk { op, result }));
                    }
                    Submitted::At(at) => {
                        let life = machine.life;
                        self.kernel.schedule(at, Event::DiskDone { instance, life, op });
                    }
                }
            }
            Effect::Ready(task) => {
                machine.cores.ready(machine.at(now), task);
                if self.plan.bugs.contains(PlantedBugs::CORE_FORGETS_WORK) {
                    machine.cores.forget(FORGOTTEN_BEYOND);
                }
            }
            Effect::SpendLast { task, ref ledger } => {
                let end = now + machine.spend(&self.plan.costs, ledger);
                machine.cores.ends(machine.at(now), task, end);
                self.spent = true;
            }
            Effect::Spend { task, ref ledger } => {
                let cost = machine.spend(&self.plan.costs, ledger);
                let (life, stolen) = (machine.life, machine.stolen);
                self.spent = true;
                let event = Event::CoreDone { instance, life, task, stolen };
                self.kernel.schedule_in(cost, event);
            }
            Effect::Respond { asked, status, reply, time } => {
                self.answered(instance, asked, status, reply, time);
            }
            Effect::Call { task, ref request, store, node, value } => {
                let life = machine.life;
                self.call(request, (store, node, value), Event::Called { instance, life, task });
            }
            Effect::Exit => {
                machine.failure = machine.instance.as_ref().and_then(failure);
                self.process_exits(instance);
            }
            Effect::Fact(fact) => self.tell(fact),
        }
    }

    pub(crate) fn index_of(&self, id: InstanceId) -> Option<u16> {
        let guess = usize::from(id.0).wrapping_sub(1);
        if self.ids.get(guess) == Some(&id) {
            return Some(guess as u16);
        }
        self.ids.iter().position(|other| *other == id).map(|index| index as u16)
    }

    /// The latency of one way between a data centre and an instance.
    pub(crate) fn way(&self, datacentre: u16, instance: u16) -> wavetank_kernel::Distribution {
        latency(&self.plan, datacentre, self.plan.instances[usize::from(instance)].datacentre).0
    }
}

/// The settings of each instance; those of the cluster are shared.
fn settings(plan: &Plan) -> Vec<Arc<wavetank_instance::Settings>> {
    let shared = Arc::new(plan.settings.clone());
    let own = |settings: &Option<Arc<_>>| settings.as_ref().unwrap_or(&shared).clone();
    plan.instances.iter().map(|instance| own(&instance.settings)).collect()
}

/// With the planted bug, one of so many messages is lost.
const LOST_EVERY: u64 = 101;

/// With the planted bug, tasks beyond so many that wait are forgotten.
const FORGOTTEN_BEYOND: usize = 4;

/// Why a process ended itself.
fn failure(process: &Instance) -> Option<String> {
    match process.store().state() {
        StoreState::Failed(error) => Some(error.to_string()),
        _ => None,
    }
}
