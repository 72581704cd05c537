//! A fault as data: what, to whom, when, how long and how badly.

use alloc::sync::Arc;

use wavetank_instance::Settings;
use wavetank_vocabulary::{Bytes, FaultId, FaultKind, InstanceId, Ratio, Span, Time};

use crate::trigger::Trigger;

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// Stable: the rest keep theirs when one is deleted.
    pub id: FaultId,
    /// What happens.
    pub kind: FaultKind,
    /// To whom.
    pub target: Target,
    /// From whom else it is cut off, for partitions; all others when none is named.
    pub peer: Option<Target>,
    /// When it begins; with a trigger, from when on that is waited for.
    pub at: Time,
    /// What it waits for from then on, and how long after that it begins.
    pub when: Option<(Trigger, Span)>,
    /// How long it lasts; until the end of `duration` when not given.
    pub lasts: Option<Span>,
    /// How bad it is.
    pub strength: Strength,
    /// It does not strike where it would hurt the storage of more than a minority, or leave no
    /// other good copy of what was acknowledged.
    pub spares_copy: bool,
}

/// Who is hit. Roles are resolved when the fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// This instance.
    Instance(InstanceId),
    /// These instances.
    Several(Members),
    /// Who is master at that moment.
    Master,
    /// A slave, drawn from the fault's own stream.
    Slave,
    /// Any instance that is up, drawn from the fault's own stream.
    Any,
    /// Where the fault's trigger happened.
    Trigger,
    /// The largest number of instances that is no majority, drawn.
    Minority,
    /// The smallest number of instances that is a majority, drawn.
    Majority,
    /// Every instance.
    All,
    /// Every instance of a data centre; index into [`crate::Plan::datacentres`].
    Datacentre(u16),
    /// A load balancer; index into [`crate::Plan::balancers`].
    Balancer(u16),
}

/// A set of instances by server id, from 1 to 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Members(u64);

impl Members {
    /// The set with this instance; unchanged if its id is not from 1 to 64.
    #[must_use]
    pub const fn with(self, id: InstanceId) -> Members {
        match id.0 {
            1..=64 => Members(self.0 | 1 << (id.0 - 1)),
            _ => self,
        }
    }

    /// Whether the instance is in it.
    pub const fn contains(self, id: InstanceId) -> bool {
        matches!(id.0, 1..=64) && self.0 >> (id.0 - 1) & 1 == 1
    }

    /// Whether nobody is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its instances, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = InstanceId> {
        (1..=64).map(InstanceId).filter(move |id| self.contains(*id))
    }
}

/// How bad a fault is: the quantities of its kind, and none of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strength {
    /// How many times slower.
    pub factor: Option<Ratio>,
    /// The part that is lost, that is left, or by which a clock drifts.
    pub part: Option<Ratio>,
    /// How much later; how far a clock is off.
    pub by: Option<Span>,
    /// How often it changes or comes again; zero is once.
    pub every: Option<Span>,
    /// Disk operations a second.
    pub iops: Option<u32>,
    /// Bytes a second.
    pub bandwidth: Option<Bytes>,
    /// The other way: a clock that is behind, an order reversed.
    pub backwards: Option<bool>,
    /// The initial hosts.
    pub hosts: Option<Members>,
    /// All settings of the instance.
    pub settings: Option<Arc<Settings>>,
}

impl Strength {
    /// The quantities of a kind, with what holds where nothing else is said. `settings` are
    /// those of the cluster.
    pub fn of(kind: FaultKind, settings: &Settings) -> Strength {
        use FaultKind::{
            ChangeSetting, ClockDrift, ClockJump, ClockOffset, Delay, Flap, Grey, IopsCap, Jitter,
            Loss, Reset, RollingRestart, ShrinkCache, SlowCpu, SlowDisk, Throttle, WrongHosts,
        };
        let none = Strength::default();
        match kind {
            SlowCpu | SlowDisk => Strength { factor: Some(Ratio::new(20, 1)), ..none },
            Loss => Strength { part: Some(Ratio::new(1, 5)), ..none },
            Delay => Strength { by: Some(Span::from_millis(200)), ..none },
            Jitter => Strength { by: Some(Span::from_millis(100)), ..none },
            Grey => Strength { by: Some(Span::from_secs(2)), ..none },
            Throttle => Strength { bandwidth: Some(Bytes(125_000)), ..none },
            Flap => Strength { every: Some(Span::from_secs(2)), ..none },
            Reset => Strength { every: Some(Span::ZERO), ..none },
            IopsCap => Strength { iops: Some(50), ..none },
            ClockOffset => {
                Strength { by: Some(Span::from_secs(3600)), backwards: Some(false), ..none }
            }
            ClockDrift => {
                Strength { part: Some(Ratio::new(1, 100)), backwards: Some(false), ..none }
            }
            ClockJump => Strength {
                by: Some(Span::from_secs(10)),
                every: Some(Span::from_secs(5)),
                backwards: Some(false),
                ..none
            },
            ShrinkCache => Strength { part: Some(Ratio::new(1, 10)), ..none },
            RollingRestart => Strength { backwards: Some(false), ..none },
            WrongHosts => Strength { hosts: Some(Members::default()), ..none },
            ChangeSetting => Strength { settings: Some(Arc::new(settings.clone())), ..none },
            _ => none,
        }
    }
}
