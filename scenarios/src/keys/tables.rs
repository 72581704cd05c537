//! The tables of the language, key by key.

use wavetank_vocabulary::{Bytes, Rate, Span};
use wavetank_world::Trigger;

use super::{Key, Kind, Need, Table};
use Kind::{
    Bandwidth, Choice, Choices, Count, Counts, Distribution, Flag, Later, LaterTable, Name, NameOr,
    Pair, Ratio, Seed, SeedRule, Settings, Size, Tables, Target, Text, Time, Weights, Window,
};
use Need::{Default, Optional, Required};

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
            LaterTable(&OPERATION),
            Optional,
            "An operation of one's own, beside those of the workload.",
        ),
        key("operations", LaterTable(&OPERATIONS), Optional, "What operators do while it runs."),
        key("nemesis", LaterTable(&NEMESIS), Optional, "Faults drawn at random."),
        key("sweep", LaterTable(&SWEEP), Optional, "Parameters against outcomes."),
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
            "planted_bugs",
            Kind::Choices(PLANTED_BUGS),
            Optional,
            "Bugs planted to try the checks.",
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
        key("volume", Kind::Table(&VOLUME), Optional, "The disk of each."),
        key("datacentre", Name, Default("local"), "Where they stand."),
        key("slave_only", Flag, Default("false"), "ha.slave_only: never elected master."),
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
            "datacentre",
            Name,
            Optional,
            "Where it stands; the first group's data centre unless told otherwise.",
        ),
    ],
};

static CLIENTS: Table = Table {
    name: "[[clients]]",
    about: "A population of clients.",
    keys: &[
        key("name", Name, Required, "Its name, for `of = \"NAME.OPERATION\"`."),
        key("arrivals", Kind::Table(&ARRIVALS), Required, "When operations begin."),
        key("workload", Choice(&["social"], &[]), Default("social"), "Which operations there are."),
        key(
            "mix",
            Weights,
            Default("{ home_stream = 60, profile = 20, follow = 8, status = 10, sign_up = 2 }"),
            "The weight of each operation.",
        ),
        key(
            "routing",
            Kind::Table(&ROUTING),
            Default("{ by = \"reads-to-slaves\" }"),
            "How the balancer spreads requests.",
        ),
        key("balancer", Name, Optional, "Through which balancer; needed where there are several."),
        key(
            "popularity",
            Kind::Table(&POPULARITY),
            Default("{ zipf = 0.8 }"),
            "Which users are asked for.",
        ),
        key(
            "timeout",
            Time(MILLISECOND, YEAR),
            Default("10s"),
            "How long a client waits for an answer.",
        ),
        key("retry", Kind::Table(&RETRY), Optional, "What is tried again; nothing unless told."),
        key("skip", Counts(u32::MAX as u64), Optional, "Operations left out, by their index."),
        later("think_time", "users that wait for an answer and think"),
    ],
};

static ARRIVALS: Table = Table {
    name: "arrivals",
    about: "When operations begin.",
    keys: &[
        key(
            "poisson",
            Kind::Rate(Rate::per_second(1_000_000)),
            Required,
            "Independently of each other, at this rate.",
        ),
        later("closed", "users that wait for an answer"),
        later("bursts", "bursts"),
        later("daily", "a curve over the day"),
        later("recorded", "a recorded sequence"),
    ],
};

static ROUTING: Table = Table {
    name: "routing",
    about: "How a balancer spreads requests.",
    keys: &[
        key(
            "by",
            Choice(
                &["reads-to-slaves", "all-to-master", "reads-to-all"],
                &["consistency", "sticky", "cache-sharding", "round-robin"],
            ),
            Required,
            "Which rule; writes go to the master in all of them.",
        ),
        later("read_after_write", "reads at the master for a while after a write"),
    ],
};

static POPULARITY: Table = Table {
    name: "popularity",
    about: "Which users are asked for.",
    keys: &[
        key("zipf", Ratio(0, 10), Required, "The exponent of a Zipf law; 0 is uniform."),
        later("degree", "users in proportion to their degree"),
    ],
};

static RETRY: Table = Table {
    name: "retry",
    about: "What is tried again, and how.",
    keys: &[
        key(
            "on",
            Choices(&["transient", "connection", "timeout"]),
            Required,
            "After which failures.",
        ),
        key("attempts", Count(1, 1000), Default("5"), "Attempts in all."),
        key(
            "backoff",
            Time(Span::ZERO, Span::from_secs(3600)),
            Default("50ms"),
            "The wait before the second attempt.",
        ),
        key("factor", Ratio(1, 100), Default("2.0"), "By what the wait grows each time."),
        key("jitter", Ratio(0, 1), Default("0.5"), "The part of the wait that is drawn anew."),
        later("deadline", "an end to all attempts"),
    ],
};

static FAULTS: Table = Table {
    name: "[[faults]]",
    about: "Something that goes wrong.",
    keys: &[
        key(
            "id",
            Count(1, u16::MAX as u64),
            Optional,
            "Its number, by which its dice are known; its place in the file unless told.",
        ),
        key(
            "at",
            Window(YEAR),
            Optional,
            "When it begins: a time, or a range that the seed draws from. With `when`, from when on the trigger is waited for; from the beginning unless told.",
        ),
        key("when", Choice(TRIGGERS, &[]), Optional, "A trigger instead of a time: its first."),
        key(
            "after",
            Window(YEAR),
            Optional,
            "How long after the trigger it begins; at once unless told.",
        ),
        key("crash", Target, Optional, "The process is killed."),
        key(
            "power-loss",
            Target,
            Optional,
            "The machine dies; what was not synced may be lost or torn.",
        ),
        key("pause", Target, Optional, "The machine stands still but for its clock."),
        key(
            "partition",
            Target,
            Optional,
            "No message passes to or from the instance that `from` names, or any other.",
        ),
        key("isolate", Target, Optional, "No message passes to or from any other instance."),
        key("from", Target, Optional, "The other side of a partition."),
        key(
            "one_way",
            Flag,
            Default("false"),
            "Whether only messages that the instance sends are lost.",
        ),
        key(
            "for",
            Window(YEAR),
            Optional,
            "How long it lasts; to the end of the duration unless told.",
        ),
    ],
};

/// The names of the triggers.
const TRIGGERS: &[&str] = &{
    let mut names = [""; Trigger::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = Trigger::ALL[i].1;
        i += 1;
    }
    names
};

/// The keys of [`FAULTS`] that say what happens, one of which each fault has.
pub(crate) const ACTIONS: [&str; 5] = ["crash", "power-loss", "pause", "partition", "isolate"];

/// The same, each with its sentence.
pub(super) fn actions() -> Vec<(&'static str, &'static str)> {
    let about = |name: &'static str| Some((name, FAULTS.key(name)?.about));
    ACTIONS.into_iter().filter_map(about).collect()
}

static EXPECT: Table = Table {
    name: "[[expect]]",
    about: "Something that must hold.",
    keys: &[
        key("check", Choice(&crate::checks::NAMES, crate::checks::LATER), Required, "Which check."),
        key(
            "explained",
            Kind::Table(&EXPLAINED),
            Optional,
            "Of `acknowledged-writes-lost`: writes lost with a branch that was discarded; none unless told.",
        ),
        key(
            "of",
            Text,
            Optional,
            "Of `latency`: a client, or one operation of it as \"CLIENT.OPERATION\".",
        ),
        key("p50", Kind::Table(&LIMIT), Optional, "Of `latency`: the median."),
        key("p90", Kind::Table(&LIMIT), Optional, "Of `latency`: the 90th percentile."),
        key("p99", Kind::Table(&LIMIT), Optional, "Of `latency`: the 99th percentile."),
        key("p999", Kind::Table(&LIMIT), Optional, "Of `latency`: the 99.9th percentile."),
        key(
            "within",
            Time(MILLISECOND, YEAR),
            Optional,
            "Of `recovers`: from the start of each fault.",
        ),
        key(
            "seeds",
            SeedRule,
            Default("every"),
            "How a campaign judges it: it must hold for \"every\" seed, for \"any\", or for a part of them, such as \">= 95%\".",
        ),
    ],
};

static EXPLAINED: Table = Table {
    name: "explained",
    about: "Writes lost with a branch that was discarded.",
    keys: &[
        key("max", Count(0, u64::MAX), Optional, "How many are accepted; none unless told."),
        key("min", Count(0, u64::MAX), Optional, "How many there must be at the least."),
    ],
};

static LIMIT: Table = Table {
    name: "limit",
    about: "The limit of a percentile.",
    keys: &[
        key("max", Time(Span::ZERO, YEAR), Optional, "At the most."),
        key("min", Time(Span::ZERO, YEAR), Optional, "At the least."),
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

static COSTS: Table = Table {
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

static OPERATION: Table = Table {
    name: "[[operation]]",
    about: "An operation of one's own.",
    keys: &[
        key("name", Name, Required, "Its name, for a mix."),
        key("pattern", Text, Optional, "A pattern by name, such as \"double-checked\"."),
        key("steps", Kind::Texts, Optional, "Its steps, instead of a pattern."),
    ],
};

static OPERATIONS: Table = Table {
    name: "[[operations]]",
    about: "What operators do while it runs.",
    keys: &[
        key(
            "backup",
            Choice(&["master", "slave", "round-robin"], &[]),
            Optional,
            "Whose store is backed up.",
        ),
        key("every", Time(MILLISECOND, YEAR), Required, "How often."),
    ],
};

static NEMESIS: Table = Table {
    name: "[[nemesis]]",
    about: "Faults drawn at random.",
    keys: &[
        key("faults", Weights, Required, "The weight of each kind of fault."),
        key("every", Window(YEAR), Required, "The time between two of them."),
        key("for", Window(YEAR), Required, "How long each lasts."),
        key("quiet", Window(YEAR), Optional, "The time without faults after each."),
    ],
};

static SWEEP: Table = Table {
    name: "[sweep]",
    about: "Parameters against outcomes.",
    keys: &[
        key("vary", Kind::Grid, Required, "Lists of values by setting or path."),
        key("seeds", Count(1, 1_000_000), Default("20"), "Seeds for each point."),
    ],
};

static TARGETS: Table = Table {
    name: "[targets]",
    about: "What a search for a cluster aims at.",
    keys: &[
        key("load", Kind::Rate(Rate::per_second(1_000_000)), Required, "Operations in all."),
        key("p99", Time(Span::ZERO, YEAR), Optional, "The 99th percentile of latency."),
        key("machines", Kind::Texts, Optional, "The machines to choose from."),
    ],
};
