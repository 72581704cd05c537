//! The kinds of fault, by name, and what tells them apart for everybody but the world.

/// What a fault works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultFamily {
    /// The process of an instance, or the cores it runs on.
    Process,
    /// The links between instances.
    Network,
    /// The disk of a machine.
    Disk,
    /// What a machine's clock shows.
    Clock,
    /// The page cache.
    Memory,
    /// A load balancer.
    Balancer,
    /// What operators do.
    Operator,
}

macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident, $family:ident, $name:literal;)+) => {
        /// The kinds of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind {
            $($(#[$doc])+ $kind,)+
        }

        impl FaultKind {
            /// All kinds, in the order of their families.
            pub const ALL: &[FaultKind] = &[$(FaultKind::$kind),+];

            /// The name that reports use; scenarios use it, too, but for
            /// `partition-one-way`, which they write as a partition that is `one_way`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(FaultKind::$kind => $name,)+
                }
            }

            /// What it works on.
            pub const fn family(self) -> FaultFamily {
                match self {
                    $(FaultKind::$kind => FaultFamily::$family,)+
                }
            }
        }
    };
}

kinds! {
    /// The process is killed; what the operating system had cached survives.
    Crash, Process, "crash";
    /// The machine dies; unsynced disk operations are each kept, dropped or torn.
    PowerLoss, Process, "power-loss";
    /// The process is told to stop: it takes no more requests, ends those that it has, and
    /// is gone until the fault ends.
    Stop, Process, "stop";
    /// The same, to start again soon after it is gone.
    Restart, Process, "restart";
    /// The process is killed and its store deleted.
    Wipe, Process, "wipe";
    /// The machine stands still but for its clock (collector, virtual machine stall).
    Pause, Process, "pause";
    /// The cores take longer for everything.
    SlowCpu, Process, "slow-cpu";
    /// No message passes between two instances, either way.
    Partition, Network, "partition";
    /// No message passes from one instance to another; the way back is open.
    PartitionOneWay, Network, "partition-one-way";
    /// Two halves of the cluster do not see each other; one instance sees both.
    Bridge, Network, "bridge";
    /// Each instance sees its two neighbours only.
    Ring, Network, "ring";
    /// Packets are lost: messages are late by TCP's retransmissions, and connections break.
    Loss, Network, "loss";
    /// Messages take longer, all by the same time.
    Delay, Network, "delay";
    /// Messages take longer, each by a time of its own.
    Jitter, Network, "jitter";
    /// Links carry fewer bytes a second.
    Throttle, Network, "throttle";
    /// Links go down and come up again and again.
    Flap, Network, "flap";
    /// Connections are reset, and what was under way on them is lost.
    Reset, Network, "reset";
    /// Heartbeats pass as ever; data and answers to clients are late.
    Grey, Network, "grey";
    /// Every disk operation takes longer.
    SlowDisk, Disk, "slow-disk";
    /// No disk operation completes.
    StallDisk, Disk, "stall-disk";
    /// The disk does fewer operations a second.
    IopsCap, Disk, "iops-cap";
    /// Nothing that makes a file longer can be written.
    FullDisk, Disk, "full-disk";
    /// A bit of a page reads wrong until the page is written again.
    BitFlip, Disk, "bit-flip";
    /// A byte of the transaction log reads wrong.
    LogDamage, Disk, "log-damage";
    /// A page cannot be read until it is written again.
    ReadError, Disk, "read-error";
    /// The next write fails.
    WriteError, Disk, "write-error";
    /// The next sync fails, and what it was to make durable is forgotten.
    SyncError, Disk, "sync-error";
    /// The next write of a page is acknowledged, and the page stays as it was.
    LostWrite, Disk, "lost-write";
    /// The next write of a page ends in the place of another.
    MisdirectedWrite, Disk, "misdirected-write";
    /// The next write of a page reaches some of its sectors only.
    TornWrite, Disk, "torn-write";
    /// The next read of a page comes back wrong, the one after it right.
    BadTransfer, Disk, "bad-transfer";
    /// The next read of a page gets another one.
    MisdirectedRead, Disk, "misdirected-read";
    /// Syncs are acknowledged and do nothing.
    LyingSync, Disk, "lying-sync";
    /// Every write fails; reads go on.
    ReadOnly, Disk, "read-only-disk";
    /// Every operation fails.
    DiskGone, Disk, "disk-gone";
    /// The clock is off by a fixed time.
    ClockOffset, Clock, "clock-offset";
    /// The clock runs too fast or too slow.
    ClockDrift, Clock, "clock-drift";
    /// The clock jumps there and back.
    ClockJump, Clock, "clock-jump";
    /// The page cache is left with part of its frames.
    ShrinkCache, Memory, "shrink-cache";
    /// A load balancer does not notice what its polls say.
    BalancerStale, Balancer, "balancer-stale";
    /// A load balancer refuses connections.
    BalancerDown, Balancer, "balancer-down";
    /// An instance is restarted with a wrong list of initial hosts.
    WrongHosts, Operator, "wrong-hosts";
    /// An instance is restarted with other settings.
    ChangeSetting, Operator, "change-setting";
    /// Instances are restarted one after the other.
    RollingRestart, Operator, "rolling-restart";
}

impl FaultKind {
    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<FaultKind> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether the process is down while it lasts.
    pub const fn downs(self) -> bool {
        matches!(
            self,
            FaultKind::Crash
                | FaultKind::PowerLoss
                | FaultKind::Stop
                | FaultKind::Restart
                | FaultKind::Wipe
        )
    }

    /// Whether it can take away what one disk had acknowledged as durable, or keep it from
    /// being read: no more than a minority may be hit at once if a copy is to survive.
    pub const fn hurts_storage(self) -> bool {
        use FaultKind::{
            BadTransfer, BitFlip, DiskGone, LogDamage, LostWrite, LyingSync, MisdirectedRead,
            MisdirectedWrite, PowerLoss, ReadError, ReadOnly, SyncError, TornWrite, Wipe,
            WriteError,
        };
        matches!(
            self,
            PowerLoss
                | Wipe
                | BitFlip
                | LogDamage
                | ReadError
                | WriteError
                | SyncError
                | LostWrite
                | MisdirectedWrite
                | TornWrite
                | BadTransfer
                | MisdirectedRead
                | LyingSync
                | ReadOnly
                | DiskGone
        )
    }

    /// Whether it breaks what a store may rely on: a disk that says it has stored what it
    /// has not. No store can answer for such a disk alone.
    pub const fn outside_contract(self) -> bool {
        matches!(self, FaultKind::LyingSync | FaultKind::LostWrite | FaultKind::MisdirectedWrite)
    }

    /// Whether it waits, once it is set, for the disk operation that it strikes.
    pub const fn lies_in_wait(self) -> bool {
        use FaultKind::{
            BadTransfer, FullDisk, LostWrite, LyingSync, MisdirectedRead, MisdirectedWrite,
            SyncError, TornWrite, WriteError,
        };
        matches!(
            self,
            FullDisk
                | WriteError
                | SyncError
                | LostWrite
                | MisdirectedWrite
                | TornWrite
                | BadTransfer
                | MisdirectedRead
                | LyingSync
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kinds_apart() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_name(kind.name()), Some(*kind));
        }
    }
}
