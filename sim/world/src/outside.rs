//! A World whose instances run elsewhere: as processes, on real disks and a real network.
//!
//! Clients, balancers, faults and their triggers are those of the simulation; only the
//! machines are not here. Whoever owns such a world moves its clock along with the real one
//! ([`World::advance_to`]), carries out its [`Order`]s, and tells it what came back.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_instance::{Asked, Input, Instance, Reply, Request, TaskId};
use wavetank_vocabulary::{
    Fact, FaultKind, InstanceId, LogMark, Monitored, NodeId, Observer, Role, ServerTime, Span,
    Status, Time, TxId,
};

use crate::balancer::Roles;
use crate::event::Event;
use crate::graph::BaseGraph;
use crate::plan::Plan;
use crate::world::World;

/// What such a world wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start the instance's process. The answer is [`World::outside_exited`], some time.
    Start(InstanceId),
    /// Kill it.
    Kill(InstanceId),
    /// Delete its store; its process has been killed.
    Wipe(InstanceId),
    /// Tell it to leave the cluster and to end.
    Stop(InstanceId),
    /// Let it stand still.
    Pause(InstanceId),
    /// Let it go on.
    Resume(InstanceId),
    /// Reset the connections from one instance to another.
    Reset(InstanceId, InstanceId),
    /// Bring it a client's request. The answer is [`World::outside_answered`].
    Ask(InstanceId, Request),
    /// Tell it that the second store has what the task wrote.
    Called(InstanceId, TaskId),
    /// A balancer asks its HA endpoints. The answer is [`World::outside_polled`].
    Poll {
        /// Which balancer, by index.
        balancer: u16,
        /// The instance.
        instance: InstanceId,
    },
}

/// How an instance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its role.
    pub role: Role,
    /// The end of its log.
    pub log: LogMark,
    /// Whether nothing is under way in it.
    pub idle: bool,
    /// What it waits for before it serves, for people.
    pub waits_for: Option<String>,
    /// What monitoring would read; none when it gives no answer.
    pub bean: Option<Monitored>,
}

/// An instance that runs elsewhere.
#[derive(Clone, Debug, Default)]
struct Elsewhere {
    /// None while its process does not run.
    standing: Option<Standing>,
    /// When it stood so.
    stood: Time,
    /// How many faults hold it.
    pauses: u16,
}

/// What a world knows of instances that run elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    instances: Vec<Elsewhere>,
    orders: VecDeque<Order>,
    /// Since when nothing is known that the run still waits for.
    settled: Option<Time>,
}

/// What is known of an instance so long ago is no answer to a monitor.
const FRESH: Span = Span::from_secs(2);

impl<O: Observer> World<O> {
    /// A world whose instances run elsewhere. Its orders begin with the start of each of them.
    pub fn outside(plan: Arc<Plan>, base: Arc<BaseGraph>, observer: O) -> Self {
        let instances = alloc::vec![Elsewhere::default(); plan.total()];
        let mut world = World::new(plan, base, observer);
        world.outside =
            Some(Box::new(Outside { instances, orders: VecDeque::new(), settled: None }));
        world
    }

    /// Whether a fault can be played where instances run elsewhere: if something is done to a
    /// process, or its surroundings have a state ([`World::surroundings`], [`World::link`]).
    pub const fn plays_outside(kind: FaultKind) -> bool {
        use FaultKind::{
            BalancerDown, BalancerStale, Bridge, ClockDrift, ClockJump, ClockOffset, Crash, Delay,
            DiskGone, Flap, FullDisk, Jitter, Loss, Partition, PartitionOneWay, Pause, PowerLoss,
            ReadOnly, Reset, Restart, Ring, RollingRestart, ShrinkCache, SlowDisk, StallDisk, Stop,
            SyncError, Throttle, Wipe, WriteError,
        };
        matches!(
            kind,
            Crash
                | PowerLoss
                | Stop
                | Restart
                | RollingRestart
                | Wipe
                | Pause
                | Partition
                | PartitionOneWay
                | Bridge
                | Ring
                | Flap
                | Reset
                | Delay
                | Jitter
                | Loss
                | Throttle
                | SlowDisk
                | StallDisk
                | FullDisk
                | WriteError
                | SyncError
                | ReadOnly
                | DiskGone
                | ClockOffset
                | ClockDrift
                | ClockJump
                | ShrinkCache
                | BalancerStale
                | BalancerDown
        )
    }

    /// Lets everything happen that is due until then.
    pub fn advance_to(&mut self, at: Time) {
        while self.phase() != crate::world::Phase::Done
            && self.kernel.peek_time().is_some_and(|next| next <= at)
        {
            self.advance(1);
        }
        if self.phase() != crate::world::Phase::Done {
            self.kernel.advance_to(at);
        }
    }

    /// The next thing to be done, if there is one.
    pub fn next_order(&mut self) -> Option<Order> {
        self.outside.as_mut()?.orders.pop_front()
    }

    /// A request that was brought to an instance has ended there.
    pub fn outside_answered(
        &mut self,
        id: InstanceId,
        asked: Asked,
        status: Status,
        reply: Reply,
        time: ServerTime,
    ) {
        if let Some(instance) = self.index_of(id).filter(|index| self.runs(usize::from(*index))) {
            self.answered(instance, asked, status, reply, time);
        }
    }

    /// A look-up of a user, named by [`Request::reply_to`], has returned this.
    pub fn outside_looked_up(&mut self, reply_to: u64, value: Option<i64>) {
        self.looked_up(reply_to, value);
    }

    /// Nobody could be asked: the connection was refused.
    pub fn outside_refused(&mut self, id: InstanceId, request: &Request) {
        let (flight, generation) = ((request.reply_to >> 32) as u32, request.reply_to as u32);
        if let Some(instance) = self.index_of(id) {
            let status = self.refusal(flight, generation);
            self.send_answer(instance, flight, generation, status, TxId(0));
        }
    }

    /// An instance writes into a second store.
    pub fn outside_calls(
        &mut self,
        id: InstanceId,
        task: TaskId,
        request: &Request,
        write: (u8, NodeId, Option<i64>),
    ) {
        let Some(instance) = self.index_of(id) else { return };
        let life = self.machines[usize::from(instance)].life;
        self.call(request, write, Event::Called { instance, life, task });
    }

    /// What the HA endpoints answered to a balancer.
    pub fn outside_polled(&mut self, balancer: u16, id: InstanceId, says: Roles) {
        if let Some(instance) = self.index_of(id) {
            self.kernel.schedule_in(Span::ZERO, Event::PollAnswered { balancer, instance, says });
        }
    }

    /// How an instance stood at a moment, as it says.
    pub fn outside_stands(&mut self, id: InstanceId, at: Time, standing: Standing) {
        if let Some(elsewhere) = self.elsewhere(id)
            && elsewhere.standing.is_some()
        {
            elsewhere.standing = Some(standing);
            elsewhere.stood = at;
        }
    }

    /// An instance tells a fact: faults may wait for it. Observers are told by the owner, who
    /// brings the facts of all instances into order.
    pub fn outside_tells(&mut self, fact: &Fact) {
        if let Fact::RoleChanged { instance, to, log, .. } = *fact
            && let Some(elsewhere) = self.elsewhere(instance)
            && let Some(standing) = &mut elsewhere.standing
        {
            (standing.role, standing.log) = (to, log);
        }
        if self.triggers.wait_for(fact.class()) {
            self.pull_triggers(fact);
        }
    }

    /// An instance's process has ended, by itself or because it was killed.
    pub fn outside_exited(&mut self, id: InstanceId, why: Option<String>) {
        let Some(on) = self.index_of(id) else { return };
        self.machines[usize::from(on)].failure = why;
        self.exits_outside(on, false);
    }

    /// Whether the process of an instance should be running.
    pub fn outside_runs(&self, id: InstanceId) -> bool {
        self.index_of(id).is_some_and(|index| self.runs(usize::from(index)))
    }

    fn elsewhere(&mut self, id: InstanceId) -> Option<&mut Elsewhere> {
        let index = self.index_of(id)?;
        self.outside.as_mut()?.instances.get_mut(usize::from(index))
    }

    /// Whether a run that seems to wait for nothing (`seems`) waits for nothing indeed. What is
    /// known of instances elsewhere is of a little ago: a master may have committed since. So
    /// each of them has to say the same of a moment after it first seemed so.
    pub(crate) fn confirms(&mut self, seems: bool) -> bool {
        let now = self.kernel.now();
        let Some(outside) = &mut self.outside else { return seems };
        outside.settled = if seems { outside.settled.or(Some(now)) } else { None };
        let Some(since) = outside.settled else { return false };
        outside.instances.iter().all(|it| it.stood > since)
    }

    // ---- what the rest of the world asks -------------------------------------------------

    pub(crate) fn is_outside(&self) -> bool {
        self.outside.is_some()
    }

    /// Whether the process of an instance runs, here or elsewhere.
    #[inline]
    pub(crate) fn runs(&self, index: usize) -> bool {
        match &self.outside {
            None => self.machines[index].instance.is_some(),
            Some(outside) => outside.instances[index].standing.is_some(),
        }
    }

    /// Its role.
    pub(crate) fn role_of(&self, index: usize) -> Role {
        match &self.outside {
            None => self.machines[index].instance.as_ref().map_or(Role::Down, Instance::role),
            Some(outside) => {
                outside.instances[index].standing.as_ref().map_or(Role::Down, |it| it.role)
            }
        }
    }

    /// The end of its log; none when it does not run.
    pub(crate) fn mark_of(&self, index: usize) -> Option<LogMark> {
        match &self.outside {
            None => Some(self.machines[index].instance.as_ref()?.store().mark()),
            Some(outside) => Some(outside.instances[index].standing.as_ref()?.log),
        }
    }

    /// How it stands; none when it does not run.
    pub(crate) fn standing(&self, index: usize) -> Option<Standing> {
        match &self.outside {
            None => self.machines[index].instance.as_ref().map(Standing::of),
            Some(outside) => outside.instances[index].standing.clone(),
        }
    }

    /// What a monitor reads of an instance that runs elsewhere.
    pub(crate) fn monitored_outside(&self, index: usize) -> Option<Monitored> {
        let elsewhere = &self.outside.as_ref()?.instances[index];
        let fresh = self.kernel.now().since(elsewhere.stood) <= FRESH;
        elsewhere.standing.as_ref().filter(|_| fresh)?.bean
    }

    pub(crate) fn order(&mut self, order: Order) {
        if let Some(outside) = &mut self.outside {
            outside.orders.push_back(order);
        }
    }

    /// What an instance here would be given as input.
    pub(crate) fn order_input(&mut self, on: u16, input: &Input) {
        let id = self.plan.instances[usize::from(on)].id;
        match input {
            Input::Request(request) => self.order(Order::Ask(id, *request)),
            Input::Called(task) => self.order(Order::Called(id, *task)),
            Input::Stop => self.order(Order::Stop(id)),
            // The rest comes to it by itself.
            _ => {}
        }
    }

    pub(crate) fn start_outside(&mut self, on: u16) {
        let index = usize::from(on);
        if self.runs(index) || self.machines[index].held > 0 {
            return;
        }
        let id = self.plan.instances[index].id;
        self.machines[index].failure = None;
        self.machines[index].stopping = false;
        let mut paused = false;
        if let Some(elsewhere) = self.elsewhere(id) {
            elsewhere.standing = Some(Standing::starting());
            paused = elsewhere.pauses > 0;
        }
        self.order(Order::Start(id));
        if paused {
            // The machine stands still, whatever is started on it.
            self.order(Order::Pause(id));
        }
    }

    /// A process elsewhere has ended, or is to be killed.
    pub(crate) fn exits_outside(&mut self, on: u16, kill: bool) {
        let index = usize::from(on);
        let id = self.plan.instances[index].id;
        let Some(elsewhere) = self.elsewhere(id) else { return };
        let Some(standing) = elsewhere.standing.take() else { return };
        if kill {
            self.order(Order::Kill(id));
        }
        let now = self.kernel.now();
        let total = self.plan.total();
        self.machines[index].kill(now, total);
        let (from, log) = (standing.role, standing.log);
        self.tell(Fact::RoleChanged { instance: id, from, to: Role::Down, log });
        for (flight, generation) in self.flights.at_instance(on) {
            self.send_answer(on, flight, generation, Status::ConnectionReset, TxId(0));
        }
    }

    /// A fault holds a process, or lets it go.
    pub(crate) fn hold_outside(&mut self, on: u16, held: bool) {
        let id = self.plan.instances[usize::from(on)].id;
        let Some(elsewhere) = self.elsewhere(id) else { return };
        let before = elsewhere.pauses;
        elsewhere.pauses = if held { before + 1 } else { before.saturating_sub(1) };
        match (before, elsewhere.pauses) {
            (0, 1) => self.order(Order::Pause(id)),
            (1, 0) => self.order(Order::Resume(id)),
            _ => {}
        }
    }
}

impl Standing {
    /// How an instance stands.
    pub fn of(instance: &Instance) -> Standing {
        Standing {
            role: instance.role(),
            log: instance.store().mark(),
            idle: instance.is_idle(),
            waits_for: instance.waits_for().map(ToString::to_string),
            bean: instance.monitored(),
        }
    }

    /// How it stands before it has said anything.
    fn starting() -> Standing {
        Standing {
            role: Role::Starting,
            log: LogMark::BASE,
            idle: false,
            waits_for: Some(String::from("its process to start")),
            bean: None,
        }
    }
}
