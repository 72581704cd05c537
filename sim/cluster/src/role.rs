//! HA member state machine: PENDING, TO_MASTER, MASTER, TO_SLAVE, SLAVE.
//!
//! Pure transitions of HA specification 2.6. What a transition takes (opening the master's
//! services, catching up) is done by the instance, which reports back.

use wavetank_vocabulary::{Epoch, Role};

use crate::flaws::Flaws;
use crate::settings::Compat;

/// The role of this member and whose slave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoleMachine {
    role: Role,
    /// The master that this member follows, or is becoming the slave of.
    master: Option<(usize, Epoch)>,
}

/// What the state machine asks of its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// Nothing changes.
    Stay,
    /// Stay, and say once more that I serve in this role.
    Announce,
    /// Stop serving.
    ToPending,
    /// Stop serving writes; reads go on (2.3.6 and later).
    Detach,
    /// Become master.
    ToMaster,
    /// Become the slave of that member.
    ToSlave,
    /// The switch is complete.
    Settled,
    /// A combination that should not be: pending, and ask for elections (2.3.1 and later).
    Illegal,
}

impl RoleMachine {
    pub(crate) fn new() -> Self {
        RoleMachine { role: Role::Pending, master: None }
    }

    /// That of a member without a store: no message ever moves it.
    pub(crate) fn arbiter() -> Self {
        RoleMachine { role: Role::Arbiter, master: None }
    }

    /// The present role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The master that this member follows or is about to follow.
    pub fn master(&self) -> Option<(usize, Epoch)> {
        self.master
    }

    fn to(&mut self, role: Role, master: Option<(usize, Epoch)>, what: Transition) -> Transition {
        self.role = role;
        self.master = master;
        what
    }

    /// `masterIsElected(x)`.
    pub(crate) fn master_is_elected(
        &mut self,
        me: usize,
        winner: usize,
        slave_only: bool,
        flaws: Flaws,
    ) -> Transition {
        let mine = winner == me;
        match self.role {
            Role::Pending | Role::Detached if mine && !slave_only => {
                self.to(Role::ToMaster, None, Transition::ToMaster)
            }
            Role::Pending | Role::Detached => Transition::Stay,
            Role::ToMaster if mine => Transition::Stay,
            Role::Master if mine => Transition::Announce,
            Role::ToMaster | Role::Master => self.to(Role::Pending, None, Transition::ToPending),
            Role::ToSlave | Role::Slave if mine && !slave_only => {
                self.to(Role::ToMaster, None, Transition::ToMaster)
            }
            Role::ToSlave | Role::Slave
                if self.master.is_some_and(|(master, _)| master == winner)
                    && !(self.role == Role::Slave
                        && flaws.contains(Flaws::ELECTIONS_UNSEAT_SLAVES)) =>
            {
                Transition::Stay
            }
            Role::ToSlave | Role::Slave => self.to(Role::Pending, None, Transition::ToPending),
            Role::Down | Role::Starting | Role::Arbiter => Transition::Stay,
        }
    }

    /// `masterIsAvailable(x)`, in that epoch.
    pub(crate) fn master_is_available(
        &mut self,
        me: usize,
        who: usize,
        epoch: Epoch,
        slave_only: bool,
        flaws: Flaws,
    ) -> Transition {
        let mine = who == me;
        match self.role {
            Role::ToMaster if mine => self.to(Role::Master, None, Transition::Settled),
            Role::Master if mine => Transition::Stay,
            Role::Pending | Role::Detached if mine && slave_only => Transition::Stay,
            Role::Pending | Role::Detached if !mine => {
                self.to(Role::ToSlave, Some((who, epoch)), Transition::ToSlave)
            }
            Role::Slave if self.master == Some((who, epoch)) => Transition::Announce,
            Role::ToSlave if self.master == Some((who, epoch)) => Transition::Stay,
            Role::Slave
                if self.master.is_some_and(|(master, _)| master == who)
                    && flaws.contains(Flaws::STALE_EPOCHS) =>
            {
                Transition::Announce
            }
            // The same master in a new epoch (it restarted before anyone noticed): follow it
            // again from the handshake on.
            Role::Slave | Role::ToSlave
                if !mine && self.master.is_some_and(|(master, _)| master == who) =>
            {
                self.to(Role::ToSlave, Some((who, epoch)), Transition::ToSlave)
            }
            Role::Down | Role::Starting | Role::Arbiter => Transition::Stay,
            _ => Transition::Illegal,
        }
    }

    /// `slaveIsAvailable(me)`: the switch to slave is complete.
    pub(crate) fn slave_is_available(&mut self) -> Transition {
        match self.role {
            Role::ToSlave => self.to(Role::Slave, self.master, Transition::Settled),
            Role::Slave | Role::Down | Role::Starting | Role::Arbiter => Transition::Stay,
            _ => Transition::Illegal,
        }
    }

    /// `memberIsFailed(x)`: `alive` of `total` members remain.
    pub(crate) fn member_is_failed(
        &mut self,
        compat: Compat,
        whom: usize,
        alive: usize,
        total: usize,
    ) -> Transition {
        if !matches!(self.role, Role::ToMaster | Role::Master | Role::ToSlave | Role::Slave) {
            return Transition::Stay;
        }
        let quorum = total / 2 + 1;
        let lost_quorum = alive < quorum;
        if lost_quorum
            && total == 2
            && self.role == Role::Master
            && compat.lone_master_of_two_keeps_writes()
        {
            return Transition::Stay;
        }
        let lost_master = compat.detaches()
            && self.role == Role::Slave
            && self.master.is_some_and(|(master, _)| master == whom);
        if !lost_quorum && !lost_master {
            return Transition::Stay;
        }
        if compat.detaches() && matches!(self.role, Role::Master | Role::Slave) {
            self.to(Role::Detached, None, Transition::Detach)
        } else {
            self.to(Role::Pending, None, Transition::ToPending)
        }
    }

    /// Gives up the role: the epoch is stale.
    pub(crate) fn give_up(&mut self) -> Transition {
        match self.role {
            Role::Pending | Role::Down | Role::Starting | Role::Arbiter => Transition::Stay,
            _ => self.to(Role::Pending, None, Transition::ToPending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: usize = 0;
    const OTHER: usize = 1;
    const THIRD: usize = 2;
    const E: Epoch = Epoch(7);

    fn machine(role: Role) -> RoleMachine {
        let master = matches!(role, Role::Slave | Role::ToSlave).then_some((OTHER, E));
        RoleMachine { role, master }
    }

    /// The table of HA specification 2.6, row by row.
    #[test]
    fn transitions_follow_the_table() {
        use Role::*;
        use Transition as T;
        let elected = |role, who| {
            let mut m = machine(role);
            let t = m.master_is_elected(ME, who, false, Flaws::NONE);
            (m.role(), t)
        };
        assert_eq!(elected(Pending, ME), (ToMaster, T::ToMaster));
        assert_eq!(elected(Pending, OTHER), (Pending, T::Stay));
        assert_eq!(elected(ToMaster, ME), (ToMaster, T::Stay));
        assert_eq!(elected(ToMaster, OTHER), (Pending, T::ToPending));
        assert_eq!(elected(Master, ME), (Master, T::Announce));
        assert_eq!(elected(Master, OTHER), (Pending, T::ToPending));
        assert_eq!(elected(ToSlave, OTHER), (ToSlave, T::Stay));
        assert_eq!(elected(ToSlave, ME), (ToMaster, T::ToMaster));
        assert_eq!(elected(ToSlave, THIRD), (Pending, T::ToPending));
        assert_eq!(elected(Slave, OTHER), (Slave, T::Stay));
        assert_eq!(elected(Slave, ME), (ToMaster, T::ToMaster));
        assert_eq!(elected(Slave, THIRD), (Pending, T::ToPending));

        let available = |role, who| {
            let mut m = machine(role);
            let t = m.master_is_available(ME, who, E, false, Flaws::NONE);
            (m.role(), t)
        };
        assert_eq!(available(Pending, OTHER), (ToSlave, T::ToSlave));
        assert_eq!(available(Pending, ME).1, T::Illegal);
        assert_eq!(available(ToMaster, ME), (Master, T::Settled));
        assert_eq!(available(ToMaster, OTHER).1, T::Illegal);
        assert_eq!(available(Master, ME), (Master, T::Stay));
        assert_eq!(available(Master, OTHER).1, T::Illegal);
        assert_eq!(available(ToSlave, OTHER), (ToSlave, T::Stay));
        assert_eq!(available(ToSlave, THIRD).1, T::Illegal);
        assert_eq!(available(Slave, OTHER), (Slave, T::Announce));
        assert_eq!(available(Slave, THIRD).1, T::Illegal);

        let slave = |role| {
            let mut m = machine(role);
            let t = m.slave_is_available();
            (m.role(), t)
        };
        assert_eq!(slave(Pending).1, T::Illegal);
        assert_eq!(slave(ToMaster).1, T::Illegal);
        assert_eq!(slave(Master).1, T::Illegal);
        assert_eq!(slave(ToSlave), (Slave, T::Settled));
        assert_eq!(slave(Slave), (Slave, T::Stay));
    }

    #[test]
    fn an_arbiter_never_moves() {
        let mut m = RoleMachine::arbiter();
        let still = m;
        for whom in [ME, OTHER] {
            assert_eq!(m.master_is_elected(ME, whom, false, Flaws::NONE), Transition::Stay);
            assert_eq!(m.master_is_available(ME, whom, E, false, Flaws::NONE), Transition::Stay);
            assert_eq!(m.member_is_failed(Compat::V2_3_6, whom, 1, 3), Transition::Stay);
        }
        assert_eq!((m.slave_is_available(), m.give_up()), (Transition::Stay, Transition::Stay));
        assert_eq!(m, still);
    }

    #[test]
    fn a_slave_only_member_stays_pending_when_elected() {
        assert_eq!(
            machine(Role::Pending).master_is_elected(ME, ME, true, Flaws::NONE),
            Transition::Stay
        );
    }

    #[test]
    fn a_master_that_restarted_is_followed_anew() {
        let mut m = machine(Role::Slave);
        assert_eq!(
            m.master_is_available(ME, OTHER, Epoch(8), false, Flaws::NONE),
            Transition::ToSlave
        );
        assert_eq!(m.master(), Some((OTHER, Epoch(8))));
    }

    #[test]
    fn old_flaws_unseat_slaves_and_keep_old_epochs() {
        let mut m = machine(Role::Slave);
        let flaws = Flaws::ELECTIONS_UNSEAT_SLAVES;
        assert_eq!(m.master_is_elected(ME, OTHER, false, flaws), Transition::ToPending);
        let mut m = machine(Role::Slave);
        let flaws = Flaws::STALE_EPOCHS;
        assert_eq!(m.master_is_available(ME, OTHER, Epoch(8), false, flaws), Transition::Announce);
        assert_eq!(m.master(), Some((OTHER, E)));
    }

    #[test]
    fn losing_the_quorum_differs_by_version() {
        let lose = |compat, role, alive, total| {
            let mut m = machine(role);
            m.member_is_failed(compat, THIRD, alive, total);
            m.role()
        };
        assert_eq!(lose(Compat::V2_3_0, Role::Master, 1, 3), Role::Pending);
        assert_eq!(lose(Compat::V2_3_6, Role::Master, 1, 3), Role::Detached);
        assert_eq!(lose(Compat::V2_3_6, Role::Master, 2, 3), Role::Master);
        assert_eq!(lose(Compat::V2_3_6, Role::Master, 1, 2), Role::Detached);
        assert_eq!(lose(Compat::V3_2, Role::Master, 1, 2), Role::Master);
        let mut slave = machine(Role::Slave);
        slave.member_is_failed(Compat::V2_3_6, OTHER, 2, 3);
        assert_eq!(slave.role(), Role::Detached, "its master failed");
        let mut slave = machine(Role::Slave);
        slave.member_is_failed(Compat::V2_3_0, OTHER, 2, 3);
        assert_eq!(slave.role(), Role::Slave, "2.3.0 waits for the election");
    }
}
