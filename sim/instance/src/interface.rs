//! What goes into an instance and what comes out: the border to its driver.

use alloc::sync::Arc;

use wavetank_cluster::{Address, Configuration};
use wavetank_store::{CachePolicy, DiskError, DiskOp, DiskReply, DiskRequest, Ledger};
use wavetank_vocabulary::{
    Fact, InstanceId, NodeId, OperationId, OperationKind, PlantedBugs, ServerTime, Span, Status,
    Subject, Time, TxId,
};

use crate::message::PeerMessage;
use crate::program::{Programs, Request};
use crate::settings::Settings;
use crate::task::TaskId;

/// What makes an instance.
#[derive(Clone, Debug)]
pub struct InstanceConfig {
    /// Who it is and who else is in the cluster.
    pub configuration: Configuration,
    /// Its settings.
    pub settings: Arc<Settings>,
    /// `ha.slave_only`.
    pub slave_only: bool,
    /// An arbiter: the cluster layer alone, without a store.
    pub arbiter: bool,
    /// Where it listens: which of the addresses that its server id ever had.
    pub address: Address,
    /// Frames of the page cache.
    pub frames: usize,
    /// Which page it gives up.
    pub cache_policy: CachePolicy,
    /// What clients may ask for.
    pub programs: Programs,
    /// Bugs planted to try the checks.
    pub bugs: PlantedBugs,
    /// Whether to tell what becomes of locks.
    pub watch_locks: bool,
}

/// The machine's clocks when an input arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic.
    pub mono: Time,
    /// Wall clock, in milliseconds.
    pub wall_ms: u64,
}

/// A timer of an instance, by name. Arming it again moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// One of the member's.
    Cluster(wavetank_cluster::Timer),
    /// `ha.pull_interval`.
    Pull,
    /// The master did not answer a pull within `ha.read_timeout`.
    PullTimeout,
    /// The switch to slave waits: for an answer, for open transactions, or before it retries.
    Switch,
    /// The oldest blocked request has waited `ha.state_switch_timeout`.
    Access,
    /// `dbms.checkpoint.interval.time`.
    Checkpoint,
    /// The master did not answer a request for a transaction in time.
    MasterCall,
    /// Lock sessions of slaves that were idle for too long are looked for.
    Sessions,
    /// The oldest open transaction has waited long enough for its next statement.
    Idle,
    /// The slave (by index) did not answer a push within `ha.read_timeout`.
    Push(u8),
    /// The disk was full; there may be space again.
    Disk,
}

impl Timer {
    /// How many timers an instance in a cluster of `total` has.
    pub const fn count(total: usize) -> usize {
        wavetank_cluster::Timer::count(total) + 9 + total
    }

    /// The timer's place in a table of [`Self::count`] timers.
    #[inline]
    pub const fn slot(self, total: usize) -> usize {
        let base = wavetank_cluster::Timer::count(total);
        match self {
            Timer::Cluster(timer) => timer.slot(total),
            Timer::Pull => base,
            Timer::PullTimeout => base + 1,
            Timer::Switch => base + 2,
            Timer::Access => base + 3,
            Timer::Checkpoint => base + 4,
            Timer::MasterCall => base + 5,
            Timer::Sessions => base + 6,
            Timer::Idle => base + 7,
            Timer::Push(index) => base + 8 + index as usize,
            Timer::Disk => base + 8 + total,
        }
    }

    /// The timer in that place; none when there is no such place.
    #[inline]
    pub fn at_slot(slot: usize, total: usize) -> Option<Timer> {
        let base = wavetank_cluster::Timer::count(total);
        if slot < base {
            return wavetank_cluster::Timer::at_slot(slot, total).map(Timer::Cluster);
        }
        match slot - base {
            0 => Some(Timer::Pull),
            1 => Some(Timer::PullTimeout),
            2 => Some(Timer::Switch),
            3 => Some(Timer::Access),
            4 => Some(Timer::Checkpoint),
            5 => Some(Timer::MasterCall),
            6 => Some(Timer::Sessions),
            7 => Some(Timer::Idle),
            index if index - 8 < total => Some(Timer::Push((index - 8) as u8)),
            index if index - 8 == total => Some(Timer::Disk),
            _ => None,
        }
    }
}

/// What happens to an instance.
#[derive(Clone, Debug)]
pub enum Input {
    /// The process starts.
    Start,
    /// The process is to end in order: it leaves the cluster first, and is no member after
    /// that. The answer is [`Effect::Exit`], after `ha.leave_timeout` at the latest.
    Stop,
    /// A disk operation completed.
    Disk {
        /// Which.
        op: DiskOp,
        /// How.
        result: Result<DiskReply, DiskError>,
    },
    /// A message came in.
    Peer {
        /// Who sent it.
        from: InstanceId,
        /// What it says.
        message: PeerMessage,
    },
    /// The connections to that instance broke.
    PeerLost(InstanceId),
    /// A client's request came in.
    Request(Request),
    /// The client of an open transaction wants it rolled back. A statement of it that is under
    /// way is answered [`Status::UnknownId`]; nothing happens when it commits already.
    Rollback(TaskId),
    /// The second store has what this task wrote.
    Called(TaskId),
    /// An armed timer is due.
    Timer(Timer),
    /// A core is free for this task: run a slice. The answer is [`Effect::Spend`] or
    /// [`Effect::SpendLast`], or none when the task has to wait for something first.
    Run(TaskId),
    /// The core time of the task's slice has passed.
    Ran(TaskId),
}

/// Which request is answered. Of the request itself only so much, for effects are copied often
/// and most of them are small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which operation.
    pub operation: OperationId,
    /// Of what kind.
    pub kind: OperationKind,
    /// Which attempt of it.
    pub attempt: u16,
    /// [`Request::reply_to`].
    pub reply_to: u64,
}

impl Asked {
    /// What the answer to this request names.
    pub fn of(request: &Request) -> Self {
        let Request { operation, kind, attempt, reply_to, .. } = *request;
        Asked { operation, kind, attempt, reply_to }
    }
}

/// What a request came to, beside its status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The last transaction that was committed for it; 0 is none. With a failure, it is
    /// only a part of the operation.
    pub tx: TxId,
    /// The last transaction that the store had when the request's last one began; 0 if none
    /// did.
    pub seen: TxId,
    /// What can be looked for afterwards.
    pub left: Subject,
    /// The transaction that is open and waits for the next statement; none at the end.
    pub open: Option<TaskId>,
}

/// What an instance wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a message.
    Send {
        /// To whom.
        to: InstanceId,
        /// What.
        message: PeerMessage,
    },
    /// Submit a disk operation.
    Disk {
        /// Its name in the completion.
        op: DiskOp,
        /// What is to be done.
        request: DiskRequest,
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
    /// The task wants a core.
    Ready(TaskId),
    /// The task's slice did this work: let the core be busy for as long as that takes.
    Spend {
        /// Which task.
        task: TaskId,
        /// What it did.
        ledger: Ledger,
    },
    /// The same for a task that is over with it: no [`Input::Ran`] is waited for.
    SpendLast {
        /// Which task.
        task: TaskId,
        /// What it did.
        ledger: Ledger,
    },
    /// Answer a client.
    Respond {
        /// What was asked.
        asked: Asked,
        /// How it ended.
        status: Status,
        /// What it came to.
        reply: Reply,
        /// Where the request's time went, for the record.
        time: ServerTime,
    },
    /// Write into the second store beside the graph; [`Input::Called`] answers.
    Call {
        /// Which task waits for it.
        task: TaskId,
        /// On whose behalf.
        request: Request,
        /// Which store.
        store: u8,
        /// Under which node.
        node: NodeId,
        /// What; none takes it away.
        value: Option<i64>,
    },
    /// A look-up of a user before an operation has returned this, for the application alone.
    LookedUp {
        /// [`Request::reply_to`].
        reply_to: u64,
        /// The value; none where there is none.
        value: Option<i64>,
    },
    /// The process ends itself: its store is poisoned, it was stopped, or it cannot join.
    Exit,
    /// For the record.
    Fact(Fact),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_stays_small() {
        // Up to here it is copied in place and not by a call.
        assert!(size_of::<Effect>() <= 128, "{}", size_of::<Effect>());
    }
}
