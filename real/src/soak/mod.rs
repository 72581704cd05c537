//! A scenario on real processes.
//!
//! Clients, balancers, faults and triggers are the World's own, played along with the real
//! clock ([`World::outside`]); its instances are nodes, its links proxies. What the nodes
//! tell is brought into order and shown to the same observer as in a simulation.

mod config;
mod ending;
mod folder;
mod merge;
mod nodes;
mod poll;
mod proxy;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use wavetank_vocabulary::{InstanceId, Monitored, Observer, Time};
use wavetank_world::{Order, Phase, Plan, Roles, Standing, World};

use crate::clock::Clock;
use crate::config::NodeFile;
use crate::system::exact_timers;
use crate::wire::control::{Condition, Down, Up};
use config::playable;
pub use config::{Death, NodeSize, SoakConfig, SoakError, Soaked, usual_limit};
pub use folder::WorkFolder;
use merge::{HOLD, Merge};
use nodes::{Ended, Node, free_addresses, listen};
use proxy::Proxy;

/// What other threads found out.
#[derive(Debug)]
pub(crate) enum Event {
    /// A process calls.
    Called { id: InstanceId, pid: u32, matches: bool, stream: TcpStream },
    /// It tells something.
    Told { id: InstanceId, pid: u32, what: Up },
    /// A balancer's question was answered.
    Polled { balancer: u16, id: InstanceId, says: Roles },
}

/// How often children, links and limits are looked at when nothing happens.
const TICK: Duration = Duration::from_millis(20);
/// How often the sizes of processes and folder are looked at.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// How long a process may take until it calls: it reads its scenario and lays down its start graph
/// before.
const CALL_MOST: Duration = Duration::from_secs(60);
/// Events that are taken before orders are carried out again.
const TURN: usize = 1_024;
/// How long the balancers' questions take at the most, in real time.
const POLL_MOST: Duration = Duration::from_secs(2);

/// Plays a scenario on processes. `go_on` is told the time of the run and how many facts were
/// told, and answers whether it is to go on. All processes have ended when this returns.
///
/// # Errors
/// When the scenario cannot be played for real, or the surroundings fail.
pub fn soak<O: Observer>(
    config: &SoakConfig,
    observer: O,
    mut go_on: impl FnMut(Time, u64) -> bool,
) -> Result<Soaked<O>, SoakError> {
    let mut notes = playable::<O>(&config.plan)?;
    if exact_timers().is_err() {
        notes.push("requests went out up to 50 us late: the system's timers are coarse.".into());
    }
    let mut field = Field::new(config, observer, notes)?;
    let whole = field.play(config, &mut go_on)? && field.audit(config, &mut go_on)?;
    Ok(field.finish(!whole))
}

/// The processes, the links between them, and the World that plays on them. Dropped, it ends
/// them all.
struct Field<O> {
    world: World<Merge<O>>,
    plan: Arc<Plan>,
    clock: Clock,
    nodes: Vec<Node>,
    links: Vec<(usize, usize, Proxy)>,
    events: Receiver<Event>,
    polls: Vec<Sender<(u16, bool, Duration)>>,
    program: PathBuf,
    folder: PathBuf,
    notes: Vec<String>,
    sizes: Vec<NodeSize>,
    started: Instant,
    /// When the folder was looked at last.
    weighed: Instant,
    /// All that was told before then has been taken.
    heard: Time,
    /// Whose store was looked into.
    audited: BTreeSet<InstanceId>,
    /// Nodes that ended by themselves.
    deaths: Vec<Death>,
}

impl<O: Observer> Field<O> {
    fn new(config: &SoakConfig, observer: O, notes: Vec<String>) -> Result<Self, SoakError> {
        let plan = &config.plan;
        let failed = |what: &str| {
            let what = what.to_owned();
            move |source| SoakError::System { what, source }
        };
        let scenario = config.folder.join("plan.toml");
        fs::write(&scenario, &config.scenario).map_err(failed("cannot write the scenario"))?;
        let total = plan.total();
        let addresses = free_addresses(2 * total).map_err(failed("cannot find ports"))?;
        let cluster = |index: usize| addresses[2 * index];
        let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let control = control.map_err(failed("cannot listen"))?;
        let control_at = control.local_addr().map_err(failed("cannot listen"))?;
        let (tell, events) = channel();
        listen(control, tell.clone()).map_err(failed("cannot start a thread"))?;
        let world = World::outside(plan.clone(), config.base.clone(), Merge::new(observer));
        let mut links = Vec::new();
        let mut nodes = Vec::new();
        let mut polls = Vec::new();
        for (from, instance) in plan.instances.iter().enumerate() {
            let mut members = Vec::new();
            for (to, other) in plan.instances.iter().enumerate() {
                let mut at = cluster(to);
                if from != to {
                    let proxy = Proxy::new(at).map_err(failed("cannot make a link"))?;
                    at = proxy.address();
                    links.push((from, to, proxy));
                }
                members.push((other.id, at));
            }
            let file = NodeFile {
                server_id: instance.id,
                scenario: scenario.clone(),
                seed: Some(plan.seed),
                directory: config.folder.join(format!("node-{}", instance.id.0)),
                cluster_server: cluster(from),
                web_server: addresses[2 * from + 1],
                members,
                control: Some(control_at),
            };
            let healthy = world.surroundings(instance.id).unwrap_or_default();
            let node = Node::new(&config.folder, file, healthy);
            let node = node.map_err(failed("cannot write files"))?;
            let poller = poller(node.id, node.web_server, tell.clone());
            polls.push(poller.map_err(failed("cannot start a thread"))?);
            nodes.push(node);
        }
        Ok(Field {
            world,
            plan: plan.clone(),
            clock: Clock::starting(config.time_scale),
            nodes,
            links,
            events,
            polls,
            program: config.program.clone(),
            folder: config.folder.clone(),
            notes,
            sizes: Vec::new(),
            started: Instant::now(),
            weighed: Instant::now(),
            heard: Time::ZERO,
            audited: BTreeSet::new(),
            deaths: Vec::new(),
        })
    }

    /// Starts the nodes. The clock begins when all of them have called: what this machine takes to
    /// start processes is no part of the run. False when it was broken off.
    fn gather(
        &mut self,
        config: &SoakConfig,
        go_on: &mut impl FnMut(Time, u64) -> bool,
    ) -> Result<bool, SoakError> {
        self.world.advance_to(Time::ZERO);
        self.carry_out()?;
        let mut called = BTreeSet::new();
        let mut early = Vec::new();
        while called.len() < self.nodes.len() {
            if !go_on(Time::ZERO, 0) || self.over(config) {
                return Ok(false);
            }
            self.children()?;
            let Ok(event) = self.events.recv_timeout(TICK) else { continue };
            if let Event::Called { id, pid, .. } = &event
                && self.nodes.iter().any(|node| node.id == *id && node.pid() == Some(*pid))
            {
                called.insert(*id);
            }
            early.push(event);
        }
        self.clock = Clock::starting(config.time_scale);
        for event in early {
            self.take(event)?;
        }
        Ok(true)
    }

    /// Plays until the end; false when it was broken off.
    fn play(
        &mut self,
        config: &SoakConfig,
        go_on: &mut impl FnMut(Time, u64) -> bool,
    ) -> Result<bool, SoakError> {
        if !self.gather(config, go_on)? {
            return Ok(false);
        }
        let mut measured = Instant::now();
        loop {
            let now = self.clock.time();
            self.world.advance_to(now);
            self.carry_out()?;
            let hold = self.clock.span(HOLD).as_nanos();
            // This thread may have stood still: what was told meanwhile still waits.
            let until = Time::from_nanos(self.heard.as_nanos().saturating_sub(hold));
            self.world.observer_mut().release(until);
            if self.world.phase() == Phase::Done {
                return Ok(true);
            }
            if !go_on(now, self.world.observer().told()) {
                return Ok(false);
            }
            if measured.elapsed() >= MEASURE_EVERY {
                measured = Instant::now();
                self.measure();
            }
            if self.over(config) {
                return Ok(false);
            }
            self.children()?;
            let next = self.world.next_at().map_or(TICK, |at| self.clock.real(at.since(now)));
            self.listen(next.min(TICK))?;
        }
    }

    /// Takes what other threads found out, and waits for the first of it.
    fn listen(&mut self, patience: Duration) -> Result<(), SoakError> {
        let began = self.clock.time();
        let mut next = self.events.recv_timeout(patience).ok();
        for _ in 0..TURN {
            let Some(event) = next else {
                self.heard = began;
                return Ok(());
            };
            self.take(event)?;
            next = self.events.try_recv().ok();
        }
        // More waits: it comes with the next turn.
        next.map_or(Ok(()), |event| self.take(event))
    }

    fn take(&mut self, event: Event) -> Result<(), SoakError> {
        // What follows from it follows now.
        self.world.advance_to(self.clock.time());
        match event {
            Event::Called { id, pid, matches, stream } => {
                let clock = self.clock;
                let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else {
                    return Ok(());
                };
                // Whoever else calls is none of ours, or of an earlier life.
                if node.pid() != Some(pid) {
                    return Ok(());
                }
                if !matches {
                    let why = format!(
                        "{} is another version of wavetank than this one",
                        self.program.display()
                    );
                    return Err(SoakError::NodeFailed { id: id.0, why });
                }
                node.connected(stream, clock).map_err(|source| SoakError::System {
                    what: "cannot start a thread".to_owned(),
                    source,
                })?;
            }
            Event::Told { id, pid, what } => self.told(id, pid, what),
            Event::Polled { balancer, id, says } => {
                self.world.outside_polled(balancer, id, says);
            }
        }
        Ok(())
    }

    fn told(&mut self, id: InstanceId, pid: u32, what: Up) {
        // The last words of a process that was killed still count as facts; those of a stranger
        // do not.
        if !self.nodes.iter().any(|node| node.id == id && node.had(pid)) {
            return;
        }
        let present = self.nodes.iter().any(|node| node.id == id && node.pid() == Some(pid));
        match what {
            Up::Fact(at, told) => {
                let fact = told.fact();
                self.world.observer_mut().take(at, fact);
                if present {
                    self.world.outside_tells(&fact);
                }
            }
            Up::Respond(asked, status, reply, time) if present => {
                self.world.outside_answered(id, asked, status, reply, time);
            }
            Up::Call(task, request, store, node, value) if present => {
                self.world.outside_calls(id, task, &request, (store, node, value));
            }
            Up::Status(condition) if present => {
                if let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) {
                    node.resident = condition.resident;
                }
                let at = condition.at;
                self.world.outside_stands(id, at, standing(condition));
            }
            Up::Found(reply_to, value) if present => {
                self.world.outside_looked_up(reply_to, value);
            }
            Up::Audited if present => {
                self.audited.insert(id);
            }
            Up::Struck(fault) if present => self.world.outside_struck(id, fault),
            Up::Here(..)
            | Up::Respond(..)
            | Up::Call(..)
            | Up::Found(..)
            | Up::Struck(_)
            | Up::Status(_)
            | Up::Audited => {}
        }
    }

    /// Does what the World wants done.
    fn carry_out(&mut self) -> Result<(), SoakError> {
        let failed =
            |what: &'static str| move |source| SoakError::System { what: what.to_owned(), source };
        while let Some(order) = self.world.next_order() {
            let node = |id: InstanceId| self.nodes.iter().position(|node| node.id == id);
            match order {
                Order::Start(id) => {
                    let Some(index) = node(id) else { continue };
                    let start = self.nodes[index].start(&self.program);
                    start.map_err(failed("cannot start a node"))?;
                }
                Order::Kill(id) => {
                    let Some(index) = node(id) else { continue };
                    self.nodes[index].kill().map_err(failed("cannot kill a node"))?;
                }
                Order::Wipe(id) => {
                    let Some(index) = node(id) else { continue };
                    self.nodes[index].wipe().map_err(failed("cannot remove a store"))?;
                }
                Order::Stop(id) => {
                    if let Some(index) = node(id) {
                        self.nodes[index].stop();
                    }
                }
                Order::Pause(id) | Order::Resume(id) => {
                    let still = matches!(order, Order::Pause(_));
                    let Some(index) = node(id) else { continue };
                    self.nodes[index].hold(still).map_err(failed("cannot pause a node"))?;
                }
                Order::Reset(from, to) => {
                    let (from, to) = (node(from), node(to));
                    for (a, b, proxy) in &self.links {
                        if Some(*a) == from && Some(*b) == to {
                            proxy.reset();
                        }
                    }
                }
                Order::Ask(id, request) => {
                    let told = node(id)
                        .is_some_and(|index| self.nodes[index].tell(Down::Request(request)));
                    if !told {
                        self.world.outside_refused(id, &request);
                    }
                }
                Order::Called(id, task) => {
                    if let Some(index) = node(id) {
                        self.nodes[index].tell(Down::Called(task));
                    }
                }
                Order::Poll { balancer, instance } => {
                    let Some(index) = node(instance) else { continue };
                    let plan = &self.plan.balancers[usize::from(balancer)];
                    let patience = self.clock.real(plan.poll).min(POLL_MOST);
                    // Its thread lives as long as this.
                    let _ = self.polls[index].send((balancer, plan.credentials, patience));
                }
            }
        }
        for (from, to, proxy) in &self.links {
            proxy.set(&self.world.link(*from, *to), self.clock);
        }
        for node in &mut self.nodes {
            if let Some(now) = self.world.surroundings(node.id) {
                node.surround(now);
            }
        }
        Ok(())
    }

    /// Notices processes that have ended, or never call.
    fn children(&mut self) -> Result<(), SoakError> {
        for node in &mut self.nodes {
            if let Some(why) = node.silent(CALL_MOST) {
                return Err(SoakError::NodeFailed { id: node.id.0, why });
            }
            let ended = node.ended().map_err(|source| SoakError::System {
                what: "cannot look after a node".to_owned(),
                source,
            })?;
            match ended {
                None => {}
                Some(Ended { started: false, why: Some(why), .. }) => {
                    return Err(SoakError::NodeFailed { id: node.id.0, why });
                }
                Some(Ended { why, expected, how, words, .. }) => {
                    let at = self.clock.time();
                    if !expected {
                        let death = Death { at, instance: node.id, how };
                        self.notes.push(format!("{death}; the end of its log:\n  {words}"));
                        self.deaths.push(death);
                    }
                    self.world.advance_to(at);
                    self.world.outside_exited(node.id, why);
                }
            }
        }
        Ok(())
    }

    /// Looks at the sizes of processes.
    fn measure(&mut self) {
        let at = self.clock.time();
        for node in &self.nodes {
            self.sizes.extend(node.size(at));
        }
    }

    /// Whether a limit of time or disk is reached; a note says which. May be asked at any time: the
    /// folder is looked through now and then only.
    fn over(&mut self, config: &SoakConfig) -> bool {
        if self.started.elapsed() > config.limit {
            let seconds = config.limit.as_secs();
            self.notes.push(format!("it took longer than {seconds} s: broken off."));
            return true;
        }
        if self.weighed.elapsed() < MEASURE_EVERY {
            return false;
        }
        self.weighed = Instant::now();
        let bytes = folder_bytes(&self.folder);
        if bytes > config.disk.0 {
            self.notes.push(format!(
                "the nodes wrote {} MiB, more than the limit of {} MiB: broken off.",
                bytes >> 20,
                config.disk.0 >> 20
            ));
            return true;
        }
        false
    }
}

/// The thread that asks a node's endpoints for the balancers.
fn poller(
    id: InstanceId,
    address: SocketAddr,
    tell: Sender<Event>,
) -> io::Result<Sender<(u16, bool, Duration)>> {
    let (ask, asked) = channel::<(u16, bool, Duration)>();
    let run = move || {
        while let Ok((balancer, credentials, patience)) = asked.recv() {
            let says = poll::poll(address, credentials, patience);
            if tell.send(Event::Polled { balancer, id, says }).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name(format!("polls {id}")).spawn(run)?;
    Ok(ask)
}

fn standing(condition: Condition) -> Standing {
    let Condition { role, log, idle, waits_for, bean, at: _, resident: _ } = condition;
    let ha = wavetank_vocabulary::HaRole::from(role);
    let available = ha != wavetank_vocabulary::HaRole::Unknown;
    let bean = bean.then_some(Monitored { available, role: ha, last_committed: log.tx });
    Standing { role, log, idle, waits_for, bean }
}

/// How much a folder holds.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    });
    bytes.sum()
}
