//! What is built: versions and settings, machines, data centres, network, balancers.

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{Bytes, InstanceId, PlantedBugs, Span};
use wavetank_world::{
    BalancerPlan, CachePolicy, Compat, InstancePlan, NetworkPlan, Settings, VolumePlan,
};

use super::links::{datacentre, links, network};
use super::{CONFIGURATION_FILE, Text, or, planted_bugs, settings};
use crate::errors::{Place, Problem};
use crate::keys::MOST_INSTANCES;
use crate::profiles::{self, PROFILES, Profile};
use crate::properties;
use crate::section::{At, Section, meant};
use crate::settings::{default_heap, default_page_cache};
use crate::units::brief;

/// Everything that stands before the run begins, but for the graph.
pub(super) struct Built {
    pub(super) settings: Settings,
    pub(super) bugs: PlantedBugs,
    pub(super) instances: Vec<InstancePlan>,
    pub(super) datacentres: Vec<String>,
    /// How many clusters there are.
    pub(super) copies: u32,
    pub(super) network: NetworkPlan,
    pub(super) balancers: Vec<BalancerPlan>,
    /// The settings of the cluster as they were read.
    pub(super) configured: settings::Read,
    /// Where each data centre was first named.
    pub(super) named_at: Vec<Place>,
}

/// Reads the tables; the text of the configuration file is source number `conf`.
pub(super) fn read(top: &Section<'_>, conf: usize, text: Text<'_>) -> Built {
    let cluster = top.table_or_empty("cluster");
    let compat = or(cluster.choice("compat"), Compat::default().name());
    let compat = Compat::ALL.into_iter().find(|c| c.name() == compat).unwrap_or_default();
    let file = cluster.text("neo4j_conf").and_then(|p| text(CONFIGURATION_FILE, &p, &cluster));
    let file = file.map_or_else(Vec::new, |text| properties::entries(&text, conf));
    let configured = settings::read(&cluster, compat, file);
    let mut built = Built {
        bugs: planted_bugs(&cluster),
        copies: or(cluster.count("copies"), 1) as u32,
        settings: configured.settings.clone(),
        configured,
        instances: Vec::new(),
        datacentres: Vec::new(),
        network: network(top),
        balancers: Vec::new(),
        named_at: Vec::new(),
    };
    groups(top, &mut built);
    let community = or(cluster.choice("edition"), "enterprise") == "community";
    regrets(top, &cluster, &built, community);
    links(top, &mut built, text);
    balancers(top, &mut built);
    built
}

fn groups(top: &Section<'_>, built: &mut Built) {
    let groups = top.tables("group");
    let mut never_master = None;
    for group in &groups {
        let count = group.count("count");
        let instance = instance(group, built);
        for (key, set) in [("slave_only", instance.slave_only), ("arbiter", instance.arbiter)] {
            if set {
                never_master = never_master.or(group.has(key));
            }
        }
        let count = or(count, 1);
        if built.instances.len() as u64 + count > MOST_INSTANCES {
            let place = group.has("count").unwrap_or(group.place);
            let label = format!("with this group there are more than {MOST_INSTANCES} instances");
            group.note("the cluster is too large", place, label);
            return;
        }
        for _ in 0..count {
            let id = InstanceId(built.instances.len() as u16 + 1);
            built.instances.push(InstancePlan { id, ..instance.clone() });
        }
    }
    let never = |instance: &InstancePlan| instance.slave_only || instance.arbiter;
    match never_master {
        Some(place) if built.instances.iter().all(|instance| instance.arbiter) => {
            let label = "all groups are arbiters: nobody has a store";
            top.note("no instance can be master", place, label);
        }
        // Neo4j starts such a cluster: its elections pick no winner, and nobody serves.
        Some(place) if built.instances.iter().all(never) => {
            top.findings().add(
                Problem::warning(
                    "no instance can be master",
                    place,
                    "all groups are `slave_only` or arbiters; no election will have a winner",
                )
                .help("leave `slave_only` out of one group"),
            );
        }
        _ => {}
    }
    if groups.is_empty() && top.has("group").is_some() {
        let place = top.has("group").unwrap_or(top.place);
        top.note("a cluster needs at least one [[group]]", place, "this list is empty");
    }
}

/// One instance of a group, without its number.
fn instance(group: &Section<'_>, built: &mut Built) -> InstancePlan {
    let (machine, cores, memory, profile) = machine(group);
    let (configured, own) = settings::of_group(group, &built.configured);
    for (key, name, configured) in [
        ("heap", "dbms.memory.heap.max_size", configured.heap),
        ("page_cache", "dbms.pagecache.memory", configured.page_cache),
    ] {
        if let (Some(used), Some(unused)) = (group.has(key), configured) {
            group.findings().add(settings::overridden(name, unused.place, used));
        }
    }
    if own.is_some() {
        configured.warn(group.place, group.findings());
    }
    let heap_at = group.size("heap").or(configured.heap);
    let heap = or(heap_at, default_heap(memory));
    let cache_at = group.size("page_cache").or(configured.page_cache);
    let page_cache = or(cache_at, default_page_cache(built.settings.compat(), memory, heap));
    // A machine that is itself wrong has been noted already.
    if memory.0 > 0 && heap.0.saturating_add(page_cache.0) > memory.0 {
        let place = group.has("machine").unwrap_or(group.place);
        let mut problem = Problem::new(
            "heap and page cache are more than the machine's memory",
            place,
            format!("{heap} of heap and {page_cache} of page cache in {memory} of memory"),
        )
        .help("the machine would swap: make either smaller, or take a larger machine");
        if let Some(cause) = cache_at.map(|at| at.place).or(heap_at.map(|at| at.place)) {
            problem = problem.also(cause, "set here");
        }
        group.findings().add(problem);
    }
    let place = group.has("machine").unwrap_or(group.place);
    if memory.0 > 0 && !(SMALLEST_HEAP..=LARGEST_HEAP).contains(&heap) {
        let cause = heap_at.map_or(place, |at| at.place);
        let advice = if heap < SMALLEST_HEAP {
            "a small heap spends its time collecting"
        } else {
            "the pauses of the collector grow with the heap"
        };
        let said = if heap_at.is_some() { "" } else { ", a quarter of the memory" };
        group.findings().add(
            Problem::warning(
                "the heap is outside 8 to 12 GB",
                cause,
                format!("{heap} of heap{said}: {advice}"),
            )
            .help("set heap = \"8GiB\" in the [[group]], for example"),
        );
    }
    if memory.0 > 0 && cache_at.is_none() {
        let part = if built.settings.compat() == Compat::V2_2 { 75 } else { 50 };
        group.findings().add(
            Problem::warning(
                "the page cache is left to Neo4j",
                place,
                format!("it takes {page_cache}: {part} % of what the heap leaves"),
            )
            .help("set page_cache in the [[group]], or dbms.pagecache.memory"),
        );
    }
    let datacentre = or(group.name("datacentre"), "local".into());
    let index = built.datacentres.iter().position(|known| *known == datacentre);
    let datacentre = index.unwrap_or_else(|| {
        built.datacentres.push(datacentre);
        built.named_at.push(group.has("datacentre").unwrap_or(group.place));
        built.datacentres.len() - 1
    });
    InstancePlan {
        id: InstanceId(0),
        datacentre: datacentre as u16,
        slave_only: or(group.flag("slave_only"), false),
        arbiter: or(group.flag("arbiter"), false),
        new_address: or(group.flag("new_address"), false),
        machine,
        cores,
        memory,
        heap,
        page_cache,
        cache_policy: cache_policy(group),
        volume: volume(group, profile),
        settings: own,
    }
}

fn cache_policy(group: &Section<'_>) -> CachePolicy {
    let name = group.choice("cache_policy").map(|at| at.value);
    name.and_then(CachePolicy::from_name).unwrap_or_default()
}

/// The heap sizes that operators found to work (Ian Robinson, "Moving Graphs to Production
/// at Scale", GraphConnect 2015), in the units that either reading of GB allows.
const SMALLEST_HEAP: Bytes = Bytes(8_000_000_000);
const LARGEST_HEAP: Bytes = Bytes::gib(12);

/// Cores beyond these bring the community edition little (the same talk).
const COMMUNITY_CORES: u32 = 4;

/// What Neo4j accepts of a cluster as a whole, and an operator regrets.
fn regrets(top: &Section<'_>, cluster: &Section<'_>, built: &Built, community: bool) {
    let total = built.instances.len();
    if built.instances.is_empty() || built.instances.iter().any(|i| i.settings.is_none()) {
        built.configured.warn(cluster.place, top.findings());
    }
    let most = built.instances.iter().map(|i| i.settings.as_deref().unwrap_or(&built.settings));
    let most = most.map(|settings| settings.tx_push_factor).max().unwrap_or(0);
    let slaves = built.instances.iter().filter(|one| !one.arbiter).count().saturating_sub(1);
    if total > 0 && most as usize > slaves && most > 1 {
        let place = built.configured.origins.get("ha.tx_push_factor").copied();
        top.findings().add(
            Problem::warning(
                "more pushes are asked for than there are slaves",
                place.unwrap_or(cluster.place),
                format!("{most} pushes, {slaves} slaves"),
            )
            .help("commits wait for all of them"),
        );
    }
    let place = top.has("group").unwrap_or(top.place);
    let count = top.tables("group").first().and_then(|group| group.has("count")).unwrap_or(place);
    if total == 2 {
        top.findings().add(
            Problem::warning(
                "two instances cannot outvote each other",
                count,
                "when one is lost, the other has no majority",
            )
            .help("take three"),
        );
    } else if total > 2 && total.is_multiple_of(2) {
        top.findings().add(
            Problem::warning(
                "an even number of instances",
                count,
                format!("{total} survive the loss of {}, and so do {}", (total - 1) / 2, total - 1),
            )
            .help("take one more, or one less"),
        );
    }
    initial_hosts(cluster, top, built);
    creators(cluster, top, built);
    if community {
        let place = cluster.has("edition").unwrap_or(cluster.place);
        if total > 1 {
            top.note("clusters need the enterprise edition", place, "this edition has none");
        }
        if let Some(cores) = built.instances.iter().map(|i| i.cores).find(|c| *c > COMMUNITY_CORES)
        {
            let label = format!("this machine has {cores}");
            top.findings().add(Problem::warning(
                "more than four cores are of little use to the community edition",
                place,
                label,
            ));
        }
    }
}

/// Nobody may create the cluster.
fn creators(cluster: &Section<'_>, top: &Section<'_>, built: &Built) {
    let may = |one: &InstancePlan| {
        one.settings.as_deref().unwrap_or(&built.settings).cluster.allow_init_cluster
    };
    if !built.instances.iter().any(may) {
        let place = built.configured.origins.get("ha.allow_init_cluster").copied();
        top.findings().add(
            Problem::warning(
                "no instance may create the cluster",
                place.unwrap_or(cluster.place),
                "ha.allow_init_cluster is false for all of them",
            )
            .help("at a cold start each asks for a cluster for ever, and none serves"),
        );
    }
}

/// Initial hosts that do not exist, and those that a listed instance does not list.
fn initial_hosts(cluster: &Section<'_>, top: &Section<'_>, built: &Built) {
    let total = built.instances.len();
    let place = built.configured.origins.get("ha.initial_hosts").copied();
    let place = place.unwrap_or(cluster.place);
    let of = |one: &InstancePlan| {
        let settings = one.settings.as_deref().unwrap_or(&built.settings);
        settings.cluster.initial_hosts.clone()
    };
    let lists: Vec<Vec<InstanceId>> = built.instances.iter().map(of).collect();
    let missing = |id: &InstanceId| id.0 == 0 || usize::from(id.0) > total;
    if let Some(id) = lists.iter().flatten().find(|id| missing(id)) {
        top.findings().add(
            Problem::warning(
                "a listed initial host does not exist",
                place,
                format!("there is no instance {}; the cluster has {}", id.0, instances(total)),
            )
            .help(if lists.iter().any(|list| list.len() > total) {
                "at a cold start as many have to ask as are listed: no cluster will be created"
            } else {
                "at a cold start as many have to ask as are listed; one that is not may make up for it"
            }),
        );
        return;
    }
    let lists_all = |list: &Vec<InstanceId>| list.is_empty() || list.len() == total;
    if !lists.iter().all(lists_all) {
        top.findings().add(
            Problem::warning(
                "not every instance is an initial host",
                place,
                "an instance that starts asks only those that are listed",
            )
            .help("lists that do not overlap make clusters that do not know of each other"),
        );
    }
}

fn instances(total: usize) -> String {
    if total == 1 { "1 instance".into() } else { format!("{total} instances") }
}

/// The name, cores, memory and profile of a machine; no memory if it was wrong.
fn machine(group: &Section<'_>) -> (String, u32, Bytes, Option<&'static Profile>) {
    if !group.is_table("machine") {
        let Some(At { value: name, place }) = group.text("machine") else {
            return (String::new(), 1, Bytes(0), None);
        };
        let profile = profiles::by_name(&name);
        let Some(known) = profile else {
            let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
            let title = format!("unknown machine `{}`", brief(&name));
            group.findings().add(
                Problem::new(title, place, "no profile of that name")
                    .help(meant(&name, &names))
                    .help("or write a table: { cores = 4, memory = \"30GiB\" }"),
            );
            return (name, 1, Bytes(0), None);
        };
        return (name, known.cores, known.memory, profile);
    }
    let table = group.table_or_empty("machine");
    let name = or(table.text("name"), String::new());
    let profile = profiles::by_name(&name);
    let (cores, memory) = (table.count("cores"), table.size("memory"));
    for (key, given) in [("cores", cores.is_some()), ("memory", memory.is_some())] {
        if profile.is_none() && !given && table.has(key).is_none() {
            let title = format!("`{key}` is missing");
            table.note(title, table.place, "a machine without a known profile needs it");
        }
    }
    let cores = cores.map(|at| at.value as u32).or(profile.map(|p| p.cores)).unwrap_or(1);
    let memory = memory.map(|at| at.value).or(profile.map(|p| p.memory)).unwrap_or_default();
    (name, cores, memory, profile)
}

/// Operations per second for each GB: what a general-purpose volume comes with, and the
/// most that can be provisioned (Amazon EBS, "Volume types", of the modelled years).
const IOPS_PER_GB: u64 = 3;
const MOST_IOPS_PER_GB: u64 = 30;

fn volume(group: &Section<'_>, profile: Option<&Profile>) -> VolumePlan {
    let section = group.table_or_empty("volume");
    let size = or(section.size("size"), Bytes(100_000_000_000));
    let gigabytes = size.0 / 1_000_000_000;
    let iops = section.count("iops");
    // The rule of a cloud: a machine of one's own has the disk that it has.
    if let Some(At { value, place }) = iops
        && profile.is_some()
    {
        let most = (gigabytes * MOST_IOPS_PER_GB).max(100);
        if value > most && section.has("size").is_some() {
            section.note(
                "the volume is too small for so many operations per second",
                place,
                format!("{MOST_IOPS_PER_GB} per GB can be provisioned: {most} for {gigabytes} GB"),
            );
        } else if value > most {
            let label = format!(
                "{MOST_IOPS_PER_GB} per GB can be provisioned, and 100GB are the default size"
            );
            section.note("the volume is too small for so many operations per second", place, label);
        }
    }
    let provisioned = iops.is_some_and(|at| at.value > (gigabytes * IOPS_PER_GB).clamp(100, 3_000));
    if let Some(At { place, value }) = iops
        && provisioned
        && section.has("throughput").is_none()
        && section.has("ebs_optimised").is_none()
        && profile.is_some()
    {
        section.findings().add(
            Problem::warning(
                "provisioned IOPS on a machine that is not EBS-optimised",
                place,
                format!("{value} a second share the machine's network"),
            )
            .help("set ebs_optimised = true, on a machine that offers it"),
        );
    }
    let iops = iops.map_or((gigabytes * IOPS_PER_GB).clamp(100, 3_000), |at| at.value);
    let throughput = section.bandwidth("throughput");
    let optimised = or(section.flag("ebs_optimised"), false);
    let reserved = profile.and_then(|p| p.disk_mbit).map(|mbit| Bytes(u64::from(mbit) * 125_000));
    if optimised && throughput.is_none() && reserved.is_none() {
        let place = section.has("ebs_optimised").unwrap_or(section.place);
        group.findings().add(
            Problem::new("this machine reserves no bandwidth for its disk", place, "not on offer")
                .help("say what it is: throughput = \"125MB/s\""),
        );
    }
    let default = match reserved {
        Some(reserved) if optimised => reserved,
        _ => Bytes(125_000_000),
    };
    VolumePlan {
        size,
        iops: iops as u32,
        throughput: or(throughput, default),
        access: or(section.distribution("access"), Distribution::Constant(Span::ZERO)),
        sync: or(section.distribution("sync"), Distribution::Constant(Span::ZERO)),
    }
}

/// Whether a balancer logs in. One that does not finds no instance, where they ask for it.
fn credentials(section: &Section<'_>, built: &Built) -> bool {
    let credentials = section.flag("credentials");
    let asked = |instance: &InstancePlan| {
        instance.settings.as_deref().unwrap_or(&built.settings).ha_status_auth_enabled
    };
    let asking = built.instances.iter().filter(|instance| asked(instance)).count();
    if let Some(At { value: false, place }) = credentials
        && asking > 0
    {
        let whom = match built.instances.len() {
            all if all == asking => "every instance".to_owned(),
            all => format!("{asking} of {all} instances"),
        };
        section.findings().add(
            Problem::warning(
                format!("this balancer will take {whom} for down"),
                place,
                "its checks are answered 401 Unauthorized",
            )
            .help("let it log in, or set \"dbms.security.ha_status_auth_enabled\" = false"),
        );
    }
    or(credentials, true)
}

fn balancers(top: &Section<'_>, built: &mut Built) {
    let mut sections = top.tables("balancer");
    if sections.is_empty() {
        sections.push(top.empty("balancer"));
    }
    for section in sections {
        let Some(name) = section.name("name") else { continue };
        if built.balancers.iter().any(|known| known.name == name.value) {
            let title = format!("there are two balancers called `{}`", name.value);
            section.note(title, name.place, "a name is given once");
        }
        let datacentre = match section.name("datacentre") {
            Some(name) => datacentre(&section, &name, built).unwrap_or(0),
            None => 0,
        };
        built.balancers.push(BalancerPlan {
            name: name.value,
            datacentre,
            poll: or(section.span("poll"), Span::ZERO),
            rise: or(section.count("rise"), 1) as u16,
            fall: or(section.count("fall"), 1) as u16,
            credentials: credentials(&section, built),
        });
    }
}
