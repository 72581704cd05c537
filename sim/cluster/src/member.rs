//! One member of the cluster: the state machines wired together.
//!
//! The driver calls [`Member::step`] with one input at a time and carries out the effects:
//! it owns timers (armed and cancelled by name), sockets and clocks.

use alloc::vec::Vec;

use wavetank_vocabulary::{Epoch, Fact, InstanceId, PlantedBugs, Role, Span};

use crate::broadcast::Broadcast;
use crate::configuration::{Configuration, MemberSet};
use crate::election::{Candidate, Credentials, Election, Next, winner_id};
use crate::heartbeat::Heartbeat;
use crate::interface::{Effect, Input, Moment, Switch, Timer};
use crate::message::{Availability, Message, Value};
use crate::role::{RoleMachine, Transition};
use crate::settings::Settings;

/// One member. `step` is its only door.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    configuration: Configuration,
    settings: Settings,
    slave_only: bool,
    bugs: PlantedBugs,
    heartbeat: Heartbeat,
    election: Election,
    broadcast: Broadcast,
    role: RoleMachine,
    /// Per member: in which role it said it serves.
    availability: Vec<Availability>,
    /// A switch that was completed while there was no quorum to tell: told once there is.
    untold: Option<Availability>,
}

impl Member {
    /// A member that has not entered the cluster yet. `wall_ms` numbers its broadcasts and
    /// elections, so that they ascend over restarts.
    pub fn new(
        configuration: Configuration,
        settings: Settings,
        slave_only: bool,
        wall_ms: u64,
        bugs: PlantedBugs,
    ) -> Self {
        Member {
            heartbeat: Heartbeat::new(&configuration),
            election: Election::new(wall_ms),
            broadcast: Broadcast::new(&configuration, wall_ms),
            role: RoleMachine::new(),
            availability: alloc::vec![Availability::Unavailable; configuration.total()],
            untold: None,
            configuration,
            settings,
            slave_only,
            bugs,
        }
    }

    /// The present role.
    pub fn role(&self) -> Role {
        self.role.role()
    }

    /// Who belongs to the cluster.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
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
    pub fn alive(&self) -> MemberSet {
        self.configuration.everyone().difference(self.heartbeat.failed())
    }

    /// Whether a member counts as failed.
    pub fn has_failed(&self, id: InstanceId) -> bool {
        self.configuration.index_of(id).is_some_and(|index| self.heartbeat.failed().contains(index))
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

    /// Takes one input; appends what is to be done to `effects`.
    pub fn step(&mut self, moment: Moment, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Start => self.enter(effects),
            Input::Message { from, message } => {
                // A stranger is not answered.
                let Some(from) = self.configuration.index_of(from) else { return };
                if from != self.configuration.me() {
                    self.receive(moment, from, message, effects);
                }
            }
            Input::Timer(timer) => self.timer(moment, timer, effects),
            Input::SwitchedToMaster(epoch) => {
                if self.role() == Role::ToMaster {
                    let value = Value::Member(Availability::Master(epoch));
                    self.broadcast(moment, value, effects);
                }
            }
            Input::SwitchedToSlave(master) => {
                if self.role() == Role::ToSlave && self.master().is_some_and(|(id, _)| id == master)
                {
                    self.broadcast(moment, Value::Member(Availability::Slave), effects);
                }
            }
            Input::SwitchFailed => {
                self.give_up(moment, effects);
                self.election.demote(self.configuration.me());
                self.perform_role_elections(moment, Some(self.configuration.me()), effects);
            }
            Input::StaleEpoch => {
                self.give_up(moment, effects);
                self.perform_role_elections(moment, None, effects);
            }
        }
    }

    fn enter(&mut self, effects: &mut Vec<Effect>) {
        for other in self.configuration.others().iter() {
            effects.push(Effect::Arm {
                timer: Timer::IAmAlive(other as u8),
                after: self.settings.heartbeat_timeout,
            });
            self.heartbeat_to(other, effects);
        }
        // Every instance that enters asks for elections; the elector may be somebody else.
        // By timer, so that the others have a moment to come up at a cold start.
        effects.push(Effect::Arm { timer: Timer::Election, after: Span::from_millis(10) });
    }

    fn timer(&mut self, moment: Moment, timer: Timer, effects: &mut Vec<Effect>) {
        match timer {
            Timer::SendHeartbeat(to) => self.heartbeat_to(usize::from(to), effects),
            Timer::IAmAlive(from) => {
                let from = usize::from(from);
                effects.push(Effect::Arm { timer, after: self.settings.heartbeat_timeout });
                if self.heartbeat.timed_out(self.configuration.me(), from) {
                    effects.push(Effect::Fact(Fact::Suspected {
                        by: self.id(),
                        whom: self.configuration.id(from),
                    }));
                }
                self.send_suspicions(effects);
                self.judge(moment, effects);
            }
            Timer::Election => {
                let demoted = self.election.timed_out().flatten();
                self.perform_role_elections(moment, demoted, effects);
            }
        }
    }

    #[inline]
    fn receive(
        &mut self,
        moment: Moment,
        from: usize,
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        // Any message but a suspicion is a sign of life (HeartbeatIAmAliveProcessor).
        if let Message::Suspicions(suspected) = message {
            self.heartbeat.told(&self.configuration, self.settings.compat, from, suspected);
            self.judge(moment, effects);
            return;
        }
        effects.push(Effect::Arm {
            timer: Timer::IAmAlive(from as u8),
            after: self.settings.heartbeat_timeout,
        });
        if self.heartbeat.heard(self.configuration.me(), from) {
            effects.push(Effect::Fact(Fact::Cleared {
                by: self.id(),
                whom: self.configuration.id(from),
            }));
            self.judge(moment, effects);
            self.send_suspicions(effects);
        }
        match message {
            Message::IAmAlive { learned } => {
                for (sequence, value) in self.broadcast.missing(learned).into_iter().flatten() {
                    self.send(from, Message::Learn { sequence, value }, effects);
                }
            }
            Message::PerformRoleElections => self.perform_role_elections(moment, None, effects),
            Message::Vote { version } => {
                let credentials = self.credentials(moment);
                let accepted = self.election.accepted();
                self.send(from, Message::Voted { version, credentials, accepted }, effects);
            }
            Message::Voted { version, credentials, accepted } => {
                self.vote(moment, from, version, (credentials, accepted), effects);
            }
            Message::Learn { sequence, value } => {
                if self.broadcast.learn(from, sequence) {
                    self.learn(moment, from, value, effects);
                }
            }
            Message::Suspicions(_) => {}
        }
    }

    fn id(&self) -> InstanceId {
        self.configuration.id(self.configuration.me())
    }

    #[inline]
    fn send(&self, to: usize, message: Message, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send { to: self.configuration.id(to), message });
        // A heartbeat goes only over an idle link (HeartbeatRefreshProcessor).
        effects.push(Effect::Arm {
            timer: Timer::SendHeartbeat(to as u8),
            after: self.settings.heartbeat_interval,
        });
    }

    #[inline]
    fn heartbeat_to(&self, to: usize, effects: &mut Vec<Effect>) {
        self.send(to, Message::IAmAlive { learned: self.broadcast.learned_from(to) }, effects);
    }

    fn send_suspicions(&self, effects: &mut Vec<Effect>) {
        let suspected = self.heartbeat.suspected_by(self.configuration.me());
        for to in self.alive().without(self.configuration.me()).iter() {
            self.send(to, Message::Suspicions(suspected), effects);
        }
    }

    fn judge(&mut self, moment: Moment, effects: &mut Vec<Effect>) {
        let verdicts = self.heartbeat.judge(&self.configuration, self.settings.compat);
        for whom in verdicts.failed.iter() {
            effects.push(Effect::Fact(Fact::MemberFailed {
                by: self.id(),
                whom: self.configuration.id(whom),
            }));
            self.member_failed(moment, whom, effects);
        }
        for whom in verdicts.alive.iter() {
            effects.push(Effect::Fact(Fact::MemberAlive {
                by: self.id(),
                whom: self.configuration.id(whom),
            }));
        }
        if !verdicts.alive.is_empty() {
            if let Some(availability) = self.untold.take() {
                self.broadcast(moment, Value::Member(availability), effects);
            }
            self.perform_role_elections(moment, None, effects);
        }
    }

    fn member_failed(&mut self, moment: Moment, whom: usize, effects: &mut Vec<Effect>) {
        let transition = {
            let alive = self.alive().len();
            let total = self.configuration.total();
            self.guarded(effects, |role, compat| role.member_is_failed(compat, whom, alive, total))
        };
        self.carry_out(moment, transition, effects);
        let demoted = self.election.demote(whom).then_some(whom);
        if self.bugs.contains(PlantedBugs::NO_ELECTION_AFTER_FAILURE) {
            return;
        }
        let next = self.election.count(&self.configuration, self.alive(), self.bugs);
        self.elect(moment, next, effects);
        if self.election.coordinator().is_none() && self.is_elector() {
            self.perform_role_elections(moment, demoted, effects);
        }
    }

    fn is_elector(&self) -> bool {
        self.alive().lowest() == Some(self.configuration.me())
    }

    fn perform_role_elections(
        &mut self,
        moment: Moment,
        demoted: Option<usize>,
        effects: &mut Vec<Effect>,
    ) {
        if self.bugs.contains(PlantedBugs::NO_ELECTION_AFTER_FAILURE)
            && self.election.coordinator().is_none()
            && !self.heartbeat.failed().is_empty()
        {
            return;
        }
        let alive = self.alive();
        if !self.is_elector() {
            if let Some(elector) = alive.lowest() {
                self.send(elector, Message::PerformRoleElections, effects);
            }
            return;
        }
        if alive.len() < self.configuration.quorum() {
            return;
        }
        let next = self.election.begin(alive, demoted);
        if let Next::Ask(_, version) = next {
            effects.push(Effect::Fact(Fact::ElectionBegan { elector: self.id(), version }));
            effects.push(Effect::Arm {
                timer: Timer::Election,
                after: self.settings.election_timeout,
            });
        }
        self.elect(moment, next, effects);
    }

    fn credentials(&self, moment: Moment) -> Credentials {
        let master = matches!(self.role(), Role::Master | Role::ToMaster);
        match moment.tx {
            Some(tx) if !self.slave_only && self.role() != Role::ToSlave => {
                Credentials::Electable(Candidate { tx, master })
            }
            _ => Credentials::NotElectable,
        }
    }

    fn vote(
        &mut self,
        moment: Moment,
        from: usize,
        version: u64,
        ballot: (Credentials, u64),
        effects: &mut Vec<Effect>,
    ) {
        let next = self.election.voted(
            &self.configuration,
            self.alive(),
            from,
            version,
            ballot,
            self.bugs,
        );
        self.elect(moment, next, effects);
    }

    fn elect(&mut self, moment: Moment, next: Next, effects: &mut Vec<Effect>) {
        match next {
            Next::Nothing => {}
            Next::Ask(whom, version) => {
                for to in whom.without(self.configuration.me()).iter() {
                    self.send(to, Message::Vote { version }, effects);
                }
                if whom.contains(self.configuration.me()) {
                    let mine = (self.credentials(moment), self.election.accepted());
                    self.vote(moment, self.configuration.me(), version, mine, effects);
                }
            }
            Next::Ended { version, winner } => {
                if winner.is_some() {
                    effects.push(Effect::Cancel(Timer::Election));
                } else {
                    // Candidates may be on their way to slave: ask again.
                    let after = self.settings.election_timeout;
                    effects.push(Effect::Arm { timer: Timer::Election, after });
                }
                let winner = winner_id(&self.configuration, winner);
                let elector = self.id();
                effects.push(Effect::Fact(Fact::ElectionEnded { elector, version, winner }));
                self.broadcast(moment, Value::Elected { winner, elector, version }, effects);
            }
        }
    }

    /// Spreads a value of mine. Without a quorum a result is dropped, and availability waits.
    fn broadcast(&mut self, moment: Moment, value: Value, effects: &mut Vec<Effect>) {
        if self.alive().len() < self.configuration.quorum() && !self.keeps_writes_alone() {
            if let Value::Member(availability) = value {
                self.untold = Some(availability);
            }
            return;
        }
        let sequence = self.broadcast.propose(value);
        for to in self.alive().without(self.configuration.me()).iter() {
            self.send(to, Message::Learn { sequence, value }, effects);
        }
        self.learn(moment, self.configuration.me(), value, effects);
    }

    fn keeps_writes_alone(&self) -> bool {
        self.configuration.total() == 2
            && self.settings.compat.lone_master_of_two_keeps_writes()
            && self.role() == Role::Master
    }

    fn learn(&mut self, moment: Moment, from: usize, value: Value, effects: &mut Vec<Effect>) {
        match value {
            Value::Elected { winner, version, .. } => {
                let winner = winner.and_then(|id| self.configuration.index_of(id));
                if !self.election.learned(winner, version) {
                    return;
                }
                self.broadcast.superseded(version);
                if let Some(winner) = winner {
                    let me = self.configuration.me();
                    let slave_only = self.slave_only;
                    if winner == me && moment.tx.is_none() {
                        // The vote was given while there still was a whole store.
                        self.election.demote(me);
                        self.perform_role_elections(moment, Some(me), effects);
                        return;
                    }
                    let transition = self
                        .guarded(effects, |role, _| role.master_is_elected(me, winner, slave_only));
                    self.carry_out(moment, transition, effects);
                }
            }
            Value::Member(availability) => {
                self.availability[from] = availability;
                let me = self.configuration.me();
                let slave_only = self.slave_only;
                let transition = match availability {
                    Availability::Master(epoch) => self.guarded(effects, |role, _| {
                        role.master_is_available(me, from, epoch, slave_only)
                    }),
                    Availability::Slave if from == me => {
                        self.guarded(effects, |role, _| role.slave_is_available())
                    }
                    _ => Transition::Stay,
                };
                self.carry_out(moment, transition, effects);
            }
        }
    }

    /// Runs a transition and reports a change of role, or of the master followed.
    fn guarded(
        &mut self,
        effects: &mut Vec<Effect>,
        transition: impl FnOnce(&mut RoleMachine, crate::Compat) -> Transition,
    ) -> Transition {
        let before = self.role;
        let what = transition(&mut self.role, self.settings.compat);
        if self.role != before {
            self.untold = None;
            effects.push(Effect::Switch(Switch {
                from: before.role(),
                to: self.role.role(),
                master: self.master(),
            }));
        }
        what
    }

    fn carry_out(&mut self, moment: Moment, transition: Transition, effects: &mut Vec<Effect>) {
        match transition {
            Transition::Stay | Transition::Settled | Transition::ToSlave => {}
            Transition::Announce => {
                let again = Value::Member(self.broadcast.my_availability());
                self.broadcast_quietly(again, effects);
            }
            Transition::ToPending | Transition::Detach | Transition::ToMaster => {
                self.retract(effects);
            }
            Transition::Illegal => {
                if self.settings.compat == crate::Compat::V2_3_0 {
                    // A RuntimeException there: logged, and nothing more.
                    return;
                }
                self.give_up(moment, effects);
                self.perform_role_elections(moment, None, effects);
            }
        }
    }

    /// Says again what I said of myself, without learning it anew.
    fn broadcast_quietly(&mut self, value: Value, effects: &mut Vec<Effect>) {
        let sequence = self.broadcast.propose(value);
        for to in self.alive().without(self.configuration.me()).iter() {
            self.send(to, Message::Learn { sequence, value }, effects);
        }
    }

    /// I no longer serve in the role that I had announced.
    fn retract(&mut self, effects: &mut Vec<Effect>) {
        if self.broadcast.my_availability() != Availability::Unavailable {
            self.availability[self.configuration.me()] = Availability::Unavailable;
            self.broadcast_quietly(Value::Member(Availability::Unavailable), effects);
        }
    }

    fn give_up(&mut self, moment: Moment, effects: &mut Vec<Effect>) {
        let transition = self.guarded(effects, |role, _| role.give_up());
        self.carry_out(moment, transition, effects);
    }
}
