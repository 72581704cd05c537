//! What goes into a member and what comes out: the border to its driver.

use wavetank_vocabulary::{Epoch, Fact, InstanceId, Role, Span, Time, TxId};

use crate::acceptor::Kept;
use crate::message::Message;
use crate::proposer::MAX_BOOKED;

/// What the surroundings know when an input arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The machine's monotonic clock.
    pub mono: Time,
    /// The machine's wall clock, in milliseconds.
    pub wall_ms: u64,
    /// The last committed transaction of the store; none while there is no whole store, as
    /// in the middle of a store copy: who has none cannot be elected, in whatever role.
    pub tx: Option<TxId>,
}

/// A timer of a member, by name. Arming it again moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The link to this member (by index) was idle for `ha.heartbeat_interval`.
    SendHeartbeat(u8),
    /// Nothing was heard from this member (by index) for `ha.heartbeat_timeout`.
    IAmAlive(u8),
    /// `ha.election_timeout`.
    Election,
    /// `ha.configuration_timeout`.
    Configuration,
    /// `ha.join_timeout`.
    Join,
    /// `ha.leave_timeout`.
    Leave,
    /// `ha.broadcast_timeout`.
    Broadcast,
    /// `ha.learn_timeout`.
    Learn,
    /// `ha.phase1_timeout` or `ha.phase2_timeout` of the proposer's Paxos instance in this
    /// place, below 10.
    Paxos(u8),
}

impl Timer {
    /// Those that exist once.
    const SINGLE: [Timer; 6] = [
        Timer::Election,
        Timer::Configuration,
        Timer::Join,
        Timer::Leave,
        Timer::Broadcast,
        Timer::Learn,
    ];

    /// How many timers a member of a cluster of `total` has.
    pub const fn count(total: usize) -> usize {
        2 * total + Self::SINGLE.len() + MAX_BOOKED
    }

    /// The timer's place in a table of [`Self::count`] timers.
    #[inline]
    pub const fn slot(self, total: usize) -> usize {
        let single = 2 * total;
        match self {
            Timer::SendHeartbeat(to) => to as usize,
            Timer::IAmAlive(from) => total + from as usize,
            Timer::Election => single,
            Timer::Configuration => single + 1,
            Timer::Join => single + 2,
            Timer::Leave => single + 3,
            Timer::Broadcast => single + 4,
            Timer::Learn => single + 5,
            Timer::Paxos(place) => single + Self::SINGLE.len() + place as usize,
        }
    }

    /// The timer in that place; none when there is no such place.
    #[inline]
    pub const fn at_slot(slot: usize, total: usize) -> Option<Timer> {
        if slot < total {
            return Some(Timer::SendHeartbeat(slot as u8));
        }
        if slot < 2 * total {
            return Some(Timer::IAmAlive((slot - total) as u8));
        }
        let rest = slot - 2 * total;
        if rest < Self::SINGLE.len() {
            Some(Self::SINGLE[rest])
        } else if rest < Self::SINGLE.len() + MAX_BOOKED {
            Some(Timer::Paxos((rest - Self::SINGLE.len()) as u8))
        } else {
            None
        }
    }
}

/// What happens to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// What an earlier life of this instance asked to be kept; before [`Input::Start`].
    Recall(Kept),
    /// The store is open: find the cluster and join it, or create it.
    Start,
    /// Leave the cluster for good; [`Input::Start`] joins it again.
    Leave,
    /// Ask the coordinator who serves in which role.
    RefreshSnapshot,
    /// A message came in.
    Message {
        /// Who sent it.
        from: InstanceId,
        /// What it says.
        message: Message,
    },
    /// An armed timer is due.
    Timer(Timer),
    /// The switch to master that a role change asked for is done; the epoch begins.
    SwitchedToMaster(Epoch),
    /// The switch to slave of that master is done.
    SwitchedToSlave(InstanceId),
    /// The master answered that the epoch is not its own.
    StaleEpoch,
}

/// A role that the member moved to, with the work that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// What it was.
    pub from: Role,
    /// What it is. For [`Role::ToMaster`] and [`Role::ToSlave`] the instance does the work
    /// and reports with [`Input::SwitchedToMaster`] or [`Input::SwitchedToSlave`].
    pub to: Role,
    /// Whom to follow, for the slave roles.
    pub master: Option<(InstanceId, Epoch)>,
}

/// Why a start is over before the instance was a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinFailure {
    /// `ClusterEntryDenied`: the cluster has a member of this server id that is alive at
    /// another address.
    Denied,
    /// `joinFailure`: two instances that start have the same server id.
    SameId,
}

/// What a member wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a message.
    Send {
        /// To whom.
        to: InstanceId,
        /// What.
        message: Message,
    },
    /// Arm a timer, or move it.
    Arm {
        /// Which.
        timer: Timer,
        /// How long from now.
        after: Span,
    },
    /// Cancel a timer.
    Cancel(Timer),
    /// Keep this over restarts, before anything that comes after it among the effects is
    /// done. Only with [`AcceptorMemory::Durable`](crate::AcceptorMemory::Durable).
    Keep(Kept),
    /// The role changed.
    Switch(Switch),
    /// It cannot join: the process that it belongs to does not start.
    JoinFailed(JoinFailure),
    /// It is in no cluster any more.
    Left,
    /// For the record.
    Fact(Fact),
}
