//! The instance's one door: inputs in, effects out.

mod disk;
mod turns;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use wavetank_cluster::{JoinFailure, Kept, Member, Moment, PaxosInstance};
use wavetank_store::{
    DiskOp, DiskRequest, LockNotice, Store, StoreConfig, StoreState, Ticket, TokenId,
};
use wavetank_vocabulary::{Epoch, Fact, InstanceId, Role, Span, Time};

use crate::branched::Branches;
use crate::conversations::Conversations;
use crate::interface::{Effect, Input, InstanceConfig, Now, Timer};
use crate::master_client::MasterClient;
use crate::message::{DataMessage, PeerMessage};
use crate::replication::{Puller, Pusher};
use crate::switch::{Copied, Switching};
use crate::tally::Tally;
use crate::task::{TaskId, Tasks};

/// How many slices' worth of records one turn on a core may touch.
pub(crate) const SLICE_RECORDS: u32 = 64;

/// What an acceptor has promised, by Paxos instance.
pub type Promises = BTreeMap<PaxosInstance, Kept>;

/// A running instance.
#[derive(Clone, Debug)]
pub struct Instance {
    pub(crate) config: InstanceConfig,
    pub(crate) store: Store,
    /// None until the store is open.
    pub(crate) member: Option<Member>,
    /// Of each program, the tokens of its names, once they were looked up.
    pub(crate) tokens: Vec<Option<Vec<TokenId>>>,
    pub(crate) tasks: Tasks,
    pub(crate) waiters: BTreeMap<Ticket, Vec<TaskId>>,
    /// Requests that wait for the database to become available, oldest first.
    pub(crate) blocked: VecDeque<(Time, TaskId)>,
    /// Open transactions that wait for their next statement, oldest first; some have got it.
    pub(crate) idle: VecDeque<(Time, TaskId)>,
    pub(crate) open_writes: u32,
    pub(crate) epoch: Epoch,
    pub(crate) switching: Switching,
    pub(crate) puller: Puller,
    pub(crate) pushers: Vec<Pusher>,
    pub(crate) conversations: Conversations,
    pub(crate) master_client: MasterClient,
    pub(crate) round_robin: usize,
    pub(crate) tally: Tally,
    /// When the present input arrived.
    pub(crate) clock: Time,
    /// The wall clock of this step, in milliseconds.
    pub(crate) wall_ms: u64,
    background: bool,
    last_checkpoints: u64,
    failed: bool,
    /// It was told to stop.
    stopping: bool,
    /// The disk was full, and is to be tried again.
    disk_full: bool,
    role: Role,
    /// The member changed its role in this step.
    pub(crate) switched: bool,
    /// The store is a copy that has no checkpoint of its own yet.
    pub(crate) copied: Option<Copied>,
    /// Its store is none of the cluster that it left; it will try again.
    pub(crate) foreign: bool,
    pub(crate) branches: Branches,
    /// Of durable acceptors: what outlives the process.
    promises: Promises,
    // Reused from step to step.
    member_effects: Vec<wavetank_cluster::Effect>,
    pub(crate) labels: Vec<TokenId>,
    submissions: Vec<(DiskOp, DiskRequest)>,
    tickets: Vec<Ticket>,
    notices: Vec<LockNotice>,
}

impl Instance {
    /// An instance whose process is about to start, over whatever its disk holds.
    pub fn new(config: InstanceConfig) -> Self {
        let mut store = Store::open(StoreConfig {
            frames: config.frames,
            cache_policy: config.cache_policy,
            log_rotation_threshold: config.settings.log_rotation_threshold,
            log_retention: config.settings.keep_logical_logs,
            checkpoint_interval_tx: config.settings.checkpoint_interval_tx,
            id_reuse_safe_zone_ms: config.settings.id_reuse_safe_zone.as_nanos() / 1_000_000,
            bugs: config.bugs,
            ..StoreConfig::default()
        });
        if config.watch_locks {
            store.watch_locks();
        }
        let total = config.configuration.total();
        Instance {
            config,
            store,
            member: None,
            tokens: Vec::new(),
            tasks: Tasks::default(),
            waiters: BTreeMap::new(),
            blocked: VecDeque::new(),
            idle: VecDeque::new(),
            labels: Vec::new(),
            open_writes: 0,
            epoch: Epoch(0),
            switching: Switching::None,
            puller: Puller::default(),
            pushers: alloc::vec![Pusher::default(); total],
            conversations: Conversations::default(),
            master_client: MasterClient::default(),
            round_robin: 0,
            tally: Tally::default(),
            clock: Time::ZERO,
            wall_ms: 0,
            background: false,
            last_checkpoints: 0,
            failed: false,
            stopping: false,
            disk_full: false,
            role: Role::Down,
            switched: false,
            copied: None,
            foreign: false,
            branches: Branches::default(),
            promises: Promises::new(),
            member_effects: Vec::new(),
            submissions: Vec::new(),
            tickets: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// With what the acceptor of the process before this one had promised: see
    /// [`Self::into_promises`].
    pub fn with_promises(self, promises: Promises) -> Self {
        Instance { promises, ..self }
    }

    /// The end of the process: what its acceptor has promised, if acceptors are durable
    /// ([`AcceptorMemory::Durable`](wavetank_cluster::AcceptorMemory::Durable)). Each promise
    /// counts as kept when it is given.
    pub fn into_promises(self) -> Promises {
        self.promises
    }

    /// Its server id.
    pub fn id(&self) -> InstanceId {
        let configuration = &self.config.configuration;
        configuration.id(configuration.me())
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its store, for samples and audits.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Gives its page cache so many frames from now on.
    pub fn limit_frames(&mut self, frames: usize) {
        self.config.frames = frames;
        self.store.limit_frames(frames);
    }

    /// Its member, once the store is open.
    pub fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// Whether it has nothing left to do of its own accord: nothing to apply, no request
    /// under way, no switch going on.
    pub fn is_idle(&self) -> bool {
        self.store.open_transactions() == 0
            && self.store.received_left() == 0
            && matches!(self.switching, Switching::None)
    }

    /// What the instance is waiting for, for people; none when it serves.
    pub fn waits_for(&self) -> Option<&'static str> {
        match self.role {
            Role::Master | Role::Slave | Role::Arbiter => None,
            Role::Down => Some("its process to start"),
            Role::Starting => Some("its store to recover"),
            // Who restarts asks for the present state of the cluster and needs no old decision.
            Role::Pending | Role::Detached
                if self.member.as_ref().is_some_and(|member| member.is_stranded()) =>
            {
                Some(
                    "a decision of the cluster that no other member remembers: only a restart helps",
                )
            }
            Role::Pending if self.foreign => {
                Some("the next attempt to join: its store is of another cluster")
            }
            Role::Pending | Role::Detached => Some("a master to be elected and available"),
            Role::ToMaster => Some("what it received to be applied"),
            Role::ToSlave => Some(self.switching.waits_for()),
        }
    }

    /// A hash of the state, for checkpoints of the digest.
    pub fn fingerprint(&self) -> u64 {
        let role = self.role as u64;
        self.store
            .fingerprint()
            .rotate_left(7)
            .wrapping_add(role)
            .wrapping_add(self.epoch.0.rotate_left(17))
            .wrapping_add((self.blocked.len() as u64) << 32)
    }

    /// Whether all that follows from this message is that a timer is armed, and how: see
    /// [`Member::merely_heard`].
    #[inline]
    pub fn merely_heard(&self, from: InstanceId, message: &PeerMessage) -> Option<(Timer, Span)> {
        let PeerMessage::Cluster(message) = message else { return None };
        let (timer, after) = self.member.as_ref()?.merely_heard(from, message)?;
        Some((Timer::Cluster(timer), after))
    }

    /// What is sent when this timer is due, to whom, and in how long it is due again; none if
    /// that is not all that follows: see [`Member::heartbeat_due`].
    #[inline]
    pub fn heartbeat_due(&self, timer: Timer) -> Option<(InstanceId, PeerMessage, Span)> {
        let Timer::Cluster(timer) = timer else { return None };
        let (to, message, after) = self.member.as_ref()?.heartbeat_due(timer)?;
        Some((to, PeerMessage::Cluster(message), after))
    }

    /// Takes one input; appends what is to be done to `effects`.
    pub fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        (self.clock, self.wall_ms) = (now.mono, now.wall_ms);
        self.store.set_lock_clock(now.mono);
        match input {
            Input::Peer { from, message: PeerMessage::Cluster(message) } => {
                self.drive(now, wavetank_cluster::Input::Message { from, message }, effects);
                // Nothing of the store moves unless the role did.
                if !core::mem::take(&mut self.switched) {
                    return;
                }
            }
            Input::Timer(Timer::Cluster(timer)) => {
                self.drive(now, wavetank_cluster::Input::Timer(timer), effects);
                if !core::mem::take(&mut self.switched) {
                    return;
                }
            }
            Input::Stop => {
                self.stop(now, effects);
                return;
            }
            // Without a store the rest is of no concern.
            Input::Start if self.config.arbiter => {
                self.role_changed(Role::Arbiter, effects);
                self.member = Some(self.new_member(now).arbiter());
                self.join_cluster(now, effects);
                return;
            }
            _ if self.config.arbiter => return,
            // Of these the store takes no notice either: a slice of the task will.
            Input::Peer { from, message: PeerMessage::Pull { attempt, mark } } => {
                if self.member.is_some() {
                    self.serve(from, attempt, mark, true, effects);
                }
                return;
            }
            Input::Timer(Timer::Pull) => {
                self.pull_again(effects);
                return;
            }
            Input::Start => self.role_changed(Role::Starting, effects),
            Input::Disk { op, result } => self.store.complete(op, result),
            Input::Peer { from, message: PeerMessage::Data(message) } => {
                self.receive(now, from, &message, effects);
            }
            Input::Peer { from, message: PeerMessage::UpToDate { attempt, target } } => {
                if self.member.is_some() {
                    self.transactions(now, (from, attempt), &[], target, effects);
                }
            }
            Input::PeerLost(peer) => self.peer_lost(peer, effects),
            Input::Request(request) => self.request(now, request, effects),
            Input::Rollback(open) => self.roll_back(open, effects),
            Input::Called(task) => self.called(task, effects),
            Input::Timer(timer) => self.timer(now, timer, effects),
            Input::Run(task) => self.run(now, task, effects),
            Input::Ran(task) => self.ran(now, task, effects),
        }
        self.pump(now, effects);
        if self.config.watch_locks {
            self.tell_locks(effects);
        }
    }

    fn timer(&mut self, now: Now, timer: Timer, effects: &mut Vec<Effect>) {
        match timer {
            Timer::Cluster(_) | Timer::Pull => {}
            Timer::PullTimeout => self.pull_failed(effects),
            Timer::Switch => self.switch_timer(now, effects),
            Timer::Access => self.access_timed_out(now, effects),
            Timer::Idle => self.idle_expired(effects),
            Timer::Checkpoint => {
                self.store.request_checkpoint();
                let after = self.config.settings.checkpoint_interval_time;
                effects.push(Effect::Arm { timer, after });
            }
            Timer::MasterCall => self.calls_timed_out(effects),
            Timer::Sessions => self.reap_sessions(now, effects),
            Timer::Push(index) => self.push_failed(usize::from(index), effects),
            Timer::Disk => {
                self.disk_full = false;
                self.store.retry_disk();
            }
        }
    }

    fn receive(
        &mut self,
        now: Now,
        from: InstanceId,
        message: &DataMessage,
        effects: &mut Vec<Effect>,
    ) {
        if self.member.is_none() {
            return;
        }
        match message {
            DataMessage::Handshake { attempt, mark } => {
                self.serve(from, *attempt, *mark, false, effects);
            }
            DataMessage::HandshakeAnswer { attempt, verdict, epoch, store } => {
                self.handshake_answered(now, from, *attempt, *verdict, (*epoch, *store), effects);
            }
            DataMessage::Transactions { attempt, records, target } => {
                self.transactions(now, (from, *attempt), records, *target, effects);
            }
            DataMessage::PullRefused { attempt, verdict } => {
                self.pull_refused(now, (from, *attempt), *verdict, effects);
            }
            DataMessage::Call { id, epoch, mark, session, call } => {
                self.master_called(now, (from, *id, *session), (*epoch, *mark), call, effects);
            }
            DataMessage::Reply { id, session, reply, obligation } => {
                self.master_replied(now, from, (*id, *session), (reply, *obligation), effects);
            }
            DataMessage::Push { tx, epoch } => self.pushed(from, *tx, *epoch, effects),
            DataMessage::PushAnswer { tx, applied } => {
                self.push_answered(from, *tx, *applied, effects);
            }
            DataMessage::CopyStore { attempt, chunk } => {
                self.copy_asked(from, *attempt, *chunk, effects);
            }
            DataMessage::StoreChunk { attempt, chunk, pages, done } => {
                self.chunk(now, from, (*attempt, *chunk), (pages, *done), effects);
            }
        }
    }

    /// Gives the member an input and carries out what it wants.
    pub(crate) fn drive(
        &mut self,
        now: Now,
        input: wavetank_cluster::Input,
        effects: &mut Vec<Effect>,
    ) {
        let Some(member) = &mut self.member else { return };
        let whole = matches!(self.store.state(), StoreState::Ready);
        let tx = whole.then(|| self.store.mark().tx);
        let moment = Moment { mono: now.mono, wall_ms: now.wall_ms, tx };
        let mut wanted = core::mem::take(&mut self.member_effects);
        member.step(moment, input, &mut wanted);
        for effect in wanted.drain(..) {
            match effect {
                wavetank_cluster::Effect::Send { to, message } => {
                    effects.push(Effect::Send { to, message: PeerMessage::Cluster(message) });
                }
                wavetank_cluster::Effect::Arm { timer, after } => {
                    effects.push(Effect::Arm { timer: Timer::Cluster(timer), after });
                }
                wavetank_cluster::Effect::Cancel(timer) => {
                    effects.push(Effect::Cancel(Timer::Cluster(timer)));
                }
                wavetank_cluster::Effect::Fact(fact) => effects.push(Effect::Fact(fact)),
                wavetank_cluster::Effect::JoinFailed(why) => {
                    let (instance, denied) = (self.id(), why == JoinFailure::Denied);
                    effects.push(Effect::Fact(Fact::JoinFailed { instance, denied }));
                    effects.push(Effect::Exit);
                }
                wavetank_cluster::Effect::Left => {
                    if self.stopping {
                        effects.push(Effect::Fact(Fact::Left { instance: self.id() }));
                        effects.push(Effect::Exit);
                    } else {
                        self.stay_out(effects);
                    }
                }
                wavetank_cluster::Effect::Keep(kept) => {
                    self.promises.insert(kept.instance, kept);
                }
                wavetank_cluster::Effect::Switch(switch) => {
                    self.switch(now, switch, effects);
                }
            }
        }
        self.member_effects = wanted;
    }

    fn new_member(&self, now: Now) -> Member {
        let config = &self.config;
        let (configuration, cluster) =
            (config.configuration.clone(), config.settings.cluster.clone());
        Member::new(configuration, cluster, config.slave_only, now.wall_ms, config.bugs)
            .at(config.address)
    }

    /// Tells the new member what an earlier life promised, and lets it look for the cluster.
    fn join_cluster(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for kept in core::mem::take(&mut self.promises).into_values() {
            self.promises.insert(kept.instance, kept);
            self.drive(now, wavetank_cluster::Input::Recall(kept), effects);
        }
        self.drive(now, wavetank_cluster::Input::Start, effects);
    }

    /// Leaves the cluster, and ends the process once the others know. One that is still
    /// looking for the cluster, or opening its store, just ends.
    fn stop(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        if self.member.is_none() {
            effects.push(Effect::Exit);
            return;
        }
        self.drive(now, wavetank_cluster::Input::Leave, effects);
    }

    pub(crate) fn role_changed(&mut self, to: Role, effects: &mut Vec<Effect>) {
        if to != self.role {
            let from = core::mem::replace(&mut self.role, to);
            effects.push(Effect::Fact(Fact::RoleChanged {
                instance: self.id(),
                from,
                to,
                log: self.store.mark(),
            }));
        }
    }
}
