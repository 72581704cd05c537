//! Values on their way into the atomic broadcast, and what they do once they are delivered.

use alloc::vec::Vec;

use wavetank_vocabulary::{Epoch, Fact, HaRole, InstanceId, LogLine, Role};

use super::Member;
use crate::broadcast::Route;
use crate::cluster::ClusterState;
use crate::configuration::MemberSet;
use crate::flaws::Flaws;
use crate::interface::{Effect, Moment, Switch, Timer};
use crate::message::{Address, Availability, Message, PaxosInstance, Value};
use crate::out::Out;
use crate::role::{RoleMachine, Transition};
use crate::settings::{AcceptorMemory, Compat};

impl Member {
    // ---- in ---------------------------------------------------------------------------

    /// `broadcast`: gets a value delivered at all members, in the same order everywhere;
    /// without a majority it is dropped.
    pub(super) fn broadcast(&mut self, value: Value, effects: &mut Vec<Effect>) {
        let alive = self.alive();
        let majority = self.counted_alive() >= self.cluster.quorum() || self.keeps_writes_alone();
        match self.broadcast.route(self.me(), self.election.coordinator(), alive, majority) {
            Route::Dropped => {}
            Route::To(proposer) => self.send(proposer, Message::Propose(value), effects),
        }
    }

    /// Proposes a value here.
    pub(super) fn propose(&mut self, value: Value, effects: &mut Vec<Effect>) {
        let (known, audience) = (self.learner.known(), self.audience());
        self.proposer.propose(value, known, audience, out!(self, effects));
    }

    /// The acceptor's memory changed in a Paxos instance: has it kept, or makes room.
    #[inline]
    pub(super) fn keep(&mut self, instance: PaxosInstance, effects: &mut Vec<Effect>) {
        match self.settings.acceptor_memory {
            AcceptorMemory::Durable => {
                effects.extend(self.acceptor.kept(instance).map(Effect::Keep));
            }
            AcceptorMemory::Volatile => self.acceptor.forget_the_oldest(instance),
        }
    }

    /// No learner remembers the next value, but durable acceptors do: what this member says
    /// of itself anyway is proposed in its place.
    pub(super) fn ask_the_acceptors(&mut self, effects: &mut Vec<Effect>) {
        let value = Value::member(self.id(), self.broadcast.announced());
        let (instance, known) = (self.learner.delivered(), self.learner.known());
        let audience = self.audience();
        self.proposer.fill(instance, value, known, audience, out!(self, effects));
    }

    fn keeps_writes_alone(&self) -> bool {
        self.members().len() == 2
            && self.settings.compat.lone_master_of_two_keeps_writes()
            && self.role() == Role::Master
    }

    /// Says in which role I serve.
    pub(super) fn announce(&mut self, availability: Availability, effects: &mut Vec<Effect>) {
        self.broadcast.announce(availability);
        self.announce_again(effects);
    }

    /// Repeats what I said of myself, unless I learned it.
    pub(super) fn announce_again(&mut self, effects: &mut Vec<Effect>) {
        if let Some(availability) = self.broadcast.untold() {
            let after = self.settings.broadcast_timeout;
            effects.push(Effect::Arm { timer: Timer::Broadcast, after });
            self.broadcast(Value::member(self.id(), availability), effects);
        }
    }

    // ---- out --------------------------------------------------------------------------

    /// Takes what was learned, in order, as far as it goes.
    pub(super) fn deliver(&mut self, moment: Moment, effects: &mut Vec<Effect>) {
        while let Some((instance, value)) = self.learner.deliver(self.settings.flaws) {
            let (known, audience) = (self.learner.known(), self.audience());
            self.proposer.learned(instance, value, known, audience, out!(self, effects));
            self.delivered_value(moment, value, effects);
        }
        self.learner.ask(out!(self, effects));
    }

    fn delivered_value(&mut self, moment: Moment, value: Value, effects: &mut Vec<Effect>) {
        match value {
            Value::Join(id, address) => self.joined(id, address, effects),
            Value::Leave(id) => self.left(id, effects),
            Value::Elected { winner, elector, version } => {
                let index = |id| self.configuration.index_of(id);
                if let Some(elector) = index(elector) {
                    let winner = winner.and_then(index);
                    self.elected(moment, winner, (elector, version), effects);
                }
            }
            Value::Master(whom, epoch) => {
                self.available(whom, Availability::Master(epoch), effects);
            }
            Value::Slave(whom) => self.available(whom, Availability::Slave, effects),
            Value::Unavailable(whom) => self.available(whom, Availability::Unavailable, effects),
        }
    }

    fn joined(&mut self, id: InstanceId, address: Address, effects: &mut Vec<Effect>) {
        let Some(whom) = self.configuration.index_of(id) else { return };
        if !self.cluster.joined(self.configuration.me(), whom, address) {
            return;
        }
        if whom == self.me() {
            self.enter(effects);
        } else if self.cluster.takes_part() {
            self.heartbeat.forget(whom);
            self.election.forget_elector(whom);
            self.watch(whom, effects);
            self.log(LogLine::Joined(id), effects);
            self.judge(effects);
        }
    }

    fn left(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        let Some(whom) = self.configuration.index_of(id) else { return };
        if whom == self.me() {
            if self.cluster.takes_part() {
                let asked = self.cluster.state() == ClusterState::Leaving;
                self.gone(effects);
                if !asked {
                    // The word of an earlier life, which came in where that was not known yet:
                    // the others count this member out, so it has to be let in anew.
                    self.cluster.join(out!(self, effects));
                }
            }
            return;
        }
        if !self.cluster.left(whom) || !self.cluster.takes_part() {
            return;
        }
        self.availability[whom] = Availability::Unavailable;
        self.log(LogLine::HasLeft(id), effects);
        effects.push(Effect::Cancel(Timer::SendHeartbeat(whom as u8)));
        effects.push(Effect::Cancel(Timer::IAmAlive(whom as u8)));
        self.heartbeat.forget(whom);
        if self.settings.flaws.contains(Flaws::LEAVERS_STAY_FAILED) {
            self.heartbeat.keep_failed(whom);
        }
        self.election.forget_elector(whom);
        self.demote(whom, effects);
        self.judge(effects);
    }

    /// An election has this outcome.
    pub(super) fn elected(
        &mut self,
        moment: Moment,
        winner: Option<usize>,
        (elector, version): (usize, u64),
        effects: &mut Vec<Effect>,
    ) {
        let before = self.coordinator();
        let by = (elector, elector == self.me());
        if !self.election.learned(winner, by, version) || !self.cluster.takes_part() {
            return;
        }
        let Some(winner) = winner else {
            if let Some(before) = before {
                self.log(LogLine::Demoted(before), effects);
            }
            return;
        };
        self.log(LogLine::Elected(self.configuration.id(winner)), effects);
        let me = self.me();
        let (slave_only, flaws) = (self.slave_only, self.settings.flaws);
        if winner == me && moment.tx.is_none() {
            // The vote was given while there still was a whole store.
            self.election.demote(me);
            self.perform_role_elections(Some(me), effects);
            return;
        }
        let transition =
            self.guarded(effects, |role, _| role.master_is_elected(me, winner, slave_only, flaws));
        self.carry_out(transition, effects);
    }

    /// A member serves in a role, or no longer does.
    fn available(
        &mut self,
        whom: InstanceId,
        availability: Availability,
        effects: &mut Vec<Effect>,
    ) {
        let id = whom;
        let Some(whom) = self.configuration.index_of(whom) else { return };
        let before = core::mem::replace(&mut self.availability[whom], availability);
        let me = self.me();
        let (slave_only, flaws) = (self.slave_only, self.settings.flaws);
        if !self.cluster.takes_part() {
            return;
        }
        match (HaRole::from(before), HaRole::from(availability)) {
            (HaRole::Unknown, HaRole::Unknown) => {}
            (role, HaRole::Unknown) => self.log(LogLine::Unavailable(id, role), effects),
            (_, role) => self.log(LogLine::Available(id, role), effects),
        }
        let under_way = self.broadcast.untold().is_some();
        if whom == me && !self.broadcast.learned(availability) {
            // I said something else since: an echo does not move me, and the others have
            // to hear the newer word last.
            if !under_way {
                self.announce_again(effects);
            }
            return;
        }
        let transition = match availability {
            Availability::Master(epoch) => {
                self.announced_again |=
                    self.role() == Role::ToSlave && self.role.master() == Some((whom, epoch));
                self.guarded(effects, |role, _| {
                    role.master_is_available(me, whom, epoch, slave_only, flaws)
                })
            }
            Availability::Slave if whom == me => {
                self.guarded(effects, |role, _| role.slave_is_available())
            }
            _ => Transition::Stay,
        };
        self.carry_out(transition, effects);
    }

    /// The coordinator's answer to a snapshot request.
    pub(super) fn take_snapshot(
        &mut self,
        master: Option<(InstanceId, Epoch)>,
        slaves: MemberSet,
        effects: &mut Vec<Effect>,
    ) {
        for slave in slaves.intersection(self.members()).without(self.me()).iter() {
            let slave = self.configuration.id(slave);
            self.available(slave, Availability::Slave, effects);
        }
        if let Some((whom, epoch)) = master
            && whom != self.id()
        {
            self.available(whom, Availability::Master(epoch), effects);
        }
    }

    /// Writes a line to the user log.
    pub(super) fn log(&self, line: LogLine, effects: &mut Vec<Effect>) {
        effects.push(Effect::Fact(Fact::Told { instance: self.id(), line }));
    }

    // ---- role -------------------------------------------------------------------------

    /// Runs a transition and reports a change of role, or of the master followed.
    pub(super) fn guarded(
        &mut self,
        effects: &mut Vec<Effect>,
        transition: impl FnOnce(&mut RoleMachine, Compat) -> Transition,
    ) -> Transition {
        let before = self.role;
        let what = transition(&mut self.role, self.settings.compat);
        if self.role != before {
            self.announced_again &= self.role.role() == Role::Slave;
            self.broadcast.void();
            effects.push(Effect::Switch(Switch {
                from: before.role(),
                to: self.role.role(),
                master: self.master(),
            }));
            self.ask_again_later(effects);
        }
        what
    }

    pub(super) fn carry_out(&mut self, transition: Transition, effects: &mut Vec<Effect>) {
        match transition {
            Transition::Stay | Transition::Settled | Transition::ToSlave => {}
            Transition::Announce => self.announce(self.broadcast.announced(), effects),
            Transition::ToPending | Transition::Detach | Transition::ToMaster => {
                self.retract(effects);
            }
            Transition::Illegal => {
                if self.settings.flaws.contains(Flaws::ILLEGAL_TRANSITIONS_IGNORED) {
                    return;
                }
                self.give_up(effects);
                self.perform_role_elections(None, effects);
            }
        }
    }

    /// I no longer serve in the role that I had announced.
    fn retract(&mut self, effects: &mut Vec<Effect>) {
        let served = self.broadcast.announced();
        if served != Availability::Unavailable {
            self.availability[self.configuration.me()] = Availability::Unavailable;
            self.log(LogLine::Unavailable(self.id(), served.into()), effects);
            self.announce(Availability::Unavailable, effects);
        }
    }

    pub(super) fn give_up(&mut self, effects: &mut Vec<Effect>) {
        let transition = self.guarded(effects, |role, _| role.give_up());
        self.carry_out(transition, effects);
    }
}
