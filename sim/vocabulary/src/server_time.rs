//! Where the time of a request at an instance went.

use crate::units::{Span, Time};

/// What a request at an instance does or waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerPhase {
    /// Waits at the door of a machine that stands still.
    Paused,
    /// Waits for the database to become available (no master known, switching roles).
    Access,
    /// Waits for a core.
    #[default]
    Queue,
    /// Runs on a core; a pause of the machine meanwhile counts here too.
    Core,
    /// Waits for a page that is not in the page cache: the disk.
    Page,
    /// Waits for a lock that another transaction holds.
    Lock,
    /// Waits until its transaction is forced to the log.
    Sync,
    /// Waits for slaves to acknowledge its transaction.
    Push,
    /// At a slave: waits for locks and ids at the master, and for what they oblige it to
    /// apply.
    MasterLock,
    /// At a slave: waits until the master has committed its transaction and it has come
    /// back.
    MasterCommit,
    /// Waits for the second store beside the graph.
    Calling,
}

impl ServerPhase {
    /// All of them, in the order in which a request may first come by them.
    pub const ALL: [ServerPhase; 11] = [
        ServerPhase::Paused,
        ServerPhase::Access,
        ServerPhase::Queue,
        ServerPhase::Core,
        ServerPhase::Page,
        ServerPhase::Lock,
        ServerPhase::Sync,
        ServerPhase::Push,
        ServerPhase::MasterLock,
        ServerPhase::MasterCommit,
        ServerPhase::Calling,
    ];

    /// The name that reports print.
    pub const fn name(self) -> &'static str {
        match self {
            ServerPhase::Paused => "machine paused",
            ServerPhase::Access => "waiting for availability",
            ServerPhase::Queue => "queueing for a core",
            ServerPhase::Core => "on a core",
            ServerPhase::Page => "page faults",
            ServerPhase::Lock => "waiting for locks",
            ServerPhase::Sync => "log sync",
            ServerPhase::Push => "push to slaves",
            ServerPhase::MasterLock => "locks at the master",
            ServerPhase::MasterCommit => "commit at the master",
            ServerPhase::Calling => "second store",
        }
    }
}

/// A length of time in microseconds, rounded down; more than 71 minutes count as 71 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(u32);

impl From<Span> for Micros {
    fn from(span: Span) -> Micros {
        Micros(micros(span.as_nanos()))
    }
}

impl From<Micros> for Span {
    fn from(time: Micros) -> Span {
        Span::from_micros(u64::from(time.0))
    }
}

/// Microseconds in each phase, rounded down; more than 71 minutes count as 71 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerTime([u32; ServerPhase::ALL.len()]);

impl ServerTime {
    /// The time in one phase.
    pub fn of(&self, phase: ServerPhase) -> Span {
        Span::from_micros(u64::from(self.0[phase as usize]))
    }

    /// This, with the time of one phase replaced.
    #[must_use]
    pub fn with(mut self, phase: ServerPhase, time: Span) -> Self {
        self.0[phase as usize] = micros(time.as_nanos());
        self
    }

    /// This and that together, phase by phase.
    #[must_use]
    pub fn plus(mut self, other: ServerTime) -> Self {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(more);
        }
        self
    }

    /// Microseconds by phase, for messages between processes.
    pub const fn to_micros(self) -> [u32; ServerPhase::ALL.len()] {
        self.0
    }

    /// What [`Self::to_micros`] came from.
    pub const fn from_micros(micros: [u32; ServerPhase::ALL.len()]) -> ServerTime {
        ServerTime(micros)
    }

    /// The time in all phases.
    pub fn total(&self) -> Span {
        Span::from_micros(self.0.iter().map(|micros| u64::from(*micros)).sum())
    }
}

fn micros(nanos: u64) -> u32 {
    u32::try_from(nanos / 1_000).unwrap_or(u32::MAX)
}

/// Follows one request from phase to phase.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    phase: ServerPhase,
    since: Time,
    nanos: [u64; ServerPhase::ALL.len()],
}

impl Stopwatch {
    /// A stopwatch of a request that begins in this phase.
    pub const fn start(at: Time, phase: ServerPhase) -> Self {
        Stopwatch { phase, since: at, nanos: [0; ServerPhase::ALL.len()] }
    }

    /// The request enters a phase; the one before has ended.
    #[inline]
    pub fn enter(&mut self, at: Time, phase: ServerPhase) {
        self.nanos[self.phase as usize] += at.since(self.since).as_nanos();
        self.since = at;
        self.phase = phase;
    }

    /// The request is over: where its time went.
    pub fn stop(mut self, at: Time) -> ServerTime {
        self.enter(at, self.phase);
        ServerTime(self.nanos.map(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_to_the_whole() {
        let at = |millis| Time::ZERO + Span::from_millis(millis);
        let mut watch = Stopwatch::start(at(10), ServerPhase::Queue);
        watch.enter(at(12), ServerPhase::Core);
        watch.enter(at(17), ServerPhase::Page);
        watch.enter(at(20), ServerPhase::Core);
        let spent = watch.stop(at(21));
        assert_eq!(spent.of(ServerPhase::Queue), Span::from_millis(2));
        assert_eq!(spent.of(ServerPhase::Core), Span::from_millis(6));
        assert_eq!(spent.of(ServerPhase::Page), Span::from_millis(3));
        assert_eq!(spent.of(ServerPhase::Push), Span::ZERO);
        assert_eq!(spent.total(), Span::from_millis(11));
    }

    #[test]
    fn very_long_waits_do_not_overflow() {
        let watch = Stopwatch::start(Time::ZERO, ServerPhase::Lock);
        let spent = watch.stop(Time::ZERO + Span::from_secs(100_000));
        assert_eq!(spent.of(ServerPhase::Lock), Span::from_micros(u64::from(u32::MAX)));
    }
}
