//! The part of the Plan that is about clients: who asks, when, through what, and what is tried
//! again.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_kernel::{Distribution, QUANTILES};
use wavetank_vocabulary::{OperationKind, Rate, Ratio, Span, Status, StatusSet};

/// A population of clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientPlan {
    /// Its name.
    pub name: String,
    /// Operations per second, in Poisson arrivals; zero where `users` is there.
    pub rate: Rate,
    /// Users that wait for each answer and think, instead of arrivals.
    pub users: Option<UsersPlan>,
    /// When, by whom and about whom it was asked, as it was recorded, instead of arrivals that
    /// are drawn.
    pub recorded: Option<Arc<Recorded>>,
    /// Where their application runs, as seen from the database.
    pub deployment: Deployment,
    /// By how many milliseconds the application server's clock is ahead; behind, if negative.
    pub clock_ahead_ms: i64,
    /// The weight of each kind of operation.
    pub mix: Vec<(OperationKind, u32)>,
    /// Through which balancer; index into [`Plan::balancers`](crate::Plan::balancers).
    pub balancer: u16,
    /// How requests are spread.
    pub routing: Routing,
    /// Which users are asked for.
    pub popularity: Popularity,
    /// Whether each attempt that is about a user begins with the operation `auth` at the master,
    /// which says when the user last wrote.
    pub auth_lookup: bool,
    /// Whether they log in: without credentials the server answers 401.
    pub credentials: bool,
    /// How long a client waits for an answer.
    pub timeout: Span,
    /// What is tried again, and how.
    pub retry: RetryPlan,
    /// Operations left out, by index (a shrunk Plan names them).
    pub skip: Vec<u32>,
    /// The only operations that are not left out, by index in ascending order; all when none
    /// are named.
    pub only: Option<Vec<u32>>,
}

impl ClientPlan {
    /// Operations per second that they begin; for users who think, the most it can be, were
    /// every answer there at once.
    pub fn offered(&self) -> f64 {
        if let Some(recorded) = &self.recorded {
            return recorded.mean_rate();
        }
        let Some(users) = &self.users else { return self.rate.as_f64() };
        let think = match users.think {
            Distribution::Constant(span)
            | Distribution::Exponential { mean: span }
            | Distribution::Normal { mean: span, .. } => span.as_secs_f64(),
            Distribution::Uniform { low, high } => (low.as_secs_f64() + high.as_secs_f64()) / 2.0,
            Distribution::LogNormal { median, sigma } => {
                median.as_secs_f64() * libm::exp(sigma * sigma / 2.0)
            }
            // Without a mean for shapes up to 1: near there it is as long as one likes.
            Distribution::Pareto { scale, shape } => {
                scale.as_secs_f64() * shape / (shape - 1.0).max(1e-3)
            }
            Distribution::Quantiles(values) => {
                let parts = QUANTILES.windows(2).zip(values.windows(2));
                let middle = |ends: &[Span]| (ends[0].as_secs_f64() + ends[1].as_secs_f64()) / 2.0;
                parts.map(|(at, ends)| (at[1] - at[0]) as f64 / 1e3 * middle(ends)).sum()
            }
        };
        f64::from(users.count) / think.max(1e-9)
    }
}

/// Which users clients ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Popularity {
    /// By a Zipf law with this exponent; zero is uniform.
    Zipf(Ratio),
    /// In proportion to how many relationships they have in the graph at the start.
    Degree,
    /// By a measured distribution.
    Table(Arc<AccessTable>),
}

/// How often things were asked for, as LinkBench publishes it: this part of them, in percent,
/// was asked for so often or less.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessTable {
    /// The file, as the scenario names it.
    pub path: String,
    /// Which of its sections, if it has several.
    pub section: Option<String>,
    /// How often, and the part up to there, both ascending; the last part is 100 or near.
    pub steps: Vec<(u64, f64)>,
}

impl AccessTable {
    /// How often who is asked for most is asked for, of so many users; with 0 it is nobody.
    pub fn most(&self, users: u64) -> u64 {
        let Some(last) = users.checked_sub(1) else { return 0 };
        let part = percentile(last, users);
        let step = self.steps.iter().find(|(_, up_to)| *up_to >= part).or(self.steps.last());
        step.map_or(0, |(count, _)| *count)
    }
}

/// Where among so many the one of that rank stands, in percent.
pub(crate) fn percentile(rank: u64, users: u64) -> f64 {
    (rank as f64 + 0.5) / users as f64 * 100.0
}

/// A recorded sequence: who asked when, and about whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The file, as the scenario names it.
    pub path: String,
    /// By what it is played faster than it was recorded.
    pub speed: u32,
    /// When the first one is due.
    pub start: Span,
    /// How long after the first, at that speed, who, and about whom; in the order of time.
    pub arrivals: Vec<(Span, u32, u32)>,
}

impl Recorded {
    /// How many users it is of: they are numbered from 0.
    pub fn users(&self) -> u32 {
        let highest = self.arrivals.iter().map(|(_, who, whom)| *who.max(whom)).max();
        highest.map_or(0, |highest| highest.saturating_add(1))
    }

    /// Operations a second on average, over a second at least: one alone has no rate.
    pub fn mean_rate(&self) -> f64 {
        let took = self.arrivals.last().map_or(Span::ZERO, |(at, ..)| *at);
        self.arrivals.len() as f64 / took.as_secs_f64().max(1.0)
    }
}

/// A closed loop: each user has one operation under way at the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UsersPlan {
    /// How many there are. Each is one node of the graph, and its operations are its session.
    pub count: u32,
    /// The time between an answer and the next operation.
    pub think: Distribution,
}

/// How an application reaches the database: the talk's three deployment options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Deployment {
    /// In the same process: no network in between.
    Embedded,
    /// Through the transactional endpoint: a round trip for each statement.
    Server,
    /// As a server-side extension: one round trip.
    #[default]
    Extension,
}

impl Deployment {
    /// All of them.
    pub const ALL: [Deployment; 3] =
        [Deployment::Embedded, Deployment::Server, Deployment::Extension];

    /// The name that scenarios use.
    pub const fn name(self) -> &'static str {
        match self {
            Deployment::Embedded => "embedded",
            Deployment::Server => "server",
            Deployment::Extension => "extension",
        }
    }
}

/// How a balancer spreads requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Routing {
    /// Everything to the master.
    AllToMaster,
    /// Writes to the master, reads to the slaves in turn (to the master when there is none).
    Split,
    /// Writes to the master, reads to all that are available, in turn.
    SplitOverAll,
    /// Reads and writes to all that are available, in turn.
    Anywhere,
    /// Reads and writes to the slaves, in turn (to the master when there is none).
    AllToSlaves,
    /// Writes and `auth` to the master, and for so long after its last write a user's reads;
    /// other reads to the slaves in turn.
    Consistency(Span),
    /// Writes to the master, each user's reads to one slave, by a hash of who it is.
    Sticky,
    /// Writes to the master, reads to the slave whose range of users it is.
    RangeSharding,
    /// Writes to the master, reads to a slave by consistent hashing of the user: those of a
    /// slave that fails are spread over the others, and nobody else's move.
    HashSharding,
}

impl Routing {
    /// The name that scenarios use.
    pub const fn name(self) -> &'static str {
        match self {
            Routing::AllToMaster => "all-to-master",
            Routing::Split => "reads-to-slaves",
            Routing::SplitOverAll => "reads-to-all",
            Routing::Anywhere => "anywhere",
            Routing::AllToSlaves => "all-to-slaves",
            Routing::Consistency(_) => "consistency",
            Routing::Sticky => "sticky",
            Routing::RangeSharding => "range-sharding",
            Routing::HashSharding => "hash-sharding",
        }
    }
}

/// A retry loop: exponential back-off with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Retry what Neo4j classifies as transient, and a balancer's 503.
    pub transient: bool,
    /// Retry refused and reset connections.
    pub connection: bool,
    /// Retry after the client's own time-out.
    pub timeout: bool,
    /// Retry these besides.
    pub codes: StatusSet,
    /// No attempt begins so long after the operation was due; zero is no such end.
    pub deadline: Span,
    /// Attempts in all; 1 is no retry.
    pub attempts: u16,
    /// The wait before the second attempt.
    pub backoff: Span,
    /// By what the wait grows each time.
    pub factor: Ratio,
    /// The part of the wait that is drawn anew: 0 is none, 1 is all of it.
    pub jitter: Ratio,
}

impl RetryPlan {
    /// No retry at all.
    pub const NONE: RetryPlan = RetryPlan {
        transient: false,
        connection: false,
        timeout: false,
        codes: StatusSet::EMPTY,
        deadline: Span::ZERO,
        attempts: 1,
        backoff: Span::ZERO,
        factor: Ratio::new(1, 1),
        jitter: Ratio::ZERO,
    };

    /// Whether an attempt that ended so is tried again, attempts permitting.
    pub fn covers(&self, status: Status) -> bool {
        use wavetank_vocabulary::Classification;
        match status {
            _ if self.codes.contains(status) => true,
            Status::NoServer => self.transient,
            Status::ConnectionRefused | Status::ConnectionReset => self.connection,
            Status::ClientTimeout => self.timeout,
            _ => self.transient && status.classification() == Some(Classification::TransientError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_has_a_rate_even_if_it_is_one_arrival() {
        let rate = |at: &[u64]| {
            let arrivals = at.iter().map(|ms| (Span::from_millis(*ms), 0, 1)).collect();
            let (path, start) = ("sent.txt".into(), Span::ZERO);
            Recorded { path, speed: 1, start, arrivals }.mean_rate()
        };
        assert_eq!([rate(&[]), rate(&[0]), rate(&[0, 0, 1])], [0.0, 1.0, 3.0]);
        assert_eq!(rate(&[0, 1_000, 2_000, 4_000]), 1.0);
    }
}
