//! Settings by Neo4j's names: from a `neo4j.properties` file, from `[cluster.settings]` and
//! from the settings of a group, each layer over the one before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_vocabulary::{Bytes, InstanceId, Span};
use wavetank_world::{
    AcceptorMemory, BranchedDataPolicy, Compat, Flaws, NotARetention, Quorum, Settings,
};

use crate::errors::{Place, Problem};
use crate::section::values::{between, digits, one_of, whole};
use crate::section::{At, Findings, Section, Wrong, nearest};
use crate::settings::{Field, KNOWN, STRATEGIES, Setting};
use crate::tree::{Entry, Node, Value};
use crate::units::{self, brief};

/// What the settings say.
#[derive(Clone)]
pub(super) struct Read {
    pub(super) settings: Settings,
    /// The heap of every group that does not say.
    pub(super) heap: Option<At<Bytes>>,
    /// The page cache of every group that does not say.
    pub(super) page_cache: Option<At<Bytes>>,
    /// Where each setting was set last, by its name in the 2.3 line.
    pub(super) origins: BTreeMap<&'static str, Place>,
    /// Those that were not set themselves, but follow another one that was.
    derived: BTreeSet<&'static str>,
    default_timeout: Option<Span>,
    paxos_timeout: Option<Span>,
}

/// Where a layer's entries come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// A configuration file of Neo4j: it holds much that means nothing here.
    File,
    /// The scenario.
    Scenario,
}

/// The settings of the cluster: the entries of the configuration file, if there is one, and
/// over them those of the scenario.
pub(super) fn read(cluster: &Section<'_>, compat: Compat, file: Vec<Entry>) -> Read {
    let mut read = Read {
        settings: Settings::defaults(compat),
        heap: None,
        page_cache: None,
        origins: BTreeMap::new(),
        derived: BTreeSet::new(),
        default_timeout: None,
        paxos_timeout: None,
    };
    read.layer(file, Layer::File, cluster.findings());
    let mut entries = Vec::new();
    flatten("", cluster.settings("settings"), &mut entries);
    read.layer(entries, Layer::Scenario, cluster.findings());
    read.fall_back();
    let flaws = cluster.choices("flaws").map_or_else(Vec::new, |names| names.value);
    for flaw in flaws.iter().filter_map(|name| Flaws::from_name(name)) {
        read.settings.cluster.flaws = read.settings.cluster.flaws | flaw;
    }
    if let Some(name) = cluster.choice("quorum") {
        let known = Quorum::ALL.into_iter().find(|(_, known)| *known == name.value);
        read.settings.cluster.quorum = known.map(|(quorum, _)| quorum).unwrap_or_default();
    }
    if let Some(name) = cluster.choice("acceptors") {
        let known = AcceptorMemory::ALL.into_iter().find(|(_, known)| *known == name.value);
        read.settings.cluster.acceptor_memory = known.map(|(it, _)| it).unwrap_or_default();
    }
    read
}

/// The settings of a group over those of the cluster.
pub(super) fn of_group(group: &Section<'_>, cluster: &Read) -> (Read, Option<Arc<Settings>>) {
    let mut read = cluster.clone();
    let mut entries = Vec::new();
    flatten("", group.settings("settings"), &mut entries);
    if entries.is_empty() {
        return (read, None);
    }
    read.layer(entries, Layer::Scenario, group.findings());
    read.fall_back();
    let differs = read.settings != cluster.settings;
    let own = differs.then(|| Arc::new(read.settings.clone()));
    (read, own)
}

impl Read {
    fn layer(&mut self, entries: Vec<Entry>, layer: Layer, findings: &Findings) {
        // In this layer: where each was set, under whatever name.
        let mut set: BTreeMap<&'static str, Place> = BTreeMap::new();
        let mut without_effect: Vec<Entry> = Vec::new();
        for entry in entries {
            let Some(setting) = Setting::by_name(&entry.key) else {
                match layer {
                    Layer::File => without_effect.push(entry),
                    Layer::Scenario => findings.add(stranger(&entry)),
                }
                continue;
            };
            let field = match setting.field {
                Field::HeapMegabytes => "dbms.memory.heap.max_size",
                _ => setting.name,
            };
            if let Some(first) = set.insert(field, entry.key_place) {
                let label = format!("the same setting as `{field}`");
                findings.add(
                    match layer {
                        Layer::Scenario => {
                            Problem::new("this is set twice", entry.key_place, label)
                        }
                        Layer::File => {
                            Problem::warning("this is set twice", entry.key_place, label)
                                .help("the last one counts, as in Neo4j")
                        }
                    }
                    .also(first, "first set here"),
                );
            }
            let derived = self.derived.remove(field);
            if let Some(before) = self.origins.insert(field, entry.key_place)
                && !derived
                && before.source != entry.key_place.source
                && !set_before(&set, field, before)
            {
                findings.add(overridden(field, before, entry.key_place));
            }
            if let Err(wrong) = self.apply(&setting.field, &entry.node) {
                let wants = wants(&setting.field);
                findings.add(wrong.problem(&entry.key, &wants, entry.node.place));
            }
        }
        for entry in without_effect.iter().filter(|entry| !is_known(&entry.key)) {
            if let Some(near) = slip_of(&entry.key) {
                let title = format!("unknown setting `{}`", brief(&entry.key));
                findings.add(
                    Problem::warning(title, entry.key_place, "it has no effect")
                        .help(format!("a similar setting is `{near}`")),
                );
            }
        }
        without_effect.retain(|entry| is_known(&entry.key) || slip_of(&entry.key).is_none());
        if let Some(first) = without_effect.first() {
            let names: Vec<String> = without_effect.iter().map(|entry| brief(&entry.key)).collect();
            let title = match names.len() {
                1 => "one setting of this file has no effect here".to_owned(),
                n => format!("{n} settings of this file have no effect here"),
            };
            findings.add(
                Problem::warning(title, first.key_place, "the first of them")
                    .help(format!("not modelled: {}", names.join(", "))),
            );
        }
    }

    /// Timeouts that were not set follow those that they are derived from (HA specification
    /// 1.1 and 1.2).
    fn fall_back(&mut self) {
        let old = matches!(self.settings.compat(), Compat::V2_2 | Compat::V2_3_0);
        let switch = if old { "ha.state_switch_timeout" } else { "" };
        let settings = &mut self.settings;
        let broadcast = settings.cluster.broadcast_timeout;
        let role_switch = settings.state_switch_timeout;
        let read = settings.read_timeout;
        let value = |name: &str| match name {
            "ha.default_timeout" => self.default_timeout,
            "ha.paxos_timeout" => self.paxos_timeout,
            "ha.broadcast_timeout" => Some(broadcast),
            "ha.read_timeout" => Some(read),
            _ => Some(role_switch),
        };
        let cluster = &mut settings.cluster;
        let (default, paxos) = ("ha.default_timeout", "ha.paxos_timeout");
        let join = ["ha.broadcast_timeout"].as_slice();
        for (name, field, sources) in [
            ("ha.heartbeat_interval", &mut cluster.heartbeat_interval, [default].as_slice()),
            ("ha.learn_timeout", &mut cluster.learn_timeout, &[default]),
            ("ha.election_timeout", &mut cluster.election_timeout, &[paxos, default]),
            ("ha.phase1_timeout", &mut cluster.phase1_timeout, &[paxos, default]),
            ("ha.phase2_timeout", &mut cluster.phase2_timeout, &[paxos, default]),
            ("ha.join_timeout", &mut cluster.join_timeout, join),
            ("ha.leave_timeout", &mut cluster.leave_timeout, join),
            (
                "ha.internal_state_switch_timeout",
                &mut settings.internal_state_switch_timeout,
                &[switch],
            ),
            ("ha.lock_read_timeout", &mut settings.lock_read_timeout, &["ha.read_timeout"]),
        ] {
            if self.origins.contains_key(name) && !self.derived.contains(name) {
                continue;
            }
            let set = sources.iter().find_map(|source| {
                let place = self.origins.get(source).copied()?;
                Some((value(source)?, place))
            });
            if let Some((span, place)) = set {
                *field = span;
                self.origins.insert(name, place);
                self.derived.insert(name);
            }
        }
    }

    /// What Neo4j accepts and an operator regrets.
    pub(super) fn warn(&self, place: Place, findings: &Findings) {
        let at = |name: &str| self.origins.get(name).copied();
        let cluster = &self.settings.cluster;
        let (interval, timeout) = (cluster.heartbeat_interval, cluster.heartbeat_timeout);
        let set = at("ha.heartbeat_timeout").or(at("ha.heartbeat_interval"));
        if timeout < interval {
            findings.add(
                Problem::warning(
                    "every member will be suspected between two heartbeats",
                    set.unwrap_or(place),
                    format!("heartbeats come every {interval}, and after {timeout} a member is suspected"),
                )
                .help("make ha.heartbeat_timeout longer than twice ha.heartbeat_interval"),
            );
        } else if timeout.as_nanos() <= 2 * interval.as_nanos() {
            findings.add(
                Problem::warning(
                    "one late heartbeat makes a member suspect",
                    set.unwrap_or(place),
                    format!("heartbeats come every {interval}, and after {timeout} a member is suspected"),
                )
                .help("make ha.heartbeat_timeout longer than twice ha.heartbeat_interval"),
            );
        }
        if self.settings.pull_interval.is_zero() {
            findings.add(
                Problem::warning(
                    "slaves never pull",
                    at("ha.pull_interval").unwrap_or(place),
                    "ha.pull_interval is 0, Neo4j's default: what is not pushed to a slave arrives only with its next write",
                )
                .help("set \"ha.pull_interval\" = \"500ms\", for example"),
            );
        }
    }

    fn apply(&mut self, field: &Field, node: &Node) -> Result<(), Wrong> {
        let settings = &mut self.settings;
        let span = |low: &Span, high: &Span| -> Result<Span, Wrong> {
            between(units::setting_span(digits(node)?)?, low, high, Span::to_string)
        };
        let bytes = |low: &Bytes, high: &Bytes| -> Result<Bytes, Wrong> {
            between(units::setting_bytes(digits(node)?)?, low, high, |b| units::bytes_text(*b))
        };
        let timeout = || span(&Span::from_millis(1), &Span::from_secs(86_400));
        let most = Bytes::gib(1 << 20);
        let at = |value| Some(At { value, place: node.place });
        match field {
            Field::Span(field, low, high) => *field(settings) = span(low, high)?,
            Field::SpanOrOff(field, low, high) => {
                let value = units::setting_span(digits(node)?)?;
                let value = if value.is_zero() { value } else { span(low, high)? };
                *field(settings) = value;
            }
            Field::Bytes(field, low, high) => *field(settings) = bytes(low, high)?,
            Field::Count(field, low, high) => {
                *field(settings) = whole(node, u64::from(*low), u64::from(*high))? as u32;
            }
            Field::LongCount(field, low, high) => *field(settings) = whole(node, *low, *high)?,
            Field::Flag(field) => {
                *field(settings) = match &node.value {
                    Value::Flag(flag) => *flag,
                    _ => one_of(node, &["true", "false"], &[])? == "true",
                };
            }
            Field::Strategy(field) => {
                let name = one_of(node, &STRATEGIES.map(|(name, _)| name), &[])?;
                if let Some((_, strategy)) = STRATEGIES.iter().find(|(known, _)| *known == name) {
                    *field(settings) = *strategy;
                }
            }
            Field::Policy(field) => {
                let names = BranchedDataPolicy::ALL.map(BranchedDataPolicy::name);
                let name = one_of(node, &names, &[])?;
                let known = BranchedDataPolicy::ALL.into_iter().find(|known| known.name() == name);
                *field(settings) = known.unwrap_or_default();
            }
            Field::Retention(field) => {
                let text = node.bare.as_deref().map_or_else(|| digits(node), Ok)?;
                *field(settings) =
                    text.parse().map_err(|wrong: NotARetention| wrong.to_string())?;
            }
            Field::Hosts => settings.cluster.initial_hosts = hosts(digits(node)?)?,
            Field::Heap => self.heap = at(bytes(&Bytes::mib(1), &most)?),
            Field::HeapMegabytes => {
                self.heap = at(Bytes::mib(whole(node, 1, most.0 >> 20)?));
            }
            Field::PageCache => self.page_cache = at(bytes(&Bytes(245_760), &most)?),
            Field::DefaultTimeout => self.default_timeout = Some(timeout()?),
            Field::PaxosTimeout => self.paxos_timeout = Some(timeout()?),
        }
        Ok(())
    }
}

/// Server ids, or hosts with their ports: these are the instances in their order.
fn hosts(text: &str) -> Result<Vec<InstanceId>, Wrong> {
    let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    let most = usize::from(u16::MAX);
    if items.is_empty() || items.len() > most {
        return Err(format!("{} hosts are listed", items.len()).into());
    }
    if let Some(twice) = items.iter().enumerate().find(|(at, item)| items[..*at].contains(item)) {
        return Err(format!("`{}` is listed twice", brief(twice.1)).into());
    }
    let is_id = |item: &&str| item.bytes().all(|byte| byte.is_ascii_digit());
    if !items.iter().any(is_id) {
        return Ok((1..=items.len() as u16).map(InstanceId).collect());
    }
    let id = |item: &&str| match item.parse() {
        Ok(id) => Ok(InstanceId(id)),
        Err(_) if is_id(item) => Err(format!("no server id is as high as {}", brief(item)).into()),
        Err(_) => Err(format!("`{}` stands among server ids", brief(item)).into()),
    };
    let ids = items.iter().map(id).collect::<Result<Vec<InstanceId>, Wrong>>()?;
    // As a number may be written in several ways.
    if let Some(twice) = ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id)) {
        return Err(format!("{} is listed twice", twice.1.0).into());
    }
    Ok(ids)
}

/// Whether the place was set in this layer: that is told as a slip of its own.
fn set_before(set: &BTreeMap<&'static str, Place>, field: &str, place: Place) -> bool {
    set.get(field) == Some(&place)
}

/// A value that was given from outside the scenario, and that the scenario gives, too.
pub(super) fn overridden(name: &str, unused: Place, used: Place) -> Problem {
    let title = format!("this value of `{name}` is not used");
    Problem::warning(title, unused, "another one comes before it").also(used, "this one")
}

fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
}

/// The setting that was probably meant: names are long and alike, so a few letters at most
/// may differ.
fn slip_of(name: &str) -> Option<&'static str> {
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    let near = Setting::names().map(|known| (distance(known), known)).min()?;
    (near.0 <= 3).then_some(near.1)
}

/// A setting of the scenario that is not modelled: known ones do nothing, others are slips.
fn stranger(entry: &Entry) -> Problem {
    let name = brief(&entry.key);
    if let Some((_, instead)) = KNOWN.iter().find(|(known, _)| *known == entry.key) {
        let title = format!("the setting `{name}` has no effect here");
        let about = |label| Problem::warning(title, entry.key_place, label);
        return match *instead {
            "" => about("Neo4j has it; it is not modelled"),
            instead => about("Neo4j has it; a scenario says it elsewhere").help(instead),
        };
    }
    let problem = Problem::new(
        format!("unknown setting `{name}`"),
        entry.key_place,
        "no setting of Neo4j that is modelled",
    );
    match nearest(&entry.key, Setting::names().chain(KNOWN.iter().map(|(known, _)| *known))) {
        Some(near) => problem.help(format!("a similar setting is `{near}`")),
        None => problem.help("`wavetank list settings` names them all"),
    }
}

fn wants(field: &Field) -> String {
    match field {
        Field::Span(..) | Field::SpanOrOff(..) | Field::DefaultTimeout | Field::PaxosTimeout => {
            "a length of time such as \"500ms\"; a bare number is in seconds".into()
        }
        Field::Bytes(..) | Field::Heap | Field::PageCache => {
            "a number of bytes such as \"2M\", \"512MiB\" or \"8GB\"".into()
        }
        Field::Count(..) | Field::LongCount(..) => "a whole number".into(),
        Field::HeapMegabytes => "a whole number of MB".into(),
        Field::Flag(_) => "true or false".into(),
        Field::Policy(_) => {
            let names = BranchedDataPolicy::ALL.map(|policy| format!("\"{}\"", policy.name()));
            format!("one of {}", names.join(", "))
        }
        Field::Retention(_) => "how much is kept, such as \"7 days\" or \"100M size\"".into(),
        Field::Hosts => "server ids such as \"1,2,3\", or hosts such as \"a:5001,b:5001\"".into(),
        Field::Strategy(_) => {
            let names = STRATEGIES.map(|(name, _)| format!("\"{name}\""));
            format!("one of {}", names.join(", "))
        }
    }
}

/// The settings with their whole names: `ha.pull_interval = 5` without quotes is a table in
/// a table to TOML, and to everybody else a setting.
fn flatten(prefix: &str, entries: Vec<Entry>, flat: &mut Vec<Entry>) {
    for mut entry in entries {
        if !prefix.is_empty() {
            entry.key = format!("{prefix}.{}", entry.key);
        }
        match entry.node.value {
            Value::Table(inner) if Setting::by_name(&entry.key).is_none() && !inner.is_empty() => {
                flatten(&entry.key, inner, flat);
            }
            _ => flat.push(entry),
        }
    }
}

/// A setting of the cluster that an entry names, and the cluster's settings with this value
/// for it; what is wrong is noted.
pub(super) fn single(
    entry: &Entry,
    node: &Node,
    cluster: &Read,
    section: &Section<'_>,
) -> Option<(&'static Setting, Settings)> {
    let Some(setting) = Setting::by_name(&entry.key) else {
        section.findings().add(stranger(entry));
        return None;
    };
    let mut read = cluster.clone();
    if let Err(wrong) = read.apply(&setting.field, node) {
        section.findings().add(wrong.problem(&entry.key, &wants(&setting.field), node.place));
        return None;
    }
    Some((setting, read.settings))
}

/// Whether a value can be drawn from one to the other.
pub(super) fn is_range(setting: &Setting, low: &Settings, high: &Settings) -> bool {
    let (low, high) = (&mut low.clone(), &mut high.clone());
    match &setting.field {
        Field::Span(of, ..) | Field::SpanOrOff(of, ..) => *of(low) <= *of(high),
        Field::Bytes(of, ..) => of(low).0 <= of(high).0,
        Field::Count(of, ..) => *of(low) <= *of(high),
        Field::LongCount(of, ..) => *of(low) <= *of(high),
        Field::Strategy(_) | Field::Policy(_) | Field::Flag(_) => true,
        Field::Retention(_)
        | Field::Hosts
        | Field::Heap
        | Field::HeapMegabytes
        | Field::PageCache
        | Field::DefaultTimeout
        | Field::PaxosTimeout => false,
    }
}
