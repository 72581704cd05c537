//! From the tree to a [`Scenario`]: every table is read against the table of keys, and what
//! the tables say is checked against each other. Problems are gathered, never thrown, so
//! that one pass finds them all.

mod anomalies;
mod clients;
mod cluster;
mod expectations;
mod faults;
mod links;
mod nemesis;
mod operations;
mod profile;
mod recorded;
mod round_trips;
mod settings;
mod strength;
mod sweep;

pub(crate) use anomalies::keys as anomaly_keys;
pub(crate) use expectations::PERCENTILES;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wavetank_vocabulary::{PlantedBugs, Ratio, Span};
use wavetank_world::{CostTable, EdgeList, GraphModel, GraphPlan, GraphSource, Plan};

use crate::errors::{Errors, Place, Problem, Source, Warnings};
use crate::keys::ROOT;
use crate::scenario::{Reader, Scenario};
use crate::section::{At, Findings, Section};
use crate::tree::Node;

use sweep::Sweep;

/// What the files beside the scenario are called in errors.
const CONFIGURATION_FILE: &str = "configuration file";
const ROUND_TRIPS: &str = "matrix of round trips";

/// Gives the text of a file beside the scenario: what it is, its path, and the section that
/// is told when there is none.
type Text<'a> = &'a mut dyn FnMut(&'static str, &At<String>, &Section<'_>) -> Option<String>;

/// Used where a value was wrong: the scenario is refused anyway, reading goes on.
fn or<T>(value: Option<At<T>>, fallback: T) -> T {
    value.map_or(fallback, |at| at.value)
}

/// Reads a scenario from its tree. `sources[0]` is the scenario file; `read` gives the
/// contents of another.
pub(crate) fn scenario(
    root: Node,
    sources: &[Source],
    read: Reader<'_>,
) -> Result<Scenario, Errors> {
    let varied = root.clone();
    let (mut scenario, sweep) = once(root, sources.to_vec(), &mut *read)?;
    if let Some(sweep) = sweep {
        sweep.check(&varied, sources, read)?;
        scenario.sweep = Some(sweep.plan());
    }
    Ok(scenario)
}

/// The same, with the values of a sweep as they stand there.
fn once(
    root: Node,
    mut sources: Vec<Source>,
    read: Reader<'_>,
) -> Result<(Scenario, Option<Sweep>), Errors> {
    let findings = Findings::default();
    let top = Section::open(&ROOT, root, &findings);
    if let Some(format) = top.count("format")
        && format.value != 1
    {
        findings.add(
            Problem::new("this format is not known", format.place, "this version reads format 1")
                .help("a newer wavetank wrote it, or it is a slip: write `format = 1`"),
        );
        // Whatever else is in it means something else.
        return Err(Errors::new(sources, findings.into_inner()));
    }
    let directory =
        Path::new(&sources[0].name).parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let profile = profile::read(&top, &directory, &mut sources, &mut *read);
    let path = Path::new(&sources[0].name);
    let name = path.file_stem().map_or_else(|| "scenario".into(), |stem| stem.to_string_lossy());
    let duration = top.span("duration");
    let warm_up = top.span("warm_up");
    if let (Some(duration), Some(warm_up)) = (&duration, &warm_up)
        && warm_up.value >= duration.value
    {
        findings.add(
            Problem::new(
                "`warm_up` leaves nothing to measure",
                warm_up.place,
                format!("the run ends after {}", duration.value),
            )
            .also(duration.place, "the duration includes the warm-up"),
        );
    }
    let next = sources.len();
    let mut conf_source = None;
    let built = cluster::read(&top, next, &mut |what, path, section| {
        let file = directory.join(&path.value);
        let text = match read(&file) {
            Ok(bytes) if bytes.contains(&0) => {
                let label = format!("{}: this is no text", file.display());
                section.note(format!("the {what} cannot be used"), path.place, label);
                return None;
            }
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                let label = format!("{}: {error}", file.display());
                section.note(format!("the {what} cannot be read"), path.place, label);
                return None;
            }
        };
        if what == CONFIGURATION_FILE {
            let name = file.display().to_string();
            conf_source = Some(Source { name, text: text.clone(), first_line: 1 });
        }
        Some(text)
    });
    let (mut graph, edges, unique_place) = graph(&top);
    let own = operations::read(&top, &sources[0].text, graph.model);
    let files = &mut |path: &str| {
        let file = directory.join(path);
        read(&file).map_err(|error| format!("{}: {error}", file.display()))
    };
    // What an edge list has is known when it is loaded.
    let nodes = match graph.source {
        GraphSource::Social { users, .. } => Some(users),
        GraphSource::Edges { .. } => None,
    };
    let (mut clients, mixes, used) =
        clients::read(&top, &built.balancers, duration, &own, nodes, files);
    let operations = operations::settle(&top, &own, &mixes, &mut clients, &mut graph, &used);
    let alike = |(_, key): &&(String, String)| graph.properties.iter().any(|(of, _)| of == key);
    if let (Some((_, key)), Some(place)) = (graph.unique.iter().find(alike), unique_place) {
        let title = format!("every user has the same `{key}` at the start");
        findings.add(Problem::new(title, place, "it cannot be unique"));
    }
    let total = built.instances.len();
    let faults = faults::read(&top, &built, duration);
    let nemeses = nemesis::read(&top, &built, duration);
    let ranges = nemesis::ranges(&top.table_or_empty("cluster"), &built);
    let expectations = expectations::read(&top, &clients, &operations);
    let operations = operations.programs;
    if faults.is_empty()
        && nemeses.is_empty()
        && let Some(place) = expectations::place_of_recovers(&top)
    {
        findings.add(
            Problem::warning(
                "nothing goes wrong, so nothing can recover",
                place,
                "there is no [[faults]]",
            )
            .help("this will be *not exercised*, which counts as broken"),
        );
    }
    let timeout = built.settings.cluster.heartbeat_timeout;
    if let Some(duration) = &duration
        && timeout >= duration.value
        && total > 1
        && !(faults.is_empty() && nemeses.is_empty())
    {
        let place = built.configured.origins.get("ha.heartbeat_timeout").copied();
        findings.add(
            Problem::warning(
                "no failure will be noticed before the end",
                place.unwrap_or(duration.place),
                format!("ha.heartbeat_timeout is {timeout}, the run takes {}", duration.value),
            )
            .help("a bare number in a setting is in seconds"),
        );
    }
    let monitor = top.table_or_empty("monitor");
    let (sample, every) = (monitor.span("sample"), monitor.span("every"));
    for every in [(&sample, "sample"), (&every, "every")] {
        let (Some(at), Some(duration), Some(_)) = (every.0, &duration, monitor.has(every.1)) else {
            continue;
        };
        if at.value <= duration.value {
            continue;
        }
        let every = at;
        let label = format!("the run ends after {}", duration.value);
        findings.add(Problem::new("nothing would ever be sampled", every.place, label));
    }
    let duration = or(duration, Span::ZERO);
    let mut plan = Plan {
        name: name.into_owned(),
        about: or(top.text("about"), String::new()),
        seed: 0,
        duration,
        warm_up: or(warm_up, Span::ZERO),
        settings: built.settings,
        instances: built.instances,
        datacentres: built.datacentres,
        network: built.network,
        graph,
        balancers: built.balancers,
        operations,
        clients,
        faults: Vec::new(),
        expectations,
        sample_every: or(sample, Span::from_secs(1)),
        // Once at least, also in a run that is shorter.
        monitor_every: or(every, Plan::MONITOR_EVERY).min(duration),
        costs: cost_table(&top.table_or_empty("costs")),
        bugs: built.bugs,
    };
    if let Some(profile) = profile {
        profile.apply(&mut plan);
    }
    let seed = top.seed("seed").map(|at| at.value);
    let soak = or(top.flag("soak"), false);
    let sweep = Sweep::read(&top);
    sources.extend(conf_source);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_inner().into_iter().partition(Problem::is_error);
    // What is regrettable about a scenario is told once it is sound.
    if !errors.is_empty() {
        return Err(Errors::new(sources, errors));
    }
    let scenario = Scenario {
        directory,
        warnings: Warnings::new(&sources, warnings),
        origins: built.configured.origins,
        sources,
        plan,
        seed,
        edges,
        loaded: std::sync::OnceLock::new(),
        faults,
        nemeses,
        ranges,
        copies: built.copies,
        soak,
        sweep: None,
    };
    Ok((scenario, sweep))
}

/// The graph, the edge list that has yet to be loaded, and where constraints stand.
fn graph(top: &Section<'_>) -> (GraphPlan, Option<At<String>>, Option<Place>) {
    let graph = top.table_or_empty("graph");
    let edges = graph.text("edges");
    if let (Some(edges), Some(generate)) = (graph.has("edges"), graph.has("generate")) {
        top.findings().add(
            Problem::new("there can be one graph only", edges.max(generate), "and another one")
                .also(edges.min(generate), "one graph")
                .help("leave out either `edges` or `generate`"),
        );
    }
    if let Some(At { value, place }) = &edges
        && (value.trim().is_empty() || value.contains('\0'))
    {
        graph.note("`edges` takes the path of a file", *place, "this is no path");
    }
    let source = match &edges {
        Some(path) => {
            GraphSource::Edges { path: path.value.clone(), edges: Arc::new(EdgeList::default()) }
        }
        None => {
            let generate = graph.table_or_empty("generate");
            // The only kind; read so that a wrong one is noted.
            let _social = generate.choice("kind");
            let known_users = generate.count("users");
            let users = or(known_users, 2) as u32;
            let follows = generate.ratio("mean_follows");
            if let (Some(At { value, place }), Some(_)) = (follows, known_users) {
                let most = u64::from(users) - 1;
                if u64::from(value.numerator) > most * u64::from(value.denominator) {
                    let label = format!("{users} users have at most {most} others to follow");
                    generate.note("`mean_follows` is more than there are users", place, label);
                }
            }
            GraphSource::Social { users, mean_follows: or(follows, Ratio::ZERO) }
        }
    };
    let model = match or(graph.choice("model"), "monolithic-node") {
        "split-nodes" => GraphModel::SplitNodes,
        _ => GraphModel::MonolithicNode,
    };
    let properties = or(graph.weights("properties"), Vec::new());
    let properties = properties.into_iter().map(|(key, number)| (key.value, i64::from(number)));
    let plan = GraphPlan {
        seed: or(graph.seed("seed"), 1),
        source,
        model,
        properties: properties.collect(),
        unique: unique(&graph),
        names: Vec::new(),
    };
    (plan, edges, graph.has("unique"))
}

/// Uniqueness constraints.
fn unique(graph: &Section<'_>) -> Vec<(String, String)> {
    let mut read: Vec<(String, String)> = Vec::new();
    for At { value, place } in or(graph.texts("unique"), Vec::new()) {
        let is_name = |name: &str| {
            (1..=64).contains(&name.len())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match value.split_once('.').filter(|(label, key)| is_name(label) && is_name(key)) {
            None => graph.findings().add(
                Problem::new("this is no constraint", place, "expected a label and a property")
                    .help("for example \"User.account\""),
            ),
            Some((label, key)) => {
                let rule = (label.to_owned(), key.to_owned());
                if read.contains(&rule) {
                    graph.note("there is this constraint already", place, "named a second time");
                    continue;
                }
                read.push(rule);
            }
        }
    }
    read
}

fn cost_table(section: &Section<'_>) -> CostTable {
    let assumed = CostTable::assumed();
    let of = |key: &str, default: Span| or(section.span(key), default);
    let mut costs = CostTable {
        name: assumed.name.clone(),
        step: of("step", assumed.step),
        record: of("record", assumed.record),
        hit: of("hit", assumed.hit),
        fault: of("fault", assumed.fault),
        logged_kib: of("logged_kib", assumed.logged_kib),
        drawn: None,
    };
    match section.name("name") {
        Some(name) => costs.name = name.value,
        None if costs != assumed => costs.name = "custom".into(),
        None => {}
    }
    costs
}

/// The bugs that the scenario plants; only a command built for it may.
fn planted_bugs(cluster: &Section<'_>) -> PlantedBugs {
    let Some(names) = cluster.choices("planted_bugs") else { return PlantedBugs::NONE };
    if !cfg!(feature = "planted-bugs") && !names.value.is_empty() {
        cluster.note(
            "planted bugs need a command built with the feature `planted-bugs`",
            names.place,
            "this command was built without it",
        );
    }
    names
        .value
        .iter()
        .filter_map(|name| PlantedBugs::from_name(name))
        .fold(PlantedBugs::NONE, |bugs, bug| bugs | bug)
}
