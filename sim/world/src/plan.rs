//! The Plan: a scenario with everything random about the set-up and the faults drawn and
//! written out. The scenario room makes it, this room plays it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_instance::{Program, Settings, TokenKind};
use wavetank_kernel::Distribution;
use wavetank_store::CachePolicy;
use wavetank_vocabulary::{Bytes, InstanceId, PlantedBugs, Ratio, Span};

use crate::anomaly::Audited;
use crate::client_plan::ClientPlan;
use crate::costs::CostTable;
use crate::expectation::{Expectation, Expected};
use crate::fault_plan::FaultPlan;

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
    /// The operations that clients run, by [`OperationKind`](wavetank_vocabulary::OperationKind).
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
    /// Labels and property keys: no two nodes with the label have the same value. None of these
    /// keys is among the `properties`, of which every user has the same.
    pub unique: Vec<(String, String)>,
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
                of.audited(&mut audited, self.graph.model);
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
