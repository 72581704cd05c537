//! What is built: versions and settings, machines, data centres, network, balancers.

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{Bytes, InstanceId, PlantedBugs, Span};
use wavetank_world::{
    BalancerPlan, CachePolicy, Compat, InstancePlan, LinkPlan, NetworkPlan, Settings, VolumePlan,
};

use super::{or, planted_bugs, settings};
use crate::errors::{Place, Problem};
use crate::keys::MOST_INSTANCES;
use crate::profiles::{self, PROFILES, Profile};
use crate::section::{At, Section, meant};
use crate::settings::{default_heap, default_page_cache};
use crate::tree::Entry;
use crate::units::brief;

/// Everything that stands before the run begins, but for the graph.
pub(super) struct Built {
    pub(super) settings: Settings,
    pub(super) bugs: PlantedBugs,
    pub(super) instances: Vec<InstancePlan>,
    pub(super) datacentres: Vec<String>,
    pub(super) network: NetworkPlan,
    pub(super) balancers: Vec<BalancerPlan>,
    /// The settings of the cluster as they were read.
    pub(super) configured: settings::Read,
    /// Where each data centre was first named.
    named_at: Vec<Place>,
}

/// Reads the tables; `conf` gives the entries of the configuration file under that path.
pub(super) fn read(
    top: &Section<'_>,
    conf: &mut dyn FnMut(&At<String>, &Section<'_>) -> Vec<Entry>,
) -> Built {
    let cluster = top.table_or_empty("cluster");
    let compat = or(cluster.choice("compat"), Compat::default().name());
    let compat = Compat::ALL.into_iter().find(|c| c.name() == compat).unwrap_or_default();
    if let Some(copies) = cluster.count("copies")
        && copies.value != 1
    {
        cluster.note(
            "several copies of a cluster are not there yet",
            copies.place,
            "this version plays one: write 1",
        );
    }
    let file = cluster.text("neo4j_conf").map_or_else(Vec::new, |path| conf(&path, &cluster));
    let configured = settings::read(&cluster, compat, file);
    let mut built = Built {
        bugs: planted_bugs(&cluster),
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
    links(top, &mut built);
    balancers(top, &mut built);
    built
}

fn groups(top: &Section<'_>, built: &mut Built) {
    let groups = top.tables("group");
    let mut slave_only = None;
    for group in &groups {
        let count = group.count("count");
        let instance = instance(group, built);
        if instance.slave_only {
            slave_only = slave_only.or(group.has("slave_only"));
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
    match slave_only {
        Some(place) if built.instances.iter().all(|instance| instance.slave_only) => {
            top.note(
                "no instance can be master",
                place,
                "all groups are `slave_only`; at least one instance must not be",
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
    if total > 0 && most as usize > total - 1 && most > 1 {
        let place = built.configured.origins.get("ha.tx_push_factor").copied();
        top.findings().add(
            Problem::warning(
                "more pushes are asked for than there are slaves",
                place.unwrap_or(cluster.place),
                format!("{most} pushes, {} slaves", total - 1),
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
    if let Some(At { value: listed, place }) = built.configured.initial_hosts
        && listed > total
    {
        top.findings().add(
            Problem::warning(
                "a listed initial host is down",
                place,
                format!("{listed} hosts are listed, and the cluster has {}", instances(total)),
            )
            .help("an instance that starts asks them all; one that is not there delays it"),
        );
    }
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
    if let Some(At { value, place }) = iops {
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

fn network(top: &Section<'_>) -> NetworkPlan {
    let section = top.table_or_empty("network");
    NetworkPlan {
        local: or(section.distribution("latency"), Distribution::Constant(Span::ZERO)),
        bandwidth: or(section.bandwidth("bandwidth"), Bytes(0)),
        links: Vec::new(),
    }
}

/// Between data centres a message's time hardly varies; the figure is an assumption.
const LONG_LINE_SIGMA: f64 = 0.05;

fn links(top: &Section<'_>, built: &mut Built) {
    let sections = top.tables("link");
    for section in &sections {
        if let Some(link) = link(section, built) {
            built.network.links.push(link);
        }
    }
    // A link that was wrong has been noted already, and may be the one that is missing.
    if built.network.links.len() < sections.len() {
        return;
    }
    for (b, place) in built.named_at.iter().enumerate().skip(1) {
        for a in (0..b).filter(|a| !linked(built, [*a as u16, b as u16])) {
            let [a, b] = [a, b].map(|index| &built.datacentres[index]);
            top.findings().add(
                Problem::new(
                    format!("how far is it from {a} to {b}?"),
                    *place,
                    "this data centre needs a [[link]]",
                )
                .help(format!(
                    "add [[link]] with between = [\"{a}\", \"{b}\"] and, say, round_trip = \"70ms\""
                )),
            );
        }
    }
}

fn link(link: &Section<'_>, built: &Built) -> Option<LinkPlan> {
    let bandwidth = link.bandwidth("bandwidth");
    let ends = link.pair("between");
    let latency = match (link.span("round_trip"), link.distribution("latency")) {
        (Some(round_trip), None) => Some(Distribution::LogNormal {
            median: Span::from_nanos(round_trip.value.as_nanos() / 2),
            sigma: LONG_LINE_SIGMA,
        }),
        (None, Some(latency)) => Some(latency.value),
        (Some(_), Some(latency)) => {
            let label = "`round_trip` has said it already";
            link.note("a link has one latency", latency.place, label);
            None
        }
        (None, None) => {
            if link.has("round_trip").or(link.has("latency")).is_none() {
                link.note("`round_trip` is missing", link.place, "a [[link]] needs it");
            }
            None
        }
    };
    let At { value: [a, b], place } = ends?;
    let ends = [datacentre(link, &a, built), datacentre(link, &b, built)];
    let between = [ends[0]?, ends[1]?];
    if a.value == b.value {
        link.findings().add(
            Problem::new(
                "a link goes from one data centre to another",
                place,
                "these are the same",
            )
            .help("within a data centre, [network] says how it is"),
        );
        return None;
    }
    if linked(built, between) {
        link.note("this link is there already", place, "the same two data centres");
        return None;
    }
    Some(LinkPlan { between, latency: latency?, bandwidth: bandwidth?.value })
}

fn linked(built: &Built, [a, b]: [u16; 2]) -> bool {
    built.network.links.iter().any(|link| link.between == [a, b] || link.between == [b, a])
}

/// The index of a data centre in which instances stand.
fn datacentre(section: &Section<'_>, name: &At<String>, built: &Built) -> Option<u16> {
    let index = built.datacentres.iter().position(|known| *known == name.value);
    if index.is_none() {
        let names: Vec<&str> = built.datacentres.iter().map(String::as_str).collect();
        section.findings().add(
            Problem::new(
                format!("unknown data centre `{}`", name.value),
                name.place,
                "no [[group]] stands there",
            )
            .help(meant(&name.value, &names)),
        );
    }
    index.map(|index| index as u16)
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
        });
    }
}
