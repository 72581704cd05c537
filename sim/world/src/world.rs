//! The World: owns everything, borrows nothing, and can be cloned at any instant.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_instance::{Effect, Input, Instance, Programs};
use wavetank_kernel::{EventWindow, Kernel, Stream, Streams, Trail};
use wavetank_vocabulary::{Classes, Fact, InstanceId, Observer, Seq, Time};

use crate::balancer::Balancer;
use crate::beside::Beside;
use crate::clients::{Client, Flights};
use crate::disk::SimDisk;
use crate::event::Event;
use crate::faults::{ActiveFault, Triggers};
use crate::graph::BaseGraph;
use crate::machine::Machine;
use crate::meter::QueueTotals;
use crate::network::{Network, latency};
use crate::outside::Outside;
use crate::plan::Plan;
use crate::workload::Driven;

mod effects;
mod happen;

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
