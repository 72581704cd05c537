//! How a member comes in and goes out: what follows from the cluster's state machine for all
//! the others.

use alloc::vec::Vec;

use wavetank_vocabulary::{InstanceId, LogLine};

use super::Member;
use crate::cluster::{Answer, ClusterState, Found};
use crate::interface::{Effect, JoinFailure, Moment, Timer};
use crate::message::{Address, Availability, Message, PaxosInstance, Value};
use crate::out::Out;

impl Member {
    /// True when the asker is a member at that address.
    pub(super) fn configuration_requested(
        &mut self,
        from: usize,
        address: Address,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let alive = !self.heartbeat.failed().contains(from);
        match self.cluster.requested(from, address, alive) {
            Answer::Nothing => false,
            Answer::Denied => {
                self.send(from, Message::JoinDenied, effects);
                false
            }
            Answer::SameId => {
                self.join_failed(JoinFailure::SameId, effects);
                false
            }
            Answer::Configuration { known } => {
                let took_back = self.heartbeat.restarted(from);
                // Its clock may have been set back.
                self.election.forget_elector(from);
                let members = self.members();
                let delivered = self.learner.delivered();
                let coordinator = self.coordinator();
                let address = self.cluster.address();
                let moved = self.cluster.moved(self.me());
                let answer = Message::ConfigurationResponse {
                    address,
                    known,
                    members,
                    moved,
                    coordinator,
                    delivered,
                };
                self.send(from, answer, effects);
                for other in moved.without(from).iter() {
                    if let Some(address) = self.cluster.address_of(other) {
                        let whom = self.configuration.id(other);
                        self.send(from, Message::MemberAt { whom, address }, effects);
                    }
                }
                if took_back {
                    // Nobody else may ever say anything of whom it suspected.
                    self.judge(effects);
                }
                known
            }
        }
    }

    pub(super) fn join_failed(&mut self, why: JoinFailure, effects: &mut Vec<Effect>) {
        effects.push(Effect::Cancel(Timer::Configuration));
        effects.push(Effect::JoinFailed(why));
    }

    pub(super) fn configuration_found(
        &mut self,
        from: usize,
        found: Found,
        (coordinator, delivered): (Option<InstanceId>, PaxosInstance),
        effects: &mut Vec<Effect>,
    ) {
        if found == Found::Nothing {
            return;
        }
        let index = coordinator.and_then(|id| self.configuration.index_of(id));
        let coordinator = index.filter(|whom| self.members().contains(*whom));
        self.election.set_coordinator(coordinator);
        self.acceptor.join();
        self.learner.join(delivered, Some(from));
        self.broadcast.join();
        if found == Found::Member {
            self.enter(effects);
        } else {
            let door = coordinator.unwrap_or(from);
            let join = Value::Join(self.id(), self.cluster.address());
            self.send(door, Message::Propose(join), effects);
        }
    }

    /// A cold start: the cluster begins with me, as coordinator.
    pub(super) fn create(&mut self, moment: Moment, effects: &mut Vec<Effect>) {
        self.acceptor.join();
        self.learner.join(0, None);
        self.enter(effects);
        let me = self.me();
        self.elected(moment, Some(me), (me, 1), effects);
    }

    pub(super) fn enter(&mut self, effects: &mut Vec<Effect>) {
        let (id, total) = (self.id(), self.configuration.total());
        self.cluster.enter(out!(self, effects));
        self.proposer.join(id, self.learner.delivered());
        self.heartbeat.join(total);
        self.election.join();
        self.broadcast.enter();
        self.snapshot.join();
        for other in self.members().without(self.me()).iter() {
            self.watch(other, effects);
        }
        self.log(LogLine::Joined(id), effects);
        // Every instance that enters asks for elections.
        self.perform_role_elections(None, effects);
    }

    /// Begins to expect heartbeats of a member, and to send some.
    pub(super) fn watch(&mut self, whom: usize, effects: &mut Vec<Effect>) {
        let after = self.settings.heartbeat_timeout;
        effects.push(Effect::Arm { timer: Timer::IAmAlive(whom as u8), after });
        self.heartbeat_to(whom, effects);
    }

    pub(super) fn leave(&mut self, effects: &mut Vec<Effect>) {
        if self.cluster.state() == ClusterState::Leaving {
            return;
        }
        if self.cluster.leave(out!(self, effects)) {
            let id = self.id();
            self.broadcast(Value::Leave(id), effects);
        } else {
            self.gone(effects);
        }
    }

    /// Out of the cluster: all state machines begin anew.
    pub(super) fn gone(&mut self, effects: &mut Vec<Effect>) {
        self.give_up(effects);
        self.cluster.gone(out!(self, effects));
        self.proposer.leave(out!(self, effects));
        self.acceptor.leave(self.settings.acceptor_memory);
        self.learner.leave();
        self.heartbeat.leave();
        self.election.leave();
        self.broadcast.leave();
        self.snapshot.leave();
        self.inner.clear();
        self.availability.fill(Availability::Unavailable);
        for other in self.configuration.others().iter() {
            effects.push(Effect::Cancel(Timer::SendHeartbeat(other as u8)));
            effects.push(Effect::Cancel(Timer::IAmAlive(other as u8)));
        }
        for timer in [Timer::Election, Timer::Broadcast, Timer::Learn] {
            effects.push(Effect::Cancel(timer));
        }
        effects.push(Effect::Left);
    }
}
