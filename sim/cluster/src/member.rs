//! One member of the cluster: the state machines wired together.
//!
//! The driver calls [`Member::step`] with one input at a time and carries out the effects:
//! it owns timers (armed and cancelled by name), sockets and clocks. Messages to oneself are
//! handled within the step.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wavetank_vocabulary::{Epoch, Fact, HaRole, InstanceId, PlantedBugs, Role};

use crate::acceptor::Acceptor;
use crate::broadcast::Broadcast;
use crate::cluster::{Cluster, ClusterState, Silence};
use crate::configuration::{Configuration, MemberSet};
use crate::election::Election;
use crate::flaws::Flaws;
use crate::heartbeat::{Heartbeat, Rules};
use crate::interface::{Effect, Input, Moment, Timer};
use crate::learner::Learner;
use crate::message::{Address, Availability, Message, PaxosInstance};
use crate::out::Out;
use crate::proposer::{Audience, Proposer};
use crate::role::RoleMachine;
use crate::settings::{AcceptorMemory, Quorum, Settings};
use crate::snapshot::Snapshot;

/// The way out of a step, while the state machines themselves stay free to be borrowed.
macro_rules! out {
    ($member:ident, $effects:ident) => {
        &mut Out {
            configuration: &$member.configuration,
            settings: &$member.settings,
            inner: &mut $member.inner,
            effects: &mut *$effects,
        }
    };
}

mod delivery;
mod elections;
mod membership;
mod steady;

/// One member. `step` is its only door.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    configuration: Configuration,
    settings: Settings,
    slave_only: bool,
    bugs: PlantedBugs,
    cluster: Cluster,
    heartbeat: Heartbeat,
    election: Election,
    proposer: Proposer,
    acceptor: Acceptor,
    learner: Learner,
    broadcast: Broadcast,
    snapshot: Snapshot,
    role: RoleMachine,
    /// Per instance: in which role it said it serves.
    availability: Vec<Availability>,
    /// The master that this member is becoming the slave of was announced once more since.
    announced_again: bool,
    /// Messages to myself; empty between steps.
    inner: VecDeque<Message>,
}

impl Member {
    /// An instance that is in no cluster yet. `configuration` names the initial hosts,
    /// itself among them; `wall_ms` numbers its elections, so that they ascend over restarts.
    pub fn new(
        configuration: Configuration,
        settings: Settings,
        slave_only: bool,
        wall_ms: u64,
        bugs: PlantedBugs,
    ) -> Self {
        Member {
            cluster: Cluster::new(&configuration, &settings, 0),
            heartbeat: Heartbeat::default(),
            election: Election::new(wall_ms),
            proposer: Proposer::default(),
            acceptor: Acceptor::default(),
            learner: Learner::default(),
            broadcast: Broadcast::default(),
            snapshot: Snapshot::default(),
            role: RoleMachine::new(),
            availability: alloc::vec![Availability::Unavailable; configuration.total()],
            announced_again: false,
            inner: VecDeque::new(),
            configuration,
            settings,
            slave_only,
            bugs,
        }
    }

    /// The same, at an address of its own: a member that comes back at another one than it
    /// was known by is a stranger.
    #[must_use]
    pub fn at(mut self, address: Address) -> Self {
        self.cluster = Cluster::new(&self.configuration, &self.settings, address);
        self
    }

    /// The same as an arbiter: it votes for others, counts for quorums, and serves nobody.
    #[must_use]
    pub fn arbiter(mut self) -> Self {
        self.role = RoleMachine::arbiter();
        self
    }

    /// The present role.
    pub fn role(&self) -> Role {
        self.role.role()
    }

    /// Whether an election runs whose votes it counts.
    pub fn counts_votes(&self) -> bool {
        self.election.running().is_some()
    }

    /// The initial hosts: whoever can ever be a member.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Where it stands in the cluster.
    pub fn cluster_state(&self) -> ClusterState {
        self.cluster.state()
    }

    /// Who is a member of the cluster, failed ones included.
    pub fn members(&self) -> MemberSet {
        self.cluster.members()
    }

    /// The first Paxos instance that is not delivered here.
    pub fn delivered(&self) -> PaxosInstance {
        self.learner.delivered()
    }

    /// Whether it needs a value that no other member remembers, because all restarted since
    /// or it lags too far behind: it delivers nothing any more until it is restarted. The
    /// original logs "Did not have learned value for Paxos instance".
    pub fn is_stranded(&self) -> bool {
        self.learner.is_stranded(self.alive().without(self.me()))
    }

    /// The member elected last, unless it failed since.
    pub fn coordinator(&self) -> Option<InstanceId> {
        self.election.coordinator().map(|index| self.configuration.id(index))
    }

    /// The master that this member follows, or is about to.
    pub fn master(&self) -> Option<(InstanceId, Epoch)> {
        self.role.master().map(|(index, epoch)| (self.configuration.id(index), epoch))
    }

    /// Members that count as alive, me among them.
    #[inline]
    pub fn alive(&self) -> MemberSet {
        self.cluster.members().difference(self.heartbeat.failed())
    }

    /// How many members seem to be alive.
    fn counted_alive(&self) -> usize {
        self.alive().len().saturating_sub(self.heartbeat.leavers())
    }

    /// Whether this slave's puller stays paused: its master was announced once more while it
    /// became one ([`Flaws::PULLER_LEFT_PAUSED`]).
    pub fn puller_is_left_paused(&self) -> bool {
        self.announced_again && self.settings.flaws.contains(Flaws::PULLER_LEFT_PAUSED)
    }

    /// Whether a member counts as failed.
    pub fn has_failed(&self, id: InstanceId) -> bool {
        self.configuration.index_of(id).is_some_and(|index| self.heartbeat.failed().contains(index))
    }

    /// Members (by index) that count as failed here although they are heard, because others
    /// that count as failed suspected them last. In 2.2 and 2.3.0 members that were cut off
    /// from each other may stay so until they are restarted: a suspicion that is taken back
    /// is told to the alive only (HA specification 2.2). Empty in later versions.
    pub fn held_by_the_failed(&self) -> MemberSet {
        self.heartbeat.held_by_the_failed()
    }

    /// Whether that other member, which this one counts as a member, does not count this one,
    /// and nothing is left that could tell either: both delivered all that they know of, and
    /// the other one no more than this one. This one gets no heartbeats from there, and may
    /// lose its master for good, until it is restarted and asks to be let in.
    ///
    /// Comes of deciding by a majority of the alive and of memory that dies with the process
    /// (HA specification 2.3): the side that chose its joining is gone, and the others chose
    /// something else in that Paxos instance. In all versions.
    pub fn is_counted_out_by(&self, other: &Member) -> bool {
        let both = [self, other];
        both.iter().all(|m| m.cluster.takes_part() && m.learner.is_up_to_date())
            && self.members().contains(other.me())
            && !other.members().contains(self.me())
            && other.delivered() <= self.delivered()
    }

    /// Members (by index) that said they serve as slaves, failed ones included.
    pub fn slaves(&self) -> MemberSet {
        let mut set = MemberSet::EMPTY;
        for (index, availability) in self.availability.iter().enumerate() {
            if *availability == Availability::Slave {
                set = set.with(index);
            }
        }
        set
    }

    /// As what the member of that index said it serves; a failed one may say so still.
    pub fn serves_as(&self, index: usize) -> HaRole {
        self.availability.get(index).copied().unwrap_or_default().into()
    }

    /// Takes one input; appends what is to be done to `effects`.
    pub fn step(&mut self, moment: Moment, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Recall(kept) => self.acceptor.recall(kept),
            Input::Start => self.cluster.join(out!(self, effects)),
            Input::Leave => self.leave(effects),
            Input::RefreshSnapshot => {
                let coordinator = self.election.coordinator();
                if self.snapshot.refresh(self.members().len())
                    && let Some(coordinator) = coordinator
                {
                    self.send(coordinator, Message::SnapshotRequest, effects);
                }
            }
            Input::Message { from, message } => {
                // A stranger is not answered.
                let Some(from) = self.configuration.index_of(from) else { return };
                if from != self.me() {
                    self.receive(moment, from, message, effects);
                }
            }
            Input::Timer(timer) => self.timer(moment, timer, effects),
            Input::SwitchedToMaster(epoch) => {
                if self.role() == Role::ToMaster {
                    self.announce(Availability::Master(epoch), effects);
                }
            }
            Input::SwitchedToSlave(master) => {
                if self.role() == Role::ToSlave && self.master().is_some_and(|(id, _)| id == master)
                {
                    self.announce(Availability::Slave, effects);
                }
            }
            Input::StaleEpoch => {
                self.give_up(effects);
                self.perform_role_elections(None, effects);
            }
        }
        while let Some(message) = self.inner.pop_front() {
            self.handle(moment, self.me(), message, effects);
        }
    }

    fn me(&self) -> usize {
        self.configuration.me()
    }

    fn id(&self) -> InstanceId {
        self.configuration.id(self.me())
    }

    #[inline]
    fn send(&mut self, to: usize, message: Message, effects: &mut Vec<Effect>) {
        out!(self, effects).send(to, message);
    }

    fn rules(&self) -> Rules {
        Rules {
            compat: self.settings.compat,
            members: self.members(),
            me: self.me(),
            bugs: self.bugs,
        }
    }

    /// Who decides on a value and who is told: up to `ha.max_acceptors` of the alive, but all
    /// where quorums are of all hosts.
    fn audience(&self) -> Audience {
        let acceptors = match self.settings.quorum {
            Quorum::OfTheAlive => {
                let deciding = self.alive().iter().take(self.settings.max_acceptors as usize);
                deciding.fold(MemberSet::EMPTY, MemberSet::with)
            }
            Quorum::OfAllHosts => self.configuration.everyone(),
        };
        Audience { acceptors, learners: self.members() }
    }

    fn timer(&mut self, moment: Moment, timer: Timer, effects: &mut Vec<Effect>) {
        match timer {
            Timer::SendHeartbeat(to) => self.heartbeat_to(usize::from(to), effects),
            Timer::IAmAlive(from) => {
                let from = usize::from(from);
                if !self.cluster.takes_part() || !self.members().contains(from) {
                    return;
                }
                effects.push(Effect::Arm { timer, after: self.settings.heartbeat_timeout });
                if self.heartbeat.timed_out(self.me(), from) {
                    effects.push(Effect::Fact(Fact::Suspected {
                        by: self.id(),
                        whom: self.configuration.id(from),
                    }));
                }
                self.send_suspicions(effects);
                self.judge(effects);
            }
            Timer::Election => self.election_timed_out(effects),
            Timer::Configuration => {
                match self.cluster.configuration_timed_out(out!(self, effects)) {
                    Silence::AskAgain => {}
                    Silence::Create => self.create(moment, effects),
                    Silence::Failed(why) => self.join_failed(why, effects),
                }
            }
            Timer::Join => {
                if self.cluster.join_timed_out(out!(self, effects)) {
                    self.acceptor.leave(self.settings.acceptor_memory);
                    self.learner.leave();
                    self.broadcast.leave();
                }
            }
            Timer::Leave => {
                // The others may consider this instance a member still.
                if self.cluster.state() == ClusterState::Leaving {
                    self.gone(effects);
                }
            }
            Timer::Broadcast => self.announce_again(effects),
            Timer::Learn => {
                let others = self.alive().without(self.me());
                self.learner.timed_out(others, out!(self, effects));
                if self.settings.acceptor_memory == AcceptorMemory::Durable
                    && self.learner.is_stranded(others)
                {
                    self.ask_the_acceptors(effects);
                }
            }
            Timer::Paxos(slot) => {
                let (known, audience) = (self.learner.known(), self.audience());
                let slot = usize::from(slot);
                let failed = self.proposer.timed_out(slot, known, audience, out!(self, effects));
                if let Some(value) = failed {
                    self.broadcast(value, effects);
                }
            }
        }
    }

    /// A message of another member. Any but heartbeats proper and suspicions is a sign of
    /// life as well (HeartbeatIAmAliveProcessor).
    #[inline]
    fn receive(
        &mut self,
        moment: Moment,
        from: usize,
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        if let Message::ConfigurationRequest { address } = message {
            // Answered first, so that what its sign of life causes finds it in the cluster.
            // Who has to be let in first is no member at that address: no sign of its life.
            if !self.configuration_requested(from, address, effects) {
                return;
            }
        }
        if self.cluster.takes_part() && self.members().contains(from) {
            if let Message::Suspicions(suspected) = message {
                let rules = self.rules();
                self.heartbeat.told(rules, from, suspected);
                self.judge(effects);
                return;
            }
            effects.push(Effect::Arm {
                timer: Timer::IAmAlive(from as u8),
                after: self.settings.heartbeat_timeout,
            });
            if !self.bugs.contains(PlantedBugs::SUSPICION_NEVER_CLEARED)
                && self.heartbeat.heard(self.me(), from)
            {
                effects.push(Effect::Fact(Fact::Cleared {
                    by: self.id(),
                    whom: self.configuration.id(from),
                }));
                self.judge(effects);
                self.send_suspicions(effects);
            }
            if let Message::IAmAlive { learned } = message {
                if !self.settings.flaws.contains(Flaws::HEARTBEATS_WITHOUT_LEARNED) {
                    self.learner.catch_up(learned, from, out!(self, effects));
                }
                return;
            }
        }
        if let Message::IAmAlive { learned } = message {
            self.tell_leaver(from, learned, effects);
        }
        self.handle(moment, from, message, effects);
    }

    /// Who is no member but sends heartbeats came back through one that had not learned yet
    /// that it left. From the answer it sees that it has values to learn, that one among them.
    fn tell_leaver(&mut self, from: usize, learned: PaxosInstance, effects: &mut Vec<Effect>) {
        let delivered = self.learner.delivered();
        if self.cluster.takes_part() && learned < delivered {
            self.send(from, Message::IAmAlive { learned: delivered }, effects);
        }
    }

    /// A message of another member or of this one.
    fn handle(&mut self, moment: Moment, from: usize, message: Message, effects: &mut Vec<Effect>) {
        match message {
            // Handled on arrival; of no use to who is in no cluster.
            Message::IAmAlive { .. }
            | Message::Suspicions(_)
            | Message::ConfigurationRequest { .. } => {}
            Message::JoinDenied => self.cluster.denied(),
            Message::MemberAt { whom, address } => {
                if let Some(whom) = self.configuration.index_of(whom) {
                    self.cluster.told_address(from, whom, address);
                }
            }
            // Another proposer came in between: its value will be learned, or the phase 2
            // timeout tries again. To try at once would let two proposers chase each other.
            Message::RejectAccept { .. } => {}
            Message::PerformRoleElections => self.perform_role_elections(None, effects),
            Message::Vote { version } => {
                if self.election.votes() {
                    let credentials = self.credentials(moment);
                    self.send(from, Message::Voted { version, credentials }, effects);
                }
            }
            Message::Voted { version, credentials } => {
                let next = self.election.voted(
                    &self.configuration,
                    self.alive(),
                    from,
                    (version, credentials),
                    self.bugs,
                );
                self.elect(next, effects);
            }
            Message::ConfigurationResponse {
                address,
                known,
                members,
                moved,
                coordinator,
                delivered,
            } => {
                let out = out!(self, effects);
                let found = self.cluster.found((from, address), (members, moved), known, out);
                self.configuration_found(from, found, (coordinator, delivered), effects);
            }
            Message::Propose(value) => self.propose(value, effects),
            Message::Prepare { instance, ballot } => {
                if let Some(answer) = self.acceptor.prepare(instance, ballot) {
                    self.keep(instance, effects);
                    self.send(from, answer, effects);
                }
            }
            Message::Promise { instance, ballot, accepted } => {
                self.proposer.promise(from, instance, ballot, accepted, out!(self, effects));
            }
            Message::RejectPrepare { instance, ballot, promised } => {
                let (audience, round) = (self.audience(), (instance, ballot));
                let out = out!(self, effects);
                self.proposer.reject_prepare(from, round, promised, audience, out);
            }
            Message::Accept { instance, ballot, value } => {
                if let Some(answer) = self.acceptor.accept(instance, ballot, value) {
                    self.keep(instance, effects);
                    self.send(from, answer, effects);
                }
            }
            Message::Accepted { instance, ballot } => {
                let (known, audience) = (self.learner.known(), self.audience());
                let round = (instance, ballot);
                self.proposer.accepted(from, round, known, audience, out!(self, effects));
            }
            Message::Learn { instance, value } => {
                if from != self.me() {
                    self.learner.answered(from, instance);
                }
                if self.learner.contradicts(instance, value) {
                    let fact = Fact::ValuesDiffer { instance: self.id(), paxos: instance };
                    effects.push(Effect::Fact(fact));
                }
                self.learner.learn(instance, value);
                self.deliver(moment, effects);
            }
            Message::LearnRequest { instance } => {
                if let Some(answer) = self.learner.requested(instance) {
                    self.send(from, answer, effects);
                }
            }
            Message::LearnFailed { instance } => self.learner.failed(from, instance),
            Message::SnapshotRequest => {
                let delivered = self.learner.delivered();
                let known = &self.availability;
                let answer = self.snapshot.answer(&self.configuration, known, delivered);
                if let Some(answer) = answer {
                    self.send(from, answer, effects);
                }
            }
            Message::Snapshot { delivered, master, slaves } => {
                // One that is behind what was delivered here has nothing to add.
                if self.snapshot.received() && delivered >= self.learner.delivered() {
                    self.take_snapshot(master, slaves, effects);
                }
            }
        }
    }

    // ---- heartbeats -------------------------------------------------------------------

    #[inline]
    fn heartbeat_to(&mut self, to: usize, effects: &mut Vec<Effect>) {
        if self.cluster.takes_part() && self.members().contains(to) {
            let learned = self.learner.delivered();
            self.send(to, Message::IAmAlive { learned }, effects);
        }
    }

    fn send_suspicions(&mut self, effects: &mut Vec<Effect>) {
        let suspected = self.heartbeat.suspected_by(self.me());
        let to = self.alive().without(self.me());
        out!(self, effects).send_all(to, Message::Suspicions(suspected));
    }

    fn judge(&mut self, effects: &mut Vec<Effect>) {
        let rules = self.rules();
        let verdicts = self.heartbeat.judge(rules);
        for whom in verdicts.failed.iter() {
            effects.push(Effect::Fact(Fact::MemberFailed {
                by: self.id(),
                whom: self.configuration.id(whom),
            }));
            self.member_failed(whom, effects);
        }
        for whom in verdicts.alive.iter() {
            effects.push(Effect::Fact(Fact::MemberAlive {
                by: self.id(),
                whom: self.configuration.id(whom),
            }));
        }
        if !verdicts.alive.is_empty() {
            // Who counted as failed was not told when I took a suspicion back.
            let suspected = self.heartbeat.suspected_by(self.me());
            out!(self, effects).send_all(verdicts.alive, Message::Suspicions(suspected));
            self.announce_again(effects);
            self.perform_role_elections(None, effects);
            if self.loops_as_arbiter() {
                let after = self.settings.election_timeout;
                effects.push(Effect::Arm { timer: Timer::Election, after });
            }
        }
    }
}
