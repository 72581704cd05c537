//! The tables of the language, key by key.

use wavetank_vocabulary::{Bytes, Span};
use wavetank_world::CachePolicy;

use super::{Key, Kind, Need, Table};

mod faults;
mod later;
mod profile;
mod work;

use Kind::{
    Bandwidth, Choice, Count, Distribution, Flag, Grid, Later, LaterTable, Name, NameOr, Pair,
    Ratio, Seed, Settings, Size, Tables, Text, Time,
};
use Need::{Default, Optional, Required};
pub(crate) use faults::ACTIONS;
pub(in crate::keys) use faults::actions;
use faults::{FAULTS, NEMESIS};
use later::{OPERATIONS, TARGETS};
pub use profile::PROFILE;
use work::{CLIENTS, EXPECT, OPERATION, SWEEP};

const fn key(name: &'static str, kind: Kind, need: Need, about: &'static str) -> Key {
    Key { name, kind, need, about, since: "0.1" }
}

const fn later(name: &'static str, about: &'static str) -> Key {
    key(name, Later, Optional, about)
}

const MILLISECOND: Span = Span::from_millis(1);
/// No scenario is longer than this, and no span in one.
pub(crate) const YEAR: Span = Span::from_secs(366 * 86_400);
/// The most instances of a cluster: the size of a set of members.
pub(crate) const MOST_INSTANCES: u64 = 64;
const MOST_BYTES: Bytes = Bytes::gib(1 << 20);

/// The whole language, from the top.
pub static ROOT: Table = Table {
    name: "the scenario",
    about: "What is built, what is done to it and what must hold.",
    keys: &[
        key("format", Count(0, u64::MAX), Required, "The version of the scenario language: 1."),
        key("about", Text, Default(""), "What the scenario is for."),
        key(
            "duration",
            Time(MILLISECOND, YEAR),
            Required,
            "How long clients and faults are at work, warm-up included.",
        ),
        key(
            "warm_up",
            Time(Span::ZERO, YEAR),
            Default("0s"),
            "How much of the start percentiles and rates leave out.",
        ),
        key(
            "seed",
            Seed,
            Optional,
            "The seed, a number or a git commit hash; --seed comes before it, and 1 is used where both are missing.",
        ),
        key(
            "profile",
            Text,
            Optional,
            "A file of figures measured on a machine (`wavetank calibrate`), in place of the cores, volumes, network and costs below. The path is relative to the scenario; with --set, to where the command is run.",
        ),
        key(
            "soak",
            Flag,
            Default("false"),
            "It plays for hours: tests and hunts of a folder leave it out, and play it when it is named itself.",
        ),
        key(
            "cluster",
            Kind::Table(&CLUSTER),
            Optional,
            "The version that is modelled and its settings.",
        ),
        key(
            "group",
            Tables(&GROUP),
            Required,
            "Instances that are alike; they are numbered from 1 in the order of the groups.",
        ),
        key(
            "graph",
            Kind::Table(&GRAPH),
            Optional,
            "The graph at the start; a generated one unless told otherwise.",
        ),
        key("network", Kind::Table(&NETWORK), Optional, "The network within a data centre."),
        key("link", Tables(&LINK), Optional, "The network between two data centres."),
        key(
            "balancer",
            Tables(&BALANCER),
            Optional,
            "A load balancer; there is one called \"balancer\" unless told otherwise.",
        ),
        key("clients", Tables(&CLIENTS), Optional, "A population of clients."),
        key("faults", Tables(&FAULTS), Optional, "Something that goes wrong."),
        key("expect", Tables(&EXPECT), Optional, "Something that must hold."),
        key("monitor", Kind::Table(&MONITOR), Optional, "What is measured while it runs."),
        key("costs", Kind::Table(&COSTS), Optional, "What a step costs in core time."),
        key(
            "operation",
            Tables(&OPERATION),
            Optional,
            "An operation of one's own, or a pattern for one of the workload.",
        ),
        key("operations", LaterTable(&OPERATIONS), Optional, "What operators do while it runs."),
        key("nemesis", Tables(&NEMESIS), Optional, "Faults drawn at random."),
        key("sweep", Kind::Table(&SWEEP), Optional, "What `wavetank sweep` varies."),
        key("targets", LaterTable(&TARGETS), Optional, "What a search for a cluster aims at."),
        later("scale", "data and caches made smaller together"),
    ],
};

static CLUSTER: Table = Table {
    name: "[cluster]",
    about: "The version that is modelled and its settings.",
    keys: &[
        key(
            "compat",
            Choice(&["2.2", "2.3.0", "2.3.6", "3.2"], &[]),
            Default("2.3.6"),
            "The version whose behaviour and defaults are modelled.",
        ),
        key(
            "copies",
            Count(1, 1_000_000),
            Default("1"),
            "How many independent copies of the whole cluster there are.",
        ),
        key("settings", Settings, Optional, "Settings by Neo4j's names."),
        key(
            "ranges",
            Grid,
            Optional,
            "Settings that each seed draws between two values, such as \"ha.pull_interval\" = [\"100ms\", \"2s\"]; they come before `settings`.",
        ),
        key(
            "planted_bugs",
            Kind::Choices(PLANTED_BUGS),
            Optional,
            "Bugs planted to try the checks.",
        ),
        key(
            "flaws",
            Kind::Choices(FLAWS),
            Optional,
            "Flaws of old releases, beside those of `compat`; `wavetank list flaws` tells what they do.",
        ),
        key(
            "quorum",
            Choice(&["alive", "all-hosts"], &[]),
            Default("alive"),
            "Whose majority decides in Paxos: that of the members that the proposer believes to be alive, as in Neo4j, or that of all initial hosts, which Neo4j cannot do.",
        ),
        key(
            "acceptors",
            Choice(&["volatile", "durable"], &[]),
            Default("volatile"),
            "What a restart leaves of what an instance has promised in Paxos: nothing, as in Neo4j, or all of it, which Neo4j cannot do.",
        ),
        key(
            "neo4j_conf",
            Text,
            Optional,
            "A neo4j.properties or neo4j.conf file, read as it is; `settings` come before it. The path is relative to the scenario.",
        ),
        key(
            "edition",
            Choice(&["enterprise", "community"], &[]),
            Default("enterprise"),
            "Clusters need the enterprise edition; the community edition is one instance, and is said to make no use of more than four cores.",
        ),
    ],
};

/// The names of the bugs that can be planted.
pub(crate) const PLANTED_BUGS: &[&str] = &{
    const BUGS: &[(wavetank_vocabulary::PlantedBugs, &str)] = wavetank_vocabulary::PlantedBugs::ALL;
    let mut names = [""; BUGS.len()];
    let mut i = 0;
    while i < BUGS.len() {
        names[i] = BUGS[i].1;
        i += 1;
    }
    names
};

/// The names of the flaws.
const FLAWS: &[&str] = &{
    let mut names = [""; wavetank_world::Flaws::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = wavetank_world::Flaws::ALL[i].1;
        i += 1;
    }
    names
};

/// The names of the cache policies.
const CACHE_POLICIES: &[&str] = &{
    let mut names = [""; CachePolicy::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = CachePolicy::ALL[i].name();
        i += 1;
    }
    names
};

static GROUP: Table = Table {
    name: "[[group]]",
    about: "Instances that are alike.",
    keys: &[
        key("count", Count(1, MOST_INSTANCES), Required, "How many instances there are."),
        key(
            "machine",
            NameOr(&MACHINE),
            Required,
            "The machine of each: a profile by name, or a table.",
        ),
        key(
            "heap",
            Size(Bytes::mib(1), MOST_BYTES),
            Optional,
            "Heap of the Java process; else that of the settings, else a quarter of the memory.",
        ),
        key(
            "page_cache",
            Size(Bytes(245_760), MOST_BYTES),
            Optional,
            "Page cache; else that of the settings, else 50 % (2.2: 75 %) of what the heap leaves.",
        ),
        key(
            "cache_policy",
            Choice(CACHE_POLICIES, &[]),
            Default("clock-sweep"),
            "Which pages leave the page cache; Neo4j has the clock sweep.",
        ),
        key("volume", Kind::Table(&VOLUME), Optional, "The disk of each."),
        key("datacentre", Name, Default("local"), "Where they stand."),
        key("slave_only", Flag, Default("false"), "Never elected master (ha.slave_only)."),
        key(
            "arbiter",
            Flag,
            Default("false"),
            "Takes part in elections alone: it has no store, serves nobody and counts for majorities.",
        ),
        key(
            "new_address",
            Flag,
            Default("false"),
            "Each start of a process listens at another address, as containers do: the cluster takes it for another instance of the same server id.",
        ),
        key(
            "settings",
            Settings,
            Optional,
            "Settings by Neo4j's names for this group only, before those of the cluster.",
        ),
    ],
};

static MACHINE: Table = Table {
    name: "machine",
    about: "A machine.",
    keys: &[
        key(
            "name",
            Text,
            Default("custom"),
            "Where the figures come from; those of a known profile need not be repeated.",
        ),
        key("cores", Count(1, 1024), Optional, "Virtual processors."),
        key("memory", Size(Bytes::mib(64), MOST_BYTES), Optional, "Physical memory."),
    ],
};

static VOLUME: Table = Table {
    name: "volume",
    about: "A disk, as the volumes of a cloud are offered.",
    keys: &[
        key("size", Size(Bytes(1_000_000_000), MOST_BYTES), Default("100GB"), "Capacity."),
        key(
            "iops",
            Count(1, 10_000_000),
            Optional,
            "Operations per second; 3 per GB, at least 100 and at most 3,000, unless provisioned.",
        ),
        key(
            "throughput",
            Bandwidth,
            Optional,
            "Bytes per second; 125MB/s, or with `ebs_optimised` what the machine reserves for the disk.",
        ),
        key(
            "ebs_optimised",
            Flag,
            Default("false"),
            "Whether the machine reserves bandwidth for the disk.",
        ),
        key(
            "access",
            Distribution,
            Default("{ lognormal = \"600us\", sigma = 0.35 }"),
            "Time of a page read or write, without queueing.",
        ),
        key(
            "sync",
            Distribution,
            Default("{ lognormal = \"1200us\", sigma = 0.45 }"),
            "Time of a sync, without queueing.",
        ),
    ],
};

static GRAPH: Table = Table {
    name: "[graph]",
    about: "The graph at the start.",
    keys: &[
        key("generate", Kind::Table(&GENERATE), Optional, "A generated graph."),
        key(
            "edges",
            Text,
            Optional,
            "An edge list, plain or gzip; the path is relative to the scenario.",
        ),
        key("seed", Seed, Default("1"), "The graph's own seed: all runs share one graph."),
        key(
            "model",
            Choice(&["monolithic-node", "split-nodes"], &[]),
            Default("monolithic-node"),
            "Whether a user is one node, or has further ones for what is written often.",
        ),
        key(
            "unique",
            Kind::Texts,
            Optional,
            "Uniqueness constraints, each as \"Label.property\", such as \"User.account\".",
        ),
        key(
            "properties",
            Kind::Weights,
            Optional,
            "Numbers that every user has at the start, by property, beside those that the workload needs.",
        ),
    ],
};

static GENERATE: Table = Table {
    name: "generate",
    about: "A generated graph.",
    keys: &[
        key("kind", Choice(&["social"], &[]), Default("social"), "What it looks like."),
        key("users", Count(2, 10_000_000), Default("4000"), "Users."),
        key(
            "mean_follows",
            Ratio(0, 10_000),
            Default("22"),
            "Mean number of users that a user follows.",
        ),
    ],
};

static NETWORK: Table = Table {
    name: "[network]",
    about: "The network within a data centre.",
    keys: &[
        key(
            "latency",
            Distribution,
            Default("{ lognormal = \"150us\", sigma = 0.25 }"),
            "One way.",
        ),
        key("bandwidth", Bandwidth, Default("1Gbit/s"), "Of each link."),
        key(
            "rtt",
            Text,
            Optional,
            "A file of measured round trips between data centres, for those without a [[link]]: CSV with the columns from, to, avg_ms and, if there is one, mdev_ms. The path is relative to the scenario.",
        ),
    ],
};

static LINK: Table = Table {
    name: "[[link]]",
    about: "The network between two data centres.",
    keys: &[
        key("between", Pair, Required, "The two data centres."),
        key(
            "round_trip",
            Time(Span::ZERO, Span::from_secs(3600)),
            Optional,
            "Median time there and back; each way spreads as little as long lines do (sigma 0.05).",
        ),
        key("latency", Distribution, Optional, "One way, instead of `round_trip`."),
        key("bandwidth", Bandwidth, Default("1Gbit/s"), "Each way."),
    ],
};

static BALANCER: Table = Table {
    name: "[[balancer]]",
    about: "A load balancer.",
    keys: &[
        key("name", Name, Default("balancer"), "Its name."),
        key(
            "poll",
            Time(MILLISECOND, Span::from_secs(3600)),
            Default("2s"),
            "How often each instance is asked for its role.",
        ),
        key(
            "rise",
            Count(1, 1000),
            Default("2"),
            "Good answers in a row before an instance is used.",
        ),
        key("fall", Count(1, 1000), Default("3"), "Bad answers in a row before it is not."),
        key(
            "credentials",
            Flag,
            Default("true"),
            "Whether its checks log in; without, the HA endpoints answer 401 unless dbms.security.ha_status_auth_enabled is false.",
        ),
        key(
            "datacentre",
            Name,
            Optional,
            "Where it stands; the first group's data centre unless told otherwise.",
        ),
    ],
};

static MONITOR: Table = Table {
    name: "[monitor]",
    about: "What is measured while it runs.",
    keys: &[
        key(
            "every",
            Time(MILLISECOND, YEAR),
            Default("10s"),
            "How often the operators' monitoring looks; reports show what it would have seen.",
        ),
        key(
            "sample",
            Time(MILLISECOND, YEAR),
            Default("1s"),
            "How often the report's own quantities are sampled.",
        ),
    ],
};

pub(super) static COSTS: Table = Table {
    name: "[costs]",
    about: "What a step costs in core time. The defaults are assumptions.",
    keys: &[
        key(
            "name",
            Name,
            Optional,
            "What reports call the table: `assumed` if nothing is changed in it, else `custom`.",
        ),
        key("step", Time(Span::ZERO, Span::from_secs(60)), Optional, "Each step of an operation."),
        key("record", Time(Span::ZERO, Span::from_secs(60)), Optional, "Each record touched."),
        key(
            "hit",
            Time(Span::ZERO, Span::from_secs(60)),
            Optional,
            "Each page found in the page cache.",
        ),
        key(
            "fault",
            Time(Span::ZERO, Span::from_secs(60)),
            Optional,
            "Each page that is not: the processor's part.",
        ),
        key(
            "logged_kib",
            Time(Span::ZERO, Span::from_secs(60)),
            Optional,
            "Each KiB appended to the log.",
        ),
    ],
};
