//! Drives an instance with real time, files and connections.
//!
//! One thread owns the instance and does all of its work, in the order in which inputs come;
//! others wait for sockets, syncs and HTTP clients and hand over what they got. Syncs never
//! hold that thread up; work on cores takes the time that it takes.

mod clients;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use wavetank_instance::{Asked, Effect, Input, Instance, Now, Request, TaskId, Timer};
use wavetank_store::{DiskOp, StoreState};
use wavetank_vocabulary::{
    ClientId, Fact, LogLine, Metric, Observation, OperationId, Role, Span, Time,
};
use wavetank_world::{Plan, Standing, audited};

use crate::clock::Clock;
use crate::disk::{Completion, Disk};
use crate::link::Link;
use crate::log::Log;
use crate::node::NodeError;
use crate::peers::{FromPeer, Peers};
use crate::statements::{Answered, Row, Statements};
use crate::web::FromWeb;
use crate::wire::Told;
use crate::wire::control::{Condition, Down, Up};

/// What comes in from other threads.
pub(crate) enum Incoming {
    Peer(FromPeer),
    Synced(DiskOp, Completion),
    Web(FromWeb),
    Control(Down),
}

/// Who waits for an answer.
enum Asker {
    /// The one who started the node; under this word.
    Control(u64),
    /// With what was asked, for what comes next in the same transaction.
    Web(Request, Sender<Answered>),
}

/// Operations that come over HTTP are those of a client of their own: no scenario has so many.
const WEB_CLIENT: ClientId = ClientId(u16::MAX);

/// How often it says how it stands.
const STATUS_EVERY: Duration = Duration::from_millis(50);

/// Inputs that are taken before timers and tasks have their turn again.
const TURN: usize = 256;

/// A sample that is later is left out: facts of then may have been passed on already.
const LATE: Duration = Duration::from_millis(250);

/// The last moment of sampling, and the one that comes next.
fn moments(now: Time, every: Span) -> (Time, Time) {
    let every = every.max(Span::from_millis(1));
    let last = Time::from_nanos(now.as_nanos() / every.as_nanos() * every.as_nanos());
    (last, last + every)
}

/// Operations over HTTP are counted from a time, so that a restart begins with new numbers.
fn first_web_operation() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    (since.unwrap_or_default().as_millis() as u32).wrapping_mul(64)
}

/// An instance with everything that it works on.
pub(crate) struct Node {
    plan: Arc<Plan>,
    instance: Instance,
    clock: Clock,
    disk: Disk,
    peers: Peers,
    link: Option<Link>,
    log: Log,
    /// When each is due.
    timers: Vec<Option<Time>>,
    total: usize,
    ready: VecDeque<TaskId>,
    /// What follows at once.
    work: VecDeque<Input>,
    effects: Vec<Effect>,
    spent: bool,
    askers: BTreeMap<u64, Asker>,
    next_asker: u64,
    /// Transactions that are open for HTTP clients: how they were begun.
    open: BTreeMap<u64, Request>,
    /// Those of which a statement is under way.
    in_use: BTreeSet<u64>,
    /// What HTTP clients have written themselves.
    statements: Statements,
    /// What their requests have returned so far.
    rows: Vec<(OperationId, Row)>,
    web_operations: u32,
    exit: bool,
    /// It ends since the cluster does not let it in.
    not_let_in: bool,
    /// A fault has its wall clock so much ahead.
    wall_ahead_ms: i64,
    /// How long the instance worked so far.
    busy: Duration,
    next_status: Instant,
    next_sample: Time,
}

/// What a node is put together from.
pub(crate) struct Parts {
    pub(crate) instance: Instance,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    pub(crate) peers: Peers,
    pub(crate) link: Option<Link>,
    pub(crate) log: Log,
}

impl Node {
    pub(crate) fn new(plan: Arc<Plan>, parts: Parts) -> Node {
        let Parts { instance, clock, disk, peers, link, log } = parts;
        let total = plan.total();
        let statements = Statements::behind(plan.operations.len());
        // The moment before was before it began.
        let (_, next_sample) = moments(clock.time(), plan.sample_every);
        Node {
            plan,
            instance,
            clock,
            disk,
            peers,
            link,
            log,
            timers: vec![None; Timer::count(total)],
            total,
            ready: VecDeque::new(),
            work: VecDeque::new(),
            effects: Vec::new(),
            spent: false,
            askers: BTreeMap::new(),
            next_asker: 0,
            open: BTreeMap::new(),
            in_use: BTreeSet::new(),
            statements,
            rows: Vec::new(),
            web_operations: first_web_operation(),
            exit: false,
            not_let_in: false,
            wall_ahead_ms: 0,
            busy: Duration::ZERO,
            next_status: Instant::now(),
            next_sample,
        }
    }

    /// Says its last words.
    ///
    /// # Errors
    /// When it did not end because somebody wanted it to.
    pub(crate) fn end(self) -> Result<(), NodeError> {
        if let Some(link) = self.link {
            link.close();
        }
        match self.instance.store().state() {
            StoreState::Failed(why) => Err(NodeError::Store(why.to_string())),
            _ if self.not_let_in => Err(NodeError::NotLetIn(self.instance.id().0)),
            _ => Ok(()),
        }
    }

    /// Works until the instance ends.
    pub(crate) fn work(&mut self, incoming: &Receiver<Incoming>, asked_to_stop: impl Fn() -> bool) {
        let mut stopping = false;
        while !self.exit {
            if !stopping && asked_to_stop() {
                stopping = true;
                self.log.say("leaving the cluster");
                self.input(Input::Stop);
            }
            self.report();
            let mut worked = self.fire_timers();
            for _ in 0..TURN {
                let Some(task) = self.ready.pop_front() else { break };
                worked = true;
                self.spent = false;
                self.input(Input::Run(task));
                // The time that the slice takes has passed: this thread has worked it off.
                if self.spent {
                    self.input(Input::Ran(task));
                }
            }
            for _ in 0..TURN {
                match incoming.try_recv() {
                    Ok(what) => self.take(what),
                    Err(_) => break,
                }
                worked = true;
            }
            if !worked
                && !self.exit
                && self.ready.is_empty()
                && let Ok(what) = incoming.recv_timeout(self.idle_for())
            {
                self.take(what);
            }
        }
    }

    /// How long nothing is due.
    fn idle_for(&self) -> Duration {
        let status = self.next_status.saturating_duration_since(Instant::now());
        let now = self.clock.time();
        let timer = self.timers.iter().flatten().copied().min();
        let sample = self.link.as_ref().map(|_| self.next_sample);
        let due = timer.into_iter().chain(sample).min();
        due.map_or(status, |at| self.clock.real(at.since(now)).min(status))
    }

    fn fire_timers(&mut self) -> bool {
        let now = self.clock.time();
        let mut fired = false;
        for slot in 0..self.timers.len() {
            if self.timers[slot].is_some_and(|at| at <= now) {
                self.timers[slot] = None;
                if let Some(timer) = Timer::at_slot(slot, self.total) {
                    fired = true;
                    self.input(Input::Timer(timer));
                }
            }
        }
        fired
    }

    fn take(&mut self, what: Incoming) {
        match what {
            Incoming::Peer(FromPeer::Message(from, message)) => {
                self.input(Input::Peer { from, message });
            }
            Incoming::Peer(FromPeer::Lost(peer)) => self.input(Input::PeerLost(peer)),
            Incoming::Synced(op, result) => self.input(Input::Disk { op, result }),
            Incoming::Web(asked) => self.asked(asked),
            Incoming::Control(Down::Request(request)) => {
                let asker = Asker::Control(request.reply_to);
                self.request(request, asker);
            }
            Incoming::Control(Down::Called(task)) => self.input(Input::Called(task)),
            Incoming::Control(Down::Stop) => self.input(Input::Stop),
            Incoming::Control(Down::Audit) => self.audit(),
            Incoming::Control(Down::Surroundings(now)) => {
                self.wall_ahead_ms = now.wall_ahead_ms;
                self.instance.limit_frames(usize::try_from(now.frames).unwrap_or(usize::MAX));
                for (op, result) in self.disk.set_state(now.disk) {
                    self.input(Input::Disk { op, result });
                }
                self.tell_struck();
            }
            Incoming::Control(Down::Welcome(..)) => {}
        }
    }

    fn request(&mut self, request: Request, asker: Asker) {
        let reply_to = self.next_asker;
        self.next_asker += 1;
        self.askers.insert(reply_to, asker);
        self.input(Input::Request(Request { reply_to, ..request }));
    }

    /// Gives the instance an input, and what follows from it at once.
    pub(crate) fn input(&mut self, input: Input) {
        let started = Instant::now();
        self.step(input);
        while let Some(next) = self.work.pop_front() {
            self.step(next);
        }
        self.busy += started.elapsed();
    }

    fn step(&mut self, input: Input) {
        let mut effects = std::mem::take(&mut self.effects);
        self.instance.step(self.now(), input, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                let data = message.is_data();
                if !self.peers.send(to, message) && data {
                    self.work.push_back(Input::PeerLost(to));
                }
            }
            Effect::Disk { op, request } => {
                if let Some(result) = self.disk.submit(op, &request) {
                    let failed = result.is_err();
                    self.work.push_back(Input::Disk { op, result });
                    if failed {
                        self.tell_struck();
                    }
                }
            }
            Effect::Arm { timer, after } => {
                self.timers[timer.slot(self.total)] = Some(self.clock.time() + after);
            }
            Effect::Cancel(timer) => self.timers[timer.slot(self.total)] = None,
            Effect::Ready(task) => self.ready.push_back(task),
            Effect::Spend { .. } => self.spent = true,
            // Nobody waits for its end.
            Effect::SpendLast { .. } => {}
            Effect::Respond { asked, status, reply, time } => {
                match self.askers.remove(&asked.reply_to) {
                    Some(Asker::Control(reply_to)) => {
                        let asked = Asked { reply_to, ..asked };
                        self.up(Up::Respond(asked, status, reply, time));
                    }
                    Some(Asker::Web(request, tell)) => {
                        let answered = self.answer(request, status, reply);
                        // Who asked may be gone.
                        let _ = tell.send(answered);
                    }
                    None => {}
                }
            }
            Effect::Call { task, request, store, node, value } => match &self.link {
                // The second stores are those of the one who plays the scenario.
                Some(_) => {
                    let asker = self.askers.get(&request.reply_to);
                    let reply_to = match asker {
                        Some(Asker::Control(reply_to)) => *reply_to,
                        _ => u64::MAX,
                    };
                    let request = Request { reply_to, ..request };
                    self.up(Up::Call(task, request, store, node, value));
                }
                None => self.work.push_back(Input::Called(task)),
            },
            Effect::LookedUp { reply_to, value } => {
                if let Some(Asker::Control(reply_to)) = self.askers.get(&reply_to) {
                    self.up(Up::Found(*reply_to, value));
                }
            }
            Effect::Exit => self.exit = true,
            Effect::Fact(fact) => self.fact(fact),
        }
    }

    /// The clocks as the instance sees them.
    fn now(&self) -> Now {
        let now = self.clock.now();
        Now { wall_ms: now.wall_ms.saturating_add_signed(self.wall_ahead_ms), ..now }
    }

    /// Tells which faults of the disk have struck.
    fn tell_struck(&mut self) {
        while let Some(fault) = self.disk.struck() {
            self.up(Up::Struck(fault));
        }
    }

    fn up(&self, what: Up) {
        if let Some(link) = &self.link {
            link.report(what);
        }
    }

    fn fact(&mut self, fact: Fact) {
        if let Fact::RoleChanged { from, to, .. } = fact {
            self.log.say(&format!("{} -> {}", from.name(), to.name()));
        }
        if let Fact::Told { line: LogLine::DamagedStoreSetAside, .. } = fact {
            self.log.say("the store is damaged: no page of neostore is whole; it is set aside");
        }
        self.not_let_in |= matches!(fact, Fact::JoinFailed { .. });
        if let Fact::Observed { operation, what, node, value, .. } = fact
            && operation.client == WEB_CLIENT
            && what != Observation::End
        {
            self.rows.push((operation, Row { node, value }));
        }
        if let (Some(link), Some(told)) = (&self.link, Told::new(fact)) {
            link.report(Up::Fact(self.clock.time(), told));
        }
    }

    /// Says how it stands, and what is sampled, when that is due.
    fn report(&mut self) {
        let now = Instant::now();
        if now >= self.next_status {
            self.next_status = now + STATUS_EVERY;
            if self.link.is_some() {
                let Standing { role, log, idle, waits_for, bean } = Standing::of(&self.instance);
                let resident = self.instance.store().resident_pages() as u64;
                let bean = bean.is_some();
                let at = self.clock.time();
                let condition = Condition { at, role, log, idle, waits_for, bean, resident };
                self.up(Up::Status(condition));
            }
        }
        if self.link.is_some() && self.clock.time() >= self.next_sample {
            self.sample();
        }
    }

    /// Tells what is sampled. All nodes do so at the same moments, and say those and not the
    /// little later at which they got to it: so one can be compared with the other.
    fn sample(&mut self) {
        let now = self.clock.time();
        let (moment, next) = moments(now, self.plan.sample_every);
        self.next_sample = next;
        // After a stand-still the moment is missed: how things are now is no news of then.
        let missed = self.clock.real(now.since(moment)) > LATE;
        if missed || self.instance.role() == Role::Arbiter {
            return;
        }
        let store = self.instance.store();
        let counters = store.counters();
        let samples = [
            (Metric::CoreBusy, self.busy.as_nanos() as u64),
            (Metric::PageCacheHits, counters.hits),
            (Metric::PageCacheFaults, counters.faults),
            (Metric::PageCacheEvictions, counters.evictions),
            (Metric::PageCacheFlushes, counters.flushes),
            (Metric::LastCommittedTx, store.mark().tx.0),
            (Metric::OpenTransactions, store.open_transactions() as u64),
            (Metric::LogBytes, counters.log_bytes),
        ];
        let instance = self.instance.id();
        for (metric, value) in samples.into_iter().chain(self.instance.reported()) {
            if let Some(told) = Told::new(Fact::Sample { instance, metric, value }) {
                self.up(Up::Fact(moment, told));
            }
        }
    }

    /// Tells what the store holds.
    fn audit(&mut self) {
        if self.instance.role() != Role::Arbiter {
            let whole = self.instance.role() == Role::Master;
            let directory: &_ = self.disk.directory();
            for fact in audited(&self.instance, directory, &self.plan, whole) {
                self.fact(fact);
            }
        }
        self.up(Up::Audited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_between_two_moments_samples_at_the_next() {
        let at = |millis: u64| Time::from_nanos(millis * 1_000_000);
        let every = Span::from_millis(1_000);
        assert_eq!(moments(at(2_900), every), (at(2_000), at(3_000)));
        assert_eq!(moments(at(3_000), every), (at(3_000), at(4_000)));
        assert_eq!(moments(at(0), Span::ZERO), (at(0), at(1)));
    }
}
