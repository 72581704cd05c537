//! The Plan: a scenario with everything random about the set-up and the faults drawn and
//! written out. The scenario room makes it, this room plays it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_instance::{Program, Settings, TokenKind};
use wavetank_kernel::Distribution;
use wavetank_store::CachePolicy;
use wavetank_vocabulary::{
    Bytes, InstanceId, OperationKind, PlantedBugs, Rate, Ratio, Span, Status, StatusSet,
};

use crate::anomaly::{Anomaly, Audited};
use crate::costs::CostTable;
use crate::fault_plan::FaultPlan;
use crate::trigger::Trigger;

/// Everything that a run needs to know, and nothing random but what the seed's streams draw
/// while it plays.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The scenario's name (its file name without the ending).
    pub name: String,
    /// What the scenario is for, in its author's words.
    pub about: String,
    /// The seed of every stream but the graph's.
    pub seed: u64,
    /// When the clients stop and faults heal.
    pub duration: Span,
    /// How much of the start rates and percentiles leave out.
    pub warm_up: Span,
    /// The settings of every instance that has none of its own.
    pub settings: Settings,
    /// The members, in ascending order of server id, from 1.
    pub instances: Vec<InstancePlan>,
    /// Names of the data centres, by index.
    pub datacentres: Vec<String>,
    /// The network.
    pub network: NetworkPlan,
    /// The graph that every instance starts with.
    pub graph: GraphPlan,
    /// The load balancers.
    pub balancers: Vec<BalancerPlan>,
    /// The operations that clients run, by [`OperationKind`].
    pub operations: Vec<Program>,
    /// The clients.
    pub clients: Vec<ClientPlan>,
    /// The faults, in the order of their ids.
    pub faults: Vec<FaultPlan>,
    /// What must hold.
    pub expectations: Vec<Expected>,
    /// How often quantities are sampled.
    pub sample_every: Span,
    /// How often the operators' monitoring looks: reports show what it would have seen.
    pub monitor_every: Span,
    /// What a step costs in core time.
    pub costs: CostTable,
    /// Bugs planted to try the checks.
    pub bugs: PlantedBugs,
}

/// One member of the cluster and its machine.
#[derive(Clone, Debug, PartialEq)]
pub struct InstancePlan {
    /// `ha.server_id`.
    pub id: InstanceId,
    /// Index into [`Plan::datacentres`].
    pub datacentre: u16,
    /// `ha.slave_only`.
    pub slave_only: bool,
    /// An arbiter: it takes part in elections and has no store.
    pub arbiter: bool,
    /// Each start of its process listens at another address, as containers do.
    pub new_address: bool,
    /// Where the hardware figures come from, e.g. `aws:r3.xlarge`.
    pub machine: String,
    /// Virtual processors.
    pub cores: u32,
    /// Physical memory.
    pub memory: Bytes,
    /// Heap of the Java process that is modelled; the page cache lies outside it.
    pub heap: Bytes,
    /// `dbms.pagecache.memory`.
    pub page_cache: Bytes,
    /// Which page the cache gives up. Neo4j has no setting for it.
    pub cache_policy: CachePolicy,
    /// The disk that holds store and log.
    pub volume: VolumePlan,
    /// Its settings, where they differ from [`Plan::settings`].
    pub settings: Option<Arc<Settings>>,
}

/// A disk volume.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumePlan {
    /// Capacity.
    pub size: Bytes,
    /// Operations per second at the most.
    pub iops: u32,
    /// Bytes per second at the most.
    pub throughput: Bytes,
    /// Time of one page read or write, without queueing.
    pub access: Distribution,
    /// Time of one sync, without queueing.
    pub sync: Distribution,
}

/// The network between instances, clients and balancers.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPlan {
    /// One-way latency within a data centre.
    pub local: Distribution,
    /// Bytes per second of a link.
    pub bandwidth: Bytes,
    /// Links between data centres that differ.
    pub links: Vec<LinkPlan>,
}

/// The link between two data centres, the same both ways.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkPlan {
    /// The two ends, indexes into [`Plan::datacentres`].
    pub between: [u16; 2],
    /// One-way latency.
    pub latency: Distribution,
    /// Bytes per second.
    pub bandwidth: Bytes,
}

/// The graph at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphPlan {
    /// The graph's own seed: constant unless set, so that all seeds share one graph.
    pub seed: u64,
    /// Where it comes from.
    pub source: GraphSource,
    /// How the data of a user are laid out.
    pub model: GraphModel,
    /// Numbers that every user node has at the start, by property key.
    pub properties: Vec<(String, i64)>,
    /// Names that the operations use: the store knows them from the start.
    pub names: Vec<(TokenKind, String)>,
}

/// How the data of a user are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GraphModel {
    /// Everything is a property of the user's node.
    #[default]
    MonolithicNode,
    /// What is written often, or by others, has nodes of its own: `(u)-[:AUTH]->(:Auth)`,
    /// `(u)-[:COUNTERS]->(:Counters)` and `(u)-[:STREAM]->(:Stream)`.
    SplitNodes,
}

impl GraphModel {
    /// The name that scenarios use.
    pub const fn name(self) -> &'static str {
        match self {
            GraphModel::MonolithicNode => "monolithic-node",
            GraphModel::SplitNodes => "split-nodes",
        }
    }
}

/// Where a graph comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphSource {
    /// A generated social network.
    Social {
        /// Users.
        users: u32,
        /// Mean number of users that a user follows.
        mean_follows: Ratio,
    },
    /// An edge list.
    Edges {
        /// The file as the scenario names it.
        path: String,
        /// Its contents, read beforehand.
        edges: Arc<EdgeList>,
    },
}

/// A list of directed edges between nodes numbered from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeList {
    /// How many nodes there are.
    pub nodes: u32,
    /// From, to.
    pub edges: Vec<(u32, u32)>,
}

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancerPlan {
    /// Its name.
    pub name: String,
    /// Data centre, an index into [`Plan::datacentres`].
    pub datacentre: u16,
    /// How often each instance is asked for its role.
    pub poll: Span,
    /// Good answers in a row before a server is used.
    pub rise: u16,
    /// Bad answers in a row before it is not.
    pub fall: u16,
    /// Whether its questions carry a user's credentials: without them the HA endpoints
    /// answer 401, unless `dbms.security.ha_status_auth_enabled` is false.
    pub credentials: bool,
}

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
    /// Through which balancer; index into [`Plan::balancers`].
    pub balancer: u16,
    /// How requests are spread.
    pub routing: Routing,
    /// Which users are asked for.
    pub popularity: Popularity,
    /// Whether each operation begins with the operation `auth` at the master, which says when
    /// its user last wrote.
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
    /// Operations a second on average.
    pub fn mean_rate(&self) -> f64 {
        let took = self.arrivals.last().map_or(Span::ZERO, |(at, ..)| *at);
        self.arrivals.len() as f64 / took.as_secs_f64().max(1e-9)
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

/// A lower and an upper limit, both allowed values themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds<T> {
    /// At the least.
    pub min: Option<T>,
    /// At the most.
    pub max: Option<T>,
}

impl<T> Bounds<T> {
    /// Limited from above only.
    pub const fn at_most(max: T) -> Self {
        Bounds { min: None, max: Some(max) }
    }
}

impl<T: PartialOrd> Bounds<T> {
    /// Whether the value lies within them.
    pub fn hold(&self, value: &T) -> bool {
        self.min.as_ref().is_none_or(|min| value >= min)
            && self.max.as_ref().is_none_or(|max| value <= max)
    }
}

/// How many of a campaign's seeds an expectation must hold for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeedRule {
    /// All of them.
    #[default]
    Every,
    /// At least one.
    Any,
    /// At least this part of them.
    AtLeast(Ratio),
}

impl SeedRule {
    /// Whether it is enough that an expectation held for `held` of `runs` seeds.
    pub fn satisfied(self, held: u64, runs: u64) -> bool {
        match self {
            SeedRule::Every => held == runs,
            SeedRule::Any => held > 0,
            SeedRule::AtLeast(part) => {
                u128::from(held) * u128::from(part.denominator)
                    >= u128::from(runs) * u128::from(part.numerator)
            }
        }
    }
}

/// What one user may expect of reads after each other (Terry et al. 1994).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionGuarantee {
    /// A read sees the user's own acknowledged writes.
    ReadYourWrites,
    /// A read sees at least what the user's reads before it had seen.
    MonotonicReads,
}

impl SessionGuarantee {
    /// The name that scenarios use.
    pub const fn name(self) -> &'static str {
        match self {
            SessionGuarantee::ReadYourWrites => "read-your-writes",
            SessionGuarantee::MonotonicReads => "monotonic-reads",
        }
    }
}

/// An expectation, and how a campaign judges it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// What must hold.
    pub check: Expectation,
    /// For how many seeds.
    pub seeds: SeedRule,
}

impl From<Expectation> for Expected {
    fn from(check: Expectation) -> Self {
        Expected { check, seeds: SeedRule::Every }
    }
}

/// What must hold at the end.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// No acknowledged write is lost, but for `explained` ones up to the limit.
    AcknowledgedWritesLost {
        /// How many may be lost together with a branch that was discarded.
        explained: Bounds<u64>,
    },
    /// All instances have the same contents once the cluster has recovered.
    ReplicasEqual,
    /// Percentiles of the latency of one client's operation, from the intended start.
    Latency {
        /// The client's name.
        client: String,
        /// The operation's name; none is all of them together.
        operation: Option<String>,
        /// Percentile in thousandths of a percent (99 % is 99,000) and its limits.
        limits: Vec<(u32, Bounds<Span>)>,
    },
    /// Of the reads that could have, only so many miss what their user had written or seen.
    Sessions {
        /// Which.
        guarantee: SessionGuarantee,
        /// The client's name; none is all of them.
        client: Option<String>,
        /// The part of the reads that may be stale.
        stale: Bounds<Ratio>,
    },
    /// Two instances are master at once for so long.
    TwoMasters {
        /// The longest such time.
        lasts: Bounds<Span>,
    },
    /// Something happens so often between warm-up and healing.
    Happens {
        /// What.
        event: Trigger,
        /// How often.
        count: Bounds<u64>,
    },
    /// The longest time without a success.
    Availability {
        /// The client's name.
        client: String,
        /// The operation's name; none is all of them together.
        operation: Option<String>,
        /// That time.
        outage: Bounds<Span>,
    },
    /// A slave lacks what its master committed for so long.
    SlaveLag {
        /// The longest such time.
        lag: Bounds<Span>,
    },
    /// The cluster is out of order when everything has been healed, and stays so.
    DoesNotRecover,
    /// The cluster recovers from each fault.
    Recovers {
        /// From the fault's start.
        within: Span,
    },
    /// So often something happened to the data that should not.
    Anomalies {
        /// What.
        of: Anomaly,
        /// How often.
        found: Bounds<u64>,
    },
}

impl Plan {
    /// The settings of an instance.
    pub fn settings_of<'a>(&'a self, instance: &'a InstancePlan) -> &'a Settings {
        instance.settings.as_deref().unwrap_or(&self.settings)
    }

    /// How often a monitor asks when nothing else is said: usual for hosted metrics.
    pub const MONITOR_EVERY: Span = Span::from_secs(10);

    /// How many instances there are.
    pub fn total(&self) -> usize {
        self.instances.len()
    }

    /// How many instances have a store: all but the arbiters.
    pub fn stores(&self) -> usize {
        self.instances.iter().filter(|instance| !instance.arbiter).count()
    }

    /// The second stores beside the graph that operations write into, each once.
    pub fn second_stores(&self) -> Vec<&str> {
        let mut stores: Vec<&str> = Vec::new();
        for store in self.operations.iter().flat_map(|program| &program.stores) {
            if !stores.contains(&store.as_str()) {
                stores.push(store);
            }
        }
        stores
    }

    /// What the audit at the end tells for the expectations.
    pub fn audited(&self) -> Audited<'_> {
        let mut audited = Audited::default();
        for expected in &self.expectations {
            if let Expectation::Anomalies { of, .. } = &expected.check {
                of.audited(&mut audited);
            }
        }
        audited
    }

    /// The longest `within` of the expectations, zero when there is none: for so long play
    /// goes on after the duration if the cluster has not recovered.
    pub fn longest_within(&self) -> Span {
        self.expectations
            .iter()
            .map(|expected| match &expected.check {
                Expectation::Recovers { within } => *within,
                _ => Span::ZERO,
            })
            .max()
            .unwrap_or(Span::ZERO)
    }
}
