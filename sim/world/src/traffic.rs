//! What passes between clients, balancers and instances.

use alloc::string::String;

use wavetank_instance::{Endpoint, Input, Request};
use wavetank_vocabulary::{
    Fact, Observer, OperationOutcome, PlantedBugs, Role, ServerTime, Span, Status, Subject, TxId,
};

use crate::clients::{backoff, outcome};
use crate::event::Event;
use crate::plan::Routing;
use crate::world::{Phase, World};

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
            Event::PollAnswered { balancer, instance, master, slave } => {
                let plan = &self.plan.balancers[usize::from(balancer)];
                let instance = usize::from(instance);
                self.balancers[usize::from(balancer)].answered(instance, master, slave, plan);
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
        let gap = self.clients[index].next_gap(&plan.clients[index]);
        self.kernel.schedule_in(gap, Event::Arrival { client });
        let drawn = self.clients[index].next_request(&plan.clients[index], self.streams);
        let Some(request) = drawn else { return };
        self.tell(Fact::Invoked { operation: request.operation, kind: request.kind });
        let (flight, generation) = self.flights.add(client, request, self.kernel.now());
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
        let client = usize::from(operation.client);
        let plan = &self.plan.clients[client];
        let latency = self.plan.network.local.sample(&mut self.client_links[client]);
        self.kernel.schedule(now + latency, Event::AtBalancer { flight, generation });
        self.kernel.schedule(now + plan.timeout, Event::ClientTimeout { flight, generation });
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
        let plan = &self.plan.clients[usize::from(operation.client)];
        let retry = plan.retry;
        let again = status != Status::Ok
            && running
            && operation.request.attempt < retry.attempts
            && retry.covers(status);
        operation.ambiguous |= status.is_ambiguous();
        operation.at = None;
        if again {
            let wait = backoff(&retry, &operation.request, self.streams);
            operation.request.attempt += 1;
            operation.waits = Some(status);
            operation.generation = operation.generation.wrapping_add(1);
            let generation = operation.generation;
            let (attempt, id) = (operation.request.attempt, operation.request.operation);
            self.kernel.schedule(now + wait, Event::Attempt { flight, generation });
            self.tell(Fact::Retried { operation: id, status, attempt });
            return;
        }
        let request = operation.request;
        let spent = operation.spent(now, status);
        let (intended, ambiguous) = (operation.intended, operation.ambiguous);
        let seen = operation.seen;
        let instance =
            instance.or(operation.at).map(|index| self.plan.instances[usize::from(index)].id);
        self.flights.remove(flight);
        let program = &self.programs[request.kind.index()];
        let ended = outcome(status, ambiguous, program.writes());
        let subject = if ended == OperationOutcome::Failed {
            Subject::Nothing
        } else {
            program.subject(&request)
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
        if let (OperationOutcome::Ok, Some(instance)) = (ended, instance) {
            let (operation, user) = (request.operation, request.me);
            self.tell(Fact::Session { operation, user, seen, wrote: tx, instance, intended });
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
            let latency = self.plan.network.local.sample(&mut self.client_links[client]);
            let (status, tx) = (Status::ConnectionRefused, TxId(0));
            let answer = Event::Answer { flight, generation, status, tx, instance: None };
            self.kernel.schedule(now + latency, answer);
            return;
        }
        let writes = self.programs[operation.request.kind.index()].writes();
        let spreads = self.plan.bugs.contains(PlantedBugs::BALANCER_IGNORES_RULE);
        let rule = if spreads { Routing::SplitOverAll } else { plan.routing };
        match self.balancers[balancer].route(rule, writes) {
            Some(index) => {
                let instance = index as u16;
                operation.at = Some(instance);
                let latency = self.balancer_latency(balancer, instance);
                let event = Event::AtInstance { instance, flight, generation };
                self.kernel.schedule(now + latency, event);
            }
            None => {
                let latency = self.plan.network.local.sample(&mut self.client_links[client]);
                let answer = Event::Answer {
                    flight,
                    generation,
                    status: Status::NoServer,
                    tx: TxId(0),
                    instance: None,
                };
                self.kernel.schedule(now + latency, answer);
            }
        }
    }

    fn balancer_latency(&mut self, balancer: usize, instance: u16) -> wavetank_vocabulary::Span {
        let way = self.way(self.plan.balancers[balancer].datacentre, instance);
        let link = balancer * self.plan.total() + usize::from(instance);
        way.sample(&mut self.balancer_links[link])
    }

    fn poll(&mut self, balancer: u16) {
        let now = self.kernel.now();
        let every = self.plan.balancers[usize::from(balancer)].poll;
        self.kernel.schedule(now + every, Event::Poll { balancer });
        for instance in 0..self.machines.len() as u16 {
            let machine = &self.machines[usize::from(instance)];
            if machine.instance.is_some() && machine.paused_until <= now {
                let latency = self.balancer_latency(usize::from(balancer), instance);
                self.kernel.schedule(now + latency, Event::PollArrives { balancer, instance });
            } else {
                // Refused or without an answer in time: known when the next one is due.
                let event = Event::PollAnswered { balancer, instance, master: false, slave: false };
                self.kernel.schedule(now + every, event);
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
        let (master, slave) = (good(Endpoint::Master), good(Endpoint::Slave));
        let latency = self.balancer_latency(usize::from(balancer), instance);
        let event = Event::PollAnswered { balancer, instance, master, slave };
        self.kernel.schedule(now + latency, event);
    }

    // ---- instances ----------------------------------------------------------------------

    fn at_instance(&mut self, instance: u16, flight: u32, generation: u32) {
        let Some(operation) = self.flights.get_mut(flight, generation) else { return };
        operation.request.reply_to = u64::from(flight) << 32 | u64::from(generation);
        let request = operation.request;
        let machine = &self.machines[usize::from(instance)];
        let listens = !machine.stopping && !self.plan.instances[usize::from(instance)].arbiter;
        if machine.instance.is_some() && listens {
            self.input(instance, Input::Request(request));
        } else if machine.powered {
            self.send_answer(instance, flight, generation, Status::ConnectionRefused, TxId(0));
        }
    }

    /// An instance answers a request.
    pub(crate) fn answered(
        &mut self,
        instance: u16,
        request: &Request,
        status: Status,
        tx: TxId,
        (seen, time): (TxId, ServerTime),
    ) {
        let flight = (request.reply_to >> 32) as u32;
        let generation = request.reply_to as u32;
        if let Some(operation) = self.flights.get_mut(flight, generation) {
            operation.served = Some(time);
            operation.seen = seen;
        }
        self.tell(Fact::Served {
            operation: request.operation,
            kind: request.kind,
            attempt: request.attempt,
            instance: self.plan.instances[usize::from(instance)].id,
            status,
            time,
        });
        self.send_answer(instance, flight, generation, status, tx);
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
        let way = self.balancer_latency(balancer, instance)
            + self.plan.network.local.sample(&mut self.client_links[client]);
        let grey = &self.machines[usize::from(instance)].grey;
        let way = grey.iter().fold(way, |way, (_, by)| way + *by);
        let answer = Event::Answer { flight, generation, status, tx, instance: Some(instance) };
        self.kernel.schedule_in(way, answer);
    }

    /// What the world still waits for before it counts as recovered; none when it is.
    pub fn waits_for(&self) -> Option<String> {
        use alloc::format;
        let mut master = None;
        for (machine, plan) in self.machines.iter().zip(&self.plan.instances) {
            let Some(process) = &machine.instance else {
                let id = plan.id.0;
                return Some(match &machine.failure {
                    Some(why) => format!("instance {id} is down: its store stopped ({why})"),
                    None => format!("instance {id} is down"),
                });
            };
            if let Some(what) = process.waits_for() {
                let role = process.role().name();
                return Some(format!("instance {} ({role}) waits for {what}", plan.id.0));
            }
            if process.role() == Role::Master
                && let Some(other) = master.replace(plan.id)
            {
                return Some(format!("instances {} and {} are both master", other.0, plan.id.0));
            }
        }
        let Some(master) = master else { return Some(String::from("no instance is master")) };
        let end = |id| {
            let index = usize::from(self.index_of(id)?);
            self.machines[index].instance.as_ref().map(|process| process.store().mark())
        };
        let last = end(master)?;
        for (machine, plan) in self.machines.iter().zip(&self.plan.instances) {
            let Some(process) = &machine.instance else { continue };
            if plan.arbiter {
                continue;
            }
            let mark = process.store().mark();
            if mark != last {
                let why = if self.plan.settings_of(plan).pull_interval.is_zero() {
                    " (ha.pull_interval is 0: slaves never pull)"
                } else {
                    ""
                };
                return Some(format!(
                    "instance {} is at transaction {}, the master at {}{why}",
                    plan.id.0, mark.tx.0, last.tx.0
                ));
            }
            if !process.is_idle() {
                return Some(format!("instance {} has transactions under way", plan.id.0));
            }
        }
        if self.flights.live() > 0 {
            return Some(format!("{} operations are without an answer", self.flights.live()));
        }
        None
    }
}
