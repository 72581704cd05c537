//! What a member does about elections: it asks for them, votes, and counts as elector.

use alloc::vec::Vec;

use wavetank_vocabulary::{Fact, LogLine, PlantedBugs, Role};

use super::Member;
use crate::election::{Candidate, Credentials, Next, winner_id};
use crate::flaws::Flaws;
use crate::interface::{Effect, Moment, Timer};
use crate::message::{Message, Value};
use crate::out::Out;

impl Member {
    /// A quorum suspects that member: it holds no role any more.
    pub(super) fn member_failed(&mut self, whom: usize, effects: &mut Vec<Effect>) {
        let transition = {
            let late = self.bugs.contains(PlantedBugs::QUORUM_LOSS_OFF_BY_ONE);
            let alive = self.counted_alive() + usize::from(late);
            let total = self.members().len();
            self.guarded(effects, |role, compat| role.member_is_failed(compat, whom, alive, total))
        };
        self.carry_out(transition, effects);
        self.election.forget_elector(whom);
        self.demote(whom, effects);
    }

    /// A member failed or left: the elector looks for another holder of its role.
    pub(super) fn demote(&mut self, whom: usize, effects: &mut Vec<Effect>) {
        let demoted = self.election.demote(whom).then_some(whom);
        if demoted.is_some() {
            self.log(LogLine::Demoted(self.configuration.id(whom)), effects);
        }
        if self.bugs.contains(PlantedBugs::NO_ELECTION_AFTER_FAILURE) {
            return;
        }
        let next = self.election.count(&self.configuration, self.alive(), self.bugs);
        self.elect(next, effects);
        if self.election.coordinator().is_none() && self.is_elector() {
            self.perform_role_elections(demoted, effects);
        }
    }

    fn is_elector(&self) -> bool {
        self.alive().lowest() == Some(self.me())
    }

    /// Holds an election as elector, or asks the elector for one.
    pub(super) fn perform_role_elections(
        &mut self,
        demoted: Option<usize>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.cluster.takes_part()
            || self.bugs.contains(PlantedBugs::NO_ELECTION_AFTER_FAILURE)
                && self.election.coordinator().is_none()
                && !self.heartbeat.failed().is_empty()
        {
            return;
        }
        self.ask_again_later(effects);
        let alive = self.alive();
        if !self.is_elector() {
            if let Some(elector) = alive.lowest() {
                self.send(elector, Message::PerformRoleElections, effects);
            }
            return;
        }
        // electionOk
        if self.counted_alive() < self.cluster.quorum() {
            return;
        }
        let next = self.election.begin(alive, demoted);
        if let Next::Ask(_, version) = next {
            effects.push(Effect::Fact(Fact::ElectionBegan { elector: self.id(), version }));
        }
        self.elect(next, effects);
    }

    /// The wish for an election, or its outcome, may get lost with a broken link: who has no
    /// master repeats it. A running election's timeout is not put off by that.
    pub(super) fn ask_again_later(&self, effects: &mut Vec<Effect>) {
        if matches!(self.role(), Role::Pending | Role::Detached)
            && self.election.running().is_none()
            && !self.bugs.contains(PlantedBugs::ELECTION_NOT_RETRIED)
        {
            let after = self.settings.election_timeout;
            effects.push(Effect::Arm { timer: Timer::Election, after });
        }
    }

    /// Votes, or the result itself, did not come in time; or this member still waits for a
    /// master.
    pub(super) fn election_timed_out(&mut self, effects: &mut Vec<Effect>) {
        let forgotten = self.election.timed_out();
        let unlearned = match self.is_elector() {
            true => self.election.is_unlearned(),
            false => self.election.give_way(),
        };
        if forgotten.is_some()
            || unlearned
            || self.election.coordinator().is_none()
            || matches!(self.role(), Role::Pending | Role::Detached)
            || self.loops_as_arbiter()
        {
            self.perform_role_elections(forgotten.flatten(), effects);
            if self.loops_as_arbiter() && self.election.running().is_none() {
                let after = self.settings.election_timeout;
                effects.push(Effect::Arm { timer: Timer::Election, after });
            }
        }
    }

    pub(super) fn loops_as_arbiter(&self) -> bool {
        self.role() == Role::Arbiter && self.settings.flaws.contains(Flaws::ARBITER_ELECTION_LOOP)
    }

    pub(super) fn credentials(&self, moment: Moment) -> Credentials {
        let master = matches!(self.role(), Role::Master | Role::ToMaster);
        match moment.tx {
            Some(tx) if !self.slave_only && self.role() != Role::ToSlave => {
                Credentials::Electable(Candidate { tx, master })
            }
            _ => Credentials::NotElectable,
        }
    }

    pub(super) fn elect(&mut self, next: Next, effects: &mut Vec<Effect>) {
        let after = self.settings.election_timeout;
        match next {
            Next::Nothing => {}
            Next::Ask(whom, version) => {
                effects.push(Effect::Arm { timer: Timer::Election, after });
                out!(self, effects).send_all(whom, Message::Vote { version });
            }
            Next::Ended { version, winner } => {
                // Until the result is learned; and when there is no winner, candidates may
                // be on their way to slave: then all are asked again.
                effects.push(Effect::Arm { timer: Timer::Election, after });
                let winner = winner_id(&self.configuration, winner);
                let elector = self.id();
                effects.push(Effect::Fact(Fact::ElectionEnded { elector, version, winner }));
                self.broadcast(Value::Elected { winner, elector, version }, effects);
            }
        }
    }
}
