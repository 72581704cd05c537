//! What passes between clients, balancers and instances.

use alloc::string::String;
use alloc::vec::Vec;

use wavetank_instance::{Asked, Endpoint, Input, Reply, Request};
use wavetank_vocabulary::{
    Fact, Observer, OperationOutcome, PlantedBugs, Role, ServerTime, Span, Status, Subject, TxId,
    WALL_START_MS,
};

use crate::balancer::{Asks, Roles};
use crate::client_plan::{Deployment, Routing};
use crate::clients::{backoff, outcome};
use crate::event::Event;
use crate::outside::Order;
use crate::workload::Ended;
use crate::world::{Phase, World};
use wavetank_cluster::Compat;

impl<O: Observer> World<O> {
    /// Whether an event of a client's attempt is about the present one. Time-outs of attempts
    /// that were answered, like all stale timers, stay out of the digest.
    #[inline]
    pub(crate) fn is_current(&mut self, event: &Event) -> bool {
        match event {
            Event::Attempt { flight, generation }
            | Event::AtBalancer { flight, generation }
            | Event::AtInstance { flight, generation, .. }
            | Event::Answer { flight, generation, .. }
            | Event::ClientTimeout { flight, generation } => {
                self.flights.get_mut(*flight, *generation).is_some()
            }
            _ => true,
        }
    }

    pub(crate) fn traffic(&mut self, event: &Event) {
        match *event {
            Event::Arrival { client } => self.arrival(client),
            Event::UserActs { client, user } => self.user_acts(client, user),
            Event::Attempt { flight, generation } => self.attempt(flight, generation),
            Event::AtBalancer { flight, generation } => self.at_balancer(flight, generation),
            Event::AtInstance { instance, flight, generation } => {
                self.at_instance(instance, flight, generation);
            }
            Event::Answer { flight, generation, status, tx, instance } => {
                self.answer_arrives(flight, generation, status, tx, instance);
            }
            Event::ClientTimeout { flight, generation } => {
                self.answer_arrives(flight, generation, Status::ClientTimeout, TxId(0), None);
            }
            Event::Poll { balancer } => self.poll(balancer),
            Event::PollArrives { balancer, instance } => self.poll_arrives(balancer, instance),
            Event::PollAnswered { balancer, instance, mut says } => {
                let plan = &self.plan.balancers[usize::from(balancer)];
                let instance = usize::from(instance);
                let keeps = self.plan.bugs.contains(PlantedBugs::BALANCER_KEEPS_MASTER);
                let balancer = &mut self.balancers[usize::from(balancer)];
                says.master |= keeps && balancer.is_master(instance);
                balancer.answered(instance, says, plan);
            }
            // The rest is delivered by `World::happen` itself.
            _ => {}
        }
    }

    // ---- clients ------------------------------------------------------------------------

    fn arrival(&mut self, client: u16) {
        if self.phase() != Phase::Running {
            return;
        }
        let index = usize::from(client);
        let plan = self.plan.clone();
        if let Some(gap) = self.clients[index].next_gap(&plan.clients[index]) {
            self.kernel.schedule_in(gap, Event::Arrival { client });
        }
        let now = self.kernel.now();
        let drawn = self.clients[index].next_request(&plan.clients[index], self.streams, now);
        if let Some(request) = drawn {
            self.invoke(client, None, request);
        }
    }

    /// A user of a closed loop has thought.
    fn user_acts(&mut self, client: u16, user: u32) {
        if self.phase() != Phase::Running {
            return;
        }
        let index = usize::from(client);
        let plan = self.plan.clone();
        let (client_plan, now) = (&plan.clients[index], self.kernel.now());
        match self.clients[index].next_of_user(user, client_plan, self.streams, now) {
            Some(request) => self.invoke(client, Some(user), request),
            None => self.user_thinks(client, user),
        }
    }

    fn user_thinks(&mut self, client: u16, user: u32) {
        let index = usize::from(client);
        if let Some(users) = &self.plan.clients[index].users {
            let think = self.clients[index].think(user, users, self.streams);
            self.kernel.schedule_in(think, Event::UserActs { client, user });
        }
    }

    fn invoke(&mut self, client: u16, user: Option<u32>, request: Request) {
        self.tell(Fact::Invoked { operation: request.operation, kind: request.kind });
        let (flight, generation) = self.flights.add(client, user, request, self.kernel.now());
        self.attempt(flight, generation);
    }

    fn attempt(&mut self, flight: u32, generation: u32) {
        let now = self.kernel.now();
        let Some(operation) = self.flights.get_mut(flight, generation) else { return };
        operation.at = None;
        operation.waits = None;
        operation.attempted = now;
        operation.served = None;
        operation.held_up = Span::ZERO;
        operation.reply = Reply::default();
        operation.request.open = None;
        operation.committed = false;
        operation.last_write = None;
        let plan = &self.plan.clients[usize::from(operation.client)];
        let clock = plan.clock_ahead_ms;
        operation.looks_up = plan.auth_lookup
            && self.beside.names_user(operation.request.kind)
            && self.beside.auth().is_some_and(|auth| auth != operation.request.kind);
        operation.request.now_ms =
            (WALL_START_MS + now.as_nanos() / 1_000_000).saturating_add_signed(clock);
        self.ask(flight, generation);
    }

    /// A request leaves its client: an attempt, or a further statement of it.
    fn ask(&mut self, flight: u32, generation: u32) {
        let now = self.kernel.now();
        let Some(operation) = self.flights.get_mut(flight, generation) else { return };
        let client = usize::from(operation.client);
        let latency = self.client_latency(client);
        let timeout = self.plan.clients[client].timeout;
        self.kernel.schedule(now + latency, Event::AtBalancer { flight, generation });
        self.kernel.schedule(now + timeout, Event::ClientTimeout { flight, generation });
    }

    /// One way between a client and its balancer; none where both are one process.
    fn client_latency(&mut self, client: usize) -> Span {
        if self.is_outside() {
            // The way is real, and takes what it takes.
            return Span::ZERO;
        }
        match self.plan.clients[client].deployment {
            Deployment::Embedded => Span::ZERO,
            Deployment::Server | Deployment::Extension => {
                self.plan.network.local.sample(&mut self.client_links[client])
            }
        }
    }

    /// An answer, a refusal or the client's own time-out.
    fn answer_arrives(
        &mut self,
        flight: u32,
        generation: u32,
        status: Status,
        tx: TxId,
        instance: Option<u16>,
    ) {
        let running = self.phase() == Phase::Running;
        let now = self.kernel.now();
        let Some(operation) = self.flights.get_mut(flight, generation) else { return };
        let reply = core::mem::take(&mut operation.reply);
        if let (Status::Ok, Some(_)) = (status, reply.open) {
            // A statement is done: the next one goes on in the same transaction. What earlier
            // transactions of the operation committed stays, however it ends.
            operation.committed |= tx != TxId(0);
            operation.ambiguous |= operation.committed;
            operation.request.open = reply.open;
            operation.generation = operation.generation.wrapping_add(1);
            let generation = operation.generation;
            self.ask(flight, generation);
            return;
        }
        if status == Status::Ok && core::mem::take(&mut operation.looks_up) {
            // The user is known: the request itself comes next, in a transaction of its own.
            (operation.at, operation.request.open) = (None, None);
            operation.generation = operation.generation.wrapping_add(1);
            let generation = operation.generation;
            self.ask(flight, generation);
            return;
        }
        let plan = &self.plan.clients[usize::from(operation.client)];
        let retry = plan.retry;
        let again = status != Status::Ok
            && running
            && operation.request.attempt < retry.attempts
            && retry.covers(status);
        // An earlier transaction of several may be committed although the last one failed.
        // A look-up that got no answer leaves nothing behind: the request itself was not sent.
        let asked = !operation.looks_up;
        operation.committed |= asked && status != Status::Ok && tx != TxId(0);
        let may_have_done = operation.committed || asked && status.is_ambiguous();
        operation.ambiguous |= may_have_done;
        let forgets = self.plan.bugs.contains(PlantedBugs::UNKNOWN_TAKEN_FOR_FAILED);
        operation.ambiguous &= !forgets;
        operation.at = None;
        let wait = match again {
            true => backoff(&retry, &operation.request, self.streams),
            false => Span::ZERO,
        };
        let too_late =
            retry.deadline > Span::ZERO && now + wait > operation.intended + retry.deadline;
        if again && !too_late {
            self.take_back(flight, generation);
            let Some(operation) = self.flights.get_mut(flight, generation) else { return };
            operation.waits = Some(status);
            operation.request.attempt += 1;
            operation.generation = operation.generation.wrapping_add(1);
            let generation = operation.generation;
            let (attempt, id) = (operation.request.attempt, operation.request.operation);
            self.kernel.schedule(now + wait, Event::Attempt { flight, generation });
            self.tell(Fact::Retried { operation: id, status, attempt, may_have_done });
            return;
        }
        let request = operation.request;
        let spent = operation.spent(now, status);
        let (intended, ambiguous) = (operation.intended, operation.ambiguous);
        let attempted = operation.attempted;
        let (client, user) = (operation.client, operation.user);
        let seen = reply.seen;
        let instance = instance.map(|index| self.plan.instances[usize::from(index)].id);
        let writes = self.beside.writes(request.kind);
        let ended = match asked {
            true => outcome(status, ambiguous, writes),
            false if ambiguous && writes => OperationOutcome::Unknown,
            false => OperationOutcome::Failed,
        };
        self.clients[usize::from(client)].ended(&Ended {
            index: request.operation.index,
            at: now,
            outcome: ended,
            status,
        });
        if ended == OperationOutcome::Failed {
            self.take_back(flight, generation);
        }
        self.flights.remove(flight);
        if ended != OperationOutcome::Failed
            && matches!(self.plan.clients[usize::from(client)].routing, Routing::Consistency(_))
        {
            self.beside.wrote(&request, attempted);
        }
        let subject = match ended {
            OperationOutcome::Ok if self.beside.marks_stay(request.kind) => reply.left,
            _ => Subject::Nothing,
        };
        self.tell(Fact::Completed {
            operation: request.operation,
            kind: request.kind,
            outcome: ended,
            status,
            attempts: request.attempt,
            instance,
            tx,
            subject,
            intended,
        });
        self.tell(spent);
        if let (OperationOutcome::Ok, Some(instance)) = (ended, instance)
            && self.beside.names_user(request.kind)
        {
            let (operation, user) = (request.operation, request.me);
            self.tell(Fact::Session { operation, user, seen, wrote: tx, instance, intended });
        }
        if let Some(user) = user {
            self.user_thinks(client, user);
        }
    }

    /// The clients stop: who waits before another attempt gives up.
    pub(crate) fn stop_clients(&mut self) {
        for (flight, generation, status) in self.flights.waiting() {
            self.answer_arrives(flight, generation, status, TxId(0), None);
        }
    }

    // ---- balancers ----------------------------------------------------------------------

    fn at_balancer(&mut self, flight: u32, generation: u32) {
        let now = self.kernel.now();
        let Some(operation) = self.flights.get_mut(flight, generation) else { return };
        let client = usize::from(operation.client);
        let plan = &self.plan.clients[client];
        let balancer = usize::from(plan.balancer);
        if self.balancers[balancer].down > 0 {
            let latency = self.client_latency(client);
            let (status, tx) = (Status::ConnectionRefused, TxId(0));
            let answer = Event::Answer { flight, generation, status, tx, instance: None };
            self.kernel.schedule(now + latency, answer);
            return;
        }
        let embedded = plan.deployment == Deployment::Embedded;
        let writes = !operation.looks_up && self.beside.writes(operation.request.kind);
        // What the look-up said, by the clock that the writes were noted with.
        let now_ms = operation.request.now_ms as i64;
        let lately = |window: Span| {
            let since = |at: i64| now_ms.saturating_sub(at) as i128;
            let window = i128::from(window.as_nanos() / 1_000_000);
            operation.last_write.is_some_and(|at| since(at) < window)
        };
        // The look-up before a request, or one that is itself the request.
        let of_user = operation.looks_up
            || plan.auth_lookup && self.beside.auth() == Some(operation.request.kind);
        let latest = match plan.routing {
            Routing::Consistency(window) if plan.auth_lookup => lately(window),
            routing => self.beside.wants_latest(routing, &operation.request, now),
        };
        // A transaction stays where it was begun, as long as that may be asked.
        let stays =
            operation.request.open.and(operation.at).filter(|at| {
                self.balancers[balancer].keeps(plan.routing, usize::from(*at), writes)
            });
        let spreads = self.plan.bugs.contains(PlantedBugs::BALANCER_IGNORES_RULE);
        let rule = match spreads {
            true => Routing::SplitOverAll,
            // Whatever the rule does with writes.
            false if of_user => Routing::AllToMaster,
            false => plan.routing,
        };
        let asks = Asks {
            at_master: writes || latest || of_user,
            user: operation.request.me.0,
            users: u64::from(self.base.nodes),
        };
        let chosen = match stays {
            Some(at) => Some(usize::from(at)),
            None => self.balancers[balancer].route(rule, asks),
        };
        match chosen {
            Some(index) => {
                let instance = index as u16;
                operation.at = Some(instance);
                let latency = match embedded {
                    true => Span::ZERO,
                    false => self.balancer_latency(balancer, instance),
                };
                let event = Event::AtInstance { instance, flight, generation };
                self.kernel.schedule(now + latency, event);
            }
            None => {
                let latency = self.client_latency(client);
                let status = self.refusal(flight, generation);
                let answer =
                    Event::Answer { flight, generation, status, tx: TxId(0), instance: None };
                self.kernel.schedule(now + latency, answer);
            }
        }
    }

    fn balancer_latency(&mut self, balancer: usize, instance: u16) -> wavetank_vocabulary::Span {
        if self.is_outside() {
            return Span::ZERO;
        }
        let way = self.way(self.plan.balancers[balancer].datacentre, instance);
        let link = balancer * self.plan.total() + usize::from(instance);
        way.sample(&mut self.balancer_links[link])
    }

    fn poll(&mut self, balancer: u16) {
        let now = self.kernel.now();
        let every = self.plan.balancers[usize::from(balancer)].poll;
        self.kernel.schedule(now + every, Event::Poll { balancer });
        if self.is_outside() {
            for index in 0..self.machines.len() {
                let instance = self.plan.instances[index].id;
                self.order(Order::Poll { balancer, instance });
            }
            return;
        }
        for instance in 0..self.machines.len() as u16 {
            let machine = &self.machines[usize::from(instance)];
            if machine.instance.is_some() && machine.paused_until <= now {
                let latency = self.balancer_latency(usize::from(balancer), instance);
                self.kernel.schedule(now + latency, Event::PollArrives { balancer, instance });
            } else {
                // A machine without a listener refuses at once. Where nobody answers, the check
                // is over when the next one is due.
                let refuses = machine.powered && machine.instance.is_none();
                let index = usize::from(balancer);
                let known = match refuses {
                    true => {
                        self.balancer_latency(index, instance)
                            + self.balancer_latency(index, instance)
                    }
                    false => every,
                };
                let says = Roles::default();
                let event = Event::PollAnswered { balancer, instance, says };
                self.kernel.schedule(now + known, event);
            }
        }
    }

    fn poll_arrives(&mut self, balancer: u16, instance: u16) {
        let now = self.kernel.now();
        let process = &self.machines[usize::from(instance)].instance;
        let credentials = self.plan.balancers[usize::from(balancer)].credentials;
        let ask =
            |endpoint| process.as_ref().and_then(|process| process.http(endpoint, credentials));
        let good = |endpoint| ask(endpoint).is_some_and(|answer| answer.status == 200);
        let says = Roles {
            master: good(Endpoint::Master),
            slave: good(Endpoint::Slave),
            available: good(Endpoint::Available),
        };
        let latency = self.balancer_latency(usize::from(balancer), instance);
        self.kernel.schedule(now + latency, Event::PollAnswered { balancer, instance, says });
    }

    // ---- instances ----------------------------------------------------------------------

    fn at_instance(&mut self, instance: u16, flight: u32, generation: u32) {
        let Some(operation) = self.flights.get_mut(flight, generation) else { return };
        operation.request.reply_to = u64::from(flight) << 32 | u64::from(generation);
        let mut request = operation.request;
        if operation.looks_up {
            request.looks_up = true;
            request.kind = self.beside.auth().unwrap_or(request.kind);
        }
        let client = &self.plan.clients[usize::from(operation.client)];
        let logs_in = client.credentials || client.deployment == Deployment::Embedded;
        let machine = &self.machines[usize::from(instance)];
        let listens = !machine.stopping && !self.plan.instances[usize::from(instance)].arbiter;
        let runs = self.runs(usize::from(instance));
        if runs && listens && !logs_in {
            self.send_answer(instance, flight, generation, Status::Unauthorized, TxId(0));
        } else if runs && listens {
            self.input(instance, Input::Request(request));
        } else if machine.powered {
            let status = self.refusal(flight, generation);
            self.send_answer(instance, flight, generation, status, TxId(0));
        }
    }

    /// What a client sees where nobody listens: a balancer answers 503 in place of the server.
    pub(crate) fn refusal(&mut self, flight: u32, generation: u32) -> Status {
        let Some(operation) = self.flights.get_mut(flight, generation) else {
            return Status::NoServer;
        };
        match self.plan.clients[usize::from(operation.client)].deployment {
            Deployment::Embedded => Status::ConnectionRefused,
            Deployment::Server | Deployment::Extension => Status::NoServer,
        }
    }

    /// An instance answers a request.
    pub(crate) fn answered(
        &mut self,
        instance: u16,
        asked: Asked,
        status: Status,
        reply: Reply,
        time: ServerTime,
    ) {
        let flight = (asked.reply_to >> 32) as u32;
        let generation = asked.reply_to as u32;
        let mut seen = status;
        if let Some(operation) = self.flights.get_mut(flight, generation) {
            operation.served = Some(operation.served.map_or(time, |sum| sum.plus(time)));
            operation.reply = reply;
            let server = self.plan.clients[usize::from(operation.client)].deployment;
            if server == Deployment::Server && self.plan.settings.compat() != Compat::V3_2 {
                seen = status.at_endpoint();
            }
        }
        self.tell(Fact::Served {
            operation: asked.operation,
            kind: asked.kind,
            attempt: asked.attempt,
            instance: self.plan.instances[usize::from(instance)].id,
            status,
            time,
        });
        self.send_answer(instance, flight, generation, seen, reply.tx);
    }

    /// A look-up has returned when the user last wrote.
    pub(crate) fn looked_up(&mut self, reply_to: u64, value: Option<i64>) {
        if let Some(operation) = self.flights.get_mut((reply_to >> 32) as u32, reply_to as u32) {
            operation.last_write = value;
        }
    }

    pub(crate) fn send_answer(
        &mut self,
        instance: u16,
        flight: u32,
        generation: u32,
        status: Status,
        tx: TxId,
    ) {
        let Some(operation) = self.flights.get_mut(flight, generation) else { return };
        let client = usize::from(operation.client);
        let balancer = usize::from(self.plan.clients[client].balancer);
        let way = match self.plan.clients[client].deployment {
            Deployment::Embedded => Span::ZERO,
            _ => self.balancer_latency(balancer, instance) + self.client_latency(client),
        };
        let grey = &self.machines[usize::from(instance)].grey;
        let way = grey.iter().fold(way, |way, (_, by)| way + *by);
        let answer = Event::Answer { flight, generation, status, tx, instance: Some(instance) };
        self.kernel.schedule_in(way, answer);
    }

    /// What the world still waits for before it counts as recovered; none when it is.
    pub fn waits_for(&self) -> Option<String> {
        use alloc::format;
        let mut master = None;
        let standing: Vec<_> = (0..self.machines.len()).map(|at| self.standing(at)).collect();
        for ((machine, plan), standing) in
            self.machines.iter().zip(&self.plan.instances).zip(&standing)
        {
            let Some(standing) = standing else {
                let id = plan.id.0;
                return Some(match &machine.failure {
                    Some(why) => format!("instance {id} is down: its store stopped ({why})"),
                    None => format!("instance {id} is down"),
                });
            };
            if let Some(what) = &standing.waits_for {
                let role = standing.role.name();
                return Some(format!("instance {} ({role}) waits for {what}", plan.id.0));
            }
            if standing.role == Role::Master
                && let Some((other, _)) = master.replace((plan.id, standing.log))
            {
                return Some(format!("instances {} and {} are both master", other.0, plan.id.0));
            }
        }
        let Some((_, last)) = master else { return Some(String::from("no instance is master")) };
        for (standing, plan) in standing.iter().flatten().zip(&self.plan.instances) {
            if plan.arbiter {
                continue;
            }
            if standing.log != last {
                let why = if self.plan.settings_of(plan).pull_interval.is_zero() {
                    " (ha.pull_interval is 0: slaves never pull)"
                } else {
                    ""
                };
                return Some(format!(
                    "instance {} is at transaction {}, the master at {}{why}",
                    plan.id.0, standing.log.tx.0, last.tx.0
                ));
            }
            if !standing.idle {
                return Some(format!("instance {} has transactions under way", plan.id.0));
            }
        }
        if self.flights.live() > 0 {
            return Some(format!("{} operations are without an answer", self.flights.live()));
        }
        None
    }
}
